"""Plain-Python stand-ins for the socket calls that transports need in C.

Compiled modules cimport these names from ``native.pxd`` (bodies: ``native_socket.h``
and ``native_datagram.h``), so this file runs only where nothing is compiled. Both sides
take the socket object and its descriptor; the C side uses the descriptor, this one the
object. The socket must be non-blocking.
"""

# ruff: noqa: ARG001 - both sides take what either of them needs

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from contextvars import Context

# Bytes asked for in one receive.
RECEIVE_SIZE = 256 * 1024
# Chunks handed over in one send.
SEND_CHUNKS = 128
# What a call returns that would have to wait.
WOULD_BLOCK = -1


def accept(sock: socket.socket, fd: int) -> tuple[int, Any] | None:
    """Return a new connection's descriptor and its peer's address; None for nothing.

    The connection does not block, and is closed on exec. The address is None where the
    caller has to ask for it.
    """
    try:
        connection, address = sock.accept()
    except (BlockingIOError, InterruptedError):
        return None
    connection.setblocking(False)
    return connection.detach(), address


def own_address(fd: int) -> Any:
    """Return the address of this end; None where the caller has to ask for it."""
    return None


def close(fd: int) -> None:
    """Close a socket; it may be that the peer has gone already."""
    os.close(fd)


def receive(
    sock: socket.socket, fd: int, expected: int
) -> bytes | BaseException | None:
    """Return what has arrived, b"" at the end of the stream, None for nothing yet.

    At most `expected` bytes; for 0, whatever there is, up to RECEIVE_SIZE, by way of a
    buffer that is copied from. What fails is not raised but returned.
    """
    try:
        return sock.recv(expected or RECEIVE_SIZE)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError as error:
        return error


def receive_at_most(sock: socket.socket, fd: int, size: int) -> bytes | None:
    """Return up to `size` bytes, b"" at the end of the stream, None for nothing yet."""
    try:
        return sock.recv(size)
    except (BlockingIOError, InterruptedError):
        return None


def receive_into(sock: socket.socket, fd: int, buffer: Any) -> int:
    """Fill `buffer` from its beginning; return the number of bytes, or WOULD_BLOCK."""
    try:
        return sock.recv_into(buffer)
    except (BlockingIOError, InterruptedError):
        return WOULD_BLOCK


def as_bytes(data: Any) -> bytes:
    """Return bytes, copied if they lie in memory that its owner may change."""
    return bytes(data)


def size_of(data: Any) -> int:
    """Return how many bytes there are in a bytes, bytearray or memoryview object."""
    return len(data) if type(data) is bytes else memoryview(data).nbytes


def send(sock: socket.socket, fd: int, data: Any) -> int:
    """Send bytes from the beginning of `data`; return how many, or WOULD_BLOCK."""
    try:
        return sock.send(data)
    except (BlockingIOError, InterruptedError):
        return WOULD_BLOCK


def send_from(sock: socket.socket, fd: int, data: Any, offset: int) -> int:
    """Send ``data[offset:]`` from its beginning; return how much, or WOULD_BLOCK."""
    return send(sock, fd, memoryview(data)[offset:] if offset else data)


def send_chunks(
    sock: socket.socket, fd: int, chunks: list[bytes], first: int, offset: int
) -> int:
    """Send from ``chunks[first][offset:]`` on; return how much, or WOULD_BLOCK."""
    waiting = [
        memoryview(chunks[first])[offset:],
        *chunks[first + 1 : first + SEND_CHUNKS],
    ]
    try:
        return sock.sendmsg(waiting)
    except (BlockingIOError, InterruptedError):
        return WOULD_BLOCK


def receive_from(sock: socket.socket, fd: int, family: int) -> tuple[bytes, Any] | None:
    """Return one datagram and where it came from, None for nothing yet."""
    try:
        return sock.recvfrom(RECEIVE_SIZE)
    except (BlockingIOError, InterruptedError):
        return None


def send_to(sock: socket.socket, fd: int, family: int, data: Any, address: Any) -> int:
    """Send one datagram; return its size, or WOULD_BLOCK."""
    try:
        return sock.sendto(data, address)
    except (BlockingIOError, InterruptedError):
        return WOULD_BLOCK


def send_messages(
    sock: socket.socket,
    fd: int,
    family: int,
    messages: list[tuple[bytes, Any]],
    is_connected: bool,
) -> int:
    """Send from the first of `messages` on; return how many, or WOULD_BLOCK.

    Raises OSError for the first only, where that is what fails.
    """
    data, address = messages[0]
    try:
        if is_connected:
            sock.send(data)
        else:
            sock.sendto(data, address)
    except (BlockingIOError, InterruptedError):
        return WOULD_BLOCK
    return 1


def tell_in(context: Context, callback: Callable[..., Any], argument: Any) -> None:
    """Call ``callback(argument)`` inside `context`."""
    context.run(callback, argument)


def deliver_in(
    context: Context, callback: Callable[..., Any], argument: Any
) -> BaseException | None:
    """Call ``callback(argument)`` inside `context`; return what it raised, if anything.

    KeyboardInterrupt and SystemExit are not returned but come out.
    """
    try:
        context.run(callback, argument)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - the caller's to deal with
        return error
    return None


def ask_in(
    context: Context, callback: Callable[..., Any], args: tuple[Any, ...]
) -> Any:
    """Return ``callback(*args)``, called inside `context`."""
    return context.run(callback, *args)
