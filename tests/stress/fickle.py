"""Protocols that do by chance whatever a protocol may do, and note their calls."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

from tests.net.conversation import STREAM, PlannedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stress.scene import Scene

SIZES = (1, 7, 100, 4095, 4096, 20_000, 70_000, 300_000)
MESSAGE_SIZES = (0, 4, 100, 1400, 9000, 60_000, 66_000)
"""Of datagrams; the last is one too large."""
REACTIONS = (
    *40 * ("nothing",),
    *4 * ("pause", "limit", "write_lines"),
    *2 * ("hand_over", "collect_garbage"),
    *("close", "abort", "write_eof", "fail"),
)


class Noted:
    """A protocol of which is known how often it was told of its beginning and end."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.chance = scene.chance
        self.transport: Any = None
        self.made = self.lost = 0
        self.successor: Noted | None = None
        scene.protocols.append(self)

    def expects_lost(self) -> int:
        """Return how often the end is to be told: never to one without a transport."""
        return int(self.made > 0 and self.successor is None)

    def current(self) -> Any:
        """Return the protocol that has the transport now."""
        return self if self.successor is None else self.successor.current()

    def connection_made(self, transport: Any) -> None:
        self.made += 1
        self.transport = transport

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost += 1

    def check(self, holds: bool, what: str) -> None:
        self.scene.check(holds, f"{self!r}: {what}")


class Fickle(Noted, asyncio.Protocol):
    """One end of a stream on which both send the bytes of `STREAM`, in order."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.sent = self.received = 0
        self.may_send = True
        self.keep_open = scene.chance.random() < 0.3

    def data_received(self, data: bytes) -> None:
        self.check(self.made == 1 and self.lost == 0, "data at the wrong time")
        self.check(STREAM.startswith(data, self.received), "bytes lost or moved")
        self.received += len(data)
        if self.may_send:
            self.send(self.chance.choice((1, len(data), 2 * len(data), 5000)))
        self.react()

    def eof_received(self) -> bool:
        self.react()
        return self.keep_open

    def pause_writing(self) -> None:
        self.check(self.may_send, "paused twice")
        self.may_send = False
        self.react()

    def resume_writing(self) -> None:
        self.check(not self.may_send, "resumed twice")
        self.may_send = True
        self.react()

    # -- what it may do, also when asked from outside

    def next_bytes(self, size: int) -> bytes:
        data = STREAM[self.sent : self.sent + size]
        self.sent += len(data)
        return data

    def send(self, size: int) -> None:
        """Write the next bytes, as one of the kinds that may be written."""
        kind = self.chance.choice((bytes, bytearray, memoryview))
        self.attempt(lambda: self.transport.write(kind(self.next_bytes(size))))

    def attempt(self, act: Callable[[], None]) -> None:
        """Do what is refused after `write_eof`, and while a file is sent."""
        before = self.sent
        try:
            act()
        except RuntimeError as error:
            self.sent = before
            self.check(
                "write_eof" in str(error) or "sendfile" in str(error), repr(error)
            )

    def react(self) -> None:
        """Do one thing, mostly none."""
        getattr(self, self.chance.choice(REACTIONS))()

    def nothing(self) -> None:
        pass

    def pause(self) -> None:
        transport = self.transport
        transport.pause_reading()
        delay = self.chance.choice((0, 0, 0.001))
        self.scene.loop.call_later(delay, transport.resume_reading)

    def limit(self) -> None:
        high = self.chance.choice((0, 100, 65536, 1_000_000))
        self.transport.set_write_buffer_limits(high=high)

    def write_lines(self) -> None:
        self.attempt(
            lambda: self.transport.writelines(
                [self.next_bytes(size) for size in (1, 100, 5000)]
            )
        )

    def hand_over(self) -> None:
        """Let another protocol go on where this one stopped."""
        transport = self.transport
        if self.successor is not None or self.lost or transport.is_closing():
            return
        successor = fickle(self.scene)
        successor.made, successor.transport = 1, transport
        successor.sent, successor.received = self.sent, self.received
        successor.may_send = self.may_send
        self.successor = successor
        transport.set_protocol(successor)

    def collect_garbage(self) -> None:
        gc.collect(0)

    def close(self) -> None:
        self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def write_eof(self) -> None:
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def fail(self) -> None:
        raise PlannedError


class FickleWithBuffers(Fickle, asyncio.BufferedProtocol):
    """The same, with memory to receive into that is another one now and then."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self.buffer = bytearray(3000)

    def get_buffer(self, sizehint: int) -> Any:
        if self.chance.random() < 0.1:
            self.buffer = bytearray(self.chance.choice((1, 100, 70_000)))
        return memoryview(self.buffer) if len(self.buffer) == 100 else self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # What the memory held must not matter to anybody later.
        data = bytes(self.buffer[:nbytes])
        self.buffer[:nbytes] = bytes(nbytes)
        self.data_received(data)


def fickle(scene: Scene) -> Fickle:
    """Return a new protocol of either kind."""
    return scene.chance.choice((Fickle, FickleWithBuffers))(scene)


class FickleWithDatagrams(Noted, asyncio.DatagramProtocol):
    """Answers messages, each of which says in its first bytes where `STREAM` has it."""

    errors = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.check(self.made == 1 and self.lost == 0, "a message at the wrong time")
        if data:
            start = 4 * int.from_bytes(data[:4], "little")
            self.check(STREAM.startswith(data, start), "a message was damaged")
        chance = self.chance.random()
        if chance < 0.6:
            self.transport.sendto(data, addr)
        elif chance < 0.62:
            raise PlannedError
        elif chance < 0.64:
            self.chance.choice((self.transport.close, self.transport.abort))()

    def error_received(self, exc: Exception) -> None:
        self.errors += 1

    def send(self, address: Any = None) -> None:
        """Send one message."""
        start = 4 * self.chance.randrange(1_000_000)
        size = self.chance.choice(MESSAGE_SIZES)
        self.transport.sendto(STREAM[start : start + size], address)
