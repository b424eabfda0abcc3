"""Sockets bound to the addresses at which a server is to listen."""

from __future__ import annotations

import asyncio
import errno
import itertools
import socket
from asyncio.log import logger
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from quiesce.net.resolve import ensure_resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quiesce.net.resolve import AddressInfo


def listening_socket(sock: socket.socket | None) -> socket.socket:
    """Refuse what is no stream socket."""
    if sock is None:
        raise ValueError("Neither host/port nor sock were specified")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    return sock


async def addresses_of(
    loop: Any, host: str | Sequence[str] | None, port: Any, family: int, flags: int
) -> list[AddressInfo]:
    """Return the addresses of one or several hosts, each once."""
    if host == "":
        hosts = [None]
    elif isinstance(host, str) or not isinstance(host, Iterable):
        hosts = [host]
    else:
        hosts = list(host)
    found = await asyncio.gather(
        *(
            ensure_resolved(loop, (each, port), family=family, flags=flags)
            for each in hosts
        )
    )
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def bind_all(
    loop: Any, addresses: list[AddressInfo], options: list[int], reuse_port: bool
) -> list[socket.socket]:
    """Return a socket bound to each of `addresses` that this machine has."""
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            sock = bind(loop, address, options, reuse_port)
            if sock is not None:
                sockets.append(sock)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        places = [address[4] for address in addresses]
        raise OSError(f"could not bind on any address out of {places!r}")
    return sockets


def bind(
    loop: Any, address: AddressInfo, options: list[int], reuse_port: bool
) -> socket.socket | None:
    """Return a socket bound to `address`; None where its family is not in use here."""
    family, type_, proto, _, place = address
    try:
        sock = socket.socket(family, type_, proto)
    except OSError:
        if loop.get_debug():
            logger.warning(
                "create_server() failed to create socket.socket(%r, %r, %r)",
                family,
                type_,
                proto,
                exc_info=True,
            )
        return None
    try:
        for option in options:
            sock.setsockopt(socket.SOL_SOCKET, option, True)
        if reuse_port:
            set_reuse_port(sock)
        if family == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
            # The IPv4 address has a socket of its own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
        sock.bind(place)
    except OSError as error:
        sock.close()
        reason = str(error).lower()
        message = f"error while attempting to bind on address {place!r}: {reason}"
        if error.errno != errno.EADDRNOTAVAIL:
            raise OSError(error.errno, message) from None
        if loop.get_debug():
            logger.warning(message)
        return None
    except BaseException:
        sock.close()
        raise
    return sock


def set_reuse_port(sock: socket.socket) -> None:
    """Let several sockets share one port; raises ValueError where they cannot."""
    if not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError("reuse_port not supported by socket module")
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise ValueError(
            "reuse_port not supported by socket module, "
            "SO_REUSEPORT defined but not implemented."
        ) from None
