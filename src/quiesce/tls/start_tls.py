"""Turning a live connection into one that speaks TLS: what `loop.start_tls` does."""

from __future__ import annotations

import asyncio
from asyncio import StreamReaderProtocol
from typing import Any

from quiesce.tls.transport import SSLTransport

try:
    import ssl
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    ssl = None


async def start_tls(
    loop: Any,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    sslcontext: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: Any = None,
    ssl_shutdown_timeout: Any = None,
) -> Any:
    """Return the transport that `protocol` must use from now on, after the handshake.

    `transport` carries the records below it. Where the handshake fails or is cancelled,
    it is closed. Raises TypeError where either cannot speak TLS.
    """
    if ssl is None:
        raise RuntimeError("Python ssl module is not available")
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(
            "sslcontext is expected to be an instance of ssl.SSLContext, "
            f"got {sslcontext!r}"
        )
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    waiter = loop.create_future()
    secure = SSLTransport(
        loop,
        protocol,
        sslcontext,
        waiter,
        server_side=server_side,
        server_hostname=server_hostname,
        handshake_timeout=ssl_handshake_timeout,
        shutdown_timeout=ssl_shutdown_timeout,
        is_told=True,
    )
    records = secure._ssl_protocol
    # Order matters: nothing may arrive before the records' own connection_made().
    transport.pause_reading()
    if server_side:
        hand_over_what_was_read(protocol, records)
    transport.set_protocol(records)
    begin = loop.call_soon(records.connection_made, transport)
    resume = loop.call_soon(transport.resume_reading)
    try:
        await waiter
    except BaseException:
        transport.close()
        begin.cancel()
        resume.cancel()
        raise
    return secure


def hand_over_what_was_read(protocol: Any, records: Any) -> None:
    """Let the records have what a stream has read too early: the client's greeting.

    On the client's side it stays: what a server sends before TLS begins is not
    protected and must not be taken for what follows.
    """
    stream: Any = protocol
    if not isinstance(protocol, StreamReaderProtocol) or stream._stream_reader is None:
        return
    early = stream._stream_reader._buffer
    if early:
        records.receive_early(early)
        early.clear()
