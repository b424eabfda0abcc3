"""Our ends of a child's pipes: protocols that pass on to the child's own protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiesce.process.transport import ChildTransport


class PipeEnd(asyncio.BaseProtocol):
    """Our end of one pipe: an open file first, a transport once it is connected.

    `fd` is the number that the pipe has in the child.
    """

    def __init__(self, child: ChildTransport, fd: int, file: Any) -> None:
        self.child: Any = child
        self.fd = fd
        self.file = file
        self.pipe: Any = None
        self.disconnected = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self.fd} pipe={self.pipe!r}>"

    def close(self, loop: Any) -> None:
        """Close the pipe, if that has not happened; a connected one needs its loop."""
        if self.pipe is None:
            self.file.close()
        elif not loop.is_closed():
            self.pipe.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for the child's protocol to find."""
        self.pipe = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the child's protocol which pipe is closed."""
        self.disconnected = True
        self.child.pipe_lost(self.fd, exc)
        self.child = None


class InputEnd(PipeEnd):
    """What is written here, the child reads."""

    def pause_writing(self) -> None:
        """Ask the child's protocol to stop writing."""
        self.child.get_protocol().pause_writing()

    def resume_writing(self) -> None:
        """Let the child's protocol write again."""
        self.child.get_protocol().resume_writing()


class OutputEnd(PipeEnd, asyncio.Protocol):
    """What the child writes arrives here."""

    # Whether that is read for the child's sake only.
    is_dropped = False

    def drop(self) -> None:
        """Read on, whoever has paused that, and give it to nobody."""
        self.is_dropped = True
        if self.pipe is not None:
            self.pipe.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Give the child's protocol what the child has written."""
        if not self.is_dropped:
            self.child.pipe_data(self.fd, data)
