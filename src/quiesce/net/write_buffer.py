"""Bytes that wait to be sent.

Pure bookkeeping: `stream` sends what is here and says how much of it went. Read this
before `stream`.
"""

from __future__ import annotations

from typing import Any

from quiesce.core import native

# Chunks that were sent are cut off the list once there are this many of them.
SPENT_LIMIT = 64


class WriteBuffer:
    """A queue of bytes objects, the first of which may be sent in part.

    Invariant: what waits is ``chunks[first][offset:]`` and every chunk after it, `size`
    bytes in all. None of these chunks is empty.
    """

    __slots__ = ("chunks", "first", "offset", "size")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.first = 0
        self.offset = 0
        self.size = 0

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


def refuse_what_is_no_bytes(data: Any) -> None:
    """Raise TypeError for what cannot be written."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        kind = type(data).__name__
        raise TypeError(f"data argument must be a bytes-like object, not {kind!r}")
