"""A socket that a transport owns: its beginning, its end, and who hears of both.

`OwnedSocket` is what stream and datagram sockets have in common. Read
``quiesce.core.poller`` before this, `stream` and `datagram` after it.

The states, each entered once and in this order:

- *new*: `start` is queued; it calls ``connection_made`` and asks the poller for events.
- *open*: until the transport is closed, or something fails.
- *closing*: nothing is received any more; what was written before is still sent.
- *lost*: nothing is sent any more, the poller is not asked; `finish` is queued.
- *finished*: ``connection_lost`` was called, the socket is closed.

Invariant: every socket that was started is finished exactly once, whatever fails.

What the protocol does runs in the transport's context. Code here that enters that
context must not run in it already, so what is queued to go on later runs in another.
"""

from __future__ import annotations

from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.poller import Watcher

if TYPE_CHECKING:
    import socket

# Writes after the connection was lost that pass without a word.
FORGIVEN_WRITES = LOG_THRESHOLD_FOR_CONNLOST_WRITES


class OwnedSocket(Watcher):
    """The working half of a transport, in the context it was made in."""

    __slots__ = (
        "_asked",
        "_closing",
        "_context",
        "_edge",
        "_fd",
        "_loop",
        "_lost",
        "_lost_writes",
        "_poller",
        "_protocol",
        "_readable",
        "_server",
        "_sock",
        "_started",
        "_transport",
    )

    def __init__(
        self, loop: Any, sock: socket.socket, transport: Any, server: Any
    ) -> None:
        self._loop = loop
        self._poller = loop.poller
        self._edge = loop.poller.edge_triggered
        # None once finished.
        self._sock: Any = sock
        self._fd = sock.fileno()
        self._transport = transport
        self._protocol: Any = None
        self._server = server
        self._context = native.copy_context()
        self._asked = 0
        self._started = False
        self._readable = False
        self._closing = False
        self._lost = False
        self._lost_writes = 0

    def __repr__(self) -> str:
        return repr(self._transport)

    def owner(self) -> Any:
        """Return the transport, None once finished."""
        return self._transport

    def begin(self, waiter: Any) -> None:
        """Queue `start`."""
        self._loop.call_soon(self.start, waiter, context=self._context)

    def start(self, waiter: Any) -> None:
        """Tell the protocol, then begin to receive, then wake `waiter`."""
        try:
            self._protocol.connection_made(self._transport)
        finally:
            self._started = True
            self.ask_poller()
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def lose(self, error: BaseException | None) -> None:
        """Enter *lost*."""
        self._loop.call_soon(self.finish, error, context=self._context)
        self._lost = True
        self._poller.unwatch(self._fd)

    def finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and let go of everything."""
        transport, protocol, server = self._transport, self._protocol, self._server
        sock = self._sock
        try:
            protocol.connection_lost(error)
        finally:
            sock.close()
            self._sock = self._protocol = self._transport = self._server = None
            if server is not None:
                server._detach(transport)

    def abandon(self) -> bool:
        """Close the socket of a transport nobody holds; tell whether it was open."""
        sock = self._sock
        if sock is None:
            return False
        self._sock = None
        self._poller.unwatch(self._fd)
        sock.close()
        if self._server is not None and not self._loop.is_closed():
            self._server._detach(self._transport)
        return True

    def is_closing(self) -> bool:
        """Tell whether the end has begun."""
        return self._closing

    def is_closed(self) -> bool:
        """Tell whether the socket was closed."""
        return self._sock is None

    def get_socket(self) -> Any:
        """Return the socket, None once finished."""
        return self._sock

    def get_protocol(self) -> Any:
        """Return the protocol, None once finished."""
        return self._protocol

    def ask_poller(self) -> None:
        """Ask for the events that matter now, where they are not what was asked for."""
        if self._lost or not self._started:
            return
        events = self.wanted_events()
        if events == self._asked:
            return
        self._asked = events
        try:
            self._poller.watch(self._fd, events, self, self._edge)
        except OSError as error:
            self.fatal(error, "Fatal error: the poller refuses the socket")

    def wanted_events(self) -> int:
        """Return the events that matter now."""
        raise NotImplementedError

    def fatal(self, error: BaseException, message: str) -> None:
        """Give the socket up."""
        raise NotImplementedError

    def report(self, error: BaseException, message: str) -> None:
        """Tell the loop's exception handler."""
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self._transport,
                "protocol": self._protocol,
            }
        )

    def warn_of_lost_write(self) -> None:
        """Count a write after the end; warn of a protocol that goes on and on."""
        if self._lost_writes >= FORGIVEN_WRITES:
            logger.warning("socket.send() raised exception.")
        self._lost_writes += 1


def leaves_unanswered(protocol: Any) -> bool:
    """Let `protocol`, if it is TLS, end without an answer; tell whether it has."""
    # TLS is not imported here, and the protocol may be a mock that has everything.
    leave = getattr(protocol, "leave_unanswered", None)
    return leave is not None and leave() is True
