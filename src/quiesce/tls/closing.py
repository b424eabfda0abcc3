"""How a TLS connection ends: politely, within its time, or at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiesce.tls import handshake, states

if TYPE_CHECKING:
    from quiesce.tls.stream import TlsStream


def close(stream: TlsStream) -> None:
    """Give the protocol nothing more, send what waits, say so, then finish."""
    if stream._state >= states.CLOSING:
        return
    if stream._state != states.OPEN:
        stream.force_close(None)
        return
    stream._state = states.CLOSING
    stream._engine.close()
    if stream._paused:
        # The peer's answer must be heard.
        stream._carrier.resume_reading()
    limit_shutdown(stream)
    go_on_closing(stream)


def go_on_closing(stream: TlsStream) -> None:
    """Look for the peer's end in what has arrived, and send what is left."""
    try:
        stream._engine.discard()
    except Exception as error:  # noqa: BLE001 - whatever OpenSSL says
        stream.fatal(error, "Fatal error on SSL protocol")
        return
    stream.flush()


def leave(stream: TlsStream) -> None:
    """Close the carrier, which sends what it has; `connection_lost` follows."""
    stream._state = states.LOST
    stream._carrier.close()


def limit_shutdown(stream: TlsStream) -> None:
    """Begin to count the time that the end may take."""
    handshake.stop_timer(stream)
    stream._sent_before = stream.get_write_buffer_size()
    stream._timer = stream._loop.call_later(
        stream._shutdown_timeout, shutdown_timed_out, stream
    )


def shutdown_timed_out(stream: TlsStream) -> None:
    """Give the connection up, unless bytes still go out to a slow peer."""
    left = stream.get_write_buffer_size()
    if 0 < left < stream._sent_before:
        limit_shutdown(stream)
        return
    force_carrier(stream, TimeoutError("SSL shutdown timed out"))


def force_carrier(stream: TlsStream, error: BaseException | None) -> None:
    """Enter *lost* and let the carrier drop what it has."""
    stream._state = states.LOST
    handshake.stop_timer(stream)
    stream._engine.drop()
    if stream._error is None:
        stream._error = error
    carrier = stream._carrier
    if carrier is None:
        handshake.wake_waiter(
            stream, ConnectionAbortedError("the connection was closed")
        )
    elif hasattr(carrier, "_force_close"):
        carrier._force_close(error)
    else:
        carrier.abort()


def give_up(stream: TlsStream, error: BaseException) -> None:
    """End because of `error`, and tell the peer why where that is possible."""
    alert = stream._engine.alert()
    if alert and not stream._may_not_send:
        # The peer is told why; what the carrier still has goes first.
        stream._state = states.LOST
        stream._error = error
        stream._engine.drop()
        stream.carry(alert)
        limit_shutdown(stream)
        stream._carrier.close()
    else:
        force_carrier(stream, error)
