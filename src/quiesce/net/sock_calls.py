"""The calls of a bare socket that wait: what `loop.sock_recv` and its kin do.

Each tries at once and, where the socket is not ready, again whenever it is. The socket
must be non-blocking. It is the waiting task itself that receives, accepts or sends, so
that one cancelled while it waits has done none of it, but for `sock_sendall`, of which
nobody can tell how much was sent.
"""

from __future__ import annotations

import socket
from operator import methodcaller
from typing import TYPE_CHECKING, Any

from quiesce.core.handle import Handle
from quiesce.net.resolve import ensure_resolved

try:
    from ssl import SSLSocket
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    SSLSocket = None

if TYPE_CHECKING:
    from collections.abc import Callable

    # Does something with a socket, or raises one of NOT_READY.
    Call = Callable[[socket.socket], Any]

# What a call raises that would have to wait.
NOT_READY = (BlockingIOError, InterruptedError)
RESOLVED_FAMILIES = (socket.AF_INET, socket.AF_INET6)


async def sock_recv(loop: Any, sock: socket.socket, n: int) -> bytes:
    """Return up to `n` bytes, b"" at the end of the stream."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, methodcaller("recv", n))


async def sock_recv_into(loop: Any, sock: socket.socket, buf: Any) -> int:
    """Receive into `buf`; return how many bytes."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, methodcaller("recv_into", buf))


async def sock_recvfrom(
    loop: Any, sock: socket.socket, bufsize: int
) -> tuple[bytes, Any]:
    """Return one datagram of up to `bufsize` bytes, and where it came from."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, methodcaller("recvfrom", bufsize))


async def sock_recvfrom_into(
    loop: Any, sock: socket.socket, buf: Any, nbytes: int = 0
) -> tuple[int, Any]:
    """Receive one datagram into `buf`; return its size, and where it came from."""
    check_socket(loop, sock)
    call = methodcaller("recvfrom_into", buf, nbytes or len(buf))
    return await when_readable(loop, sock, call)


async def sock_accept(loop: Any, sock: socket.socket) -> tuple[socket.socket, Any]:
    """Return a new connection, non-blocking, and the address of its other end."""
    check_socket(loop, sock)
    connection, address = await when_readable(loop, sock, methodcaller("accept"))
    connection.setblocking(False)
    return connection, address


async def sock_sendall(loop: Any, sock: socket.socket, data: Any) -> None:
    """Send all of `data`, which must not change meanwhile."""
    check_socket(loop, sock)
    await when_writable(loop, sock, Sending(data))


async def sock_sendto(loop: Any, sock: socket.socket, data: Any, address: Any) -> int:
    """Send one datagram to `address`; return how many bytes."""
    check_socket(loop, sock)
    return await when_writable(loop, sock, methodcaller("sendto", data, address))


async def sock_connect(loop: Any, sock: socket.socket, address: Any) -> None:
    """Connect to `address`, in which a host's name is looked up first."""
    check_socket(loop, sock)
    if sock.family in RESOLVED_FAMILIES:
        found = await ensure_resolved(
            loop, address, family=sock.family, type=sock.type, proto=sock.proto
        )
        address = found[0][4]
    try:
        sock.connect(address)
    except NOT_READY:
        # Also after EINTR: the connection is being made all the same.
        pass
    else:
        return
    callbacks = loop.fd_callbacks
    await readiness(loop, sock, callbacks.add_writer, callbacks.remove_writer)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")


class Sending:
    """A call that sends some bytes, each time what is left of them."""

    def __init__(self, data: Any) -> None:
        self.rest = memoryview(data).cast("B")

    def __call__(self, sock: socket.socket) -> None:
        """Send once; raise BlockingIOError while something is left."""
        self.rest = self.rest[sock.send(self.rest) :]
        if self.rest:
            raise BlockingIOError


async def when_readable(loop: Any, sock: socket.socket, call: Call) -> Any:
    """Return what `call` gives, as soon as it need not wait."""
    callbacks = loop.fd_callbacks
    while True:
        try:
            return call(sock)
        except NOT_READY:
            pass
        await readiness(loop, sock, callbacks.add_reader, callbacks.remove_reader)


async def when_writable(loop: Any, sock: socket.socket, call: Call) -> Any:
    """Return what `call` gives, as soon as it need not wait."""
    callbacks = loop.fd_callbacks
    while True:
        try:
            return call(sock)
        except NOT_READY:
            pass
        await readiness(loop, sock, callbacks.add_writer, callbacks.remove_writer)


async def readiness(
    loop: Any,
    sock: socket.socket,
    add: Callable[[int, Handle], None],
    remove: Callable[[int], bool],
) -> None:
    """Return when the socket is ready in the direction of `add` and `remove`."""
    ready = loop.create_future()
    handle = Handle(wake, (ready,), loop)
    fd = sock.fileno()
    add(fd, handle)
    try:
        await ready
    finally:
        # Cancelled already where another call has taken the place of this one.
        if not handle.cancelled():
            remove(fd)


def wake(ready: Any) -> None:
    """Wake whoever awaits `ready`, unless that is cancelled."""
    if not ready.done():
        ready.set_result(None)


def check_socket(loop: Any, sock: socket.socket) -> None:
    """Refuse a TLS socket and, in debug mode, one that blocks."""
    refuse_tls_socket(sock)
    if loop.get_debug() and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


def refuse_tls_socket(sock: socket.socket) -> None:
    """Refuse a socket on which Python's own TLS would wait by itself."""
    if SSLSocket is not None and isinstance(sock, SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
