"""A stream transport, its protocol and its peer, and all that can be done to them.

Bytes are told apart by where they are in the stream, so that one that is lost, repeated
or out of order shows.
"""

from __future__ import annotations

import asyncio
import socket
from array import array
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.net.recording import reset

if TYPE_CHECKING:
    from pathlib import Path

    from quiesce.loop import Loop

STREAM = array("I", range(4 * 1024 * 1024)).tobytes()
"""16 MiB in which no four bytes at a multiple of four are there twice."""
ENDLESS = 100_000
"""Iterations; no conversation needs as many."""


class PlannedError(Exception):
    """What a protocol raises because the test wants it to."""


@dataclass
class Conversation:
    """One transport, its protocol and its peer, and what was done to them.

    An operation that makes no sense now does nothing.
    """

    loop: Loop
    peer: socket.socket
    # A file with the bytes of `STREAM`.
    path: Path
    keep_open: bool
    # What the protocol does when it is called, the last first.
    reactions: list[str]
    transport: Any = None
    calls: list[str] = field(default_factory=list)
    written: int = 0
    received: bytearray = field(default_factory=bytearray)
    peer_sent: int = 0
    peer_received: bytearray = field(default_factory=bytearray)
    peer_shut: bool = False
    peer_gone: bool = False
    eof_written: bool = False
    cut_short: bool = False
    error: BaseException | None = None
    sending: asyncio.Task[None] | None = None

    # -- what the transport is asked to do

    def next_bytes(self, size: int) -> bytes:
        """Return what is written next: noted before, as the protocol may write more."""
        data = STREAM[self.written : self.written + size]
        self.written += len(data)
        return data

    def may_write(self) -> bool:
        """Tell whether bytes, or their end, can be put behind those so far."""
        closing = self.transport.is_closing()
        return not (self.eof_written or closing or self.is_sending_file())

    def is_sending_file(self) -> bool:
        """Tell whether a file is under way."""
        return self.sending is not None and not self.sending.done()

    def write(self, size: int) -> None:
        if self.may_write():
            self.transport.write(self.next_bytes(size))

    def writelines(self, size: int) -> None:
        if self.may_write():
            self.transport.writelines([self.next_bytes(size) for _ in range(3)])

    def write_eof(self, _: int) -> None:
        if self.may_write():
            self.eof_written = True
            self.transport.write_eof()

    def send_file(self, size: int) -> None:
        if self.may_write():
            self.sending = self.loop.create_task(self.send_part(size))

    async def send_part(self, size: int) -> None:
        """Write a little, then send bytes from the file; its position says how many."""
        if not self.transport.is_closing():
            self.transport.write(self.next_bytes(size % 5000))
        with self.path.open("rb") as file:
            try:
                await self.loop.sendfile(
                    self.transport, file, self.written, size, fallback=False
                )
            except (ConnectionError, RuntimeError):
                assert self.transport.is_closing()
                self.peer_gone = True
            finally:
                self.written = max(self.written, file.tell())

    def cancel_file(self, _: int) -> None:
        if self.sending is not None:
            self.sending.cancel()

    def pause_reading(self, _: int) -> None:
        self.transport.pause_reading()

    def resume_reading(self, _: int = 0) -> None:
        self.transport.resume_reading()

    def set_limits(self, size: int) -> None:
        self.transport.set_write_buffer_limits(high=size)

    def close(self, _: int) -> None:
        self.cut_short = True
        self.transport.close()

    def abort(self, _: int) -> None:
        self.peer_gone = True
        self.transport.abort()

    # -- what the peer and the loop do

    def iterate(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def peer_receive(self, size: int) -> None:
        if self.peer.fileno() < 0:
            return
        # Nothing there, or reset.
        with suppress(OSError):
            self.peer_received += self.peer.recv(size)

    def peer_send(self, size: int) -> None:
        if self.peer.fileno() < 0 or self.peer_shut:
            return
        with suppress(OSError):
            data = STREAM[self.peer_sent : self.peer_sent + size]
            self.peer_sent += self.peer.send(data)

    def peer_shut_down(self, _: int) -> None:
        if self.peer.fileno() >= 0 and not self.peer_shut:
            self.peer_shut = True
            with suppress(OSError):
                self.peer.shutdown(socket.SHUT_WR)

    def peer_close(self, _: int) -> None:
        self.peer_gone = True
        self.peer.close()

    def peer_reset(self, _: int) -> None:
        self.peer_gone = True
        if self.peer.fileno() >= 0 and self.peer.family == socket.AF_INET:
            reset(self.peer)

    def perform(self, steps: list[tuple[str, int]]) -> None:
        """Do all steps while the loop runs, those until "iterate" in one iteration."""
        failures: list[Exception] = []
        for name, size in (*steps, ("iterate", 0)):
            if name == "iterate":
                self.iterate()
                if failures:
                    raise failures[0]
            else:
                self.loop.call_soon(self.attempt, name, size, failures)

    def attempt(self, name: str, size: int, failures: list[Exception]) -> None:
        """Do one step."""
        try:
            getattr(self, name)(size)
        except Exception as error:  # noqa: BLE001 - the loop would only report it
            failures.append(error)

    # -- what the protocol does

    def called(self, name: str) -> None:
        """Note a call, and do what is planned for it."""
        self.calls.append(name)
        if name in ("made", "lost") or not self.reactions:
            return
        reaction = self.reactions.pop()
        if reaction == "fail":
            if name in ("data", "eof"):
                self.peer_gone = True
            raise PlannedError
        if reaction != "nothing":
            getattr(self, reaction)(100)

    # -- the end

    def run_to_the_end(self) -> None:
        """Let all that is under way arrive, then close, and check what came of it."""
        for _ in range(ENDLESS):
            all_came = len(self.received) == self.peer_sent
            if self.transport.is_closing() or (all_came and not self.is_sending_file()):
                break
            self.resume_reading()
            self.iterate()
            self.peer_receive(1_000_000)
        else:
            raise AssertionError("something that is under way never comes")
        closed_unread = len(self.received) < self.peer_sent
        self.transport.close()
        for _ in range(ENDLESS):
            if "lost" in self.calls and not self.is_sending_file():
                break
            self.iterate()
            self.peer_receive(1_000_000)
        else:
            raise AssertionError("the end never comes")
        self.iterate()
        size = -1
        while size != len(self.peer_received):
            size = len(self.peer_received)
            self.peer_receive(1_000_000)
        self.check(closed_unread)

    def check(self, closed_unread: bool) -> None:
        """Check the order of calls, and that every byte is where it should be."""
        assert self.calls[0] == "made"
        assert self.calls[-1] == "lost"
        assert self.calls.count("lost") == 1
        assert self.calls.count("eof") <= 1
        if "eof" in self.calls:
            assert "data" not in self.calls[self.calls.index("eof") :]
        pauses = [call for call in self.calls if call in ("pause", "resume")]
        assert pauses[::2] == ["pause"] * len(pauses[::2])
        assert pauses[1::2] == ["resume"] * len(pauses[1::2])
        assert STREAM.startswith(self.received)
        assert STREAM.startswith(self.peer_received)
        assert len(self.received) <= self.peer_sent
        assert len(self.peer_received) <= self.written
        if self.peer_gone:
            return
        # TCP drops what it has not sent yet when a socket is closed with bytes unread.
        if not closed_unread or self.peer.family != socket.AF_INET:
            assert self.error is None
            assert len(self.peer_received) == self.written
        if not self.cut_short:
            assert len(self.received) == self.peer_sent


class Told(asyncio.Protocol):
    """A protocol that tells a conversation of each call."""

    def __init__(self, conversation: Conversation) -> None:
        self.told = conversation

    def connection_made(self, transport: Any) -> None:
        self.told.transport = transport
        self.told.called("made")

    def data_received(self, data: bytes) -> None:
        self.told.received += data
        self.told.called("data")

    def eof_received(self) -> bool:
        self.told.called("eof")
        return self.told.keep_open

    def pause_writing(self) -> None:
        self.told.called("pause")

    def resume_writing(self) -> None:
        self.told.called("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.told.error = exc
        self.told.called("lost")


class ToldOfBuffers(Told, asyncio.BufferedProtocol):
    """The same, with memory of its own to receive into."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.buffer = bytearray(3000)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self.buffer[:nbytes])
