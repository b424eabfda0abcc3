"""Bytes that wait to be sent, and the marks that say when they are too many.

Pure bookkeeping: `stream` sends what is here and says how much of it went. Read this
before `stream`.
"""

from __future__ import annotations

from typing import Any

from quiesce.core import native

# Bytes; asyncio's defaults.
HIGH_WATER = 64 * 1024
# Chunks that were sent are cut off the list once there are this many of them.
SPENT_LIMIT = 64


class WriteBuffer:
    """A queue of bytes objects, the first of which may be sent in part.

    Invariant: what waits is ``chunks[first][offset:]`` and every chunk after it, `size`
    bytes in all. None of these chunks is empty.
    """

    __slots__ = ("chunks", "first", "high", "low", "offset", "size")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.first = 0
        self.offset = 0
        self.size = 0
        self.high = HIGH_WATER
        self.low = HIGH_WATER // 4

    def append(self, data: bytes, sent: int) -> None:
        """Queue `data` but for its first `sent` bytes: none, unless this is empty."""
        if sent:
            self.offset = sent
        native.append(self.chunks, data)
        self.size += len(data) - sent

    def take_only(self) -> bytes:
        """Return all that waits, where that is one whole chunk, and forget it."""
        self.size = 0
        return native.take_last(self.chunks)

    def remove(self, count: int) -> None:
        """Forget the first `count` bytes: they were sent."""
        if count == self.size:
            self.clear()
        else:
            self.size -= count
            self._advance(self.offset + count)

    def _advance(self, offset: int) -> None:
        """Move to the byte that is `offset` bytes into the chunks that are left."""
        chunks = self.chunks
        while offset >= len(chunks[self.first]):
            offset -= len(chunks[self.first])
            chunks[self.first] = b""
            self.first += 1
        self.offset = offset
        # To delete from the front of a list costs what follows; so rarely, and many.
        if self.first > SPENT_LIMIT and self.first * 2 > len(chunks):
            del chunks[: self.first]
            self.first = 0

    def clear(self) -> None:
        """Forget all that waits."""
        self.chunks = []
        self.first = 0
        self.offset = 0
        self.size = 0

    def set_limits(self, high: int | None, low: int | None) -> None:
        """Set the water marks in bytes; what is None follows from the other.

        Raises ValueError unless ``high >= low >= 0``.
        """
        self.high, self.low = water_marks(high, low)


def water_marks(high: int | None, low: int | None) -> tuple[int, int]:
    """Return the high and the low mark, where one or both follow from the other.

    Raises ValueError unless ``high >= low >= 0``.
    """
    if high is None:
        high = HIGH_WATER if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low


def refuse_what_is_no_bytes(data: Any) -> None:
    """Raise TypeError for what cannot be written."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        kind = type(data).__name__
        raise TypeError(f"data argument must be a bytes-like object, not {kind!r}")
