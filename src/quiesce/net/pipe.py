"""Pipes, terminals and sockets used in one direction: `connect_read_pipe` and its twin.

What asyncio calls a pipe here is any descriptor that can be waited for and that is only
read or only written, such as a child's output or this program's own.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import sys
import warnings
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.net.flow_control import HIGH_WATER, FlowControl
from quiesce.net.write_buffer import WriteBuffer, refuse_what_is_no_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.net.connect import ProtocolFactory

# Bytes asked for in one read.
READ_SIZE = 256 * 1024
# Chunks handed over in one write.
WRITE_CHUNKS = 128
# What can be waited for: a regular file is always ready.
KINDS = (stat.S_ISFIFO, stat.S_ISSOCK, stat.S_ISCHR)
# Errors by which a write says that it would have to wait.
NOT_READY = (BlockingIOError, InterruptedError)


async def connect_read_pipe(
    loop: Any, protocol_factory: ProtocolFactory, pipe: Any
) -> tuple[Any, Any]:
    """Return a transport that reads the open file `pipe`, and its protocol.

    The transport then owns the file. Raises ValueError for a regular one.
    """
    return await connect(loop, protocol_factory, ReadPipeTransport, pipe)


async def connect_write_pipe(
    loop: Any, protocol_factory: ProtocolFactory, pipe: Any
) -> tuple[Any, Any]:
    """Return a transport that writes to the open file `pipe`, and its protocol.

    The transport then owns the file. Raises ValueError for a regular one.
    """
    return await connect(loop, protocol_factory, WritePipeTransport, pipe)


async def connect(
    loop: Any, protocol_factory: ProtocolFactory, kind: Callable[..., Any], pipe: Any
) -> tuple[Any, Any]:
    """Return a transport of this kind and its protocol, once that is connected."""
    protocol = protocol_factory()
    waiter = loop.create_future()
    transport = kind(loop, pipe, protocol, waiter)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol


class Pipe:
    """One open descriptor and the protocol that is told; closed by `finish`."""

    def __init__(self, loop: Any, pipe: Any, transport: Any, protocol: Any) -> None:
        self.loop = loop
        self.file: Any = None
        self.fd: int = pipe.fileno()
        self.mode = os.fstat(self.fd).st_mode
        self.transport = transport
        self.protocol: Any = protocol
        self.closing = False
        self.lost = False
        if not any(is_kind(self.mode) for is_kind in KINDS):
            raise ValueError(transport.refusal)
        os.set_blocking(self.fd, False)
        self.file = pipe

    def describe(self, *details: str) -> str:
        """Return the representation of the transport."""
        state = "closed" if self.file is None else "closing" if self.closing else "open"
        words = [type(self.transport).__name__, state, f"fd={self.fd}", *details]
        return f"<{' '.join(words)}>"

    def start(self, begin: Callable[[], None], waiter: Any) -> None:
        """Tell the protocol, call `begin`, wake `waiter`, all in the next iteration."""

        def run() -> None:
            try:
                self.protocol.connection_made(self.transport)
            finally:
                if not self.closing:
                    begin()
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)

        self.loop.call_soon(run)

    def fatal(self, error: BaseException, message: str, expected: bool) -> None:
        """Report what ended the pipe, where that is not to be expected."""
        if not expected:
            self.report(error, message)
        elif self.loop.get_debug():
            logger.debug("%r: %s", self.transport, message, exc_info=error)

    def report(self, error: BaseException, message: str) -> None:
        """Tell the loop's exception handler."""
        self.loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self.transport,
                "protocol": self.protocol,
            }
        )

    def get_protocol(self) -> Any:
        """Return the protocol; None once the pipe is closed."""
        return self.protocol

    def lose(self, error: BaseException | None) -> None:
        """Stop waiting for the descriptor, and queue `finish`; harmless if repeated."""
        if self.lost:
            return
        self.lost = self.closing = True
        self.loop.remove_reader(self.fd)
        self.loop.remove_writer(self.fd)
        self.loop.call_soon(self.finish, error)

    def finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and close the descriptor."""
        protocol, pipe = self.protocol, self.file
        self.protocol = self.file = None
        try:
            protocol.connection_lost(error)
        finally:
            pipe.close()

    def abandon(self) -> None:
        """Close the descriptor of a transport that nobody holds any more."""
        if self.file is None:
            return
        warnings.warn(
            f"unclosed transport {self.transport!r}",
            ResourceWarning,
            stacklevel=2,
            source=self.transport,
        )
        self.file.close()
        self.file = None


class ReadPipeTransport(asyncio.ReadTransport):
    """A descriptor that is read until its end."""

    # None where the constructor failed.
    _pipe: Any = None
    refusal = "Pipe transport is for pipes/sockets only."

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any) -> None:
        super().__init__({"pipe": pipe})
        self._paused = False
        self._loop = loop
        self._pipe = Pipe(loop, pipe, self, protocol)
        self._pipe.start(self._begin, waiter)

    def __repr__(self) -> str:
        return self._pipe.describe("reading" if self.is_reading() else "idle")

    def __del__(self) -> None:
        if self._pipe is not None:
            self._pipe.abandon()

    def _begin(self) -> None:
        if not self._paused:
            self._loop.add_reader(self._pipe.fd, self._read)

    def _read(self) -> None:
        """Give the protocol what has arrived."""
        try:
            data = os.read(self._pipe.fd, READ_SIZE)
        except NOT_READY:
            return
        except OSError as error:
            # How Linux says that the other side of a pseudo-terminal is closed.
            gone = error.errno == errno.EIO
            self._pipe.fatal(error, "Fatal read error on pipe transport", gone)
            self._pipe.lose(error)
            return
        if data:
            self._pipe.protocol.data_received(data)
            return
        protocol = self._pipe.protocol
        self._pipe.closing = True
        self._loop.call_soon(protocol.eof_received)
        self._pipe.lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._pipe.protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol; None once the pipe is closed."""
        return self._pipe.protocol

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._pipe.closing

    def is_reading(self) -> bool:
        """Tell whether the protocol is given what arrives."""
        return not self._paused and not self._pipe.closing

    def pause_reading(self) -> None:
        """Leave what arrives in the pipe; harmless if repeated."""
        if self.is_reading():
            self._paused = True
            self._loop.remove_reader(self._pipe.fd)

    def resume_reading(self) -> None:
        """Give the protocol what arrives again; harmless if repeated."""
        if self._paused and not self._pipe.closing:
            self._paused = False
            self._loop.add_reader(self._pipe.fd, self._read)

    def close(self) -> None:
        """Read no more, and close; harmless if repeated."""
        if not self._pipe.closing:
            self._pipe.lose(None)


class WritePipeTransport(asyncio.WriteTransport):
    """A descriptor that is written to, until it is closed or nobody reads it."""

    # None where the constructor failed.
    _pipe: Any = None
    refusal = "Pipe transport is only for pipes, sockets and character devices"

    def __init__(self, loop: Any, pipe: Any, protocol: Any, waiter: Any) -> None:
        super().__init__({"pipe": pipe})
        self._loop = loop
        self._buffer = WriteBuffer()
        self._flow = FlowControl(HIGH_WATER)
        self._lost_writes = 0
        self._pipe = Pipe(loop, pipe, self, protocol)
        self._pipe.start(self._begin, waiter)

    def __repr__(self) -> str:
        return self._pipe.describe(f"bufsize={self._buffer.size}")

    def __del__(self) -> None:
        if self._pipe is not None:
            self._pipe.abandon()

    def _begin(self) -> None:
        """Watch for the reader to go away, where the system can tell."""
        mode = self._pipe.mode
        is_fifo = stat.S_ISFIFO(mode) and not sys.platform.startswith("aix")
        if is_fifo or stat.S_ISSOCK(mode):
            self._loop.add_reader(self._pipe.fd, self._reader_gone)

    def _reader_gone(self) -> None:
        """End: nobody reads what would be written."""
        self._lose(BrokenPipeError() if self._buffer.size else None)

    def write(self, data: Any) -> None:
        """Write `data`, or keep a copy of what the system does not take now.

        Raises TypeError for what is not bytes-like. After the end it does nothing.
        """
        refuse_what_is_no_bytes(data)
        if not data:
            return
        if self._pipe.closing:
            if self._lost_writes >= LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning(
                    "pipe closed by peer or os.write(pipe, data) raised exception."
                )
            self._lost_writes += 1
            return
        if self._buffer.size:
            self._buffer.append(bytes(data), 0)
        else:
            self._write_now(bytes(data))
        self._flow.note_more(self._pipe, self._buffer.size)

    def _write_now(self, data: bytes) -> None:
        """Write `data`, before which nothing waits; queue what is not taken."""
        try:
            sent = os.write(self._pipe.fd, data)
        except NOT_READY:
            sent = 0
        except OSError as error:
            self._failed(error)
            return
        if sent < len(data):
            self._buffer.append(data, sent)
            self._loop.add_writer(self._pipe.fd, self._write_more)

    def _write_more(self) -> None:
        """Write what waits."""
        buffer = self._buffer
        chunks = buffer.chunks[buffer.first : buffer.first + WRITE_CHUNKS]
        waiting = [memoryview(chunks[0])[buffer.offset :], *chunks[1:]]
        try:
            buffer.remove(os.writev(self._pipe.fd, waiting))
        except NOT_READY:
            return
        except OSError as error:
            self._failed(error)
            return
        if not buffer.size:
            self._loop.remove_writer(self._pipe.fd)
        self._flow.note_less(self._pipe, buffer.size)
        if self._pipe.closing and not buffer.size:
            self._pipe.lose(None)

    def _failed(self, error: OSError) -> None:
        self._lost_writes += 1
        self._pipe.fatal(error, "Fatal write error on pipe transport", expected=True)
        self._lose(error)

    def _lose(self, error: BaseException | None) -> None:
        self._buffer.clear()
        self._pipe.lose(error)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._pipe.protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol; None once the pipe is closed."""
        return self._pipe.protocol

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._pipe.closing

    def can_write_eof(self) -> bool:
        """Tell that the end can be written."""
        return True

    def write_eof(self) -> None:
        """Write what waits, then close: a pipe has no other end to write."""
        if self._pipe.closing:
            return
        if self._buffer.size:
            self._pipe.closing = True
        else:
            self._pipe.lose(None)

    def close(self) -> None:
        """Write what waits, then close; harmless if repeated."""
        self.write_eof()

    def abort(self) -> None:
        """Drop what waits, and close; harmless if repeated."""
        self._lose(None)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be written."""
        return self._buffer.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._flow.limits()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set at how many waiting bytes the protocol is paused, and resumed.

        Raises ValueError unless ``high >= low >= 0``; what is None follows from the
        other.
        """
        self._flow.set_limits(high, low)
        self._flow.note_more(self._pipe, self._buffer.size)
