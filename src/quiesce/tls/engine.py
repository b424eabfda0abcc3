"""One side of a TLS connection, on memory: records in, records out, no I/O.

`TlsEngine` is fed what the peer sent (`receive`), gives what the peer's program wrote
(`read`), takes what ours writes (`write`) and gives the records to send (`take`). It
knows no loop, no transport and no clock: `stream` has those and is read after this.

Its life is that of TLS: `handshake` until it returns True; then bytes in both
directions; after `close`, what was written before is still encrypted, close_notify
follows it, and what the peer sends is only looked at for its end.

OpenSSL may have to read before it can write (a TLS 1.2 peer wants new keys), and the
other way round. What cannot be encrypted therefore waits in a queue, in front of all
that is written later; whoever calls `take` after each `receive` need not know.

An engine belongs to one thread at a time.
"""

from __future__ import annotations

from typing import Any

from quiesce.net.write_buffer import WriteBuffer
from quiesce.tls import native

ssl: Any
try:
    import ssl
except ImportError:  # pragma: no cover - a Python built without OpenSSL
    ssl = None

# Bytes; so much is decrypted before the program is told, at most.
ROOM = 256 * 1024
# Bytes; so much is encrypted at once, at most: four full records.
PIECE = 64 * 1024
# What `read_into` returns if nothing is there yet.
NOTHING = -1
# OpenSSL needs more from the peer; on memory it never waits to write.
AGAIN: Any = () if ssl is None else (ssl.SSLWantReadError, ssl.SSLSyscallError)
CERTIFICATE_ERRORS: Any = () if ssl is None else (ssl.CertificateError,)
# The peer sent close_notify, after us.
ENDED: Any = () if ssl is None else (ssl.SSLZeroReturnError,)


class TlsEngine:
    """The records of one connection, for a client or a server."""

    __slots__ = (
        "_closing",
        "_encrypt",
        "_encrypted",
        "_ended",
        "_eof",
        "_failed",
        "_failure",
        "_feed",
        "_incoming",
        "_notified",
        "_open",
        "_outgoing",
        "_overflows",
        "_pending",
        "_queue",
        "_read",
        "_room",
        "_take",
        "_whole_room",
        "room_view",
        "ssl_object",
    )

    def __init__(
        self,
        context: Any,
        room: bytearray,
        server_side: bool,
        server_hostname: str | None,
    ) -> None:
        """Begin with `context`; decrypt into `room`, which one thread's engines share.

        Without a `server_hostname` a client asks for no host by name.
        """
        self._incoming: Any = ssl.MemoryBIO()
        self._outgoing: Any = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        # SSLObject only hands on to this object; that is a Python call each time.
        inner: Any = getattr(self.ssl_object, "_sslobj", self.ssl_object)
        self._read: Any = inner.read
        self._encrypt: Any = inner.write
        self._pending: Any = inner.pending
        self._feed: Any = self._incoming.write
        self._take: Any = self._outgoing.read
        self._room = room
        self.room_view = memoryview(room)
        self._whole_room = (len(room), room)
        self._queue = WriteBuffer()
        # Bytes that were encrypted since `take`.
        self._encrypted = 0
        self._failure: Any = None
        # OpenSSL has decrypted more than there was room for.
        self._overflows = False
        self._open = False
        self._eof = False
        self._ended = False
        self._failed = False
        self._closing = False
        self._notified = False

    # -- what the peer sent

    def receive(self, data: Any) -> None:
        """Take bytes that the peer sent."""
        self._feed(data)

    def receive_eof(self) -> None:
        """Take note that the peer sends nothing more."""
        self._eof = True

    def handshake(self) -> bool:
        """Go on with the handshake; tell whether it is done.

        Raises ssl.SSLError if it fails; then `take` gives the alert for the peer.
        """
        try:
            self.ssl_object.do_handshake()
        except AGAIN:
            return False
        except BaseException:
            self._failed = True
            raise
        self._open = True
        return True

    def has_input(self) -> bool:
        """Tell whether a read may give something other than nothing."""
        if self._incoming.pending or self._failure is not None:
            return True
        return (self._overflows and self._pending() > 0) or self._eof or self._ended

    def read(self) -> Any:
        """Return what the peer's program wrote: b"" at its end, None for nothing yet.

        Gives at most as much as there is room for; what is left stays. Raises
        ssl.SSLError for what is no TLS, after all that came before it.
        """
        if not self.has_input():
            return None
        count = self._fill(self._whole_room)
        if count <= 0:
            return None if count == NOTHING else b""
        if self._incoming.pending:
            count = self._fill_up(self.room_view, count)
        return native.beginning(self._room, count)

    def read_into(self, buffer: Any) -> int:
        """Fill `buffer` as `read` would; return the count, 0 at the end, or NOTHING."""
        if not self.has_input():
            return NOTHING
        view = memoryview(buffer)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        count = self._fill((len(view), view))
        if count > 0:
            count = self._fill_up(view, count)
        return count

    def _fill_up(self, view: memoryview, count: int) -> int:
        """Read behind the first `count` bytes until `view` is full or nothing left."""
        size = len(view)
        while count < size and (self._overflows or self._incoming.pending):
            try:
                more = self._fill((size - count, view[count:]))
            except Exception as error:  # noqa: BLE001 - the next read raises it
                self._failure = error
                break
            if more <= 0:
                break
            count += more
        return count

    def _fill(self, args: tuple[int, Any]) -> int:
        """Decrypt one record at most; return the count, 0 at the end, or NOTHING."""
        if self._failure is not None:
            raise self._failure
        try:
            count: int = self._read(*args)
        except AGAIN:
            self._overflows = False
            return self._nothing_more()
        except ENDED:
            count = 0
        except BaseException:
            self._failed = True
            raise
        if count == 0:
            self._ended = True
        self._overflows = count == args[0]
        return count

    def _nothing_more(self) -> int:
        """Return that nothing comes yet, or never."""
        return 0 if self._eof else NOTHING

    def discard(self) -> None:
        """Drop what the peer's program wrote; raises as `read`."""
        while self.has_input() and not self._ended:
            if self._fill(self._whole_room) <= 0:
                break

    # -- what the peer is sent

    def write(self, data: Any) -> None:
        """Encrypt `data`, or queue a copy: if it is much, or others wait, or TLS must.

        Raises ssl.SSLError if the connection cannot be written to.
        """
        size = len(data) if type(data) is bytes else memoryview(data).nbytes
        if size > PIECE or self._queue.size or not self._open:
            self.queue(data)
            return
        try:
            self._encrypt(data)
        except AGAIN:
            self.queue(data)
            return
        self._encrypted += size

    def queue(self, data: Any) -> None:
        """Keep a copy of `data`, to be encrypted by `take` behind what waits."""
        if len(data):
            self._queue.append(bytes(data), 0)

    def waiting(self) -> int:
        """Return how many bytes were written but are not in records that were taken."""
        return self._queue.size + self._encrypted

    def encrypted(self) -> int:
        """Return how many of the waiting bytes are in records."""
        return self._encrypted

    def has_output(self) -> bool:
        """Tell whether `take` may give something."""
        if self._outgoing.pending:
            return True
        if not self._open or self._failed:
            return False
        return self._queue.size > 0 or (self._closing and not self._notified)

    def take(self) -> bytes:
        """Return records to send, made of a limited part of what waits; b"" for none.

        Raises ssl.SSLError if the connection cannot be written to.
        """
        if self._open and not self._failed:
            if self._queue.size:
                self._encrypt_queued()
            if self._closing and not self._queue.size:
                self._notify()
        self._encrypted = 0
        return self._take()

    def _encrypt_queued(self) -> None:
        """Encrypt a piece from the front of the queue, if TLS lets us."""
        piece = self._first_piece()
        try:
            count = self._encrypt(piece)
        except AGAIN:
            return
        except BaseException:
            self._failed = True
            raise
        self._queue.remove(count)

    def _first_piece(self) -> Any:
        """Return what waits first: a part of one long chunk, or short ones as one.

        Order matters: what OpenSSL refused must come again, longer perhaps.
        """
        queue = self._queue
        place = queue.first
        first = memoryview(queue.chunks[place])[queue.offset :]
        size = len(first)
        if size >= PIECE:
            return first[:PIECE]
        parts: list[Any] = [first]
        while place + 1 < len(queue.chunks):
            place += 1
            size += len(queue.chunks[place])
            if size > PIECE:
                break
            parts.append(queue.chunks[place])
        return first if len(parts) == 1 else b"".join(parts)

    # -- the end

    def close(self) -> None:
        """Send close_notify after what waits, and read no more than the peer's."""
        self._closing = True

    def _notify(self) -> None:
        """Put close_notify behind all records."""
        if self._notified:
            return
        # OpenSSL takes data that came meanwhile for an error.
        self.discard()
        self._notified = True
        if self._eof and not self._ended:
            # Whoever ends without close_notify has left TLS and expects none.
            return
        try:
            self.ssl_object.unwrap()
        except AGAIN:
            return
        except BaseException:
            self._failed = True
            raise
        self._ended = True

    def alert(self) -> bytes:
        """Return what the peer must be sent after an error that `self` has raised."""
        return self._take() if self._failed else b""

    def is_over(self) -> bool:
        """Tell whether both sides have ended and nothing is left to take."""
        return self._notified and (self._ended or self._eof) and not self.has_output()

    def drop(self) -> None:
        """Forget what waits and encrypt nothing more: the connection was lost."""
        self._failed = True
        self._queue.clear()
        self._encrypted = 0
        self._take()
