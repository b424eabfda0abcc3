"""One datagram socket: from the system to the protocol, and back.

`DatagramSocket` does the work behind `datagram_transport.DatagramTransport`, which
users hold. Read `owned_socket` for its states before this, and `stream` for what an
edge-triggered poller asks for.

Answers are collected while a batch of messages is received, and sent together after it:
each send may wake a peer. What is sent at any other time goes out at once. A message
that waits was either collected or refused by the system.

An error concerns one message, not the socket: the protocol hears of it in
``error_received``, in an iteration of its own unless `sendto` could tell at once.
"""

from __future__ import annotations

import socket
from typing import Any

from quiesce.core import native
from quiesce.core.poller import FAILED, READABLE, WRITABLE
from quiesce.net import native as calls
from quiesce.net.flow_control import HIGH_WATER, FlowControl, note_less, note_more
from quiesce.net.owned_socket import OwnedSocket
from quiesce.net.write_buffer import refuse_what_is_no_bytes

# Messages in a row from one socket, and how long that may take, before others have
# their turn. One datagram socket often serves many peers.
FAIR_SHARE = 64
PATIENCE = 3 * native.TICKS_PER_100_US
# What a waiting message counts beside its bytes, so that empty ones count too.
HEADER_SIZE = 8
# Bytes; more is not collected, but sent.
MUCH = 64 * 1024
# Seconds from one try to the next where no event says when to try.
RETRY_DELAY = 0.001


class DatagramSocket(OwnedSocket):
    """The working half of a datagram transport, in the context it was made in.

    `remote` is the only address that `sendto` may be given, or None. `is_connected`
    says that the system knows it too.
    """

    __slots__ = (
        "_collecting",
        "_datagram_received",
        "_family",
        "_flow",
        "_is_connected",
        "_must_retry",
        "_remote",
        "_size",
        "_waiting",
    )

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        transport: Any,
        remote: Any,
        is_connected: bool,
    ) -> None:
        super().__init__(loop, sock, transport, None)
        self._family = int(sock.family)
        self._remote = remote
        self._is_connected = is_connected
        # An unconnected socket of this machine can be written to as far as the poller
        # knows, also while the receiver it is to reach has no room.
        unix = getattr(socket, "AF_UNIX", None)
        self._must_retry = sock.family == unix and not is_connected
        self._flow = FlowControl(HIGH_WATER)
        self._waiting: list[tuple[bytes, Any]] = []
        self._size = 0
        self._collecting = False
        self.set_protocol(protocol)

    # -- the end

    def close(self) -> None:
        """Receive nothing more, send what waits, then finish."""
        if self._closing:
            return
        self._closing = True
        if self._waiting:
            self.ask_poller()
        else:
            self.lose(None)

    def abort(self, error: BaseException | None) -> None:
        """Drop what waits and finish, with `error` as the reason."""
        if self._collecting and error is None:
            # These were sent when the system might have taken them.
            self.send_waiting()
        if not self._lost:
            self._closing = True
            self._collecting = False
            self._waiting = []
            self._size = 0
            self.lose(error)

    def finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and let go of everything."""
        self._datagram_received = None
        OwnedSocket.finish(self, error)

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` hear of everything from now on."""
        self._protocol: Any = protocol
        self._datagram_received: Any = getattr(protocol, "datagram_received", None)

    # -- what fails

    def fatal(self, error: BaseException, message: str) -> None:
        """Give the socket up, for an error that is not the network's."""
        self.report(error, message)
        self.abort(error)

    def error_came(self, error: OSError) -> None:
        """Queue `tell_error`: the protocol may be at work now."""
        self._loop.call_soon(self.tell_error, error, context=self._context)

    def tell_error(self, error: OSError) -> None:
        """Tell the protocol of an error that concerned one message."""
        if self._protocol is not None:
            self._protocol.error_received(error)

    # -- the poller

    def on_ready(self, events: int) -> None:
        """Receive and send what `events` allow."""
        try:
            if events & (READABLE | FAILED):
                self._readable = True
                self.receive()
            if events & (WRITABLE | FAILED):
                self.flush()
        except BaseException:
            # Ctrl-C in the protocol: what is known now is not reported again.
            self._loop.call_soon(self.on_ready, READABLE | WRITABLE)
            raise

    def wanted_events(self) -> int:
        """Return the events that matter now."""
        # To write only while something waits: every message that leaves the system's
        # buffer is an event to who asks.
        events = 0 if self._closing else READABLE
        if self._waiting and not self._must_retry:
            events |= WRITABLE
        return events

    # -- receiving

    def receive(self) -> None:
        """Give the protocol what has arrived, until nothing is left or others wait."""
        share = FAIR_SHARE
        limit = native.ticks() + PATIENCE
        self._collecting = not self._waiting
        try:
            while self._readable and not self._closing:
                if share == 0 or native.ticks() > limit:
                    self._loop.call_soon(self.on_ready, READABLE)
                    break
                share -= 1
                self.receive_one()
        finally:
            self.send_collected()

    def receive_one(self) -> None:
        """Give the protocol one message, if there is one."""
        try:
            message = calls.receive_from(self._sock, self._fd, self._family)
        except OSError as error:
            self.receive_failed(error)
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an address can be unreadable
            self.fatal(error, "Fatal read error on datagram transport")
            return
        if message is None:
            self._readable = False
            return
        try:
            calls.ask_in(self._context, self._datagram_received, message)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            self.report(error, "protocol.datagram_received() failed")

    def receive_failed(self, error: OSError) -> None:
        """Tell the protocol, and let the poller say whether there is more.

        It may be an error that stays: to try until nothing is left would never end.
        """
        self._readable = False
        self._asked = 0
        self.ask_poller()
        self.error_came(error)

    # -- sending

    def sendto(self, data: Any, address: Any) -> None:
        """Send one message, or keep a copy of it until the system takes it."""
        if type(data) is not bytes:
            refuse_what_is_no_bytes(data)
        remote = self._remote
        if remote:
            if address is not None and address != remote:
                raise ValueError(f"Invalid address: must be None or {remote}")
            address = remote
        if self._lost:
            if remote:
                self.warn_of_lost_write()
        elif self._collecting:
            self.collect(data, address)
        elif self._waiting:
            self.queue(data, address)
            self._flow.note_more(self, self._size)
        else:
            self.send_now(data, address)

    def collect(self, data: Any, address: Any) -> None:
        """Keep a message until those that were received are dealt with."""
        self.queue(data, address)
        if self._size > MUCH:
            self.send_waiting()
            if self._waiting:
                self._collecting = False
                self.refused()
                self._flow.note_more(self, self._size)

    def send_collected(self) -> None:
        """Send what was collected, if anything, as far as the system takes it."""
        if not self._collecting:
            return
        self._collecting = False
        if self._waiting:
            self.flush()
        if self._waiting:
            self.refused()
            calls.ask_in(self._context, note_more, (self._flow, self, self._size))

    def send_now(self, data: Any, address: Any) -> None:
        """Send a message, before which none waits."""
        try:
            sent = self.send_one(data, address)
        except OSError as error:
            self._protocol.error_received(error)
            return
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an address can be anything
            self.fatal(error, "Fatal write error on datagram transport")
            return
        if sent == calls.WOULD_BLOCK:
            self.queue(data, address)
            self.refused()
            self._flow.note_more(self, self._size)

    def send_one(self, data: Any, address: Any) -> int:
        """Send a message; return its size, or WOULD_BLOCK."""
        if self._is_connected:
            return calls.send(self._sock, self._fd, data)
        return calls.send_to(self._sock, self._fd, self._family, data, address)

    def queue(self, data: Any, address: Any) -> None:
        """Keep a message for later."""
        self._waiting.append((bytes(data), address))
        self._size += len(data) + HEADER_SIZE

    def refused(self) -> None:
        """See to it that what waits is sent once the system takes more."""
        if self._must_retry:
            self._loop.call_later(RETRY_DELAY, self.retry)
        self.ask_poller()

    def retry(self) -> None:
        """Send what waits, and go on trying until nothing does."""
        try:
            self.on_ready(WRITABLE)
        finally:
            if self._waiting:
                self._loop.call_later(RETRY_DELAY, self.retry)

    def flush(self) -> None:
        """Send what waits, and do what was waiting for that."""
        self.send_waiting()
        self.sent_some()

    def send_waiting(self) -> None:
        """Send what waits, until nothing is left, the system refuses or others wait."""
        share = FAIR_SHARE
        while self._waiting:
            if share == 0:
                self._loop.call_soon(self.on_ready, WRITABLE)
                break
            share -= 1
            if not self.send_some():
                break

    def send_some(self) -> bool:
        """Send from the first message on; return False if that has to wait."""
        failed = None
        try:
            count = calls.send_messages(
                self._sock, self._fd, self._family, self._waiting, self._is_connected
            )
        except OSError as error:
            failed = error
            count = 1
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - an address can be anything
            self.fatal(error, "Fatal write error on datagram transport")
            return False
        if count == calls.WOULD_BLOCK:
            return False
        self.forget(count)
        if failed is not None:
            self.error_came(failed)
        return True

    def forget(self, count: int) -> None:
        """Forget the first messages: they were sent."""
        waiting = self._waiting
        if count == len(waiting):
            self._waiting = []
            self._size = 0
            return
        for data, _ in waiting[:count]:
            self._size -= len(data) + HEADER_SIZE
        del waiting[:count]

    def sent_some(self) -> None:
        """Do what was waiting for there to be less to send, or nothing."""
        if self._lost:
            return
        try:
            if self._flow.may_resume(self._size):
                calls.ask_in(self._context, note_less, (self._flow, self, self._size))
        finally:
            # Also where Ctrl-C comes out of the protocol: nobody else will do it.
            if not self._waiting and not self._lost:
                self.ask_poller()
                if self._closing:
                    self.lose(None)

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent, some for each message's header."""
        return self._size

    def get_flow_control(self) -> FlowControl:
        """Return who pauses the protocol, by how much waits."""
        return self._flow
