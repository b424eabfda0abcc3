"""The transports and servers of a loop, when it ends.

They are found through the poller, which knows who is told about each descriptor; so a
connection costs nothing for being found one day. A loop of another make keeps its own.
"""

from __future__ import annotations

import sys
import time
from asyncio import BaseTransport
from typing import TYPE_CHECKING, Any

from quiesce.core.awaited_by import waiters
from quiesce.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

# Seconds for peers to say that they have heard of the end of a connection.
PEERS_ANSWER = 0.25


class Goodbyes:
    """Connections that wait for nothing any more but their peer's answer to a goodbye.

    TLS has that. Not every peer answers, and nothing is lost without it.
    """

    __slots__ = ("loop", "since")

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.since: dict[Any, float] = {}

    def end(self) -> None:
        """Close those that have waited long enough; called from time to time."""
        now = time.monotonic()
        self.since = {
            transport: self.since.get(transport, now)
            for transport in open_transports(self.loop)
            if transport.is_closing() and not queued_in(transport)
        }
        for transport, since in self.since.items():
            if now - since >= PEERS_ANSWER:
                abort(transport)


def owners(loop: Any) -> Iterator[Any]:
    """Yield the transports and servers of the loop's descriptors."""
    if not isinstance(loop, Loop) or loop.is_closed():
        return
    for watcher in loop.poller.watchers():
        owner = watcher.owner()
        if owner is not None:
            yield owner


def stop_accepting(loop: Any) -> None:
    """Close the listening sockets of every server.

    One that is closed when main is cancelled leaves the connections to later phases.
    """
    server_type = if_loaded("quiesce.net.listen", "Server")
    for owner in set(owners(loop)):
        if isinstance(owner, server_type):
            owner.stop_accepting()
            owner.closes_clients = False


def open_transports(loop: Any) -> list[Any]:
    """Return the transports that still have their descriptor; TLS for what is below.

    A pipe from a child that has been asked to end is the child's, and closed with it.
    """
    carrier_type = if_loaded("quiesce.tls.stream", "TlsStream")
    output_type = if_loaded("quiesce.process.pipe_ends", "OutputEnd")
    found: list[Any] = []
    for owner in owners(loop):
        if isinstance(owner, BaseTransport):
            protocol = protocol_of(owner)
            if isinstance(protocol, output_type) and protocol.is_dropped:
                continue
            is_carrier = isinstance(protocol, carrier_type)
            found.append(protocol.get_transport() if is_carrier else owner)
    return found


def if_loaded(module: str, name: str) -> Any:
    """Return a class; where the program has not imported it, what has no instances."""
    return getattr(sys.modules.get(module), name, ())


def protocol_of(transport: Any) -> Any:
    """Return the protocol of `transport`, None for one of a make that does not tell."""
    get_protocol = getattr(transport, "get_protocol", None)
    return None if get_protocol is None else get_protocol()


def unsent(loop: Any) -> list[Any]:
    """Return the transports that have not sent all that was written to them."""
    return [each for each in open_transports(loop) if queued_in(each)]


def queued_in(transport: Any) -> int:
    """Return how many bytes a transport has not sent; 0 for one that only reads."""
    size = getattr(transport, "get_write_buffer_size", None)
    return 0 if size is None else size()


def close_connections(loop: Any) -> None:
    """Close every transport once it has sent what was written to it."""
    for transport in open_transports(loop):
        if not transport.is_closing():
            transport.close()


def abort_connections(loop: Any) -> None:
    """Close every transport at once, whatever is lost by that."""
    for transport in open_transports(loop):
        abort(transport)


def abort(transport: Any) -> None:
    """Close a transport at once; one that only reads knows no other way."""
    getattr(transport, "abort", transport.close)()


def who_waits_for_them(pending: set[Any]) -> set[Any]:
    """Return who of `pending` waits until a server's connections are gone.

    That is those who do so by themselves, and who waits for one of them.
    """
    held = {task for task in pending if waits_for_connections(task)}
    left = list(held)
    while left:
        for waiter in waiters(getattr(left.pop(), "_callbacks", None)) or ():
            if waiter not in held:
                held.add(waiter)
                left.append(waiter)
    return held


def waits_for_connections(task: Any) -> bool:
    """Tell whether `task` is in a server's ``wait_closed``."""
    future = getattr(task, "_fut_waiter", None)
    return getattr(future, "waits_for_connections", False)
