"""From host names to socket addresses.

Asking the resolver blocks, so it happens in a thread; an address written in digits is
taken as it is, without a thread.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    # Runs a function with these arguments in a thread and gives its result.
    RunInThread = Callable[..., Awaitable[Any]]

# Family, type, protocol, canonical name, socket address: what getaddrinfo() gives.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]

PROTOCOL_OF_TYPE: dict[int, int] = {
    socket.SOCK_STREAM: socket.IPPROTO_TCP,
    socket.SOCK_DGRAM: socket.IPPROTO_UDP,
}
RESOLVABLE_PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)


async def getaddrinfo(
    run_in_thread: RunInThread,
    host: Any,
    port: Any,
    *,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Return what `socket.getaddrinfo` gives; raises its `socket.gaierror`."""
    return await run_in_thread(
        socket.getaddrinfo, host, port, family, type, proto, flags
    )


async def getnameinfo(
    run_in_thread: RunInThread, sockaddr: tuple[Any, ...], flags: int = 0
) -> tuple[str, str]:
    """Return what `socket.getnameinfo` gives; raises its `socket.gaierror`."""
    return await run_in_thread(socket.getnameinfo, sockaddr, flags)


async def ensure_resolved(
    loop: Any,
    address: Sequence[Any],
    *,
    family: int = 0,
    type: int = socket.SOCK_STREAM,
    proto: int = 0,
    flags: int = 0,
) -> list[AddressInfo]:
    """Return what `address`, a host, a port and what else it has, stands for.

    The loop's own ``getaddrinfo`` is asked, which a program may have replaced. Raises
    OSError if there is no such host.
    """
    host, port = address[:2]
    known = literal_address(host, port, family, type, proto, *address[2:])
    if known is not None:
        return [known]
    found = await loop.getaddrinfo(
        host, port, family=family, type=type, proto=proto, flags=flags
    )
    if not found:
        raise OSError(f"getaddrinfo({host!r}) returned empty list")
    return found


def literal_address(
    host: Any,
    port: Any,
    family: int,
    type: int,
    proto: int,
    flowinfo: int = 0,
    scopeid: int = 0,
) -> AddressInfo | None:
    """Return the answer for a host in digits; None if the resolver must be asked."""
    if proto not in RESOLVABLE_PROTOCOLS or type not in PROTOCOL_OF_TYPE:
        return None
    number = literal_port(port)
    if host is None or number is None:
        return None
    if isinstance(host, bytes):
        host = host.decode("idna")
    # inet_pton() of Linux does not know zones, as in fe80::1%eth0.
    if "%" in host:
        return None
    for candidate in (socket.AF_INET, socket.AF_INET6) if family == 0 else (family,):
        if is_literal(candidate, host):
            place = (host, number)
            if candidate == socket.AF_INET6:
                place += (flowinfo, scopeid)
            return candidate, type, PROTOCOL_OF_TYPE[type], "", place
    return None


def literal_port(port: Any) -> int | None:
    """Return a port given in digits or not at all; None for a service's name."""
    if port is None or (isinstance(port, str | bytes) and not port):
        return 0
    try:
        return int(port)
    except (TypeError, ValueError):
        return None


def is_literal(family: int, host: str) -> bool:
    """Tell whether `host` is an address of `family`, in digits."""
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True
