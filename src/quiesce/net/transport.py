"""What users hold of a connected socket: `SocketTransport`.

A real `asyncio.Transport`, which an extension type cannot be; so it hands every call on
to a `SocketStream`, which does the work. Read `stream` before this.
"""

from __future__ import annotations

import asyncio
import warnings
from asyncio import constants, trsock
from typing import TYPE_CHECKING, Any

from quiesce.net.accepted_socket import AcceptedSocket
from quiesce.net.datagram import DatagramSocket
from quiesce.net.stream import SocketStream

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable


class SocketTransport(asyncio.Transport):
    """A connected stream socket; made by `open_stream`, ended by `close` or `abort`."""

    # A server has thousands of these. The dictionary comes into being only where
    # somebody stores something in it.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_accepted",
        "_facts",
        "_fd",
        "_stream",
        "is_closing",
        "write",
    )

    # What asyncio's own start_tls() and sendfile() ask of a transport.
    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE

    def __init__(
        self,
        loop: Any,
        sock: Any,
        protocol: asyncio.BaseProtocol,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> None:
        # Not asyncio's constructor: all it does is to store what `_extra` gives.
        self._fd = sock.fileno()
        self._facts: dict[str, Any] | None = None
        self._accepted: AcceptedSocket | None = None
        if server is None:
            refuse_descriptor_in_use(loop, sock)
            self._facts = socket_facts(sock, extra)
        else:
            self._accepted = sock
        stream = self._stream = SocketStream(loop, sock, protocol, self, server)
        # What programs call for each message is the stream's own method: a Python
        # function around it would cost more than it does.
        self.write: Any = stream.write
        self.is_closing: Any = stream.is_closing
        if server is not None:
            server._attach(self)

    def __repr__(self) -> str:
        stream = self._stream
        state = ""
        if stream.is_closed():
            state = " closed"
        elif stream.is_closing():
            state = " closing"
        reading = "polling" if stream.is_reading() else "idle"
        waiting = stream.get_write_buffer_size()
        writing = "polling" if waiting else "idle"
        return (
            f"<{type(self).__name__}{state} fd={self._fd} read={reading} "
            f"write=<{writing}, bufsize={waiting}>>"
        )

    def __del__(self) -> None:
        # A constructor that failed has left no stream.
        stream = getattr(self, "_stream", None)
        if stream is not None and not stream.is_closed():
            warnings.warn(
                f"unclosed transport {self!r}",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
            stream.abandon()

    @property
    def _extra(self) -> dict[str, Any]:
        """What `get_extra_info` tells; of an accepted connection, made when asked."""
        if self._facts is None:
            accepted: Any = self._accepted
            known = {"peername": accepted.getpeername()}
            self._facts = socket_facts(accepted, known)
        return self._facts

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._stream.set_protocol(protocol)

    def get_protocol(self) -> Any:
        """Return the protocol; None once the connection is lost."""
        return self._stream.get_protocol()

    def close(self) -> None:
        """Receive nothing more, send what waits, then close; harmless if repeated.

        The protocol's ``connection_lost`` follows, in a later iteration.
        """
        self._stream.close()

    def abort(self) -> None:
        """Drop what waits to be sent, and close; harmless if repeated."""
        self._stream.force_close(None)

    def _force_close(self, exc: BaseException | None) -> None:
        """Close as `abort` does, with a reason: asyncio's TLS asks for it."""
        self._stream.force_close(exc)

    def is_reading(self) -> bool:
        """Tell whether the protocol is given what arrives."""
        return self._stream.is_reading()

    def pause_reading(self) -> None:
        """Leave what arrives in the system's buffer; harmless if repeated."""
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        """Give the protocol what arrives again; harmless if repeated."""
        self._stream.resume_reading()

    def writelines(
        self, list_of_data: Iterable[bytes | bytearray | memoryview]
    ) -> None:
        """Send all of `list_of_data`, as `write` does."""
        self._stream.writelines(list_of_data)

    def can_write_eof(self) -> bool:
        """Tell that one direction can be closed."""
        return True

    def write_eof(self) -> None:
        """Tell the peer, once all is sent, that no more comes; go on receiving."""
        self._stream.write_eof()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._stream.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._stream.get_write_buffer_limits()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set at how many waiting bytes the protocol is paused, and resumed.

        Raises ValueError unless ``high >= low >= 0``; what is None follows from the
        other.
        """
        self._stream.set_write_buffer_limits(high, low)

    @property
    def _paused(self) -> bool:
        """Whether the user has paused reading."""
        return not (self._stream.is_reading() or self._stream.is_closing())

    @property
    def _protocol_paused(self) -> bool:
        """Whether the protocol was told to write no more for now."""
        return self._stream.is_writing_paused()


def open_stream(
    loop: Any,
    sock: Any,
    protocol: asyncio.BaseProtocol,
    waiter: Any = None,
    extra: dict[str, Any] | None = None,
    server: Any = None,
) -> SocketTransport:
    """Return a transport for `sock`, connected and non-blocking, which it then owns.

    The protocol's ``connection_made`` is called in the next iteration, then `waiter`, a
    future, gets its result.
    """
    transport = SocketTransport(loop, sock, protocol, extra, server)
    transport._stream.begin(waiter)
    return transport


def socket_facts(sock: Any, extra: dict[str, Any] | None) -> dict[str, Any]:
    """Return what `get_extra_info` tells; it may outlive the socket."""
    facts = {} if extra is None else dict(extra)
    plain = sock.made() if isinstance(sock, AcceptedSocket) else sock
    facts["socket"] = trsock.TransportSocket(plain)
    try:
        facts["sockname"] = sock.getsockname()
    except OSError:
        facts["sockname"] = None
    if "peername" not in facts:
        try:
            facts["peername"] = sock.getpeername()
        except OSError:
            facts["peername"] = None
    return facts


def refuse_descriptor_in_use(loop: Any, sock: socket.socket) -> None:
    """Refuse a second transport on one descriptor."""
    user = loop.poller.watcher_of(sock.fileno())
    if isinstance(user, (SocketStream, DatagramSocket)):
        raise RuntimeError(  # noqa: TRY004 - as asyncio
            f"File descriptor {sock!r} is used by transport {user!r}"
        )
