"""Datagram sockets as transports; `endpoint` makes them.

A `DatagramTransport` sends and receives whole messages, of UDP or of this machine's own
sockets. An error concerns one message, not the transport: the protocol hears of it in
``error_received``.
"""

from __future__ import annotations

import asyncio
import warnings
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES
from asyncio.log import logger
from collections import deque
from typing import TYPE_CHECKING, Any

from quiesce.net.flow_control import FlowControl
from quiesce.net.transport import refuse_descriptor_in_use, socket_facts
from quiesce.net.write_buffer import refuse_what_is_no_bytes

if TYPE_CHECKING:
    import socket

# Bytes; no message is longer.
RECEIVE_SIZE = 256 * 1024
# What a waiting message counts beside its bytes, so that empty ones count too.
HEADER_SIZE = 8
# Errors by which a send says that it would have to wait.
NOT_READY = (BlockingIOError, InterruptedError)


# asyncio's own is both, and programs ask for either.
class DatagramTransport(asyncio.DatagramTransport, asyncio.Transport):
    """A datagram socket; ended by `close` or `abort`."""

    # None once finished.
    _sock: Any = None

    def __init__(
        self, loop: Any, sock: socket.socket, protocol: Any, address: Any, waiter: Any
    ) -> None:
        super().__init__(socket_facts(sock, None))
        refuse_descriptor_in_use(loop, sock)
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._protocol: Any = protocol
        self._address = address
        # The name of an unnamed socket of this machine is empty, but a name.
        self._is_connected = self.get_extra_info("peername") is not None
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._size = 0
        self._flow = FlowControl(loop, self)
        self._closing = False
        self._lost = False
        self._lost_writes = 0
        loop.call_soon(self._start, waiter)

    def __repr__(self) -> str:
        state = " closed" if self._sock is None else " closing" if self._closing else ""
        return f"<{type(self).__name__}{state} fd={self._fd} bufsize={self._size}>"

    def __del__(self) -> None:
        if self._sock is not None:
            warnings.warn(
                f"unclosed transport {self!r}",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
            self._sock.close()

    def _start(self, waiter: Any) -> None:
        """Tell the protocol, then begin to receive, then wake `waiter`."""
        try:
            self._protocol.connection_made(self)
        finally:
            if not self._closing:
                self._loop.add_reader(self._fd, self._receive)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def _receive(self) -> None:
        """Give the protocol one message."""
        if self._lost:
            return
        try:
            data, address = self._sock.recvfrom(RECEIVE_SIZE)
        except NOT_READY:
            pass
        except OSError as error:
            self._protocol.error_received(error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an address can be unreadable
            self._fatal(error, "Fatal read error on datagram transport")
        else:
            self._protocol.datagram_received(data, address)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send one message, or keep a copy of it until the system takes it.

        Raises TypeError for what is not bytes-like, and ValueError for another address
        than that of the endpoint, if it has one.
        """
        refuse_what_is_no_bytes(data)
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._lost:
            if self._address and self._lost_writes >= LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            self._lost_writes += 1
            return
        if self._waiting or not self._send(data, addr):
            if not self._waiting:
                self._loop.add_writer(self._fd, self._send_waiting)
            self._waiting.append((bytes(data), addr))
            self._size += len(data) + HEADER_SIZE
            self._flow.note_more(self._size)

    def _send(self, data: Any, address: Any) -> bool:
        """Send one message; return False if that would have to wait."""
        try:
            if self._is_connected:
                self._sock.send(data)
            else:
                self._sock.sendto(data, address)
        except NOT_READY:
            return False
        except OSError as error:
            self._protocol.error_received(error)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an address can be anything
            self._fatal(error, "Fatal write error on datagram transport")
        return True

    def _send_waiting(self) -> None:
        """Send the messages that wait."""
        while self._waiting and self._send(*self._waiting[0]):
            # A fatal error has dropped them all.
            if self._waiting:
                data, _ = self._waiting.popleft()
                self._size -= len(data) + HEADER_SIZE
        if self._lost:
            return
        self._flow.note_less(self._size)
        if not self._waiting:
            self._loop.remove_writer(self._fd)
            if self._closing:
                self._lose(None)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol; None once closed."""
        return self._protocol

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._closing

    def close(self) -> None:
        """Receive nothing more, send what waits, then close; harmless if repeated."""
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._fd)
        if not self._waiting:
            self._lose(None)

    def abort(self) -> None:
        """Drop what waits, and close; harmless if repeated."""
        self._lose(None)

    def _fatal(self, error: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self,
                "protocol": self._protocol,
            }
        )
        self._lose(error)

    def _lose(self, error: BaseException | None) -> None:
        """Drop what waits, and queue the end."""
        if self._lost:
            return
        self._lost = self._closing = True
        self._waiting.clear()
        self._size = 0
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._loop.call_soon(self._finish, error)

    def _finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and close the socket."""
        protocol, sock = self._protocol, self._sock
        self._protocol = self._sock = None
        try:
            protocol.connection_lost(error)
        finally:
            sock.close()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent, some for each message's header."""
        return self._size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._flow.low, self._flow.high

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set at how many waiting bytes the protocol is paused, and resumed.

        Raises ValueError unless ``high >= low >= 0``; what is None follows from the
        other.
        """
        self._flow.set_limits(high, low)
        self._flow.note_more(self._size)
