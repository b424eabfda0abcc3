"""What a stream transport does with what is written, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest

from tests.net.recording import Recorder, reset, tcp_pair

MUCH = bytes(range(256)) * 64 * 1024
"""More than a socket takes at once, 16 MiB."""


def test_what_is_written_arrives(connect, run):
    recorder = connect()
    recorder.transport.write(b"hello")
    assert run(recorder.receive(5)) == b"hello"
    assert run(recorder.end()) is None


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_bytes_arrives_whole_and_in_order(connect, run, kind):
    recorder = connect()
    recorder.transport.write(kind(MUCH))
    recorder.transport.write(kind(b"between"))
    recorder.transport.write(kind(MUCH))
    expected = MUCH + b"between" + MUCH
    assert run(recorder.receive(len(expected))) == expected
    assert run(recorder.end()) is None


def test_many_small_pieces_arrive_in_order_behind_a_large_one(connect, run):
    recorder = connect()
    pieces = [str(number).encode() for number in range(5000)]
    recorder.transport.write(MUCH)
    for piece in pieces:
        recorder.transport.write(piece)
    expected = MUCH + b"".join(pieces)
    assert run(recorder.receive(len(expected))) == expected
    run(recorder.end())


def test_writelines_sends_all_lines_as_one(connect, run):
    recorder = connect()
    recorder.transport.writelines([b"one ", bytearray(b"two "), memoryview(b"three")])
    recorder.transport.writelines([])
    assert run(recorder.receive(13)) == b"one two three"
    run(recorder.end())


def test_what_the_caller_changes_after_write_was_sent_as_it_was(connect, run):
    recorder = connect()
    data = bytearray(MUCH)
    recorder.transport.write(data)
    data[:] = bytes(len(data))
    assert run(recorder.receive(len(MUCH))) == MUCH
    run(recorder.end())


def test_a_slow_reader_pauses_and_then_resumes_the_protocol(connect, run):
    recorder = connect()
    recorder.transport.set_write_buffer_limits(high=100_000, low=1000)
    assert recorder.transport.get_write_buffer_limits() == (1000, 100_000)
    recorder.transport.write(MUCH)
    assert recorder.calls == ["made", "pause"]
    assert recorder.transport.get_write_buffer_size() > 100_000
    assert run(recorder.receive(len(MUCH))) == MUCH
    run(recorder.until(lambda: "resume" in recorder.calls))
    assert recorder.transport.get_write_buffer_size() <= 1000
    run(recorder.end())
    assert recorder.calls == ["made", "pause", "resume", "lost"]


def test_water_marks_follow_from_each_other(connect, run):
    transport = connect().transport
    assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
    transport.set_write_buffer_limits(low=100)
    assert transport.get_write_buffer_limits() == (100, 400)
    transport.set_write_buffer_limits(high=0)
    assert transport.get_write_buffer_limits() == (0, 0)
    with pytest.raises(ValueError, match=r"high \(1\) must be >= low \(2\) must be"):
        transport.set_write_buffer_limits(high=1, low=2)
    run(transport.get_protocol().end())


def test_what_a_protocol_writes_when_paused_comes_behind_what_paused_it(
    connect, run, loop
):
    class Talkative(Recorder):
        def pause_writing(self):
            super().pause_writing()
            self.transport.write(b"last")

    recorder = connect(Talkative())

    async def write():
        recorder.transport.set_write_buffer_limits(high=0)
        recorder.transport.write(b"first")
        recorder.transport.write(b"second")
        recorder.transport.write(MUCH)
        return await recorder.receive(len(MUCH) + 15)

    assert run(write()) == b"firstsecond" + MUCH + b"last"
    run(recorder.end())


def test_a_new_mark_below_what_waits_pauses_the_protocol(connect, run):
    recorder = connect()
    recorder.transport.set_write_buffer_limits(high=10**9)
    recorder.transport.write(MUCH)
    assert recorder.calls == ["made"]
    recorder.transport.set_write_buffer_limits(high=10)
    assert recorder.calls == ["made", "pause"]
    recorder.transport.abort()
    run(recorder.lost)


def test_an_error_in_pause_writing_is_reported_and_nothing_is_lost(connect, run, loop):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context["message"]))

    class Failing(Recorder):
        def pause_writing(self):
            raise ZeroDivisionError

        def resume_writing(self):
            raise ZeroDivisionError

    recorder = connect(Failing())
    recorder.transport.write(MUCH)
    assert run(recorder.receive(len(MUCH))) == MUCH
    assert run(recorder.end()) is None
    assert reports == [
        "protocol.pause_writing() failed",
        "protocol.resume_writing() failed",
    ]


def test_close_sends_what_waits_first(connect, run, loop):
    recorder = connect()
    recorder.transport.write(MUCH)
    recorder.transport.close()
    assert recorder.transport.is_closing()
    assert run(recorder.receive(len(MUCH))) == MUCH
    assert run(recorder.lost) is None
    assert run(loop.sock_recv(recorder.peer, 1)) == b""
    assert recorder.calls.count("lost") == 1


def test_abort_drops_what_waits(connect, run, loop):
    recorder = connect()
    recorder.transport.write(MUCH)
    recorder.transport.abort()
    assert recorder.transport.get_write_buffer_size() == 0
    assert run(recorder.lost) is None
    assert recorder.calls == ["made", "pause", "lost"]


def test_connection_lost_is_told_once_and_not_at_once(connect, run):
    recorder = connect()
    for _ in range(3):
        recorder.transport.close()
        recorder.transport.abort()
    assert "lost" not in recorder.calls
    run(recorder.lost)
    recorder.transport.close()
    recorder.transport.abort()
    run(asyncio.sleep(0))
    assert recorder.calls == ["made", "lost"]


def test_an_abort_in_connection_made_still_loses_the_connection_once(loop, run, peers):
    class Impatient(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.abort()

    recorder = Impatient()
    recorder.lost = loop.create_future()
    run(loop.create_connection(lambda: recorder, sock=peers[0]))
    assert run(recorder.lost) is None
    assert recorder.calls == ["made", "lost"]


def test_write_eof_ends_one_direction_after_what_waits(connect, run, loop):
    recorder = connect()
    assert recorder.transport.can_write_eof()
    recorder.transport.write(MUCH)
    recorder.transport.write_eof()
    recorder.transport.write_eof()
    assert run(recorder.receive(len(MUCH))) == MUCH
    assert run(loop.sock_recv(recorder.peer, 1)) == b""
    recorder.peer.send(b"answer")
    run(recorder.until(lambda: recorder.received == b"answer"))
    run(recorder.end())


def test_nothing_can_be_written_after_write_eof(connect, run):
    recorder = connect()
    recorder.transport.write_eof()
    with pytest.raises(
        RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"
    ):
        recorder.transport.write(b"x")
    with pytest.raises(
        RuntimeError, match=r"Cannot call writelines\(\) after write_eof"
    ):
        recorder.transport.writelines([b"x"])
    run(recorder.end())


def test_what_is_no_bytes_is_refused(connect, run):
    recorder = connect()
    with pytest.raises(TypeError, match="must be a bytes-like object, not 'str'"):
        recorder.transport.write("text")
    run(recorder.end())


def test_writing_to_a_lost_connection_warns_after_a_few_times(connect, run, caplog):
    recorder = connect()
    run(recorder.end())
    for _ in range(5):
        recorder.transport.write(b"x")
    assert not caplog.records
    recorder.transport.write(b"x")
    assert [record.message for record in caplog.records] == [
        "socket.send() raised exception."
    ]


@pytest.mark.parametrize("peers", [tcp_pair], indirect=True)
def test_a_reset_in_the_middle_of_a_write_loses_the_connection_once(connect, run):
    recorder = connect()
    recorder.transport.pause_reading()
    recorder.transport.write(MUCH)
    reset(recorder.peer)
    assert isinstance(run(recorder.lost), ConnectionError)
    assert recorder.transport.get_write_buffer_size() == 0
    assert recorder.calls == ["made", "pause", "lost"]


def test_a_peer_that_goes_away_while_closing_loses_the_connection_once(connect, run):
    recorder = connect()
    recorder.transport.write(MUCH)
    recorder.transport.close()
    recorder.peer.close()
    assert isinstance(run(recorder.lost), ConnectionError)
    assert recorder.calls == ["made", "pause", "lost"]


def test_a_transport_nobody_holds_warns_and_closes_its_socket(loop, run, peers):
    async def forget():
        await loop.create_connection(asyncio.Protocol, sock=peers[0])

    run(forget())
    fd = peers[0].fileno()
    loop.poller.unwatch(fd)
    with pytest.warns(ResourceWarning, match="unclosed transport <SocketTransport fd="):
        gc.collect()
    assert peers[0].fileno() == -1


def test_a_transport_says_what_it_is(connect, run):
    transport = connect().transport
    fd = transport.get_extra_info("socket").fileno()
    assert isinstance(transport, asyncio.Transport)
    assert repr(transport) == (
        f"<SocketTransport fd={fd} read=polling write=<idle, bufsize=0>>"
    )
    run(transport.get_protocol().end())
    assert repr(transport) == (
        f"<SocketTransport closed fd={fd} read=idle write=<idle, bufsize=0>>"
    )


def test_extra_info_outlives_the_socket(connect, run, peers):
    sock, _peer = peers
    expected = sock.getsockname(), sock.getpeername()
    transport = connect().transport
    assert transport.get_extra_info("socket").family == sock.family
    run(transport.get_protocol().end())
    assert transport.get_extra_info("sockname") == expected[0]
    assert transport.get_extra_info("peername") == expected[1]
    assert transport.get_extra_info("nothing", "default") == "default"


def test_a_descriptor_in_use_cannot_be_watched_or_used_twice(connect, run, loop, peers):
    transport = connect().transport
    fd = transport.get_extra_info("socket").fileno()
    for use in (loop.add_reader, loop.add_writer):
        with pytest.raises(RuntimeError, match="is used by transport <SocketTransport"):
            use(fd, print)
    with pytest.raises(RuntimeError, match="is used by transport"):
        run(loop.create_connection(asyncio.Protocol, sock=peers[0]))
    run(transport.get_protocol().end())


@pytest.mark.parametrize("peers", [tcp_pair], indirect=True)
def test_tcp_sends_small_writes_at_once(connect, run):
    transport = connect().transport
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    run(transport.get_protocol().end())


def test_ctrl_c_in_resume_writing_comes_out_and_the_transport_still_closes(
    connect, run, loop
):
    class Interrupted(Recorder):
        def resume_writing(self):
            raise KeyboardInterrupt

    recorder = connect(Interrupted())
    recorder.transport.write(MUCH)
    recorder.transport.close()
    receiving = loop.create_task(recorder.receive(len(MUCH)))
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(receiving)
    assert run(receiving) == MUCH
    assert run(recorder.lost) is None


def nothing_arrived(peer):
    try:
        peer.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    return False


@pytest.fixture
def in_an_iteration(loop):
    """Call a function while the loop runs; what it raises comes out."""

    def in_an_iteration(function):
        def call():
            loop.stop()
            outcome.append(function())

        outcome = []
        loop.call_soon(call)
        loop.run_forever()
        return outcome[0]

    return in_an_iteration


def test_small_writes_leave_together_when_the_iteration_ends(
    connect, run, in_an_iteration
):
    recorder = connect()

    def write():
        for piece in (b"one ", bytearray(b"two "), memoryview(b"three")):
            recorder.transport.write(piece)
        return nothing_arrived(recorder.peer), recorder.transport

    nothing, transport = in_an_iteration(write)
    assert nothing
    assert transport.get_write_buffer_size() == 0
    assert recorder.peer.recv(100) == b"one two three"
    run(recorder.end())


def test_small_writes_leave_together_when_the_protocol_returns(connect, run):
    seen = []

    class Answering(Recorder):
        def data_received(self, data):
            self.transport.write(b"an")
            self.transport.write(b"swer")
            seen.append(nothing_arrived(self.peer))
            super().data_received(data)

    recorder = connect(Answering())
    recorder.peer.send(b"question")
    assert run(recorder.receive(6)) == b"answer"
    assert seen == [True]
    run(recorder.end())


def test_a_large_write_takes_the_small_ones_before_it_along(
    connect, run, in_an_iteration
):
    recorder = connect()

    def write():
        recorder.transport.write(b"small")
        recorder.transport.write(MUCH)
        recorder.transport.write(b"small")

    in_an_iteration(write)
    expected = b"small" + MUCH + b"small"
    assert run(recorder.receive(len(expected))) == expected
    run(recorder.end())


def test_many_small_writes_are_sent_before_the_iteration_ends(
    connect, run, in_an_iteration
):
    recorder = connect()

    def write():
        for _ in range(100):
            recorder.transport.write(bytes(1000))
        return nothing_arrived(recorder.peer)

    assert not in_an_iteration(write)
    assert run(recorder.receive(100_000)) == bytes(100_000)
    run(recorder.end())


def test_a_small_write_outside_of_a_run_leaves_at_once(connect, run):
    recorder = connect()
    recorder.transport.write(b"now")
    assert recorder.peer.recv(100) == b"now"
    run(recorder.end())


@pytest.mark.parametrize("end", ["close", "abort", "write_eof"])
def test_what_was_written_just_before_the_end_arrives(
    connect, run, in_an_iteration, end
):
    recorder = connect()

    def write_and_end():
        recorder.transport.write(b"last words")
        getattr(recorder.transport, end)()

    in_an_iteration(write_and_end)
    assert run(recorder.receive(10)) == b"last words"
    assert recorder.peer.recv(1) == b""
    run(recorder.end())


def test_a_small_write_arrives_though_an_error_ends_the_run(connect, run, loop):
    recorder = connect()

    def write_and_exit():
        recorder.transport.write(b"last words")
        raise SystemExit

    loop.call_soon(write_and_exit)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert run(recorder.receive(10)) == b"last words"
    run(recorder.end())


def test_a_small_write_pauses_nobody_that_the_socket_would_not(
    connect, run, in_an_iteration
):
    recorder = connect()
    recorder.transport.set_write_buffer_limits(high=0)
    in_an_iteration(lambda: recorder.transport.write(b"small"))
    assert recorder.calls == ["made"]
    run(recorder.end())
