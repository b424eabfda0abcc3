"""The calls of a bare socket that wait: what `loop.sock_recv` and its kin do.

Each tries at once and, where the socket is not ready, again whenever it is. The socket must
be non-blocking. Who is cancelled while waiting has received or sent nothing, but for
`sock_sendall`, of which nobody can tell how much was sent.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from quiesce.core.handle import Handle
from quiesce.net.resolve import ensure_resolved

try:
    from ssl import SSLSocket
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    SSLSocket = None

if TYPE_CHECKING:
    from collections.abc import Callable

# What a call raises that would have to wait.
NOT_READY = (BlockingIOError, InterruptedError)
RESOLVED_FAMILIES = (socket.AF_INET, socket.AF_INET6)


async def sock_recv(loop: Any, sock: socket.socket, n: int) -> bytes:
    """Return up to `n` bytes, b"" at the end of the stream."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, partial(sock.recv, n))


async def sock_recv_into(loop: Any, sock: socket.socket, buf: Any) -> int:
    """Receive into `buf`; return how many bytes."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, partial(sock.recv_into, buf))


async def sock_recvfrom(
    loop: Any, sock: socket.socket, bufsize: int
) -> tuple[bytes, Any]:
    """Return one datagram of up to `bufsize` bytes, and where it came from."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, partial(sock.recvfrom, bufsize))


async def sock_recvfrom_into(
    loop: Any, sock: socket.socket, buf: Any, nbytes: int = 0
) -> tuple[int, Any]:
    """Receive one datagram into `buf`; return how many bytes, and where it came from."""
    check_socket(loop, sock)
    call = partial(sock.recvfrom_into, buf, nbytes or len(buf))
    return await when_readable(loop, sock, call)


async def sock_accept(loop: Any, sock: socket.socket) -> tuple[socket.socket, Any]:
    """Return a new connection, non-blocking, and the address of its other end."""
    check_socket(loop, sock)
    return await when_readable(loop, sock, partial(accept, sock))


async def sock_sendall(loop: Any, sock: socket.socket, data: Any) -> None:
    """Send all of `data`, which must not change meanwhile."""
    check_socket(loop, sock)
    sending = Sending(sock, data)
    await when_writable(loop, sock, sending.send_rest)


async def sock_sendto(loop: Any, sock: socket.socket, data: Any, address: Any) -> int:
    """Send one datagram to `address`; return how many bytes."""
    check_socket(loop, sock)
    return await when_writable(loop, sock, partial(sock.sendto, data, address))


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
        await wait_until(
            loop.fd_callbacks.add_writer,
            loop.fd_callbacks.remove_writer,
            loop,
            sock,
            partial(check_connected, sock, address),
        )


class Sending:
    """How much of some bytes has been sent."""

    def __init__(self, sock: socket.socket, data: Any) -> None:
        self.sock = sock
        self.rest = memoryview(data).cast("B")

    def send_rest(self) -> None:
        """Send once; raise BlockingIOError while something is left."""
        self.rest = self.rest[self.sock.send(self.rest) :]
        if self.rest:
            raise BlockingIOError


def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
    """Return a new connection, non-blocking, and the address of its other end."""
    connection, address = sock.accept()
    connection.setblocking(False)
    return connection, address


def check_connected(sock: socket.socket, address: Any) -> None:
    """Raise what went wrong with a connection that was being made."""
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")


async def when_readable(
    loop: Any, sock: socket.socket, call: Callable[[], Any]
) -> Any:
    """Return what `call` gives, once the socket can be read."""
    try:
        return call()
    except NOT_READY:
        callbacks = loop.fd_callbacks
        return await wait_until(
            callbacks.add_reader, callbacks.remove_reader, loop, sock, call
        )


async def when_writable(
    loop: Any, sock: socket.socket, call: Callable[[], Any]
) -> Any:
    """Return what `call` gives, once the socket can be written to."""
    try:
        return call()
    except NOT_READY:
        callbacks = loop.fd_callbacks
        return await wait_until(
            callbacks.add_writer, callbacks.remove_writer, loop, sock, call
        )


async def wait_until(
    add: Callable[[int, Handle], None],
    remove: Callable[[int], bool],
    loop: Any,
    sock: socket.socket,
    call: Callable[[], Any],
) -> Any:
    """Return what `call` gives at the first event that finds the socket ready."""
    outcome = loop.create_future()
    handle = Handle(try_again, (outcome, call), loop)
    fd = sock.fileno()
    add(fd, handle)
    try:
        return await outcome
    finally:
        # Cancelled already where another call has taken the place of this one.
        if not handle.cancelled():
            remove(fd)


def try_again(outcome: Any, call: Callable[[], Any]) -> None:
    """Give `outcome` what `call` gives, unless it would have to wait still."""
    if outcome.done():
        return
    try:
        result = call()
    except NOT_READY:
        pass
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whoever waits gets it
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def check_socket(loop: Any, sock: socket.socket) -> None:
    """Refuse a TLS socket and, in debug mode, one that blocks."""
    refuse_tls_socket(sock)
    if loop.get_debug() and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


def refuse_tls_socket(sock: socket.socket) -> None:
    """Refuse a socket on which Python's own TLS would wait by itself."""
    if SSLSocket is not None and isinstance(sock, SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
