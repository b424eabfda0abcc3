"""Datagram endpoints."""

from __future__ import annotations

import asyncio
import socket

import pytest


class Notes(asyncio.DatagramProtocol):
    """Notes what it is told."""

    def __init__(self, loop):
        self.messages = asyncio.Queue()
        self.errors = asyncio.Queue()
        self.paused = []
        self.lost = loop.create_future()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.messages.put_nowait((data, addr))

    def error_received(self, exc):
        self.errors.put_nowait(exc)

    def pause_writing(self):
        self.paused.append(True)

    def resume_writing(self):
        self.paused.append(False)

    def connection_lost(self, exc):
        self.lost.set_result(exc)


@pytest.fixture
def endpoint(loop, run):
    """Make an endpoint, closed after the test."""
    made = []

    def endpoint(*args, **options):
        _, notes = run(
            loop.create_datagram_endpoint(lambda: Notes(loop), *args, **options)
        )
        made.append(notes)
        return notes

    yield endpoint

    async def end():
        for notes in made:
            notes.transport.close()
            await notes.lost

    run(end())


def address_of(notes):
    return notes.transport.get_extra_info("sockname")


HERE = ("127.0.0.1", 0)


def test_messages_travel_both_ways(endpoint, run):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"question")
    data, origin = run(server.messages.get())
    assert (data, origin) == (b"question", address_of(client))
    server.transport.sendto(b"answer", origin)
    assert run(client.messages.get()) == (b"answer", address_of(server))


def test_empty_messages_are_messages(endpoint, run):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"")
    assert run(server.messages.get())[0] == b""


def test_a_connected_endpoint_sends_to_nobody_else(endpoint):
    server = endpoint(HERE)
    client = endpoint(remote_addr=address_of(server))
    client.transport.sendto(b"x", address_of(server))
    with pytest.raises(ValueError, match="Invalid address: must be None or"):
        client.transport.sendto(b"x", ("127.0.0.1", 1))


def test_what_is_no_bytes_is_refused(endpoint):
    with pytest.raises(TypeError, match="must be a bytes-like object, not 'str'"):
        endpoint(HERE).transport.sendto("text", ("127.0.0.1", 1))


def test_a_port_on_which_nobody_listens_is_told_as_an_error(endpoint, run):
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(HERE)
        address = gone.getsockname()
    client = endpoint(remote_addr=address)
    client.transport.sendto(b"anybody?")
    assert isinstance(run(client.errors.get()), ConnectionRefusedError)
    assert not client.transport.is_closing()


def test_messages_wait_for_a_slow_reader_and_pause_the_protocol(loop, endpoint, run):
    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    with far:
        far.setblocking(False)
        notes = endpoint(sock=near)
        notes.transport.set_write_buffer_limits(high=10_000)
        sent = [number.to_bytes(1000, "big") for number in range(1000)]
        for message in sent:
            notes.transport.sendto(message)
        assert notes.paused == [True]
        assert notes.transport.get_write_buffer_size() > 10_000

        async def receive():
            return [await loop.sock_recv(far, 2000) for _ in sent]

        assert run(receive()) == sent
        assert notes.paused == [True, False]
        assert notes.transport.get_write_buffer_size() == 0


def test_abort_drops_what_waits_and_is_told_once(loop, endpoint, run):
    near, far = socket.socketpair(type=socket.SOCK_DGRAM)
    with far:
        notes = endpoint(sock=near)
        for _ in range(1000):
            notes.transport.sendto(bytes(1000))
        notes.transport.abort()
        notes.transport.abort()
        assert notes.transport.is_closing()
        assert run(notes.lost) is None


def test_endpoints_can_meet_at_a_path(endpoint, run, tmp_path):
    path = str(tmp_path / "socket")
    server = endpoint(path, family=socket.AF_UNIX)
    client = endpoint(remote_addr=path, family=socket.AF_UNIX)
    client.transport.sendto(b"hello")
    assert run(server.messages.get())[0] == b"hello"


def test_an_endpoint_is_a_transport_of_both_kinds(endpoint):
    transport = endpoint(HERE).transport
    assert isinstance(transport, asyncio.DatagramTransport)
    assert isinstance(transport, asyncio.Transport)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((), {}, ValueError, "unexpected address family"),
        (("host",), {}, TypeError, "2-tuple is expected"),
        ((1,), {"family": socket.AF_UNIX}, TypeError, "string is expected"),
        (
            (("127.0.0.1", 0), ("::1", 1)),
            {},
            ValueError,
            "can not get address information",
        ),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(
    loop, run, args, options, error, message
):
    with pytest.raises(error, match=message):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, *args, **options))


def test_a_socket_takes_no_options(loop, run):
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sock,
        pytest.raises(ValueError, match=r"when sock is specified. \(proto=1\)"),
    ):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock, proto=1))
    with (
        socket.socket() as sock,
        pytest.raises(ValueError, match="A datagram socket was expected"),
    ):
        run(loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock))
