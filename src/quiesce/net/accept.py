"""Accepting connections on one listening socket; read `listen` for whom."""

# Fields that only the .pxd knows have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import errno
import socket
import sys
from asyncio import constants, trsock
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.poller import READABLE, Watcher
from quiesce.net import native as calls
from quiesce.net.accepted_socket import AcceptedSocket

if TYPE_CHECKING:
    from quiesce.net.listen import Server

# Errors that say: no more connections now, but perhaps when others have ended.
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# Stands where a descriptor was.
CLOSED = -1
# Linux's option of sockets that accept for addresses of other machines.
IP_TRANSPARENT = 19


class Listener(Watcher):
    """One listening socket, accepting for a `Server` until it is closed."""

    __slots__ = (
        "_context",
        "_family",
        "_fd",
        "_proto",
        "_retry",
        "_sockname",
        "loop",
        "server",
        "sock",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.loop = server.get_loop()
        self._fd = sock.fileno()
        self._family = int(sock.family)
        self._proto = sock.proto
        self._sockname = common_name(sock)
        self._context = native.copy_context()
        self._retry: Any = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.server!r}>"

    def owner(self) -> Server:
        """Return the server."""
        return self.server

    def start(self) -> None:
        """Accept from now on."""
        self._retry = None
        self.loop.poller.watch(self._fd, READABLE, self)

    def close(self) -> None:
        """Accept no more, and close the socket."""
        if self._retry is not None:
            self._retry.cancel()
        fd, self._fd = self._fd, CLOSED
        self.loop.poller.unwatch(fd)
        self.sock.close()

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - it can only be readable
        """Accept what has arrived, up to a backlog's worth."""
        for _ in range(self.server.backlog):
            if self._fd == CLOSED:
                # By a protocol, while it was made.
                return
            try:
                accepted = calls.accept(self.sock, self._fd)
            except ConnectionAbortedError:
                return
            except OSError as error:
                self._accept_failed(error)
                return
            if accepted is None:
                return
            native.call_in(native.copy_of(self._context), self._open, accepted)

    def _open(self, fd: int, address: Any) -> None:
        """Make protocol and transport of one connection."""
        connection = AcceptedSocket(
            fd, self._family, self._proto, address, self._sockname
        )
        try:
            # Its address is known now or, perhaps, never.
            connection.getpeername()
            self.server.open_transport(connection)
        except (SystemExit, KeyboardInterrupt):
            connection.close()
            raise
        except BaseException as error:  # noqa: BLE001 - the others are to be served
            connection.close()
            self.loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": error,
                }
            )

    def _accept_failed(self, error: OSError) -> None:
        """Report why nothing can be accepted; go on, later if resources are short."""
        report = {
            "message": "socket.accept() failed",
            "exception": error,
            "socket": trsock.TransportSocket(self.sock),
        }
        if error.errno in OUT_OF_RESOURCES:
            # The socket stays ready, so that to go on now would be to spin.
            report["message"] = "socket.accept() out of system resource"
            self.loop.poller.unwatch(self._fd)
            self._retry = self.loop.call_later(constants.ACCEPT_RETRY_DELAY, self.start)
        self.loop.call_exception_handler(report)


def common_name(sock: socket.socket) -> Any:
    """Return the address that every connection of a listening socket has at this end.

    None if they may differ: where it listens on more than one, or for others.
    """
    if sys.platform == "linux" and sock.proto in (0, socket.IPPROTO_TCP):
        if sock.family == socket.AF_UNIX:
            return sock.getsockname()
        if sock.family == socket.AF_INET:
            name = sock.getsockname()
            is_transparent = sock.getsockopt(socket.IPPROTO_IP, IP_TRANSPARENT)
            if name[0] != "0.0.0.0" and not is_transparent:  # noqa: S104 - not to bind
                return name
    return None
