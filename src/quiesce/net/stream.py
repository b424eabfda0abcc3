"""One connected stream socket: from the system to the protocol, and back.

`SocketStream` does the work behind `transport.SocketTransport`, which users hold. Read
`owned_socket` for its states, `write_buffer` and `flow_control` before this,
`transport` after it. The end of the peer's stream closes it, unless the protocol keeps
the other direction open.

Where the poller reports changes only, it is asked once for all of them. So a stream
must remember what it was told and did not act on: `_readable` says that there may be
more to receive; having bytes to send implies that the socket refused to take more, or
that they are being *collected*.

Small writes are collected and sent together at the end of the iteration, because each
send wakes the peer and costs more than its bytes: `docs/design/collected-writes.md``.

"""

from __future__ import annotations

import socket
import sys
from asyncio import BufferedProtocol
from asyncio.log import logger
from contextlib import suppress
from typing import Any

from quiesce.core import native
from quiesce.core.poller import FAILED, HALF_CLOSED, READABLE, URGENT, WRITABLE
from quiesce.net import native as calls
from quiesce.net.accepted_socket import AcceptedSocket
from quiesce.net.flow_control import HIGH_WATER, FlowControl, note_less
from quiesce.net.owned_socket import OwnedSocket, leaves_unanswered
from quiesce.net.write_buffer import WriteBuffer, refuse_what_is_no_bytes

# Whether an accepted connection has the options of its listener (see `listen`).
LISTENER_HANDS_ON = sys.platform == "linux"
# Calls of the system in a row for one stream, before the others have their turn.
FAIR_SHARE = 8
# Bytes; shorter writes are collected.
SMALL = 4 * 1024
# Bytes; so much is not collected any longer, but sent.
COLLECTED = 16 * 1024
# Bytes; a stream that received this much at once will probably do so again, and then
# the memory is made for so much at least.
MUCH = 16 * 1024
LARGE = 64 * 1024
# What asyncio passes to `get_buffer`: no size is better than another.
ANY_SIZE = (-1,)


class SocketStream(OwnedSocket):
    """The working half of a socket transport, in the context it was made in."""

    __slots__ = (
        "_buffer",
        "_buffer_updated",
        "_collecting",
        "_data_received",
        "_delivering",
        "_eof_received",
        "_eof_written",
        "_expects",
        "_flow",
        "_get_buffer",
        "_hung_up",
        "_is_buffered",
        "_paused",
        "_room",
        "_sending_file",
    )

    def __init__(
        self, loop: Any, sock: socket.socket, protocol: Any, transport: Any, server: Any
    ) -> None:
        super().__init__(loop, sock, transport, server)
        is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6)
        # One of another family reports that it can be written to whenever its peer
        # reads, and a short receive does not mean that nothing is left: it stops behind
        # a descriptor that is passed. So it is told of states.
        self._edge = self._edge and is_tcp
        if is_tcp and not (server is not None and LISTENER_HANDS_ON):
            # What was written is wanted on the other side now: no Nagle algorithm.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = WriteBuffer()
        self._flow = FlowControl(HIGH_WATER)
        self._collecting = False
        self._delivering = False
        self._hung_up = False
        self._expects = 0
        self._paused = False
        self._eof_received = False
        self._eof_written = False
        self._sending_file = False
        # A future for `room`, if somebody waits for it.
        self._room: Any = None
        self.set_protocol(protocol)

    # -- the end

    def close(self) -> None:
        """Receive nothing more, send what waits, then finish."""
        if self._closing:
            return
        self.send_collected()
        if self._closing:
            return
        self._closing = True
        if self._buffer.size:
            self.ask_poller()
        else:
            self.lose(None)

    def force_close(self, error: BaseException | None) -> None:
        """Drop what waits and finish, with `error` as the reason."""
        if error is None:
            # Those bytes were written when the socket might have taken them.
            self.send_collected()
        if not self._lost:
            self._closing = True
            self._buffer.clear()
            self.lose(error)

    def lose(self, error: BaseException | None) -> None:
        """Enter *lost*."""
        OwnedSocket.lose(self, error)
        if self._room is not None:
            self.lose_room(error)

    def finish(self, error: BaseException | None) -> None:
        """Tell the protocol that it is over, and let go of everything."""
        self._data_received = self._get_buffer = self._buffer_updated = None
        accepted: Any = self._sock
        if isinstance(accepted, AcceptedSocket):
            accepted.remember()
        OwnedSocket.finish(self, error)

    def on_loop_close(self) -> None:
        """Close what TLS keeps open only to hear what its peer says to the end."""
        if leaves_unanswered(self._protocol):
            # Whoever has closed the descriptor by itself has no use for an error now.
            with suppress(OSError):
                self.abandon()

    def fatal(self, error: BaseException, message: str) -> None:
        """Give the connection up; report what is not the network's fault."""
        if not isinstance(error, OSError):
            self.report(error, message)
        elif self._loop.get_debug():
            logger.debug("%r: %s", self._transport, message, exc_info=error)
        self.force_close(error)

    def give_up_if(self, error: BaseException | None, message: str) -> None:
        """Give the connection up if the protocol raised `error`."""
        if error is not None:
            self.fatal(error, message)

    def set_protocol(self, protocol: Any) -> None:
        """Let `protocol` hear of everything from now on."""
        self._protocol: Any = protocol
        # TLS is an extension type, and none of asyncio's.
        is_tls = getattr(protocol, "is_buffered_protocol", False) is True
        self._is_buffered = is_tls or isinstance(protocol, BufferedProtocol)
        self._data_received: Any = getattr(protocol, "data_received", None)
        self._get_buffer: Any = getattr(protocol, "get_buffer", None)
        self._buffer_updated: Any = getattr(protocol, "buffer_updated", None)

    # -- the poller

    def on_ready(self, events: int) -> None:
        """Receive and send what `events` allow."""
        if events & (READABLE | HALF_CLOSED | FAILED | URGENT):
            self._readable = True
            if events & (HALF_CLOSED | FAILED | URGENT):
                self._hung_up = True
            self.receive()
        if events & (WRITABLE | FAILED):
            self.flush()
            if self._room is not None and not self._buffer.size:
                self.give_room()

    def wanted_events(self) -> int:
        """Return the events that matter now."""
        if not self._edge:
            reading = READABLE if self.may_receive() else 0
            return reading | WRITABLE if self.wants_room() else reading
        return READABLE | HALF_CLOSED | URGENT | WRITABLE

    def wants_room(self) -> bool:
        """Tell whether something waits until the socket can be written to."""
        return self._buffer.size > 0 or self._room is not None

    # -- receiving

    def may_receive(self) -> bool:
        """Tell whether the protocol is to be given what arrives."""
        return not (self._paused or self._closing or self._eof_received)

    def receive(self) -> None:
        """Give the protocol what has arrived, until nothing is left or others wait."""
        share = FAIR_SHARE
        self._delivering = True
        ended = False
        try:
            while self._readable and self.may_receive():
                if share == 0:
                    self._loop.call_soon(self.receive)
                    break
                share -= 1
                if self._is_buffered:
                    self.receive_buffered()
                else:
                    self.receive_bytes()
            ended = True
        finally:
            self._delivering = False
            if not ended:
                # Ctrl-C in the protocol: what is known now is not reported again.
                self._loop.call_soon(self.on_ready, READABLE | WRITABLE)
            self.send_collected()

    def receive_bytes(self) -> None:
        """Receive once, as a new bytes object."""
        room = self._expects or calls.RECEIVE_SIZE
        data: Any = calls.receive(self._sock, self._fd, self._expects)
        if data is None:
            self._readable = False
            return
        if type(data) is not bytes:
            self.fatal(data, "Fatal read error on socket transport")
            # See "Cycles" in `task`.
            data = None
            return
        count = calls.size_of(data)
        if count == 0:
            self.end_of_stream()
            return
        self.note_received(count, room)
        self.give_up_if(
            calls.deliver_in(self._context, self._data_received, data),
            "Fatal error: protocol.data_received() call failed.",
        )

    def receive_buffered(self) -> None:
        """Receive once, into the protocol's own memory."""
        buffer = self.ask_for_buffer()
        # The protocol may have closed or paused the transport instead.
        if buffer is None or not self.may_receive():
            return
        try:
            count = calls.receive_into(self._sock, self._fd, buffer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - the buffer can be anything
            self.fatal(error, "Fatal read error on socket transport")
            return
        if count == calls.WOULD_BLOCK:
            self._readable = False
            return
        if count == 0:
            self.end_of_stream()
            return
        self.note_received(count, len(buffer))
        self.give_up_if(
            calls.deliver_in(self._context, self._buffer_updated, count),
            "Fatal error: protocol.buffer_updated() call failed.",
        )

    def ask_for_buffer(self) -> Any:
        """Return the protocol's memory to receive into; None if it gives none."""
        try:
            buffer = calls.ask_in(self._context, self._get_buffer, ANY_SIZE)
            if len(buffer) > 0:
                return buffer
            error = RuntimeError("get_buffer() returned an empty buffer")
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as raised:  # noqa: BLE001 - asyncio reports these too
            error = raised
        self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
        return None

    def note_received(self, count: int, room: int) -> None:
        """Learn from how much arrived: less than there was room for is all there is.

        Not where only changes are reported, after a hang-up or urgent data: these are
        not reported again, so what is behind them must be looked for.
        """
        self._expects = 0
        if count > MUCH:
            self._expects = min(max(LARGE, 2 * count), calls.RECEIVE_SIZE)
        if count < room and not (self._edge and self._hung_up):
            self._readable = False

    def end_of_stream(self) -> None:
        """Tell the protocol that no more comes, and close unless it objects."""
        try:
            keep_open = calls.ask_in(self._context, self._protocol.eof_received, ())
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            self.fatal(error, "Fatal error: protocol.eof_received() call failed.")
            return
        self._eof_received = True
        self._readable = False
        if keep_open:
            self.ask_poller()
        else:
            self.close()

    def is_reading(self) -> bool:
        """Tell whether the user wants what arrives."""
        return not (self._closing or self._paused)

    def pause_reading(self) -> None:
        """Leave what arrives in the system's buffer; harmless if repeated."""
        if self.is_reading():
            self._paused = True
            self.ask_poller()

    def resume_reading(self) -> None:
        """Take what arrives again; harmless if repeated."""
        if self._closing or not self._paused:
            return
        self._paused = False
        self.ask_poller()
        if self._readable:
            self._loop.call_soon(self.receive)

    # -- sending

    def write(self, data: Any) -> None:
        """Send `data`, or keep a copy of what the system does not take now.

        Not thread-safe. Raises TypeError for what is not bytes-like and RuntimeError
        after `write_eof`. After the connection was lost, it does nothing.
        """
        if type(data) is not bytes:
            refuse_what_is_no_bytes(data)
        if self._eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._sending_file:
            raise RuntimeError("unable to write; sendfile is in progress")
        if not data:
            return
        if self._lost:
            self.warn_of_lost_write()
        elif calls.size_of(data) < SMALL and self.may_collect():
            self.collect(data)
        elif self._collecting:
            # Order matters: what the protocol writes in `pause_writing` comes behind.
            self._buffer.append(calls.as_bytes(data), 0)
            self.send_collected()
        elif self._buffer.size:
            self.queue(data, 0)
        else:
            self.send_now(data)

    def may_collect(self) -> bool:
        """Tell whether a small write may wait, for the end of the iteration at most."""
        if self._collecting:
            return True
        return not self._buffer.size and self._loop._thread_id is not None

    def collect(self, data: Any) -> None:
        """Keep a small write until the protocol returns, or the iteration ends."""
        if not self._collecting:
            self._collecting = True
            if not self._delivering:
                self._loop.at_iteration_end(self)
        self._buffer.append(calls.as_bytes(data), 0)
        if self._buffer.size >= COLLECTED:
            self.send_collected()

    def on_iteration_end(self) -> None:
        """Send what was collected."""
        self.send_collected()

    def send_collected(self) -> None:
        """Send what was collected, if anything, as far as the socket takes it."""
        if not self._collecting:
            return
        self._collecting = False
        if native.size(self._buffer.chunks) == 1:
            self.send_now(self._buffer.take_only())
            return
        self.flush()
        if self._buffer.size and not self._lost:
            self.ask_poller()
            self.pause_if_full()

    def send_now(self, data: Any) -> None:
        """Send `data`, before which nothing waits."""
        try:
            sent = calls.send(self._sock, self._fd, data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - memory can refuse to be read
            self.fatal(error, "Fatal write error on socket transport")
            return
        if sent == calls.WOULD_BLOCK:
            sent = 0
        if sent < calls.size_of(data):
            self.queue(data, sent)

    def queue(self, data: Any, sent: int) -> None:
        """Queue `data` without its first `sent` bytes; pause the protocol if needed."""
        # The caller may change other memory as soon as `write` returns.
        self._buffer.append(calls.as_bytes(data), sent)
        self.ask_poller()
        self.pause_if_full()

    def flush(self) -> None:
        """Send what waits, until nothing is left, the system refuses or others wait."""
        share = FAIR_SHARE
        buffer = self._buffer
        if not buffer.size or self._collecting:
            return
        while buffer.size:
            if share == 0:
                self._loop.call_soon(self.flush)
                break
            share -= 1
            try:
                sent = calls.send_chunks(
                    self._sock, self._fd, buffer.chunks, buffer.first, buffer.offset
                )
            except OSError as error:
                self.fatal(error, "Fatal write error on socket transport")
                return
            if sent == calls.WOULD_BLOCK:
                break
            buffer.remove(sent)
        self.sent_some()

    def sent_some(self) -> None:
        """Do what was waiting for there to be less to send, or nothing."""
        try:
            if self._flow.may_resume(self._buffer.size):
                calls.ask_in(
                    self._context, note_less, (self._flow, self, self._buffer.size)
                )
        finally:
            # Also where Ctrl-C comes out of the protocol: nobody else will do it.
            if not self._buffer.size and not self._lost:
                self.sent_all()

    def sent_all(self) -> None:
        """Do what was waiting for there to be nothing to send."""
        self.ask_poller()
        if self._closing:
            self.lose(None)
        elif self._room is not None:
            self.give_room()
        elif self._eof_written and not self._sending_file:
            self.shut_down_writing()

    def writelines(self, list_of_data: Any) -> None:
        """Send all of `list_of_data`, bytes-like objects, as one."""
        if self._eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self._sending_file:
            raise RuntimeError("unable to writelines; sendfile is in progress")
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Tell the peer, once all is sent, that no more comes; harmless if repeated."""
        if self._closing or self._eof_written:
            return
        self.send_collected()
        self._eof_written = True
        if not (self._buffer.size or self._lost or self._sending_file):
            self.shut_down_writing()

    def shut_down_writing(self) -> None:
        """Close this direction of the connection."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.fatal(error, "Fatal error: shutdown() of the socket failed")

    # -- a file that is sent behind what was written

    def begin_file(self) -> None:
        """Let nothing be written until `end_file`.

        Raises RuntimeError after `write_eof`, or if another file is being sent.
        """
        if self._eof_written:
            raise RuntimeError("Cannot call sendfile() after write_eof()")
        if self._sending_file:
            raise RuntimeError("unable to sendfile; sendfile is in progress")
        # Order matters: who is told that it may write again must not do so now.
        self._sending_file = True
        self.send_collected()

    def end_file(self) -> None:
        """Let the protocol write again, or do what was put off until now."""
        self._sending_file = False
        self._room = None
        # An error that the file met is met when receiving, too: look for it soon.
        self._readable = True
        self.ask_poller()
        if self._eof_written and not (self._buffer.size or self._closing):
            self.shut_down_writing()

    def room(self) -> Any:
        """Return a future: nothing waits, and the socket may take more.

        It fails with an OSError when the connection is lost. Where the socket is not
        known to be full, it may never be done.
        """
        self._room = self._loop.create_future()
        if self._lost:
            self.lose_room(None)
        else:
            self.ask_poller()
        return self._room

    def give_room(self) -> None:
        """Wake who waits for room."""
        room, self._room = self._room, None
        self.ask_poller()
        if not room.done():
            room.set_result(None)

    def lose_room(self, error: BaseException | None) -> None:
        """Tell who waits for room that there will be none."""
        room = self._room
        if not room.done():
            if not isinstance(error, OSError):
                error = ConnectionError("Connection is closed by peer")
            room.set_exception(error)

    # -- flow control

    def is_writing_paused(self) -> bool:
        """Tell whether the protocol was asked to write no more for now."""
        return self._flow.paused

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._buffer.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self._flow.limits()

    def set_write_buffer_limits(self, high: int | None, low: int | None) -> None:
        """Set the water marks, in bytes; see `water_marks`."""
        self._flow.set_limits(high, low)
        self.pause_if_full()

    def pause_if_full(self) -> None:
        """Ask the protocol to write no more for now, if much waits already."""
        # The socket may take all of what is collected yet.
        if not self._collecting:
            self._flow.note_more(self, self._buffer.size)
