"""One TLS connection: between the transport that carries it and the user's protocol.

`TlsStream` does the work behind `transport.SSLTransport`, which users hold, and is the
protocol of the transport below, the *carrier*. Read `states` and `engine` before this,
`handshake`, `closing` and `transport` after it.

Invariant: a protocol that was told of ``connection_made`` is told exactly once of
``connection_lost``, after the carrier was.

All that the protocol is told of while the loop runs this code is told in the context
the connection was made in. Nothing here is called by the loop inside that context, but
the protocol may call back from within; `_telling` says so.
"""

from __future__ import annotations

from asyncio import BufferedProtocol
from asyncio.constants import LOG_THRESHOLD_FOR_CONNLOST_WRITES
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.net import native as calls
from quiesce.net.flow_control import FlowControl, note_less
from quiesce.net.owned_socket import leaves_unanswered
from quiesce.tls import closing, handshake, states

if TYPE_CHECKING:
    from quiesce.tls.engine import TlsEngine

# Bytes; asyncio's default for TLS.
HIGH_WATER = 512 * 1024
# Bytes; marks of the carrier that fit asyncio's defaults for it.
CARRIER_HIGH = 64 * 1024
CARRIER_LOW = 16 * 1024
# Bytes; more is not held back until the protocol returns.
HELD = 64 * 1024
# Writes after the end that pass without a word.
FORGIVEN_WRITES = LOG_THRESHOLD_FOR_CONNLOST_WRITES


class TlsStream:
    """The working half of a TLS transport, in the context it was made in."""

    __slots__ = (
        "__weakref__",
        "_buffer_updated",
        "_carrier",
        "_context",
        "_data_received",
        "_engine",
        "_error",
        "_flow",
        "_get_buffer",
        "_handshake_timeout",
        "_is_buffered",
        "_is_secure",
        "_is_told",
        "_loop",
        "_lost_writes",
        "_may_not_send",
        "_paused",
        "_protocol",
        "_sent_before",
        "_shutdown_timeout",
        "_socket",
        "_started_at",
        "_state",
        "_telling",
        "_timer",
        "_transport",
        "_waiter",
    )

    def __init__(
        self,
        loop: Any,
        protocol: Any,
        engine: TlsEngine,
        transport: Any,
        waiter: Any,
        is_told: bool,
        handshake_timeout: float,
        shutdown_timeout: float,
    ) -> None:
        self._loop = loop
        self._engine = engine
        self._transport: Any = transport
        # Woken when the handshake is done, or failed.
        self._waiter = waiter
        # Whether the protocol was told of ``connection_made`` and nothing after it.
        self._is_told = is_told
        # Whether the handshake was done.
        self._is_secure = False
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._context = native.copy_context()
        self._state = states.NEW
        # The transport that carries the records; `_socket` does its work if ours.
        self._carrier: Any = None
        self._socket: Any = None
        self._timer: Any = None
        self._started_at = 0.0
        # Why the connection was lost, where the carrier is not told.
        self._error: Any = None
        self._telling = False
        self._paused = False
        # The carrier said so.
        self._may_not_send = False
        self._flow = FlowControl(HIGH_WATER)
        self._sent_before = 0
        self._lost_writes = 0
        self.set_protocol(protocol)

    def __repr__(self) -> str:
        return repr(self._transport)

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` hear of everything from now on."""
        self._protocol: Any = protocol
        self._is_buffered = isinstance(protocol, BufferedProtocol)
        self._data_received: Any = getattr(protocol, "data_received", None)
        self._get_buffer: Any = getattr(protocol, "get_buffer", None)
        self._buffer_updated: Any = getattr(protocol, "buffer_updated", None)

    def get_protocol(self) -> Any:
        """Return the protocol, None once it was told of the end."""
        return self._protocol

    def get_carrier(self) -> Any:
        """Return the transport below, None before there is one."""
        return self._carrier

    def get_transport(self) -> Any:
        """Return what users hold of this."""
        return self._transport

    def ssl_object(self) -> Any:
        """Return the `ssl.SSLObject`, None until the handshake is done."""
        return self._engine.ssl_object if self._is_secure else None

    def is_closing(self) -> bool:
        """Tell whether the end has begun."""
        return self._state >= states.CLOSING

    def is_unclosed(self) -> bool:
        """Tell whether there is a connection that nobody has begun to close."""
        return self._carrier is not None and self._state < states.CLOSING

    # -- the handshake

    def connection_made(self, carrier: Any) -> None:
        """Begin the handshake over `carrier`."""
        handshake.begin(self, carrier)

    def receive_early(self, data: Any) -> None:
        """Take what the peer sent before the carrier was this connection's."""
        self._engine.receive(data)

    # -- receiving

    @property
    def is_buffered_protocol(self) -> bool:
        """Tell a socket that records may be received into memory of ours.

        Received as bytes objects, large ones cost the allocator more than TLS.
        """
        return True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asked
        """Return the loop's memory; its content is copied before anything else."""
        return self._engine.room_view

    def buffer_updated(self, count: int) -> None:
        """Take records that the carrier put into the buffer."""
        self.data_received(self._engine.room_view[:count])

    def data_received(self, data: Any) -> None:
        """Take records from the carrier."""
        self._engine.receive(data)
        if self._state == states.OPEN:
            if not self._paused:
                self.deliver()
        elif self._state == states.HANDSHAKE:
            handshake.shake_hands(self)
        elif self._state == states.CLOSING:
            closing.go_on_closing(self)

    def eof_received(self) -> bool:
        """Give the protocol what is left, then the end; keep a socket open meanwhile.

        A peer that ends without close_notify is taken at its word, as by asyncio.
        """
        self._engine.receive_eof()
        if self._state == states.OPEN:
            if not self._paused:
                self.deliver()
        elif self._state == states.HANDSHAKE:
            text = "SSL handshake failed: the peer closed the connection"
            handshake.fail(self, ConnectionResetError(text))
        elif self._state == states.CLOSING:
            closing.go_on_closing(self)
        return self._carrier.can_write_eof()

    def deliver(self) -> None:
        """Give the protocol what can be decrypted, then send what it wrote."""
        if self._telling:
            # Further up the stack somebody does, and will look again.
            return
        try:
            while self._state == states.OPEN and not self._paused:
                if not self.deliver_some():
                    break
        except BaseException:
            # Ctrl-C in the protocol: what is here is not reported again.
            self._loop.call_soon(self.resume_delivery)
            raise
        self.flush()

    def deliver_some(self) -> bool:
        """Give the protocol some of what has come; tell whether there may be more."""
        if self._is_buffered:
            return self.deliver_buffered()
        try:
            data = self._engine.read()
        except Exception as error:  # noqa: BLE001 - whatever OpenSSL says
            self.fatal(error, "Fatal error on SSL protocol")
            return False
        if data is None:
            return False
        if not data:
            self.end_of_stream()
            return False
        message = "Fatal error: protocol.data_received() call failed."
        return self.tell(self._data_received, data, message)

    def deliver_buffered(self) -> bool:
        """Do what `deliver_some` does, with the protocol's own memory."""
        if not self._engine.has_input():
            return False
        buffer = self.ask_for_buffer()
        # The protocol may have closed or paused the transport instead.
        if buffer is None or self._state != states.OPEN or self._paused:
            return False
        try:
            count = self._engine.read_into(buffer)
        except Exception as error:  # noqa: BLE001 - the buffer can be anything
            self.fatal(error, "Fatal error on SSL protocol")
            return False
        if count < 0:
            return False
        if count == 0:
            self.end_of_stream()
            return False
        message = "Fatal error: protocol.buffer_updated() call failed."
        return self.tell(self._buffer_updated, count, message)

    def tell(self, callback: Any, argument: Any, message: str) -> bool:
        """Call ``callback(argument)`` of the protocol; tell whether it went well."""
        self._telling = True
        try:
            calls.tell_in(self._context, callback, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            self.fatal(error, message)
            return False
        finally:
            self._telling = False
        return True

    def ask_for_buffer(self) -> Any:
        """Return the protocol's memory to receive into; None if it gives none."""
        try:
            buffer = self.ask(self._get_buffer, (-1,))
            if len(buffer) > 0:
                return buffer
            error = RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as raised:  # noqa: BLE001 - asyncio reports these too
            error = raised
        self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
        return None

    def end_of_stream(self) -> None:
        """Tell the protocol that no more comes, and close."""
        try:
            keep_open = self.ask(self._protocol.eof_received, ())
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            self.fatal(error, "Error calling eof_received()")
            return
        if keep_open:
            logger.warning(
                "returning true from eof_received() has no effect when using ssl"
            )
        self.close()

    def ask(self, callback: Any, args: tuple[Any, ...]) -> Any:
        """Return ``callback(*args)``, called in the context of the connection."""
        if self._telling:
            return callback(*args)
        self._telling = True
        try:
            return calls.ask_in(self._context, callback, args)
        finally:
            self._telling = False

    def is_reading(self) -> bool:
        """Tell whether the user wants what arrives."""
        return not (self._paused or self._state >= states.CLOSING)

    def pause_reading(self) -> None:
        """Leave what arrives with the carrier; harmless if repeated."""
        if self.is_reading():
            self._paused = True
            if self._state == states.OPEN:
                self._carrier.pause_reading()

    def resume_reading(self) -> None:
        """Take what arrives again; harmless if repeated."""
        if not self._paused:
            return
        self._paused = False
        if self._state == states.OPEN:
            self._carrier.resume_reading()
            self._loop.call_soon(self.resume_delivery)

    def resume_delivery(self) -> None:
        """Give the protocol what has come, unless it wants nothing; send what waits."""
        if self._state == states.OPEN and not self._paused:
            self.deliver()
        else:
            self.flush()

    # -- sending

    def write(self, data: Any) -> None:
        """Encrypt `data`, and send it unless the protocol is still at work."""
        if type(data) is not bytes:
            refuse_what_is_no_bytes(data)
        if not data:
            return
        if self._state >= states.CLOSING:
            self.warn_of_lost_write()
            return
        if self._may_not_send:
            self._engine.queue(data)
            self.pause_if_full()
            return
        try:
            self._engine.write(data)
        except Exception as error:  # noqa: BLE001 - whatever OpenSSL says
            self.fatal(error, "Fatal error on SSL protocol")
            return
        if not self._telling or self._engine.waiting() > HELD:
            self.send_records()

    def writelines(self, list_of_data: Any) -> None:
        """Send all of `list_of_data`, bytes-like objects, as one."""
        self.write(b"".join(list_of_data))

    def flush(self) -> None:
        """Send what there is to send, unless the protocol will write more at once."""
        if (
            not self._telling
            and self._state != states.LOST
            and self._engine.has_output()
        ):
            self.send_records()
        if self._state == states.CLOSING and self._engine.is_over():
            closing.leave(self)

    def send_records(self) -> None:
        """Hand records to the carrier until none are left or it has enough."""
        try:
            while not self._may_not_send:
                records = self._engine.take()
                if not records:
                    break
                self.carry(records)
                if not self._engine.has_output():
                    break
        except Exception as error:  # noqa: BLE001 - whatever OpenSSL says
            self.fatal(error, "Fatal error on SSL protocol")
            return
        if self._may_not_send or self._engine.waiting():
            self.pause_if_full()
        elif self._flow.paused:
            self.ask(note_less, (self._flow, self, 0))
            self.flush()

    def carry(self, records: bytes) -> None:
        """Hand records to the carrier."""
        if self._socket is not None:
            self._socket.write(records)
        elif self._carrier is not None:
            self._carrier.write(records)

    def warn_of_lost_write(self) -> None:
        """Count a write after the end; warn of a protocol that goes on and on."""
        if self._lost_writes >= FORGIVEN_WRITES:
            logger.warning("SSL connection is closed")
        self._lost_writes += 1

    # -- the end

    def close(self) -> None:
        """Give the protocol nothing more, send what waits, say so, then finish."""
        closing.close(self)

    def force_close(self, error: BaseException | None) -> None:
        """Drop what waits and finish, with `error` as the reason."""
        if self._state != states.LOST or self._timer is not None:
            closing.force_carrier(self, error)

    def fatal(self, error: BaseException, message: str) -> None:
        """Give the connection up; report what is not the network's fault."""
        if not isinstance(error, OSError):
            self.report(error, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self, message, exc_info=error)
        if self._state != states.LOST:
            closing.give_up(self, error)

    def report(self, error: BaseException, message: str) -> None:
        """Tell the loop's exception handler."""
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": error,
                "transport": self._transport,
                "protocol": self._protocol,
            }
        )

    def connection_lost(self, error: BaseException | None) -> None:
        """Take note that the carrier is gone; the protocol is told in its context."""
        self._state = states.LOST
        handshake.stop_timer(self)
        self._engine.drop()
        if error is None:
            error = self._error
        self._error = None
        if error is None and self._waiter is not None:
            error = ConnectionAbortedError("SSL handshake was cut short")
        handshake.wake_waiter(self, error)
        if self._is_told:
            self._loop.call_soon(self.finish, error, context=self._context)
        else:
            self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and let go of everything."""
        protocol, is_told = self._protocol, self._is_told
        self._transport = self._protocol = self._data_received = None
        self._get_buffer = self._buffer_updated = None
        self._is_told = False
        if is_told:
            protocol.connection_lost(error)

    def leave_unanswered(self) -> bool:
        """End if all that is left is to hear the peer's end; tell whether it is so.

        Called when the loop closes: the user has closed the connection, all that was
        written is sent, and nobody will hear an answer.
        """
        if self._state >= states.CLOSING:
            leaves = self.get_write_buffer_size() == 0
        else:
            # TLS over TLS: what this one carries may be closed.
            leaves = leaves_unanswered(self._protocol)
        if leaves:
            self._state = states.LOST
            handshake.stop_timer(self)
        return leaves

    # -- flow control

    def pause_writing(self) -> None:
        """Take note that the carrier has enough."""
        self._may_not_send = True

    def resume_writing(self) -> None:
        """Take note that the carrier wants more."""
        self._may_not_send = False
        if self._state == states.LOST:
            return
        self.send_records()
        self.flush()

    def is_writing_paused(self) -> bool:
        """Tell whether the protocol was asked to write no more for now."""
        return self._flow.paused

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait, here and in the carrier."""
        below = 0 if self._carrier is None else self._carrier.get_write_buffer_size()
        return self._engine.waiting() + below

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._flow.limits()

    def set_write_buffer_limits(self, high: int | None, low: int | None) -> None:
        """Set the water marks, in bytes; what is None follows from the other."""
        if high is None and low is None:
            high = HIGH_WATER
        self._flow.set_limits(high, low)
        self.limit_carrier()
        if self._may_not_send:
            self.pause_if_full()

    def limit_carrier(self) -> None:
        """Let the carrier say that it has enough before the protocol would hear it."""
        low, high = self._flow.limits()
        if self._carrier is not None and high < CARRIER_HIGH:
            low = min(low, CARRIER_LOW)
            self._carrier.set_write_buffer_limits(high=high, low=low)

    def pause_if_full(self) -> None:
        """Ask the protocol to write no more for now, if much waits already."""
        self._flow.note_more(self, self.get_write_buffer_size())


def refuse_what_is_no_bytes(data: Any) -> None:
    """Raise TypeError for what cannot be written."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        kind = type(data).__name__
        raise TypeError(f"data: expecting a bytes-like instance, got {kind}")
