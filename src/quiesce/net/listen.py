"""Waiting for connections: what `loop.create_server` does.

A `Server` is what users hold; it has one `Listener` (see `accept`) for each socket,
which accepts. As in `connect`, an `Opener` decides what a connection's transport is.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import weakref
from asyncio import trsock
from asyncio.log import logger
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from quiesce.net.accept import Listener
from quiesce.net.bind import addresses_of, bind_all, listening_socket
from quiesce.net.sock_calls import refuse_tls_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quiesce.net.accepted_socket import AcceptedSocket
    from quiesce.net.connect import Opener, ProtocolFactory

# Until 3.11 a server that is closed has nothing more to wait for.
WAITS_FOR_CLIENTS = sys.version_info >= (3, 12)


class Server(asyncio.AbstractServer):
    """Listening sockets and the connections they have accepted.

    Made by `create_server`; closed by `close`, or by the end of an ``async with``
    block. Connections live on until they end or are ended by `close_clients`.
    """

    # Whether a `serve_forever` that is cancelled closes the connections. An orderly end
    # says no: it asks who serves them, who may have more to say, and closes them then.
    closes_clients = sys.version_info >= (3, 14)

    def __init__(
        self,
        loop: Any,
        sockets: list[socket.socket],
        protocol_factory: ProtocolFactory,
        opener: Opener,
        backlog: int,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._sockets: list[socket.socket] | None = sockets
        self._protocol_factory = protocol_factory
        self._opener = opener
        self._needs_handshake = getattr(opener, "needs_handshake", False)
        self.backlog = backlog
        self._on_close = on_close
        self._listeners: list[Listener] = []
        # Weak, so that transports nobody holds can still be noticed.
        self._clients: set[weakref.ref[Any]] = set()
        # None once the server is closed and its last connection lost.
        self._waiters: list[Any] | None = []
        self._forever: Any = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} sockets={self.sockets!r}>"

    @property
    def sockets(self) -> tuple[trsock.TransportSocket, ...]:
        """The listening sockets; none once closed."""
        return tuple(map(trsock.TransportSocket, self._sockets or ()))

    def get_loop(self) -> Any:
        """Return the loop."""
        return self._loop

    def is_serving(self) -> bool:
        """Tell whether connections are accepted."""
        return bool(self._listeners)

    def begin_serving(self) -> None:
        """Accept connections from now on; harmless if repeated."""
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        if self._listeners:
            return
        for sock in self._sockets:
            sock.listen(self.backlog)
            send_without_delay(sock)
            listener = Listener(self, sock)
            listener.start()
            self._listeners.append(listener)

    async def start_serving(self) -> None:
        """Accept connections from now on; harmless if repeated."""
        self.begin_serving()
        # What was ready before this call has its turn, as asyncio promises.
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Accept connections until cancelled, which closes the server.

        With Python 3.14 and later it then closes the connections, too.
        Raises RuntimeError if the server is closed, or if this was called already.
        """
        if self._forever is not None:
            raise RuntimeError(
                f"server {self!r} is already being awaited on serve_forever()"
            )
        self.begin_serving()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            try:
                self.close()
                if self.closes_clients:
                    self.close_clients()
                await self.wait_closed()
            finally:
                raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Accept no more; existing connections go on. Harmless if repeated."""
        self.stop_accepting()
        if self._closed:
            return
        self._closed = True
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
            self._forever = None
        self._wake_if_over()

    def stop_accepting(self) -> None:
        """Close the listening sockets, and nothing else; harmless if repeated.

        Who waits in `serve_forever` goes on waiting.
        """
        if self._sockets is None:
            return
        sockets, self._sockets = self._sockets, None
        listeners, self._listeners = self._listeners, []
        if self._on_close is not None:
            self._on_close()
        for each in listeners or sockets:
            each.close()

    def close_clients(self) -> None:
        """Close all connections, once what they have written is sent."""
        for transport in self._connections():
            transport.close()

    def abort_clients(self) -> None:
        """Close all connections at once."""
        for transport in self._connections():
            transport.abort()

    def _connections(self) -> list[Any]:
        """Return the transports of all connections."""
        transports = [client() for client in list(self._clients)]
        return [transport for transport in transports if transport is not None]

    async def wait_closed(self) -> None:
        """Return once the server is closed and its last connection is lost.

        With Python 3.11 it does not wait where the server is closed already, nor ever
        for connections: that is what programs of its time were written for.
        """
        if self._waiters is None or not (WAITS_FOR_CLIENTS or self._sockets):
            return
        waiter = self._loop.create_future()
        # So that an end of the program knows that nobody but it can end this wait.
        waiter.waits_for_connections = True
        self._waiters.append(waiter)
        await waiter

    def _wake_if_over(self) -> None:
        if self._closed and self._waiters is not None and not self._clients:
            waiters, self._waiters = self._waiters, None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # -- what transports and listeners call

    def open_transport(self, connection: AcceptedSocket) -> None:
        """Make protocol and transport of one connection."""
        protocol = self._protocol_factory()
        waiter = None
        if self._needs_handshake:
            waiter = self._loop.create_future()
        transport = self._opener(self._loop, connection, protocol, waiter, None, self)
        if waiter is not None:
            waiter.add_done_callback(partial(self._opened, transport, protocol))

    def _opened(self, transport: Any, protocol: Any, waiter: Any) -> None:
        """Close a transport that could not be opened after all."""
        if waiter.cancelled() or waiter.exception() is None:
            return
        transport.close()
        if self._loop.get_debug():
            self._loop.call_exception_handler(
                {
                    "message": "Error on transport creation for incoming connection",
                    "exception": waiter.exception(),
                    "protocol": protocol,
                    "transport": transport,
                }
            )

    def _attach(self, transport: Any) -> None:
        """Count a connection of this server."""
        self._clients.add(weakref.ref(transport, self._clients.discard))

    def _detach(self, transport: Any) -> None:
        """Forget a connection that is over."""
        self._clients.discard(weakref.ref(transport))
        if self._sockets is None:
            self._wake_if_over()


def send_without_delay(sock: socket.socket) -> None:
    """Switch off the Nagle algorithm: Linux hands that on to accepted connections."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            # A stream of another protocol may not know it.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def create_server(
    loop: Any,
    protocol_factory: ProtocolFactory,
    host: str | Sequence[str] | None,
    port: Any,
    *,
    opener: Opener,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    sock: socket.socket | None = None,
    backlog: int = 100,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    keep_alive: bool | None = None,
    start_serving: bool = True,
) -> Server:
    """Return a server on every address that `host` and `port` stand for, or on `sock`.

    No host means all interfaces. Raises OSError if an address is taken.
    """
    if sock is not None:
        refuse_tls_socket(sock)
    if host is None and port is None:
        sockets = [listening_socket(sock)]
    elif sock is not None:
        raise ValueError("host/port and sock can not be specified at the same time")
    else:
        options: list[int] = []
        if reuse_address or (reuse_address is None and sys.platform != "cygwin"):
            options.append(socket.SO_REUSEADDR)
        if keep_alive:
            options.append(socket.SO_KEEPALIVE)
        addresses = await addresses_of(loop, host, port, family, flags)
        sockets = bind_all(loop, addresses, options, bool(reuse_port))
    return await serve(
        Server(loop, sockets, protocol_factory, opener, backlog), start_serving
    )


async def serve(server: Server, start_serving: bool) -> Server:
    """Start `server`, if that is wanted, and return it."""
    for sock in server._sockets or ():
        sock.setblocking(False)
    if start_serving:
        await server.start_serving()
    if server.get_loop().get_debug():
        logger.info("%r is serving", server)
    return server
