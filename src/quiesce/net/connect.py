"""Making connections: what `loop.create_connection` does, for whatever runs on top.

An `Opener` makes the transport of a connected socket; `transport.open_stream` is one,
and ``quiesce.tls`` has others. Addresses are tried in order, or raced (RFC 8305).
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from quiesce.net.resolve import ensure_resolved
from quiesce.net.sock_calls import refuse_tls_socket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from quiesce.net.resolve import AddressInfo

    ProtocolFactory = Callable[[], asyncio.BaseProtocol]
    # Takes loop, socket, protocol, waiter, extra info and server; gives a transport.
    Opener = Callable[..., asyncio.BaseTransport]
    # Connects one socket, or raises OSError.
    Attempt = Callable[[], Awaitable[socket.socket]]


async def create_connection(
    loop: Any,
    protocol_factory: ProtocolFactory,
    host: str | None,
    port: Any,
    *,
    opener: Opener,
    family: int = 0,
    proto: int = 0,
    flags: int = 0,
    sock: socket.socket | None = None,
    local_addr: tuple[str, int] | None = None,
    happy_eyeballs_delay: float | None = None,
    interleave: int | None = None,
    all_errors: bool = False,
) -> tuple[Any, Any]:
    """Return a transport to `host` and `port`, or over `sock`, and its protocol.

    `happy_eyeballs_delay` seconds after an attempt the next address is tried beside it;
    without, after it failed. Raises OSError if no address can be reached, with
    `all_errors` an ExceptionGroup of what each attempt raised. Cancelling ends all
    attempts.
    """
    if sock is not None:
        refuse_tls_socket(sock)
    if host is None and port is None:
        return await adopt(loop, protocol_factory, stream_socket(sock), opener)
    if sock is not None:
        raise ValueError("host/port and sock can not be specified at the same time")
    asked = {"family": family, "proto": proto, "flags": flags}
    targets = await ensure_resolved(loop, (host, port), **asked)
    sources = None
    if local_addr is not None:
        sources = await ensure_resolved(loop, local_addr, **asked)
    if interleave is None:
        interleave = 0 if happy_eyeballs_delay is None else 1
    if interleave:
        targets = interleaved(targets, interleave)
    errors: list[OSError] = []
    attempts = [
        partial(connect_to, loop, target, sources, errors) for target in targets
    ]
    try:
        if happy_eyeballs_delay is None:
            connected = await first_of(attempts, errors)
        else:
            connected = await race(loop, attempts, happy_eyeballs_delay, errors)
        if connected is None:
            raise unreachable(errors, all_errors)
    finally:
        # The tracebacks of these errors hold frames that hold this list.
        errors.clear()
    return await adopt(loop, protocol_factory, connected, opener)


def stream_socket(sock: socket.socket | None) -> socket.socket:
    """Refuse what is no stream socket."""
    if sock is None:
        raise ValueError("host and port was not specified and no sock specified")
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    return sock


async def adopt(
    loop: Any,
    protocol_factory: ProtocolFactory,
    sock: socket.socket,
    opener: Opener,
) -> tuple[Any, Any]:
    """Return a transport that owns `sock`, which is connected, and its protocol.

    Returns once the protocol's ``connection_made`` was called. A transport that fails
    to open, or whose opening is cancelled, is closed; so is a socket for which there
    comes to be no protocol or no transport.
    """
    try:
        sock.setblocking(False)
        protocol = protocol_factory()
        waiter = loop.create_future()
        transport = opener(loop, sock, protocol, waiter)
    except BaseException:
        sock.close()
        raise
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol


async def connect_to(
    loop: Any,
    target: AddressInfo,
    sources: Sequence[AddressInfo] | None,
    errors: list[OSError],
) -> socket.socket:
    """Return a socket connected to `target` from one of `sources`, or raise OSError.

    Why others of `sources` could not be had is added to `errors`.
    """
    family, type_, proto, _, address = target
    sock = socket.socket(family, type_, proto)
    try:
        sock.setblocking(False)
        if sources is not None:
            bind_to_one(sock, family, sources, errors)
        await loop.sock_connect(sock, address)
    except BaseException:
        with suppress(OSError):
            sock.close()
        raise
    return sock


def bind_to_one(
    sock: socket.socket,
    family: int,
    sources: Sequence[AddressInfo],
    errors: list[OSError],
) -> None:
    """Bind to the first local address of this family that can be had.

    Why others cannot is added to `errors`, or raised if it is the last one.
    """
    refusals: list[OSError] = []
    try:
        for source_family, _, _, _, place in sources:
            if source_family != family:
                continue
            try:
                sock.bind(place)
            except OSError as error:
                reason = str(error).lower()
                message = (
                    f"error while attempting to bind on address {place!r}: {reason}"
                )
                refusals.append(OSError(error.errno, message))
            else:
                return
        if not refusals:
            raise OSError(f"no matching local address with {family=} found")
        raise refusals.pop()
    finally:
        errors += refusals


def interleaved(
    addresses: Sequence[AddressInfo], first_family_count: int
) -> list[AddressInfo]:
    """Return `addresses` with their families alternating.

    Of the first family, `first_family_count` addresses come before the next one's.
    """
    families: dict[int, list[AddressInfo]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    queues = list(families.values())
    head = queues[0][: first_family_count - 1]
    queues[0] = queues[0][first_family_count - 1 :]
    rounds = itertools.zip_longest(*queues)
    tail = [address for each in rounds for address in each if address is not None]
    return head + tail


async def first_of(
    attempts: Sequence[Attempt], errors: list[OSError]
) -> socket.socket | None:
    """Return the socket of the first attempt that succeeds, None if all fail.

    One attempt is made after the other; why one failed is added to `errors`.
    """
    for attempt in attempts:
        try:
            return await attempt()
        except OSError as error:
            errors.append(error)
    return None


async def race(
    loop: Any, attempts: Sequence[Attempt], delay: float, errors: list[OSError]
) -> socket.socket | None:
    """Return the first socket to be connected, None if there is none.

    The next attempt starts after `delay`, or at once where one before it fails; why it
    failed is added to `errors`. The losers are cancelled and awaited, and a socket that
    one of them has connected all the same is closed.
    """
    waiting = deque(attempts)
    running: set[asyncio.Task[socket.socket]] = set()
    winner = None
    try:
        while winner is None and (waiting or running):
            if waiting:
                running.add(loop.create_task(waiting.popleft()()))
            done, _ = await asyncio.wait(
                running,
                timeout=delay if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                error = task.exception()
                if isinstance(error, OSError):
                    errors.append(error)
                    running.discard(task)
                elif winner is None:
                    # Raises here what is no matter of the network.
                    winner = task.result()
                    running.discard(task)
    finally:
        await end_attempts(running)
    return winner


async def end_attempts(tasks: set[asyncio.Task[socket.socket]]) -> None:
    """Cancel attempts and close what they connect before they notice."""
    for task in tasks:
        task.cancel()
    for sock in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(sock, BaseException):
            sock.close()


def unreachable(errors: list[OSError], all_errors: bool) -> BaseException:
    """Return what to raise where every address failed."""
    if all_errors:
        return ExceptionGroup("create_connection failed", errors)
    texts = [str(error) for error in errors]
    if all(text == texts[0] for text in texts):
        return errors[0]
    return OSError(f"Multiple exceptions: {', '.join(texts)}")
