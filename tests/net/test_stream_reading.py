"""What a stream transport does with what arrives."""

from __future__ import annotations

import asyncio
import contextvars
import select
import socket
import sys
import time

import pytest

from tests.net.recording import Recorder, reset, tcp_pair

PLENTY = bytes(range(256)) * 32 * 1024
"""More than any one receive gives, 8 MiB."""


def test_what_arrives_is_given_to_the_protocol(connect, run):
    recorder = connect()
    recorder.peer.send(b"hello")
    run(recorder.until(lambda: recorder.received == b"hello"))
    assert recorder.calls == ["made", "data"]
    run(recorder.end())


def test_what_was_queued_before_a_run_comes_before_what_arrived(connect, run, loop):
    recorder = connect()
    send_and_wait_until_readable(recorder)
    loop.call_soon(recorder.note, "queued")
    run(recorder.until(lambda: recorder.received))
    assert recorder.calls == ["made", "queued", "data"]
    run(recorder.end())


def test_however_slow_a_run_begins_what_was_queued_comes_before_what_arrived(
    connect, run, loop
):
    def spin(*_):
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass

    recorder = connect()
    send_and_wait_until_readable(recorder)
    loop.call_soon(recorder.note, "queued")
    loop.call_soon(loop.stop)
    # As if somebody else had the processor now and then.
    sys.setprofile(spin)
    try:
        loop.run_forever()
    finally:
        sys.setprofile(None)
    run(recorder.until(lambda: recorder.received))
    assert recorder.calls == ["made", "queued", "data"]
    run(recorder.end())


def test_a_run_that_is_stopped_at_once_receives_all_the_same(connect, run, loop):
    recorder = connect()
    send_and_wait_until_readable(recorder)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert recorder.received == b"hello"
    run(recorder.end())


def send_and_wait_until_readable(recorder):
    recorder.peer.send(b"hello")
    select.select([recorder.transport.get_extra_info("socket")], [], [])


def test_much_arrives_whole_and_in_order(connect, run, loop):
    recorder = connect()

    async def exchange():
        await loop.sock_sendall(recorder.peer, PLENTY)
        await recorder.until(lambda: len(recorder.received) >= len(PLENTY))
        await recorder.end()

    run(exchange())
    assert recorder.received == PLENTY


def test_data_and_end_that_arrive_together_are_told_in_this_order(connect, run):
    recorder = connect()
    recorder.peer.send(b"last words")
    recorder.peer.shutdown(socket.SHUT_WR)
    assert run(recorder.lost) is None
    assert recorder.received == b"last words"
    assert [call for call in recorder.calls if call != "data"] == [
        "made",
        "eof",
        "lost",
    ]


def test_the_end_of_the_stream_closes_the_transport(connect, run):
    recorder = connect()
    recorder.peer.close()
    assert run(recorder.lost) is None
    assert recorder.transport.is_closing()
    assert recorder.calls == ["made", "eof", "lost"]


def test_a_protocol_may_keep_writing_after_the_peer_has_ended(connect, run):
    recorder = connect()
    recorder.keep_open = True
    recorder.peer.shutdown(socket.SHUT_WR)
    run(recorder.until(lambda: "eof" in recorder.calls))
    assert not recorder.transport.is_closing()
    recorder.transport.write(b"still here")
    assert run(recorder.receive(10)) == b"still here"
    assert run(recorder.end()) is None
    assert recorder.calls == ["made", "eof", "lost"]


def test_nothing_is_read_while_paused(connect, run, loop):
    recorder = connect()
    recorder.transport.pause_reading()
    assert not recorder.transport.is_reading()
    recorder.peer.send(b"later")

    async def some_iterations():
        for _ in range(10):
            await asyncio.sleep(0)

    run(some_iterations())
    assert recorder.received == b""
    recorder.transport.resume_reading()
    assert recorder.transport.is_reading()
    run(recorder.until(lambda: recorder.received == b"later"))
    run(recorder.end())


def test_pausing_in_data_received_holds_back_the_rest(connect, run, loop):
    class Stutterer(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()
            self.transport.pause_reading()
            self.loop.call_soon(self.transport.resume_reading)

    recorder = connect(Stutterer())

    async def exchange():
        await loop.sock_sendall(recorder.peer, PLENTY)
        await recorder.until(lambda: len(recorder.received) >= len(PLENTY))
        await recorder.end()

    run(exchange())
    assert recorder.received == PLENTY


def test_the_end_is_told_after_reading_resumes(connect, run):
    recorder = connect()
    recorder.transport.pause_reading()
    recorder.peer.send(b"before the end")
    recorder.peer.close()
    recorder.transport.resume_reading()
    assert run(recorder.lost) is None
    assert recorder.received == b"before the end"


def test_nothing_is_read_after_close(connect, run):
    recorder = connect()
    recorder.peer.send(b"too late")
    recorder.transport.close()
    run(recorder.lost)
    assert recorder.calls == ["made", "lost"]


@pytest.mark.parametrize("peers", [tcp_pair], indirect=True)
def test_a_reset_is_the_reason_for_the_loss(connect, run):
    recorder = connect()
    reset(recorder.peer)
    assert isinstance(run(recorder.lost), ConnectionResetError)
    assert recorder.calls == ["made", "lost"]


def test_an_error_in_data_received_ends_the_connection_and_is_reported(
    connect, run, loop
):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    class Failing(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError

    recorder = connect(Failing())
    recorder.peer.send(b"x")
    assert isinstance(run(recorder.lost), ZeroDivisionError)
    assert [report["message"] for report in reports] == [
        "Fatal error: protocol.data_received() call failed."
    ]
    assert reports[0]["protocol"] is recorder
    assert reports[0]["transport"] is recorder.transport


def test_an_error_in_eof_received_ends_the_connection_and_is_reported(
    connect, run, loop
):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    class Failing(Recorder):
        def eof_received(self):
            raise ZeroDivisionError

    recorder = connect(Failing())
    recorder.peer.close()
    assert isinstance(run(recorder.lost), ZeroDivisionError)
    assert len(reports) == 1


def test_ctrl_c_in_a_protocol_comes_out_and_loses_nothing_of_the_stream(
    connect, run, loop
):
    class Interrupted(Recorder):
        def data_received(self, data):
            first = not self.received
            super().data_received(data)
            if first:
                raise KeyboardInterrupt

    recorder = connect(Interrupted())

    async def send():
        await loop.sock_sendall(recorder.peer, PLENTY)
        recorder.peer.close()

    sending = loop.create_task(send())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(recorder.lost)
    assert run(recorder.lost) is None
    run(sending)
    assert recorder.received == PLENTY


def test_callbacks_see_the_context_in_which_the_connection_was_made(connect, run, loop):
    place = contextvars.ContextVar("place")

    class Looking(Recorder):
        def data_received(self, data):
            assert place.get() == "here"
            super().data_received(data)

    place.set("here")
    recorder = connect(Looking())
    place.set("elsewhere")
    recorder.peer.send(b"x")
    run(recorder.until(lambda: recorder.received))
    assert run(recorder.end()) is None


def test_another_protocol_can_take_over(connect, run):
    first = connect()
    second = Recorder()
    second.lost = first.lost
    first.transport.set_protocol(second)
    assert first.transport.get_protocol() is second
    first.peer.send(b"for the second")
    first.peer.close()
    run(first.lost)
    assert first.calls == ["made"]
    assert second.received == b"for the second"


class Buffered(asyncio.BufferedProtocol):
    """Receives into a small buffer of its own."""

    def __init__(self, size):
        self.recorder = Recorder()
        self.memory = bytearray(size)

    def connection_made(self, transport):
        self.recorder.connection_made(transport)

    def get_buffer(self, sizehint):
        return self.memory

    def buffer_updated(self, nbytes):
        self.recorder.data_received(bytes(self.memory[:nbytes]))

    def eof_received(self):
        return self.recorder.eof_received()

    def connection_lost(self, exc):
        self.recorder.connection_lost(exc)


@pytest.mark.parametrize("size", [1, 100, 300_000])
def test_a_buffered_protocol_gets_all_in_its_own_buffer(loop, run, peers, size):
    near, far = peers
    protocol = Buffered(size)
    protocol.recorder.lost = loop.create_future()
    sent = PLENTY[: size * 100]

    async def exchange():
        await loop.create_connection(lambda: protocol, sock=near)
        await loop.sock_sendall(far, sent)
        far.close()
        return await protocol.recorder.lost

    assert run(exchange()) is None
    assert protocol.recorder.received == sent


def test_an_empty_buffer_ends_the_connection(loop, run, peers):
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    protocol = Buffered(0)
    protocol.recorder.lost = loop.create_future()

    async def exchange():
        await loop.create_connection(lambda: protocol, sock=peers[0])
        peers[1].send(b"x")
        return await protocol.recorder.lost

    error = run(exchange())
    assert str(error) == "get_buffer() returned an empty buffer"
    assert len(reports) == 1


def test_ctrl_c_in_eof_received_comes_out_and_the_end_is_told_again(connect, run, loop):
    class Interrupted(Recorder):
        def eof_received(self):
            super().eof_received()
            if self.calls.count("eof") == 1:
                raise KeyboardInterrupt

    recorder = connect(Interrupted())
    recorder.peer.close()
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(recorder.lost)
    assert run(recorder.lost) is None
    assert recorder.calls == ["made", "eof", "eof", "lost"]


def test_what_follows_a_passed_descriptor_is_received(loop, run):
    near, far = socket.socketpair()
    recorder = Recorder()
    recorder.lost = loop.create_future()
    with far:
        run(loop.create_connection(lambda: recorder, sock=near))
        socket.send_fds(far, [b"1"], [far.fileno()])
        far.send(b"2")
        run(recorder.until(lambda: recorder.received == b"12"))
        run(recorder.end())


def test_what_follows_urgent_data_is_received(loop, run):
    near, far = tcp_pair()
    recorder = Recorder()
    recorder.lost = loop.create_future()
    with far:
        run(loop.create_connection(lambda: recorder, sock=near))
        far.send(b"before ")
        far.send(b"!", socket.MSG_OOB)
        far.send(b"after")
        run(recorder.until(lambda: recorder.received == b"before after"))
        run(recorder.end())
