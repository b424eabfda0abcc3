"""The transports and servers of a loop, when it ends.

They are found through the poller, which knows who is told about each descriptor; so a
connection costs nothing for being found one day. A loop of another make keeps its own.
"""

from __future__ import annotations

from asyncio import BaseTransport
from typing import TYPE_CHECKING, Any

from quiesce.loop import Loop
from quiesce.net.listen import Server
from quiesce.tls.stream import TlsStream

if TYPE_CHECKING:
    from collections.abc import Iterator


def owners(loop: Any) -> Iterator[Any]:
    """Yield the transports and servers of the loop's descriptors."""
    if not isinstance(loop, Loop) or loop.is_closed():
        return
    for watcher in loop.poller.watchers():
        owner = watcher.owner()
        if owner is not None:
            yield owner


def stop_accepting(loop: Any) -> None:
    """Close the listening sockets of every server."""
    for owner in set(owners(loop)):
        if isinstance(owner, Server):
            owner.stop_accepting()


def open_transports(loop: Any) -> list[Any]:
    """Return the transports that still have their descriptor; TLS for what is below."""
    found: list[Any] = []
    for owner in owners(loop):
        if isinstance(owner, BaseTransport):
            get_protocol = getattr(owner, "get_protocol", None)
            protocol = None if get_protocol is None else get_protocol()
            is_carrier = isinstance(protocol, TlsStream)
            found.append(protocol.get_transport() if is_carrier else owner)
    return found


def close_connections(loop: Any) -> None:
    """Close every transport once it has sent what was written to it."""
    for transport in open_transports(loop):
        if not transport.is_closing():
            transport.close()


def abort_connections(loop: Any) -> None:
    """Close every transport at once, whatever is lost by that."""
    for transport in open_transports(loop):
        abort = getattr(transport, "abort", transport.close)
        abort()
