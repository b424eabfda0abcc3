"""What ``ssl=`` asks for when a connection is opened.

``quiesce.net`` opens transports with whatever opener it is given and knows nothing of
TLS. Those made here put a TLS transport on top of the plain one; the errors for
arguments that do not go together are asyncio's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.net.transport import open_stream

if TYPE_CHECKING:
    import socket
    import ssl

    from quiesce.net.connect import Opener


class TlsOpener:
    """Opens the TLS transport of one connected socket after the other.

    The transport is there at once; its protocol's ``connection_made`` is called, and
    the waiter woken, when the handshake is done.
    """

    needs_handshake = True

    def __init__(
        self,
        context: Any,
        *,
        server_side: bool,
        server_hostname: str | None,
        handshake_timeout: Any,
        shutdown_timeout: Any,
    ) -> None:
        # Few programs speak TLS; those that do have all of it from here on.
        from quiesce.tls.transport import SSLTransport

        self._transport_type = SSLTransport
        self._context = context
        self._server_side = server_side
        self._server_hostname = server_hostname
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout

    def __call__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> Any:
        """Return the TLS transport for `sock`, which it then owns."""
        transport = self._transport_type(
            loop,
            protocol,
            self._context,
            waiter,
            server_side=self._server_side,
            server_hostname=self._server_hostname,
            handshake_timeout=self._handshake_timeout,
            shutdown_timeout=self._shutdown_timeout,
        )
        records: Any = transport._ssl_protocol
        open_stream(loop, sock, records, None, extra, server)
        return transport


def client_opener(
    ssl: ssl.SSLContext | bool | None,
    host: str | None,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Opener:
    """Return the opener for the client side of `ssl`: none, the default, a context.

    Without a `server_hostname` the certificate must be `host`'s; an empty one accepts
    any.
    """
    if server_hostname is not None and not ssl:
        raise ValueError("server_hostname is only meaningful with ssl")
    if server_hostname is None and ssl:
        if not host:
            raise ValueError(
                "You must set server_hostname when using ssl without a host"
            )
        server_hostname = host
    refuse_timeouts_without_tls(ssl, handshake_timeout, shutdown_timeout)
    if not ssl:
        return open_stream
    return TlsOpener(
        None if isinstance(ssl, bool) else ssl,
        server_side=False,
        server_hostname=server_hostname,
        handshake_timeout=handshake_timeout,
        shutdown_timeout=shutdown_timeout,
    )


def unix_client_opener(
    ssl: ssl.SSLContext | bool | None,
    server_hostname: str | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Opener:
    """Return the opener for the client side at a path, which is no host's name."""
    if ssl and server_hostname is None:
        raise ValueError("you have to pass server_hostname when using ssl")
    return client_opener(
        ssl, None, server_hostname, handshake_timeout, shutdown_timeout
    )


def server_opener(
    ssl: Any,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Opener:
    """Return the opener for connections that a server accepts."""
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    return accepted_opener(ssl, handshake_timeout, shutdown_timeout)


def accepted_opener(
    ssl: ssl.SSLContext | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Opener:
    """Return the opener for one connection that was accepted elsewhere."""
    refuse_timeouts_without_tls(ssl, handshake_timeout, shutdown_timeout)
    if not ssl:
        return open_stream
    return TlsOpener(
        ssl,
        server_side=True,
        server_hostname=None,
        handshake_timeout=handshake_timeout,
        shutdown_timeout=shutdown_timeout,
    )


def refuse_timeouts_without_tls(
    ssl: object, handshake_timeout: float | None, shutdown_timeout: float | None
) -> None:
    """Refuse time limits for what will not happen."""
    if handshake_timeout is not None and not ssl:
        raise ValueError("ssl_handshake_timeout is only meaningful with ssl")
    if shutdown_timeout is not None and not ssl:
        raise ValueError("ssl_shutdown_timeout is only meaningful with ssl")
