"""A socket that was accepted, of which Python knows only the number at first.

Most connections are served and closed without anybody asking for their socket object.
To make one, and to ask the system for the socket's own address, costs more than all
else that Python does to accept a connection. Read `accept` after this.
"""

# Fields that only the .pxd knows have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
from __future__ import annotations

import socket
import warnings
from typing import Any

from quiesce.net import native as calls

PlainSocket = socket.socket
# Stands where a descriptor was.
CLOSED = -1
# Accepted connections do not block already: where it can be, the object is told so.
NON_BLOCKING = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)


class AcceptedSocket:
    """The descriptor `fd` of a connection; all else of a socket once it is needed.

    Owns the descriptor. `peername` and `sockname` are as the methods of a socket give
    them; `sockname` is None if it has to be asked for. What is asked of this and not
    defined here is asked of the socket object.
    """

    __slots__ = ("_fd", "_made", "_peername", "_proto", "_sockname", "family")

    def __init__(
        self, fd: int, family: int, proto: int, peername: Any, sockname: Any
    ) -> None:
        self._fd = fd
        self.family = family
        self._proto = proto
        self._peername = peername
        self._sockname = sockname
        self._made: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self._fd}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.made(), name)

    def __del__(self) -> None:
        if self._fd != CLOSED and self._made is None:
            warnings.warn(
                f"unclosed {self!r}", ResourceWarning, stacklevel=1, source=self
            )
            self.close()

    def fileno(self) -> int:
        """Return the descriptor, -1 once closed."""
        return self._fd

    def made(self) -> Any:
        """Return the socket object, always the same; a closed one once closed."""
        if self._made is None:
            if self._fd == CLOSED:
                self._made = PlainSocket(self.family, NON_BLOCKING, self._proto)
                self._made.close()
            else:
                self._made = PlainSocket(
                    self.family, NON_BLOCKING, self._proto, self._fd
                )
                if self._made.gettimeout() != 0:
                    self._made.setblocking(False)
        return self._made

    def getpeername(self) -> Any:
        """Return the address of the other end when it connected."""
        if self._peername is None:
            self._peername = self.made().getpeername()
        return self._peername

    def getsockname(self) -> Any:
        """Return the address of this end. Raises OSError if it is not known."""
        if self._sockname is None:
            self._sockname = calls.own_address(self._fd)
            if self._sockname is None:
                self._sockname = self.made().getsockname()
        return self._sockname

    def remember(self) -> None:
        """See to it that the addresses are known after `close`, if they can be."""
        if self._sockname is None:
            try:
                self.getsockname()
            except OSError:
                self._sockname = None

    def close(self) -> None:
        """Close the connection; harmless if repeated."""
        fd, self._fd = self._fd, CLOSED
        if self._made is not None:
            self._made.close()
        elif fd != CLOSED:
            calls.close(fd)
