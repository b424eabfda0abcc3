"""Telling a protocol to write no more for now, because much waits already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

# Bytes; asyncio's default.
HIGH_WATER = 64 * 1024


class FlowControl:
    """Whether one transport's protocol is paused, by how many bytes wait to be sent.

    Its owner is whoever does the transport's work; it is handed in, as what it owns
    must not hold it: ``get_protocol()`` says who is told, and what goes wrong there is
    given to ``report(error, message)``.
    """

    __slots__ = ("high", "low", "paused")

    def __init__(self, high: int) -> None:
        self.high = high
        self.low = high // 4
        self.paused = False

    def limits(self) -> tuple[int, int]:
        """Return the low and the high water mark, in bytes."""
        return self.low, self.high

    def set_limits(self, high: int | None, low: int | None) -> None:
        """Set the water marks, in bytes; see `water_marks`."""
        self.high, self.low = water_marks(high, low)

    def note_more(self, owner: Any, size: int) -> None:
        """Pause the protocol if `size` bytes, after some were added, are too many."""
        if not self.paused and size > self.high:
            self.paused = True
            tell(owner, "pause_writing")

    def may_resume(self, size: int) -> bool:
        """Tell whether `note_less` would resume the protocol."""
        return self.paused and size <= self.low

    def note_less(self, owner: Any, size: int) -> None:
        """Resume the protocol if `size` bytes, after some were sent, are few again."""
        if self.may_resume(size):
            self.paused = False
            tell(owner, "resume_writing")


# Functions, for where a callable is needed: Cython makes none of a C method that the C
# compilers of today accept.


def note_more(flow: FlowControl, owner: Any, size: int) -> None:
    """Do what `FlowControl.note_more` does."""
    flow.note_more(owner, size)


def note_less(flow: FlowControl, owner: Any, size: int) -> None:
    """Do what `FlowControl.note_less` does."""
    flow.note_less(owner, size)


def tell(owner: Any, what: str) -> None:
    """Call this method of the protocol, which is only to take note."""
    try:
        call: Callable[[], None] = getattr(owner.get_protocol(), what)
        call()
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - asyncio reports these too
        owner.report(error, f"protocol.{what}() failed")


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
