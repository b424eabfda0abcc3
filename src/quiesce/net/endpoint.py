"""Making datagram endpoints: what `loop.create_datagram_endpoint` does."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from quiesce.net.bind import set_reuse_port
from quiesce.net.datagram_transport import open_datagrams
from quiesce.net.resolve import ensure_resolved
from quiesce.net.unix_socket import remove_stale_socket

if TYPE_CHECKING:
    from quiesce.net.connect import ProtocolFactory
    from quiesce.net.resolve import AddressInfo


async def create_datagram_endpoint(
    loop: Any,
    protocol_factory: ProtocolFactory,
    local_addr: Any = None,
    remote_addr: Any = None,
    *,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    reuse_port: bool | None = None,
    allow_broadcast: bool | None = None,
    sock: socket.socket | None = None,
) -> tuple[Any, Any]:
    """Return a transport from `local_addr` to `remote_addr`, and its protocol.

    Either may be None; `sock` replaces both. Raises OSError if no address can be used.
    """
    remote = None
    if sock is not None:
        refuse_socket_with_options(
            sock,
            local_addr=local_addr,
            remote_addr=remote_addr,
            family=family,
            proto=proto,
            flags=flags,
            reuse_port=reuse_port,
            allow_broadcast=allow_broadcast,
        )
        sock.setblocking(False)
    else:
        pairs = await address_pairs(loop, local_addr, remote_addr, family, proto, flags)
        sock, remote = await first_usable(
            loop, pairs, bool(reuse_port), bool(allow_broadcast)
        )
    protocol = protocol_factory()
    waiter = loop.create_future()
    transport = open_datagrams(loop, sock, protocol, remote, waiter)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol


def refuse_socket_with_options(sock: socket.socket, **options: Any) -> None:
    """Refuse a stream socket, and options that a ready-made socket cannot take."""
    if sock.type == socket.SOCK_STREAM:
        raise ValueError(f"A datagram socket was expected, got {sock!r}")
    given = ", ".join(f"{name}={value}" for name, value in options.items() if value)
    if given:
        raise ValueError(
            "socket modifier keyword arguments can not be used "
            f"when sock is specified. ({given})"
        )


# Family and protocol, with a local and a remote address or None.
Pair = tuple[int, int, Any, Any]


async def address_pairs(
    loop: Any, local: Any, remote: Any, family: int, proto: int, flags: int
) -> list[Pair]:
    """Return the pairs of addresses that `local` and `remote` stand for."""
    if not (local or remote):
        if family == 0:
            raise ValueError("unexpected address family")
        return [(family, proto, None, None)]
    if family == getattr(socket, "AF_UNIX", None):
        return [(family, proto, *paths(local, remote))]
    found: dict[tuple[int, int], list[Any]] = {}
    for index, address in enumerate((local, remote)):
        if address is not None:
            for info in await resolve_datagram(loop, address, family, proto, flags):
                found.setdefault((info[0], info[2]), [None, None])[index] = info[4]
    pairs = [
        (*key, *places)
        for key, places in found.items()
        if not ((local and places[0] is None) or (remote and places[1] is None))
    ]
    if not pairs:
        raise ValueError("can not get address information")
    return pairs


def paths(local: Any, remote: Any) -> tuple[str | None, str | None]:
    """Return two paths of sockets, with the place of the first cleared."""
    for path in (local, remote):
        if path is not None and not isinstance(path, str):
            raise TypeError("string is expected")
    if local:
        remove_stale_socket(local)
    return local, remote


async def resolve_datagram(
    loop: Any, address: Any, family: int, proto: int, flags: int
) -> list[AddressInfo]:
    """Return what a host and a port stand for."""
    if not issubclass(type(address), tuple) or len(address) != 2:  # noqa: PLR2004
        raise TypeError("2-tuple is expected")
    return await ensure_resolved(
        loop, address, family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags
    )


async def first_usable(
    loop: Any, pairs: list[Pair], reuse_port: bool, allow_broadcast: bool
) -> tuple[socket.socket, Any]:
    """Return a socket for the first pair that works, and its remote address."""
    first_error = None
    for pair in pairs:
        try:
            sock = await open_socket(loop, pair, reuse_port, allow_broadcast)
        except OSError as error:
            first_error = first_error or error
        else:
            return sock, pair[3]
    assert first_error is not None
    raise first_error


async def open_socket(
    loop: Any, pair: Pair, reuse_port: bool, allow_broadcast: bool
) -> socket.socket:
    """Return a socket bound and connected as `pair` says.

    One that may broadcast stays unconnected, so that it can hear the answers.
    """
    family, proto, local, remote = pair
    sock = socket.socket(family, socket.SOCK_DGRAM, proto)
    try:
        if reuse_port:
            set_reuse_port(sock)
        if allow_broadcast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setblocking(False)
        if local:
            sock.bind(local)
        if remote and not allow_broadcast:
            await loop.sock_connect(sock, remote)
    except BaseException:
        sock.close()
        raise
    return sock
