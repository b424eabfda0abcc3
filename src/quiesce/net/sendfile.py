"""Sending files: what `loop.sendfile` and `loop.sock_sendfile` do.

There are two ways. From a regular file to a plain socket the system copies by itself,
so that no byte comes up to Python. For all else, TLS and objects that only look like
files, blocks are read in a thread and written one after the other.

Both leave the file behind the last byte that was handed on, also after an error or a
cancellation, so that ``file.tell()`` says how far it went. Read `stream`, which waits
for room in the socket, before this.
"""

from __future__ import annotations

import asyncio
import errno
import os
from asyncio import SendfileNotAvailableError, constants
from functools import partial
from io import UnsupportedOperation
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Any

from quiesce.net.sock_calls import (
    NOT_READY,
    check_socket,
    sock_sendall,
    when_writable,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    # Waits until a call on a socket need not wait, and returns what it gives.
    Patience = Callable[["Rest"], Awaitable[int]]
    Write = Callable[[memoryview], Awaitable[None]]

Mode = constants._SendfileMode

# Bytes that one call of the system is asked to send. It takes less than 2 GiB.
NATIVE_LIMIT = 1024**3
# Bytes; a block is read into memory as a whole and encrypted without a pause.
BLOCK = 64 * 1024


async def sendfile(
    loop: Any,
    transport: Any,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool = True,
) -> int:
    """Send a binary file from `offset` on, `count` bytes or all; return how many.

    Meanwhile nothing is received. What was written before goes first; where the system
    sends, to write meanwhile raises RuntimeError. Without `fallback`, raises
    `SendfileNotAvailableError` where the system cannot send this file, and RuntimeError
    where it cannot send through this transport. Raises ConnectionError if the
    connection is lost. What was sent when the call is cancelled stays sent.
    """
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    mode = getattr(transport, "_sendfile_compatible", Mode.UNSUPPORTED)
    if mode is Mode.UNSUPPORTED:
        raise RuntimeError(f"sendfile is not supported for transport {transport!r}")
    check_arguments(file, offset, count)
    if mode is Mode.TRY_NATIVE:
        try:
            return await send_past_protocol(transport, file, offset, count)
        except SendfileNotAvailableError:
            if not fallback:
                raise
    if not fallback:
        raise RuntimeError(
            "fallback is disabled and native sendfile is not supported for transport "
            f"{transport!r}"
        )
    return await write_through(loop, transport, file, offset, count)


async def sock_sendfile(
    loop: Any,
    sock: socket.socket,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    *,
    fallback: bool | None = True,
) -> int:
    """Send a binary file from `offset` on, `count` bytes or all; return how many.

    Without `fallback`, raises `SendfileNotAvailableError` where the system cannot send
    this file. What was sent when the call is cancelled stays sent.
    """
    check_socket(loop, sock)
    check_arguments(file, offset, count)
    if sock.type != SOCK_STREAM:
        raise ValueError("only SOCK_STREAM type sockets are supported")
    try:
        rest = Rest(file, offset, count)
        return await send_rest(file, rest, partial(when_writable, loop, sock))
    except SendfileNotAvailableError:
        if not fallback:
            raise
    return await copy(loop, file, offset, count, partial(sock_sendall, loop, sock))


def check_arguments(file: Any, offset: Any, count: Any) -> None:
    """Refuse a text file, and numbers that are none or out of range."""
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if count is not None:
        refusal = f"count must be a positive integer (got {count!r})"
        if not isinstance(count, int):
            raise TypeError(refusal)
        if count <= 0:
            raise ValueError(refusal)
    refusal = f"offset must be a non-negative integer (got {offset!r})"
    if not isinstance(offset, int):
        raise TypeError(refusal)
    if offset < 0:
        raise ValueError(refusal)


# -- the system sends


class Rest:
    """What is left of a file that the system sends: a call on a socket that sends some.

    Raises `SendfileNotAvailableError` for what has no descriptor.
    """

    __slots__ = ("fd", "left", "offset", "sent")

    def __init__(self, file: Any, offset: int, count: int | None) -> None:
        if not hasattr(os, "sendfile"):
            raise SendfileNotAvailableError("sendfile syscall is not supported")
        try:
            self.fd = file.fileno()
        except (AttributeError, UnsupportedOperation) as error:
            raise SendfileNotAvailableError("not a regular file") from error
        self.offset = offset
        # Bytes; None: all there are.
        self.left = count
        self.sent = 0

    def __call__(self, sock: Any) -> int:
        """Send once; return how many bytes, 0 at the end of the file."""
        size = NATIVE_LIMIT if self.left is None else min(self.left, NATIVE_LIMIT)
        try:
            sent = os.sendfile(sock.fileno(), self.fd, self.offset, size)
        except NOT_READY:
            raise
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                # What some systems say of a connection that was closed meanwhile.
                refusal = ConnectionError("socket is not connected", errno.ENOTCONN)
                raise refusal from error
            if self.sent or isinstance(error, ConnectionError):
                raise
            # The file is one that the system cannot map.
            raise SendfileNotAvailableError("os.sendfile call failed") from error
        self.offset += sent
        self.sent += sent
        if self.left is not None:
            self.left -= sent
        return sent


async def send_rest(file: Any, rest: Rest, patience: Patience) -> int:
    """Send all of `rest` with the patience of a socket; return how many bytes."""
    try:
        while rest.left != 0 and await patience(rest):  # noqa: ASYNC110 - no waiting
            # One call may send megabytes; others have their turn.
            await asyncio.sleep(0)
    except SendfileNotAvailableError:
        # Nothing was sent, and the file may have no positions.
        raise
    except BaseException:
        move(file, rest.offset)
        raise
    move(file, rest.offset)
    return rest.sent


async def send_past_protocol(
    transport: Any, file: Any, offset: int, count: int | None
) -> int:
    """Send a file on the socket of a `SocketTransport`; return how many bytes."""
    rest = Rest(file, offset, count)
    stream = transport._stream
    stream.begin_file()
    reading = transport.is_reading()
    transport.pause_reading()
    try:
        if stream.get_write_buffer_size():
            await stream.room()
        return await send_rest(file, rest, partial(when_room, transport, stream))
    finally:
        stream.end_file()
        if reading:
            transport.resume_reading()


async def when_room(transport: Any, stream: Any, call: Rest) -> int:
    """Return what `call` gives on the transport's socket, once that takes more.

    Raises ConnectionError if the transport is closed instead; it is the end of the
    transport if the system says that the connection is lost.
    """
    sock = transport.get_extra_info("socket")
    while True:
        refuse_closing(transport)
        try:
            return call(sock)
        except NOT_READY:
            pass
        except ConnectionError as error:
            # The system says it once: who receives would be told of an ordinary end.
            stream.force_close(error)
            raise
        await stream.room()


# -- we send


async def write_through(
    loop: Any, transport: Any, file: Any, offset: int, count: int | None
) -> int:
    """Write a file block by block to any transport; return how many bytes."""
    stand_in = StandIn(loop, transport)
    try:
        sent = await copy(loop, file, offset, count, stand_in.write)
        await stand_in.room()
    finally:
        stand_in.leave()
    return sent


async def copy(
    loop: Any, file: Any, offset: int, count: int | None, write: Write
) -> int:
    """Read a file in a thread, block by block, for `write`; return how many bytes.

    What `write` gets is overwritten when it has returned.
    """
    sent = 0
    block = memoryview(bytearray(min(count or BLOCK, BLOCK)))
    move(file, offset)
    try:
        while count is None or sent < count:
            wanted = block if count is None else block[: count - sent]
            size = await loop.run_in_executor(None, file.readinto, wanted)
            if not size:
                break
            await write(block[:size])
            sent += size
    finally:
        move(file, offset + sent)
    return sent


class StandIn(asyncio.Protocol):
    """The protocol of a transport while a file is written to it.

    Entered by being made, ended by `leave`. Invariant: the protocol that it stands for
    is told of the end of the connection at once and, by `leave`, of all else that it
    missed.
    """

    def __init__(self, loop: Any, transport: Any) -> None:
        self._loop = loop
        self._transport = transport
        self._protocol = transport.get_protocol()
        if isinstance(self._protocol, StandIn):
            raise RuntimeError(  # noqa: TRY004 - as for the other way
                "unable to sendfile; sendfile is in progress"
            )
        self._reading = transport.is_reading()
        self._was_paused = transport._protocol_paused
        # Done when the transport wants more.
        self._room: Any = loop.create_future() if self._was_paused else None
        transport.pause_reading()
        transport.set_protocol(self)

    async def write(self, data: memoryview) -> None:
        """Write a copy of `data` once the transport wants more."""
        await self.room()
        refuse_closing(self._transport)
        self._transport.write(bytes(data))

    async def room(self) -> None:
        """Return once the transport wants more; raise if it is lost instead."""
        if self._room is not None:
            await self._room

    def leave(self) -> None:
        """Give the transport back."""
        transport = self._transport
        if transport.is_closing():
            # Only `connection_lost` is left to be told.
            return
        transport.set_protocol(self._protocol)
        if self._reading:
            transport.resume_reading()
        paused = transport._protocol_paused
        if paused and not self._was_paused:
            self._protocol.pause_writing()
        elif self._was_paused and not paused:
            self._protocol.resume_writing()

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - it is refused
        """Refuse what could only be lost: somebody resumed reading."""
        raise RuntimeError("Invalid state: reading should be paused")

    def eof_received(self) -> None:
        """Refuse what could only be lost: somebody resumed reading."""
        raise RuntimeError("Invalid state: reading should be paused")

    def pause_writing(self) -> None:
        """Let `write` wait."""
        if self._room is None:
            self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let `write` go on."""
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let `write` fail, and tell the protocol."""
        room = self._room
        if room is not None and not room.done():
            room.set_exception(exc or ConnectionError("Connection is closed by peer"))
            # Whoever waits may have been cancelled.
            room.exception()
        self._protocol.connection_lost(exc)


def refuse_closing(transport: Any) -> None:
    """Raise ConnectionError if `transport` was closed, by whomever."""
    if transport.is_closing():
        raise ConnectionError("Connection closed by peer")


def move(file: Any, position: int) -> None:
    """Go to `position` in `file`, unless it was closed or has no positions."""
    if not getattr(file, "closed", False) and hasattr(file, "seek"):
        file.seek(position)
