"""A pair of sockets: a byte written to one wakes whoever waits for the other.

Every system has it, and a signal can write to it; where there is something cheaper,
`epoll` uses that.
"""

from __future__ import annotations

import socket

from quiesce.system.in_use import InUse

# More than the signals that can arrive between two iterations of a loop.
READ_SIZE = 4096


class Wakeup:
    """A one-way channel of bytes that never blocks either end."""

    __slots__ = ("_read_end", "_write_end", "_writing")

    def __init__(self) -> None:
        self._read_end, self._write_end = socket.socketpair()
        self._read_end.setblocking(False)
        self._write_end.setblocking(False)
        self._writing = InUse(self._write_end.close)

    @property
    def read_fd(self) -> int:
        """The descriptor to wait for; -1 once closed."""
        return self._read_end.fileno()

    @property
    def write_fd(self) -> int:
        """The descriptor that `signal.set_wakeup_fd` may be given; -1 once closed."""
        return self._write_end.fileno()

    def notify(self) -> None:
        """Make the read end ready.

        Thread-safe. A full or closed channel is no error: the reader is awake or gone.
        """
        is_open = self._writing.begin()
        try:
            if is_open:
                self._write_end.send(b"\0")
        except OSError:
            pass
        finally:
            self._writing.finish()

    def drain(self) -> bytes:
        """Return all bytes that were written since the last call."""
        received = b""
        while True:
            try:
                chunk = self._read_end.recv(READ_SIZE)
            except BlockingIOError:
                return received
            received += chunk
            if len(chunk) < READ_SIZE:
                return received

    def peek(self) -> bytes:
        """Return the first of what `drain` would, and leave it. Thread-safe."""
        try:
            return self._read_end.recv(READ_SIZE, socket.MSG_PEEK)
        except OSError:
            # There is nothing, or it is closed.
            return b""

    def close(self) -> None:
        """Close both ends; harmless if repeated."""
        self._read_end.close()
        self._writing.end()
