"""What users hold of a datagram socket: `DatagramTransport`; `endpoint` makes them.

A real `asyncio.DatagramTransport`, which an extension type cannot be; so it hands every
call on to a `DatagramSocket`, which does the work. Read `datagram` before this.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

from quiesce.net.datagram import DatagramSocket
from quiesce.net.transport import refuse_descriptor_in_use, socket_facts

if TYPE_CHECKING:
    import socket


# asyncio's own is both, and programs ask for either.
class DatagramTransport(asyncio.DatagramTransport, asyncio.Transport):
    """A datagram socket; made by `open_datagrams`, ended by `close` or `abort`."""

    def __init__(
        self, loop: Any, sock: socket.socket, protocol: Any, remote: Any
    ) -> None:
        super().__init__(socket_facts(sock, None))
        refuse_descriptor_in_use(loop, sock)
        self._fd = sock.fileno()
        # The name of an unnamed socket of this machine is empty, but a name.
        is_connected = self.get_extra_info("peername") is not None
        self._socket = DatagramSocket(loop, sock, protocol, self, remote, is_connected)
        self._flow = self._socket.get_flow_control()

    def __repr__(self) -> str:
        working = self._socket
        state = ""
        if working.is_closed():
            state = " closed"
        elif working.is_closing():
            state = " closing"
        waiting = working.get_write_buffer_size()
        return f"<{type(self).__name__}{state} fd={self._fd} bufsize={waiting}>"

    def __del__(self) -> None:
        # A constructor that failed has left no socket.
        working = getattr(self, "_socket", None)
        if working is not None and not working.is_closed():
            warnings.warn(
                f"unclosed transport {self!r}",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
            working.abandon()

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send one message, or keep a copy of it until the system takes it.

        Not thread-safe. Raises TypeError for what is not bytes-like, and ValueError for
        another address than that of the endpoint, if it has one.
        """
        self._socket.sendto(data, addr)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._socket.set_protocol(protocol)

    def get_protocol(self) -> Any:
        """Return the protocol; None once closed."""
        return self._socket.get_protocol()

    def is_closing(self) -> bool:
        """Tell whether the transport is closing or closed."""
        return self._socket.is_closing()

    def close(self) -> None:
        """Receive nothing more, send what waits, then close; harmless if repeated.

        The protocol's ``connection_lost`` follows, in a later iteration.
        """
        self._socket.close()

    def abort(self) -> None:
        """Drop what waits, and close; harmless if repeated."""
        self._socket.abort(None)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent, some for each message's header."""
        return self._socket.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._flow.limits()

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """Set at how many waiting bytes the protocol is paused, and resumed.

        Raises ValueError unless ``high >= low >= 0``; what is None follows from the
        other.
        """
        self._flow.set_limits(high, low)
        self._flow.note_more(self._socket, self.get_write_buffer_size())


def open_datagrams(
    loop: Any,
    sock: socket.socket,
    protocol: asyncio.BaseProtocol,
    remote: Any = None,
    waiter: Any = None,
) -> DatagramTransport:
    """Return a transport for `sock`, which is non-blocking and which it then owns.

    Nothing is sent elsewhere than to `remote`, unless that is None. The protocol's
    ``connection_made`` is called in the next iteration, then `waiter`, a future, gets
    its result.
    """
    transport = DatagramTransport(loop, sock, protocol, remote)
    transport._socket.begin(waiter)
    return transport
