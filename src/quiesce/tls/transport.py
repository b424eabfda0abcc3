"""What users hold of a TLS connection: `SSLTransport`.

A real `asyncio.Transport`, which an extension type cannot be; so it hands every call on
to a `TlsStream`, which does the work and is the protocol of the transport below. Read
`stream` before this.
"""

from __future__ import annotations

import asyncio
import warnings
from asyncio import constants
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quiesce.tls.engine import ROOM, TlsEngine
from quiesce.tls.stream import TlsStream

try:
    import ssl
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    ssl = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What each loop's connections decrypt into, one after the other. Not for all loops:
# OpenSSL lets other threads run while it fills this.
rooms: WeakKeyDictionary[Any, bytearray] = WeakKeyDictionary()

# What `get_extra_info` asks OpenSSL for, once the handshake is done.
FACTS: dict[str, Callable[[Any], Any]] = {
    "ssl_object": lambda ssl_object: ssl_object,
    "peercert": lambda ssl_object: ssl_object.getpeercert(),
    "cipher": lambda ssl_object: ssl_object.cipher(),
    "compression": lambda ssl_object: ssl_object.compression(),
}


# Not TLS: programs look for "ssl" in the name of a transport's class.
class SSLTransport(asyncio.Transport):
    """A TLS connection over another transport; ended by `close` or `abort`."""

    # What asyncio's own start_tls() and sendfile() ask of a transport.
    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK

    def __init__(
        self,
        loop: Any,
        protocol: asyncio.BaseProtocol,
        context: Any,
        waiter: Any,
        *,
        server_side: bool,
        server_hostname: str | None,
        handshake_timeout: float | None,
        shutdown_timeout: float | None,
        is_told: bool = False,
    ) -> None:
        """Be the transport of `protocol`, once `_ssl_protocol` has one below it.

        `waiter` is woken when the handshake is done. With `is_told` the protocol knows
        that it has a connection, and ``connection_made`` is not called.
        """
        super().__init__()
        handshake_timeout = positive(
            "ssl_handshake_timeout", handshake_timeout, constants.SSL_HANDSHAKE_TIMEOUT
        )
        shutdown_timeout = positive(
            "ssl_shutdown_timeout", shutdown_timeout, constants.SSL_SHUTDOWN_TIMEOUT
        )
        if not context:
            context = default_context(server_side, server_hostname)
        self._context = context
        engine = TlsEngine(
            context,
            room_of(loop),
            server_side,
            None if server_side else server_hostname or None,
        )
        # Named as asyncio's is, because programs look for it.
        self._ssl_protocol = TlsStream(
            loop,
            protocol,
            engine,
            self,
            waiter,
            is_told,
            handshake_timeout,
            shutdown_timeout,
        )

    def __repr__(self) -> str:
        stream = self._ssl_protocol
        state = " closing" if stream.is_closing() else ""
        waiting = stream.get_write_buffer_size()
        carrier = stream.get_carrier()
        return f"<{type(self).__name__}{state} bufsize={waiting} over {carrier!r}>"

    def __del__(self) -> None:
        # A constructor that failed has left no stream.
        stream = getattr(self, "_ssl_protocol", None)
        if stream is not None and stream.is_unclosed():
            warnings.warn(
                f"unclosed transport {self!r}",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection, of its TLS or of the one below.

        "ssl_object", "peercert", "cipher" and "compression" are known when the
        handshake is done, "sslcontext" always.
        """
        if name == "sslcontext":
            return self._context
        if name in FACTS:
            ssl_object = self._ssl_protocol.ssl_object()
            if ssl_object is not None:
                return FACTS[name](ssl_object)
        carrier = self._ssl_protocol.get_carrier()
        if carrier is None:
            return default
        return carrier.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._ssl_protocol.set_protocol(protocol)

    def get_protocol(self) -> Any:
        """Return the protocol; None once the connection is lost."""
        return self._ssl_protocol.get_protocol()

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._ssl_protocol.is_closing()

    def close(self) -> None:
        """Receive nothing more, send what waits, then close; harmless if repeated.

        The peer is told by a close_notify and may take the shutdown time-out to end its
        side. The protocol's ``connection_lost`` follows, with a TimeoutError if the
        peer took longer.
        """
        self._ssl_protocol.close()

    def abort(self) -> None:
        """Drop what waits to be sent, and close; harmless if repeated."""
        self._ssl_protocol.force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        """Close as `abort` does, with a reason: TLS over TLS asks for it."""
        self._ssl_protocol.force_close(exc)

    def is_reading(self) -> bool:
        """Tell whether the protocol is given what arrives."""
        return self._ssl_protocol.is_reading()

    def pause_reading(self) -> None:
        """Leave what arrives with the transport below; harmless if repeated."""
        self._ssl_protocol.pause_reading()

    def resume_reading(self) -> None:
        """Give the protocol what arrives again; harmless if repeated."""
        self._ssl_protocol.resume_reading()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`, or keep a copy of what cannot be sent now.

        Not thread-safe. Raises TypeError for what is not bytes-like. After `close` or
        the loss of the connection, it does nothing.
        """
        self._ssl_protocol.write(data)

    def writelines(
        self, list_of_data: Iterable[bytes | bytearray | memoryview]
    ) -> None:
        """Send all of `list_of_data`, as `write` does."""
        self._ssl_protocol.writelines(list_of_data)

    def can_write_eof(self) -> bool:
        """Tell that one direction cannot be closed: asyncio's TLS knows no half."""
        return False

    def write_eof(self) -> None:
        """Raise NotImplementedError: see `can_write_eof`."""
        raise NotImplementedError

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._ssl_protocol.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._ssl_protocol.get_write_buffer_limits()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set at how many waiting bytes the protocol is paused, and resumed.

        Raises ValueError unless ``high >= low >= 0``; what is None follows from the
        other.
        """
        self._ssl_protocol.set_write_buffer_limits(high, low)

    @property
    def _protocol_paused(self) -> bool:
        """Whether the protocol was told to write no more for now."""
        return self._ssl_protocol.is_writing_paused()


def positive(name: str, seconds: float | None, default: float) -> float:
    """Return `seconds`, or `default` for None; raise ValueError unless positive."""
    if seconds is None:
        return default
    if seconds <= 0:
        raise ValueError(f"{name} should be a positive number, got {seconds}")
    return seconds


def default_context(server_side: bool, server_hostname: str | None) -> Any:
    """Return the context that ``ssl=True`` asks for."""
    if ssl is None:
        raise RuntimeError("Python ssl module is not available")
    if server_side:
        raise ValueError("Server side SSL needs a valid SSLContext")
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context


def room_of(loop: Any) -> bytearray:
    """Return the memory that the connections of `loop` decrypt into."""
    room = rooms.get(loop)
    if room is None:
        room = rooms[loop] = bytearray(ROOM)
    return room
