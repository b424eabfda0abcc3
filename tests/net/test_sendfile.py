"""Sending files: through transports, over TLS, and on bare sockets."""

from __future__ import annotations

import asyncio
import io
import os
import socket

import pytest

from tests.net.recording import Recorder, reset, tcp_pair

# A key and a certificate that it signed itself, of use to nobody but these tests.
MUCH = bytes(range(256)) * 64 * 1024
"""More than a socket takes at once, 16 MiB."""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("sendfile") / "much"
    path.write_bytes(MUCH)
    return path


@pytest.fixture(params=["the system sends", "we read and write"])
def file(request, path):
    """An open file, or what only looks like one: the two ways of sending."""
    with path.open("rb") as on_disk:
        on_disk_only = request.param == "the system sends"
        yield on_disk if on_disk_only else io.BytesIO(MUCH)


@pytest.fixture
def on_disk(path):
    with path.open("rb") as file:
        yield file


async def receive_rest(loop, peer):
    """Return all that comes until the end of the stream."""
    data = bytearray()
    while chunk := await loop.sock_recv(peer, 1_000_000):
        data += chunk
    return data


async def let_others_run():
    """Return after many iterations of the loop."""
    for _ in range(200):
        await asyncio.sleep(0)


def send(recorder, file, *args, **options):
    """Send a file while the other end receives; return both results."""

    async def exchange():
        loop, transport = recorder.loop, recorder.transport
        receiving = loop.create_task(receive_rest(loop, recorder.peer))
        sent = await loop.sendfile(transport, file, *args, **options)
        transport.close()
        return sent, await receiving

    return exchange()


def test_a_file_arrives_whole(connect, run, file):
    recorder = connect()
    sent, received = run(send(recorder, file))
    assert sent == len(MUCH)
    assert received == MUCH
    assert file.tell() == len(MUCH)
    assert recorder.calls == ["made", "lost"]


def test_a_part_of_a_file_arrives(connect, run, file):
    sent, received = run(send(connect(), file, 1000, 200_000))
    assert sent == 200_000
    assert received == MUCH[1000:201_000]
    assert file.tell() == 201_000


def test_a_count_beyond_the_end_sends_what_there_is(connect, run, file):
    sent, received = run(send(connect(), file, len(MUCH) - 10, 100))
    assert sent == 10
    assert received == MUCH[-10:]
    assert file.tell() == len(MUCH)


def test_an_offset_at_the_end_sends_nothing(connect, run, file):
    assert run(send(connect(), file, len(MUCH))) == (0, b"")
    assert file.tell() == len(MUCH)


def test_an_empty_file_is_sent_as_nothing(connect, run, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    with empty.open("rb") as file:
        assert run(send(connect(), file)) == (0, b"")


def test_the_offset_counts_from_the_beginning_wherever_the_file_was(connect, run, file):
    file.seek(5)
    sent, received = run(send(connect(), file, count=10))
    assert sent == 10
    assert received == MUCH[:10]


def test_what_was_read_ahead_of_a_file_does_not_spoil_its_position(
    connect, run, on_disk
):
    assert on_disk.read(10) == MUCH[:10]
    run(send(connect(), on_disk, 10, 10))
    assert on_disk.tell() == 20
    assert on_disk.read(10) == MUCH[20:30]


@pytest.mark.parametrize("size", [10, 100_000, len(MUCH)])
def test_a_file_comes_between_what_is_written_before_and_after(
    connect, run, loop, file, size
):
    recorder = connect()

    async def exchange():
        receiving = loop.create_task(receive_rest(loop, recorder.peer))
        recorder.transport.write(MUCH[:size])
        await loop.sendfile(recorder.transport, file)
        recorder.transport.write(MUCH[:size])
        recorder.transport.close()
        return await receiving

    assert run(exchange()) == MUCH[:size] + MUCH + MUCH[:size]


def test_a_slow_reader_gets_all_and_others_run_meanwhile(connect, run, loop, file):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await let_others_run()
        assert not sending.done()
        received = await recorder.receive(len(MUCH))
        assert await sending == len(MUCH)
        return received

    assert run(exchange()) == MUCH
    run(recorder.end())


def test_many_files_are_sent_one_after_the_other(connect, run, loop, file):
    recorder = connect()

    async def exchange():
        receiving = loop.create_task(receive_rest(loop, recorder.peer))
        for start in range(0, 100_000, 1000):
            assert await loop.sendfile(recorder.transport, file, start, 1000) == 1000
        recorder.transport.close()
        return await receiving

    assert run(exchange()) == MUCH[:100_000]


def test_nothing_is_received_until_the_file_was_sent(connect, run, loop, file):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await let_others_run()
        recorder.peer.send(b"answer")
        await let_others_run()
        assert not recorder.transport.is_reading()
        assert recorder.received == b""
        await recorder.receive(len(MUCH))
        await sending
        assert recorder.transport.is_reading()
        await recorder.until(lambda: recorder.received == b"answer")

    run(exchange())
    run(recorder.end())


def test_who_had_paused_reading_before_a_file_resumes_it_himself(connect, run, file):
    recorder = connect()
    recorder.transport.pause_reading()
    loop = recorder.loop
    run(loop.sendfile(recorder.transport, file, 0, 10))
    assert not recorder.transport.is_reading()
    run(recorder.end())


def test_nothing_else_is_written_while_the_system_sends(connect, run, loop, on_disk):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, on_disk))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="unable to write; sendfile is in pro"):
            recorder.transport.write(b"x")
        with pytest.raises(RuntimeError, match="unable to writelines; sendfile is in"):
            recorder.transport.writelines([b"x"])
        with pytest.raises(RuntimeError, match="unable to sendfile; sendfile is in pr"):
            await loop.sendfile(recorder.transport, on_disk)
        received = await recorder.receive(len(MUCH))
        assert await sending == len(MUCH)
        return received

    assert run(exchange()) == MUCH
    run(recorder.end())


def test_two_files_at_once_are_refused_also_where_they_are_written(connect, run, loop):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(
            loop.sendfile(recorder.transport, io.BytesIO(b"first"))
        )
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="unable to sendfile; sendfile is in pr"):
            await loop.sendfile(recorder.transport, io.BytesIO(b"second"))
        await sending
        assert await recorder.receive(5) == b"first"

    run(exchange())
    run(recorder.end())


def test_write_eof_while_the_system_sends_comes_behind_the_file(
    connect, run, loop, on_disk
):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, on_disk))
        await asyncio.sleep(0)
        recorder.transport.write_eof()
        received = await receive_rest(loop, recorder.peer)
        await sending
        return received

    assert run(exchange()) == MUCH
    run(recorder.end())


def test_no_file_is_sent_after_write_eof(connect, run, loop, file):
    recorder = connect()
    recorder.transport.write_eof()
    with pytest.raises(RuntimeError, match=r"Cannot call .* after write_eof\(\)"):
        run(loop.sendfile(recorder.transport, file))
    run(recorder.end())


@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_transport_closed_meanwhile_ends_the_file_with_an_error(
    connect, run, loop, file, end
):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await let_others_run()
        getattr(recorder.transport, end)()
        receiving = loop.create_task(receive_rest(loop, recorder.peer))
        with pytest.raises(ConnectionError):
            await sending
        await recorder.lost
        return await receiving

    received = run(exchange())
    assert 0 < len(received) < len(MUCH)
    assert MUCH.startswith(received)
    assert file.tell() >= len(received)
    assert recorder.calls.count("lost") == 1


@pytest.mark.parametrize("peers", [tcp_pair], indirect=True)
def test_a_peer_that_resets_meanwhile_ends_the_file_with_an_error(
    connect, run, loop, file
):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await recorder.receive(1000)
        reset(recorder.peer)
        with pytest.raises(ConnectionError):
            await sending
        await recorder.lost

    run(exchange())
    assert 1000 <= file.tell() < len(MUCH)
    assert recorder.calls.count("lost") == 1


@pytest.mark.parametrize("peers", [tcp_pair], indirect=True)
def test_an_error_that_only_the_file_met_ends_also_a_connection_kept_open(
    connect, run, loop, on_disk
):
    recorder = connect()
    recorder.keep_open = True

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, on_disk))
        await recorder.receive(1000)
        reset(recorder.peer)
        with pytest.raises(ConnectionError) as raised:
            await sending
        assert await recorder.lost is raised.value

    run(exchange())
    assert recorder.calls == ["made", "lost"]


def test_a_peer_that_goes_away_meanwhile_ends_the_file_with_an_error(
    connect, run, loop, file
):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await recorder.receive(1000)
        recorder.peer.close()
        with pytest.raises(ConnectionError):
            await sending
        await recorder.lost

    run(exchange())
    assert 1000 <= file.tell() < len(MUCH)
    assert recorder.calls.count("lost") == 1


def test_a_peer_that_is_gone_already_is_an_error_and_no_lack_of_support(
    connect, run, loop, on_disk
):
    recorder = connect()
    recorder.transport.pause_reading()
    recorder.peer.close()

    async def send_until_it_fails():
        while True:
            await loop.sendfile(recorder.transport, on_disk, 0, 1, fallback=False)

    with pytest.raises(ConnectionError):
        run(send_until_it_fails())
    run(recorder.end())


def test_a_cancelled_file_ends_where_its_position_says_and_others_may_follow(
    connect, run, loop, file
):
    recorder = connect()

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await recorder.receive(1)
        await let_others_run()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        recorder.transport.write(b"what follows")
        recorder.transport.close()
        return await receive_rest(loop, recorder.peer)

    received = run(exchange())
    assert received == MUCH[1 : file.tell()] + b"what follows"
    assert run(recorder.lost) is None


def test_a_file_cancelled_behind_what_waits_is_not_sent(connect, run, loop, file):
    recorder = connect()

    async def exchange():
        recorder.transport.write(MUCH)
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await let_others_run()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        recorder.transport.write(b"what follows")
        return await recorder.receive(len(MUCH) + 12)

    assert run(exchange()) == MUCH + b"what follows"
    assert file.tell() == 0
    run(recorder.end())
    assert recorder.calls == ["made", "pause", "resume", "lost"]


def test_the_protocol_is_not_told_of_what_a_written_file_waits_for(connect, run):
    recorder = connect()
    sent, received = run(send(recorder, io.BytesIO(MUCH)))
    assert (sent, received) == (len(MUCH), MUCH)
    assert recorder.calls == ["made", "lost"]


@pytest.mark.parametrize("peers", [socket.socketpair], indirect=True)
def test_the_protocol_learns_at_the_end_what_it_missed(connect, run, loop):
    recorder = connect()
    recorder.transport.set_write_buffer_limits(high=0)
    sock = recorder.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, io.BytesIO(MUCH)))
        while not recorder.transport.get_write_buffer_size():  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert recorder.transport.get_protocol() is not recorder
        assert recorder.calls == ["made"]
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert recorder.transport.get_protocol() is recorder
        assert recorder.calls == ["made", "pause"]
        recorder.transport.write_eof()
        await receive_rest(loop, recorder.peer)
        await recorder.until(lambda: "resume" in recorder.calls)

    run(exchange())
    run(recorder.end())
    assert recorder.calls == ["made", "pause", "resume", "lost"]


def test_a_protocol_paused_before_a_written_file_is_resumed_behind_it(
    connect, run, loop
):
    recorder = connect()

    async def exchange():
        recorder.transport.write(MUCH)
        assert recorder.calls == ["made", "pause"]
        sending = loop.create_task(
            loop.sendfile(recorder.transport, io.BytesIO(b"file"))
        )
        assert await recorder.receive(len(MUCH) + 4) == MUCH + b"file"
        assert await sending == 4

    run(exchange())
    assert recorder.calls == ["made", "pause", "resume"]
    run(recorder.end())


def test_a_buffered_protocol_gets_its_buffers_back(loop, run, peers):
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self):
            self.buffer = bytearray(100)
            self.updated = loop.create_future()
            self.lost = loop.create_future()

        def get_buffer(self, sizehint):
            return self.buffer

        def buffer_updated(self, nbytes):
            self.updated.set_result(bytes(self.buffer[:nbytes]))

        def connection_lost(self, exc):
            self.lost.set_result(exc)

    async def exchange():
        transport, protocol = await loop.create_connection(Buffered, sock=peers[0])
        await loop.sendfile(transport, io.BytesIO(b"file"))
        peers[1].send(b"answer")
        assert await protocol.updated == b"answer"
        transport.close()
        await protocol.lost
        return await receive_rest(loop, peers[1])

    assert run(exchange()) == b"file"


def test_what_the_system_cannot_send_is_refused_without_a_fallback(connect, run, loop):
    recorder = connect()
    with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
        run(loop.sendfile(recorder.transport, io.BytesIO(MUCH), fallback=False))
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as pipe, os.fdopen(write_end, "wb"):
        with pytest.raises(asyncio.SendfileNotAvailableError, match="call failed"):
            run(loop.sendfile(recorder.transport, pipe, fallback=False))
        with pytest.raises(io.UnsupportedOperation, match="not seekable"):
            run(loop.sendfile(recorder.transport, pipe))
    recorder.transport.write(b"all that was sent")
    assert run(recorder.receive(17)) == b"all that was sent"
    run(recorder.end())


def test_what_is_closing_or_no_stream_sends_no_files(connect, run, loop, file):
    recorder = connect()
    run(recorder.end())
    with pytest.raises(RuntimeError, match="Transport is closing"):
        run(loop.sendfile(recorder.transport, file))
    endpoint = loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    transport, _ = run(endpoint)
    with pytest.raises(RuntimeError, match="sendfile is not supported for transport <"):
        run(loop.sendfile(transport, file))
    transport.close()
    run(asyncio.sleep(0))


BAD_ARGUMENTS = [
    (-1, None, ValueError, r"offset must be a non-negative integer \(got -1\)"),
    (0.0, None, TypeError, r"offset must be a non-negative integer \(got 0.0\)"),
    (0, 0, ValueError, r"count must be a positive integer \(got 0\)"),
    (0, -5, ValueError, r"count must be a positive integer \(got -5\)"),
    (0, "5", TypeError, r"count must be a positive integer \(got '5'\)"),
]


@pytest.mark.parametrize(("offset", "count", "error", "message"), BAD_ARGUMENTS)
def test_offset_and_count_must_be_numbers_in_range(
    connect, run, loop, file, offset, count, error, message
):
    recorder = connect()
    with pytest.raises(error, match=message):
        run(loop.sendfile(recorder.transport, file, offset, count))
    run(recorder.end())


def test_a_text_file_is_refused(connect, run, loop, path):
    recorder = connect()
    with path.open() as text:
        with pytest.raises(ValueError, match="file should be opened in binary mode"):
            run(loop.sendfile(recorder.transport, text))
        with pytest.raises(ValueError, match="file should be opened in binary mode"):
            run(loop.sock_sendfile(recorder.peer, text))
    run(recorder.end())


# -- over TLS


@pytest.fixture
def secured(loop, run, server_side, client_side):
    """Make a TLS connection; return what `connect` does, and the other end's stream."""
    near, far = tcp_pair()

    async def secure():
        recorder = Recorder()
        recorder.loop = loop
        recorder.lost = loop.create_future()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        (transport, _), _ = await asyncio.gather(
            loop.connect_accepted_socket(lambda: protocol, far, ssl=server_side),
            loop.create_connection(
                lambda: recorder,
                sock=near,
                ssl=client_side,
                server_hostname="localhost",
            ),
        )
        return recorder, reader, transport

    recorder, reader, transport = run(secure())
    yield recorder, reader, transport
    recorder.transport.abort()
    transport.abort()
    run(recorder.lost)
    run(asyncio.sleep(0))


@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_a_file_arrives_over_tls_between_what_is_written(
    loop, run, secured, file, size
):
    recorder, reader, _ = secured

    async def exchange():
        recorder.transport.write(MUCH[:size])
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        received = await reader.readexactly(size + len(MUCH))
        assert await sending == len(MUCH)
        recorder.transport.write(b"what follows")
        return received + await reader.readexactly(12)

    assert run(exchange()) == MUCH[:size] + MUCH + b"what follows"
    assert file.tell() == len(MUCH)
    assert recorder.transport.get_protocol() is recorder


def test_a_part_of_a_file_arrives_over_tls(loop, run, secured, file):
    recorder, reader, _ = secured
    assert run(loop.sendfile(recorder.transport, file, 1000, 100)) == 100
    assert run(reader.readexactly(100)) == MUCH[1000:1100]
    assert file.tell() == 1100


def test_a_peer_that_goes_away_ends_a_file_over_tls(loop, run, secured, file):
    recorder, reader, transport = secured

    async def exchange():
        sending = loop.create_task(loop.sendfile(recorder.transport, file))
        await reader.readexactly(1000)
        transport.abort()
        with pytest.raises(ConnectionError):
            await sending
        await recorder.lost

    run(exchange())
    assert 1000 <= file.tell() < len(MUCH)
    assert recorder.calls.count("lost") == 1


def test_tls_sends_no_file_without_a_fallback(loop, run, secured, on_disk):
    recorder, _, _ = secured
    with pytest.raises(RuntimeError, match="fallback is disabled and native sendfile"):
        run(loop.sendfile(recorder.transport, on_disk, fallback=False))
    assert on_disk.tell() == 0


# -- on bare sockets


@pytest.fixture
def ends(peers):
    for end in peers:
        end.setblocking(False)
    return peers


def send_on_socket(loop, ends, file, *args, **options):
    """Send a file while the other end receives; return both results."""

    async def exchange():
        receiving = loop.create_task(receive_rest(loop, ends[1]))
        sent = await loop.sock_sendfile(ends[0], file, *args, **options)
        ends[0].close()
        return sent, await receiving

    return exchange()


def test_a_socket_sends_a_whole_file(loop, run, ends, file):
    assert run(send_on_socket(loop, ends, file)) == (len(MUCH), MUCH)
    assert file.tell() == len(MUCH)


def test_a_socket_sends_a_part_of_a_file(loop, run, ends, file):
    expected = (200_000, MUCH[1000:201_000])
    assert run(send_on_socket(loop, ends, file, 1000, 200_000)) == expected
    assert file.tell() == 201_000


def test_a_socket_sends_an_offset_at_the_end_as_nothing(loop, run, ends, file):
    assert run(send_on_socket(loop, ends, file, len(MUCH))) == (0, b"")
    assert file.tell() == len(MUCH)


def test_a_peer_that_goes_away_ends_a_file_on_a_socket(loop, run, ends, file):
    async def exchange():
        sending = loop.create_task(loop.sock_sendfile(ends[0], file))
        await loop.sock_recv(ends[1], 1000)
        ends[1].close()
        with pytest.raises(ConnectionError):
            await sending

    run(exchange())
    assert file.tell() < len(MUCH)


def test_a_cancelled_file_on_a_socket_ends_where_its_position_says(
    loop, run, ends, on_disk
):
    async def exchange():
        sending = loop.create_task(loop.sock_sendfile(ends[0], on_disk))
        await let_others_run()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        ends[0].close()
        return await receive_rest(loop, ends[1])

    received = run(exchange())
    assert 0 < len(received) < len(MUCH)
    assert received == MUCH[: on_disk.tell()]


def test_a_socket_refuses_what_the_system_cannot_send_without_a_fallback(
    loop, run, ends
):
    with pytest.raises(asyncio.SendfileNotAvailableError, match="not a regular file"):
        run(loop.sock_sendfile(ends[0], io.BytesIO(MUCH), fallback=False))


@pytest.mark.parametrize(("offset", "count", "error", "message"), BAD_ARGUMENTS)
def test_a_socket_wants_numbers_in_range(
    loop, run, ends, file, offset, count, error, message
):
    with pytest.raises(error, match=message):
        run(loop.sock_sendfile(ends[0], file, offset, count))


def test_files_are_sent_on_stream_sockets_that_do_not_block(loop, run, ends, file):
    kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
    with (
        socket.socket(type=kind) as datagrams,
        pytest.raises(ValueError, match="only SOCK_STREAM type sockets are supported"),
    ):
        run(loop.sock_sendfile(datagrams, file))
    loop.set_debug(True)
    ends[0].setblocking(True)
    with pytest.raises(ValueError, match="the socket must be non-blocking"):
        run(loop.sock_sendfile(ends[0], file))
