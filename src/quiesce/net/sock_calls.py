"""The calls of a bare socket that wait: what `loop.sock_recv` and its kin do.

Each tries at once and, where the socket is not ready, again whenever it is. The socket
must be non-blocking. It is the waiting task itself that receives, accepts or sends, so
that one cancelled while it waits has done none of it, but for `sock_sendall`, of which
nobody can tell how much was sent.

A call is a `SocketCall`, which has a coroutine's methods without a coroutine's frame.
Read `quiesce.core.fd_callbacks` before this; `sock_connect` is in a module of its own.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportCallIssue=false
# pyright: reportUnnecessaryComparison=false
from __future__ import annotations

import socket
import warnings
from operator import index, methodcaller
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.awaiting import thrown
from quiesce.core.future import new_future
from quiesce.net import native as calls

try:
    from ssl import SSLSocket
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    SSLSocket = None

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# What a call raises that would have to wait.
NOT_READY = (BlockingIOError, InterruptedError)
# What an attempt gives then.
NOT_YET = object()
TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)
TCP_PROTOCOLS = (0, socket.IPPROTO_TCP)
STREAM = socket.SOCK_STREAM
PlainSocket = socket.socket

# What a call does: the first three without any help from the socket's methods.
RECEIVE = 0
RECEIVE_INTO = 1
SEND_ALL = 2
CALL_TO_READ = 3
CALL_TO_WRITE = 4
WAIT_TO_WRITE = 5

NOT_BEGUN = 0
WAITING = 1
ENDED = 2


class SocketCall:
    """One call: tried by the first step, and by those after what it waited for."""

    __slots__ = (
        "argument",
        "done",
        "future",
        "kind",
        "loop",
        "name",
        "size",
        "sock",
        "stage",
        "watcher",
    )

    # What `repr` of a task and coroutine checkers show of a coroutine.
    __name__ = "sock_call"
    __qualname__ = "sock_call"

    def __await__(self) -> SocketCall:
        return self

    def __iter__(self) -> SocketCall:
        return self

    def __next__(self) -> Any:
        if self.stage == WAITING:
            self.check_woken()
        else:
            self.begin()
        came = self.attempt()
        if came is NOT_YET:
            return self.wait()
        native.stop_with(came)
        raise StopIteration

    def send(self, value: object) -> Any:  # noqa: ARG002 - a coroutine's
        """Take the next step, as a coroutine's ``send``."""
        return self.__next__()

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> None:
        """Raise where the call waits, as a coroutine's ``throw``."""
        self.close()
        try:
            raise thrown(typ, val, tb)
        finally:
            # An error's traceback keeps this frame: see "Cycles" in `core.task`.
            typ = val = None

    def close(self) -> None:
        """Give up waiting."""
        if self.stage == WAITING:
            if not self.future.get_loop().is_closed():
                # Who waits behind this call is woken by it.
                self.future.cancel()
            self.watcher.leave()
        self.stage = ENDED

    def __del__(self) -> None:
        if self.stage == NOT_BEGUN:
            warnings.warn(
                f"coroutine '{self.name}' was never awaited",
                RuntimeWarning,
                stacklevel=1,
            )

    # -- steps

    def begin(self) -> None:
        """Check what was given."""
        if self.stage == ENDED:
            raise RuntimeError("cannot reuse already awaited coroutine")
        # Until it waits: an attempt that fails is the last one.
        self.stage = ENDED
        if type(self.sock) is not PlainSocket or self.loop.get_debug():
            check_socket(self.loop, self.sock)
            self.leave_to_methods()
        argument = self.argument
        if self.kind == RECEIVE:
            self.size = index(argument)
            if self.size < 0:
                self.leave_to_methods()
        elif self.kind == SEND_ALL:
            if type(argument) is not bytes:
                self.argument = memoryview(argument).cast("B")
            self.size = len(self.argument)

    def leave_to_methods(self) -> None:
        """Use the methods of a socket that may have its own, or may complain."""
        if self.kind == RECEIVE:
            self.argument = methodcaller("recv", self.argument)
            self.kind = CALL_TO_READ
        elif self.kind == RECEIVE_INTO:
            self.argument = methodcaller("recv_into", self.argument)
            self.kind = CALL_TO_READ
        elif self.kind == SEND_ALL:
            self.argument = Sending(self.argument)
            self.kind = CALL_TO_WRITE

    def attempt(self) -> Any:
        """Make the call; return NOT_YET if it would have to wait."""
        if self.kind == RECEIVE:
            return self.receive()
        if self.kind == SEND_ALL:
            return self.send_all()
        if self.kind == RECEIVE_INTO:
            return self.receive_into()
        if self.kind == WAIT_TO_WRITE:
            return NOT_YET if self.watcher is None else None
        try:
            return self.argument(self.sock)
        except NOT_READY:
            return NOT_YET

    def receive(self) -> Any:
        """Receive once, unless it is known that nothing is there."""
        fd = self.sock.fileno()
        watcher = self.loop.fd_callbacks.known_watcher(self.sock, fd)
        if watcher is not None and not watcher.may_read and self.size > 0:
            return NOT_YET
        data = calls.receive_at_most(self.sock, fd, self.size)
        if data is None:
            return NOT_YET
        if watcher is not None:
            watcher.note_received(len(data), self.size)
        return data

    def receive_into(self) -> Any:
        """Receive once into memory, unless it is known that nothing is there."""
        fd = self.sock.fileno()
        size = len(self.argument)
        watcher = self.loop.fd_callbacks.known_watcher(self.sock, fd)
        if watcher is not None and not watcher.may_read and size > 0:
            return NOT_YET
        count = calls.receive_into(self.sock, fd, self.argument)
        if count == calls.WOULD_BLOCK:
            return NOT_YET
        if watcher is not None:
            watcher.note_received(count, size)
        return count

    def send_all(self) -> Any:
        """Send what is left, as far as the system takes it."""
        fd = self.sock.fileno()
        sent = calls.send_from(self.sock, fd, self.argument, self.done)
        if sent != calls.WOULD_BLOCK:
            self.done += sent
        return NOT_YET if self.done < self.size else None

    def wait(self) -> Any:
        """Return the future to wait in."""
        fd = self.sock.fileno()
        callbacks = self.loop.fd_callbacks
        watcher = callbacks.known_watcher(self.sock, fd)
        if watcher is None:
            watcher = callbacks.watcher_to_wait(self.sock, fd, is_tcp(self.sock))
        future = new_future(self.loop, self.loop.direct_ready)
        if self.kind in (RECEIVE, RECEIVE_INTO, CALL_TO_READ):
            watcher.wait_to_read(future)
        else:
            watcher.wait_to_write(future)
        self.watcher = watcher
        self.future = future
        self.stage = WAITING
        future._blocking = True
        return future

    def check_woken(self) -> None:
        """Raise what the wait ended with, if that is not readiness."""
        if not self.future.done():
            raise RuntimeError("await wasn't used with future")
        self.stage = ENDED
        self.watcher.leave()
        self.future.result()


class Sending:
    """A call that sends some bytes, each time what is left of them."""

    def __init__(self, data: Any) -> None:
        self.rest = memoryview(data).cast("B")

    def __call__(self, sock: socket.socket) -> None:
        """Send once; raise BlockingIOError while something is left."""
        self.rest = self.rest[sock.send(self.rest) :]
        if self.rest:
            raise BlockingIOError


def is_tcp(sock: socket.socket) -> bool:
    """Tell whether `sock` is of TCP; other streams (SCTP's) keep messages apart."""
    return (
        sock.type == STREAM
        and sock.family in TCP_FAMILIES
        and sock.proto in TCP_PROTOCOLS
    )


def accept(sock: socket.socket) -> tuple[socket.socket, Any]:
    """Accept a connection, non-blocking."""
    connection, address = sock.accept()
    connection.setblocking(False)
    return connection, address


def new_call(
    loop: Any, sock: socket.socket, kind: int, argument: Any, name: str
) -> Any:
    """Make a call that is not begun."""
    call = SocketCall.__new__(SocketCall)
    call.loop = loop
    call.sock = sock
    call.kind = kind
    call.argument = argument
    call.name = name
    call.size = 0
    call.done = 0
    call.watcher = None
    call.future = None
    call.stage = NOT_BEGUN
    return call


def has_last_words(thing: object) -> bool:
    """Tell whether there is something to report when the call is dropped."""
    call = thing
    return call.stage == NOT_BEGUN


native.finalize_only_if(SocketCall, has_last_words)
native.keep_freed(SocketCall)


def sock_recv(loop: Any, sock: socket.socket, n: int) -> Coroutine[Any, Any, bytes]:
    """Return up to `n` bytes, b"" at the end of the stream."""
    return new_call(loop, sock, RECEIVE, n, "sock_recv")


def sock_recv_into(
    loop: Any, sock: socket.socket, buf: Any
) -> Coroutine[Any, Any, int]:
    """Receive into `buf`; return how many bytes."""
    if type(buf) is bytearray:
        return new_call(loop, sock, RECEIVE_INTO, buf, "sock_recv_into")
    call = methodcaller("recv_into", buf)
    return new_call(loop, sock, CALL_TO_READ, call, "sock_recv_into")


def sock_recvfrom(
    loop: Any, sock: socket.socket, bufsize: int
) -> Coroutine[Any, Any, tuple[bytes, Any]]:
    """Return one datagram of up to `bufsize` bytes, and where it came from."""
    call = methodcaller("recvfrom", bufsize)
    return new_call(loop, sock, CALL_TO_READ, call, "sock_recvfrom")


def sock_recvfrom_into(
    loop: Any, sock: socket.socket, buf: Any, nbytes: int = 0
) -> Coroutine[Any, Any, tuple[int, Any]]:
    """Receive one datagram into `buf`; return its size, and where it came from."""
    call = methodcaller("recvfrom_into", buf, nbytes or len(buf))
    return new_call(loop, sock, CALL_TO_READ, call, "sock_recvfrom_into")


def sock_accept(
    loop: Any, sock: socket.socket
) -> Coroutine[Any, Any, tuple[socket.socket, Any]]:
    """Return a new connection, non-blocking, and the address of its other end."""
    return new_call(loop, sock, CALL_TO_READ, accept, "sock_accept")


def sock_sendall(
    loop: Any, sock: socket.socket, data: Any
) -> Coroutine[Any, Any, None]:
    """Send all of `data`, which must not change meanwhile."""
    return new_call(loop, sock, SEND_ALL, data, "sock_sendall")


def sock_sendto(
    loop: Any, sock: socket.socket, data: Any, address: Any
) -> Coroutine[Any, Any, int]:
    """Send one datagram to `address`; return how many bytes."""
    call = methodcaller("sendto", data, address)
    return new_call(loop, sock, CALL_TO_WRITE, call, "sock_sendto")


def when_writable(
    loop: Any, sock: socket.socket, call: Callable[[socket.socket], Any]
) -> Coroutine[Any, Any, Any]:
    """Return what `call` gives, as soon as it raises none of NOT_READY."""
    return new_call(loop, sock, CALL_TO_WRITE, call, "when_writable")


def change_to_writable(loop: Any, sock: socket.socket) -> Coroutine[Any, Any, None]:
    """Return when `sock`, to which nothing can be written now, can be written to."""
    return new_call(loop, sock, WAIT_TO_WRITE, None, "change_to_writable")


def check_socket(loop: Any, sock: socket.socket) -> None:
    """Refuse a TLS socket and, in debug mode, one that blocks."""
    refuse_tls_socket(sock)
    if loop.get_debug() and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


def refuse_tls_socket(sock: socket.socket) -> None:
    """Refuse a socket on which Python's own TLS would wait by itself."""
    if SSLSocket is not None and isinstance(sock, SSLSocket):
        raise TypeError("Socket cannot be of type SSLSocket")
