"""The callbacks that wait for a time: a binary heap, the earliest deadline first.

Most timeouts are cancelled long before they fall due. Searching the heap for each would
cost O(n), so a cancelled timer stays in place until it comes to the top, or until a
third of all is cancelled and the heap is rebuilt without them. One that stands
last, as the only timer always does, leaves at once.

The heap is our own because comparing two C doubles in place is several times cheaper
than `heapq`, which asks ``__lt__`` for each comparison.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.handle import Handle

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

# Below this many cancelled timers a rebuild is not worth its walk.
FEW = 64
# Above one in so many, it is: their memory counts where thousands of sleeping tasks are
# cancelled at once.
MANY = 3


class TimerHandle(Handle):
    """A callback that is due at an absolute time of its loop's clock, in seconds."""

    __slots__ = ("_heap", "_order", "_scheduled", "_when")

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None = None,
    ) -> None:
        Handle.__init__(self, callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[
                len(self._source_traceback) - native.OWN_FRAMES :
            ]
        self._when = float(when)
        self._order = 0
        self._scheduled = False
        self._heap = None

    @property
    def __class__(self) -> type:
        """The type asyncio's users test for."""
        return asyncio.TimerHandle if type(self) is TimerHandle else type(self)

    def _repr_info(self) -> list[str]:
        info = asyncio.TimerHandle._repr_info(self)
        if float(self._when).is_integer():
            # Given as an int, as deadlines often are where time is made up.
            shown = f"when={self._when}"
            info[info.index(shown)] = shown.removesuffix(".0")
        return info

    def when(self) -> float:
        """Return the time at which the callback is due, as the loop's `time` counts."""
        return self._when

    def cancel(self) -> None:
        """Prevent the callback from running; without effect once it ran.

        The callback, its arguments and its context are let go at once. Not thread-safe.
        """
        self.drop()

    def drop(self) -> None:
        """Do what `cancel` does."""
        if not self._cancelled:
            self._cancelled = True
            if self._source_traceback is not None:
                self._repr = repr(self)
            self._callback = None
            self._args = None
            if self._scheduled:
                # It never runs; up to 100 bytes, which it would hold as long as it
                # stays in the heap.
                self._context = None
                self._heap.note_cancelled(self)

    def __hash__(self) -> int:
        return hash(self._when)

    def __lt__(self, other: object) -> bool:
        if isinstance(other, TimerHandle):
            return self._when < other.when()
        return NotImplemented

    def __le__(self, other: object) -> bool:
        if isinstance(other, TimerHandle):
            return self._when <= other.when()
        return NotImplemented

    def __gt__(self, other: object) -> bool:
        if isinstance(other, TimerHandle):
            return self._when > other.when()
        return NotImplemented

    def __ge__(self, other: object) -> bool:
        if isinstance(other, TimerHandle):
            return self._when >= other.when()
        return NotImplemented

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TimerHandle):
            return (
                self._when == other.when()
                and self._callback == other._callback
                and self._args == other._args
                and self._cancelled == other.cancelled()
            )
        return NotImplemented


class TimerHeap:
    """The timers of one loop. Only the loop's own thread touches it.

    Timers that are due at the same time come out in the order in which they were added.
    """

    __slots__ = ("added", "cancelled", "heap")

    def __init__(self) -> None:
        self.heap: list[TimerHandle] = []
        self.added = 0
        self.cancelled = 0

    def __len__(self) -> int:
        return len(self.heap)

    def push(self, timer: TimerHandle) -> None:
        """Add a timer."""
        self.added += 1
        timer._order = self.added
        timer._scheduled = True
        timer._heap = self
        native.append(self.heap, timer)
        sift_up(self.heap, native.size(self.heap) - 1, timer)

    def first(self) -> TimerHandle | None:
        """Return the timer that is due next, or None; drop cancelled ones before."""
        while self.heap:
            if not self.heap[0]._cancelled:
                return self.heap[0]
            self.cancelled -= 1
            self.pop()
        return None

    def pop_due(self, now: float) -> TimerHandle | None:
        """Take the next timer that is due at `now` out of the heap; None if none is."""
        timer = self.first()
        if timer is None or timer._when > now:
            return None
        return self.pop()

    def pop(self) -> TimerHandle:
        """Take the earliest timer out of the heap; IndexError if there is none."""
        if not self.heap:
            raise IndexError("no timers")
        first = self.heap[0]
        last = native.take_last(self.heap)
        if last is not first:
            self.heap[0] = last
            sift_down(self.heap, 0, last)
        first._scheduled = False
        return first

    def note_cancelled(self, timer: TimerHandle) -> None:
        """Count a cancelled timer, or drop it if that costs nothing."""
        size = native.size(self.heap)
        if size and self.heap[size - 1] is timer:
            native.take_last(self.heap)
            timer._scheduled = False
        else:
            self.cancelled += 1
            if self.cancelled > FEW and MANY * self.cancelled > size:
                self.rebuild()

    def rebuild(self) -> None:
        """Drop every cancelled timer and put the others in order again."""
        live = []
        for timer in self.heap:
            if timer._cancelled:
                timer._scheduled = False
            else:
                live.append(timer)
        self.heap = live
        self.cancelled = 0
        place = len(live) // 2
        while place:
            place -= 1
            sift_down(live, place, live[place])

    def clear(self) -> None:
        """Forget every timer."""
        self.heap = []
        self.cancelled = 0


def make_timer(
    when: float,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context,
) -> TimerHandle:
    """Make a timer without the constructor's questions: compiled, one C call."""
    timer = TimerHandle.__new__(TimerHandle)
    begin_timer(timer, when, callback, args, loop, context)
    return timer


def begin_timer(
    timer: TimerHandle,
    when: float,
    callback: Callable[..., object] | None,
    args: tuple[Any, ...] | None,
    loop: Any,
    context: Context | None,
) -> None:
    """Fill in a new timer; one whose class runs by itself needs no callback."""
    timer._callback = callback
    timer._args = args
    timer._loop = loop
    timer._context = context
    timer._cancelled = False
    timer._repr = None
    timer._source_traceback = None
    timer._when = when
    timer._heap = None
    timer._scheduled = False


def earlier(one: TimerHandle, other: TimerHandle) -> bool:
    """Tell whether `one` comes out before `other`."""
    return one._when < other._when or (
        one._when == other._when and one._order < other._order
    )


def sift_up(heap: list[TimerHandle], place: int, timer: TimerHandle) -> None:
    """Move `timer` up from its `place` until its parent is earlier."""
    start = place
    while place > 0:
        parent = (place - 1) >> 1
        above = heap[parent]
        if not earlier(timer, above):
            break
        native.rearrange(heap, place, above)
        place = parent
    if place != start:
        native.rearrange(heap, place, timer)


def sift_down(heap: list[TimerHandle], place: int, timer: TimerHandle) -> None:
    """Move `timer` down from its `place` until its children are later."""
    size = native.size(heap)
    child = 2 * place + 1
    while child < size:
        below = heap[child]
        if child + 1 < size:
            right = heap[child + 1]
            if earlier(right, below):
                below = right
                child += 1
        if not earlier(below, timer):
            break
        native.rearrange(heap, place, below)
        place = child
        child = 2 * place + 1
    native.rearrange(heap, place, timer)


native.keep_freed(TimerHandle)
