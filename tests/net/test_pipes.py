"""Pipes as transports of one direction."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from tests.net.recording import Recorder

MUCH = bytes(range(256)) * 8 * 1024
"""More than a pipe takes at once, 2 MiB."""


@pytest.fixture
def recorder(loop):
    recorder = Recorder()
    recorder.loop = loop
    recorder.lost = loop.create_future()
    return recorder


@pytest.fixture
def pipe():
    """Both ends of a pipe, as unbuffered files; the test's end does not block."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as near, os.fdopen(writing, "wb", 0) as far:
        yield near, far


async def read(loop, file, count):
    """Return `count` bytes of a pipe that may not have them yet."""
    os.set_blocking(file.fileno(), False)
    data = b""
    readable = asyncio.Event()
    loop.add_reader(file, readable.set)
    while len(data) < count:
        await readable.wait()
        readable.clear()
        data += file.read(count - len(data)) or b""
    loop.remove_reader(file)
    return data


class TestReading:
    def test_what_arrives_is_told_until_the_end(self, loop, run, pipe, recorder):
        run(loop.connect_read_pipe(lambda: recorder, pipe[0]))
        pipe[1].write(b"hello")
        pipe[1].close()
        assert run(recorder.lost) is None
        assert recorder.received == b"hello"
        assert [call for call in recorder.calls if call != "data"] == [
            "made",
            "eof",
            "lost",
        ]
        assert pipe[0].closed

    def test_nothing_is_read_while_paused(self, loop, run, pipe, recorder):
        transport, _ = run(loop.connect_read_pipe(lambda: recorder, pipe[0]))
        transport.pause_reading()
        assert not transport.is_reading()
        pipe[1].write(b"later")

        async def some_iterations():
            for _ in range(10):
                await asyncio.sleep(0)

        run(some_iterations())
        assert recorder.received == b""
        transport.resume_reading()
        run(recorder.until(lambda: recorder.received == b"later"))
        run(recorder.end())

    def test_close_is_told_once(self, loop, run, pipe, recorder):
        transport, _ = run(loop.connect_read_pipe(lambda: recorder, pipe[0]))
        transport.close()
        transport.close()
        assert transport.is_closing()
        assert run(recorder.lost) is None
        assert recorder.calls == ["made", "lost"]

    def test_streams_can_read_a_pipe(self, loop, run, pipe):
        async def use():
            reader = asyncio.StreamReader()
            await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe[0]
            )
            pipe[1].write(b"line\nrest")
            pipe[1].close()
            return await reader.readline(), await reader.read()

        assert run(use()) == (b"line\n", b"rest")


class TestWriting:
    def test_what_is_written_arrives(self, loop, run, pipe, recorder):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        transport.write(b"hello")
        assert run(read(loop, pipe[0], 5)) == b"hello"
        run(recorder.end())
        assert pipe[1].closed

    def test_much_is_written_whole_and_pauses_the_protocol(
        self, loop, run, pipe, recorder
    ):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        transport.write(memoryview(MUCH))
        transport.write(bytearray(b"end"))
        assert recorder.calls == ["made", "pause"]
        transport.close()
        assert run(read(loop, pipe[0], len(MUCH) + 3)) == MUCH + b"end"
        assert run(recorder.lost) is None
        assert recorder.calls == ["made", "pause", "resume", "lost"]

    def test_abort_drops_what_waits(self, loop, run, pipe, recorder):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        transport.write(MUCH)
        transport.abort()
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert run(recorder.lost) is None
        assert recorder.calls == ["made", "pause", "lost"]

    def test_a_reader_that_goes_away_ends_the_transport(
        self, loop, run, pipe, recorder
    ):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        pipe[0].close()
        assert run(recorder.lost) is None
        assert transport.is_closing()

    def test_a_reader_that_goes_away_before_all_was_read_is_an_error(
        self, loop, run, pipe, recorder
    ):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        transport.write(MUCH)
        pipe[0].close()
        assert isinstance(run(recorder.lost), BrokenPipeError)
        assert recorder.calls == ["made", "pause", "lost"]

    def test_what_is_no_bytes_is_refused(self, loop, run, pipe, recorder):
        transport, _ = run(loop.connect_write_pipe(lambda: recorder, pipe[1]))
        with pytest.raises(TypeError, match="must be a bytes-like object, not 'str'"):
            transport.write("text")
        run(recorder.end())


@pytest.mark.parametrize("make", ["connect_read_pipe", "connect_write_pipe"])
def test_a_regular_file_is_refused(loop, run, tmp_path, make):
    with (
        (tmp_path / "file").open("wb+") as file,
        pytest.raises(ValueError, match=r"Pipe transport is (only )?for pipes"),
    ):
        run(getattr(loop, make)(asyncio.Protocol, file))


@pytest.mark.parametrize("make", ["connect_read_pipe", "connect_write_pipe"])
def test_a_socket_can_take_the_place_of_a_pipe(loop, run, recorder, make):
    near, far = socket.socketpair()
    with far:
        transport, _ = run(getattr(loop, make)(lambda: recorder, near))
        assert transport.get_extra_info("pipe") is near
        far.close()
        assert run(recorder.lost) is None
