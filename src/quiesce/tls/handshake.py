"""The handshake of a TLS connection, from its carrier's beginning to its own."""

from __future__ import annotations

from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.net.transport import SocketTransport
from quiesce.tls import states
from quiesce.tls.engine import CERTIFICATE_ERRORS

if TYPE_CHECKING:
    from quiesce.tls.stream import TlsStream


def begin(stream: TlsStream, carrier: Any) -> None:
    """Begin the handshake over `carrier`."""
    if stream._state == states.LOST:
        carrier.abort()
        return
    stream._carrier = carrier
    if type(carrier) is SocketTransport:
        stream._socket = carrier._stream
    stream.limit_carrier()
    stream._state = states.HANDSHAKE
    if stream._loop.get_debug():
        logger.debug("%r starts SSL handshake", stream)
        stream._started_at = stream._loop.time()
    stream._timer = stream._loop.call_later(
        stream._handshake_timeout, give_up_waiting, stream
    )
    shake_hands(stream)


def shake_hands(stream: TlsStream) -> None:
    """Go on with the handshake, with what has arrived."""
    try:
        done = stream._engine.handshake()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever OpenSSL says
        fail(stream, error)
        return
    stream.flush()
    if done and stream._state == states.HANDSHAKE:
        succeed(stream)


def succeed(stream: TlsStream) -> None:
    """Tell the protocol and who waits, and give what came with the handshake."""
    stream._state = states.OPEN
    stream._is_secure = True
    stop_timer(stream)
    if stream._paused:
        stream._carrier.pause_reading()
    if stream._loop.get_debug():
        took = (stream._loop.time() - stream._started_at) * 1e3
        logger.debug("%r: SSL handshake took %.1f ms", stream, took)
    if not stream._is_told:
        stream._is_told = True
        stream.ask(stream._protocol.connection_made, (stream._transport,))
    wake_waiter(stream, None)
    stream.resume_delivery()


def fail(stream: TlsStream, error: BaseException) -> None:
    """Give the connection up before it began."""
    message = "SSL handshake failed"
    if isinstance(error, CERTIFICATE_ERRORS):
        message = "SSL handshake failed on verifying the certificate"
    stream.fatal(error, message)
    wake_waiter(stream, error)


def give_up_waiting(stream: TlsStream) -> None:
    """Give the connection up: the peer takes too long."""
    if stream._state == states.HANDSHAKE:
        text = (
            "SSL handshake is taking longer than "
            f"{stream._handshake_timeout} seconds: aborting the connection"
        )
        stream.fatal(ConnectionAbortedError(text), "SSL handshake failed")


def wake_waiter(stream: TlsStream, error: BaseException | None) -> None:
    """Tell who waits for the handshake how it ended."""
    waiter, stream._waiter = stream._waiter, None
    if waiter is None or waiter.done():
        return
    if error is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(error)


def stop_timer(stream: TlsStream) -> None:
    """Forget the limit on what is over now."""
    if stream._timer is not None:
        stream._timer.cancel()
        stream._timer = None
