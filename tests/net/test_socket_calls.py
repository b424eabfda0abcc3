"""The loop's calls on bare sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl

import pytest

MUCH = bytes(range(256)) * 16 * 1024
"""More than a socket takes at once, 4 MiB."""


@pytest.fixture
def ends(peers):
    for end in peers:
        end.setblocking(False)
    return peers


def test_what_is_there_is_received_at_once(loop, run, ends):
    ends[1].send(b"hello")
    assert run(loop.sock_recv(ends[0], 3)) == b"hel"
    assert run(loop.sock_recv(ends[0], 3)) == b"lo"


def test_what_comes_later_is_waited_for(loop, run, ends):
    async def exchange():
        waiting = asyncio.ensure_future(loop.sock_recv(ends[0], 100))
        await asyncio.sleep(0)
        ends[1].send(b"hello")
        return await waiting

    assert run(exchange()) == b"hello"


def test_the_end_of_the_stream_is_received_as_nothing(loop, run, ends):
    ends[1].close()
    assert run(loop.sock_recv(ends[0], 100)) == b""


def test_bytes_are_received_into_a_buffer(loop, run, ends):
    buffer = bytearray(10)
    ends[1].send(b"hello")
    assert run(loop.sock_recv_into(ends[0], buffer)) == 5
    assert buffer == b"hello" + bytes(5)


def test_all_is_sent_while_the_other_end_receives(loop, run, ends):
    async def receive():
        data = b""
        while len(data) < len(MUCH):
            data += await loop.sock_recv(ends[1], 100_000)
        return data

    async def exchange():
        return await asyncio.gather(loop.sock_sendall(ends[0], MUCH), receive())

    assert run(exchange()) == [None, MUCH]


def test_a_cancelled_call_receives_nothing_and_the_next_one_all(loop, run, ends):
    async def exchange():
        waiting = asyncio.ensure_future(loop.sock_recv(ends[0], 100))
        await asyncio.sleep(0)
        ends[1].send(b"for the next")
        # Cancelled at the moment at which it is told that there is something.
        loop.call_soon(waiting.cancel)
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return await loop.sock_recv(ends[0], 100)

    assert run(exchange()) == b"for the next"


def test_a_connection_is_made_and_accepted(loop, run):
    async def meet():
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.socket() as sock,
        ):
            listener.setblocking(False)
            sock.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await loop.sock_connect(sock, listener.getsockname())
            connection, address = await accepting
            with connection:
                assert address == sock.getsockname()
                assert connection.gettimeout() == 0

    run(meet())


def test_a_refused_connection_is_an_error_that_names_the_address(loop, run):
    with socket.socket() as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    with socket.socket() as sock:
        sock.setblocking(False)
        with pytest.raises(ConnectionRefusedError, match=f"call failed .*{address[1]}"):
            run(loop.sock_connect(sock, address))


def test_datagrams_are_sent_and_received(loop, run):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as one,
        socket.socket(type=socket.SOCK_DGRAM) as two,
    ):
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        origin = one.getsockname()

        async def exchange():
            waiting = asyncio.ensure_future(loop.sock_recvfrom(two, 100))
            await asyncio.sleep(0)
            assert await loop.sock_sendto(one, b"first", two.getsockname()) == 5
            assert await waiting == (b"first", origin)
            buffer = bytearray(10)
            await loop.sock_sendto(one, b"second", two.getsockname())
            assert await loop.sock_recvfrom_into(two, buffer) == (6, origin)
            assert buffer == b"second" + bytes(4)

        run(exchange())


def test_reading_and_writing_can_wait_on_one_socket_at_once(loop, run, ends):
    async def exchange():
        reading = asyncio.ensure_future(loop.sock_recv(ends[0], 100))
        writing = asyncio.ensure_future(loop.sock_sendall(ends[0], MUCH))
        await asyncio.sleep(0)
        ends[1].send(b"hello")
        assert await reading == b"hello"
        assert not writing.done()
        received = 0
        while received < len(MUCH):
            received += len(await loop.sock_recv(ends[1], 1_000_000))
        await writing

    run(exchange())


def test_debug_mode_refuses_a_socket_that_blocks(loop, run, ends):
    loop.set_debug(True)
    ends[0].setblocking(True)
    with pytest.raises(ValueError, match="the socket must be non-blocking"):
        run(loop.sock_recv(ends[0], 1))


def test_a_tls_socket_is_refused(loop, run, ends):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    with (
        context.wrap_socket(ends[0], do_handshake_on_connect=False) as wrapped,
        pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"),
    ):
        run(loop.sock_recv(wrapped, 1))
