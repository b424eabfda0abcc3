"""How another thread learns that a loop cannot turn, and at which line that is.

The loop does nothing for it: it notes anyway when it looked outside last, and its
poller whether it sleeps. Whoever finds the same note twice, and the loop awake both
times, knows that it has not turned in between. On a busy machine that may be because
its thread did not get a processor: where the system tells of it (`processor_wait`) one
can know that too.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from quiesce.core.interrupts import HANDING_OVER, OURS
from quiesce.core.scheduler import Scheduler
from quiesce.shutdown import await_chain
from quiesce.shutdown.await_chain import frames_down_to, own_place
from quiesce.shutdown.processor_wait import ProcessorWait
from quiesce.shutdown.stderr import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

# What a loop that turns, sleeps or does not run is noted as.
NOT_BLOCKED = 0
# The modules that run loops; compiled, there is nothing between them and a callback.
RUN_LOOPS = (f"{OURS}{os.sep}shutdown", f"{OURS}{os.sep}runner")


class Pulse:
    """Tells, in any thread, for how long one loop of ours has not turned.

    It can only know since it was asked first: the answer is the least it can be. Made
    in the thread that runs the loop; does not keep the loop alive.
    """

    def __init__(self, loop: Any) -> None:
        self.loop_or_none: Callable[[], Any] = weakref.ref(loop)
        self.processor = ProcessorWait(threading.get_native_id())
        self.seen = NOT_BLOCKED
        self.seen_at = 0.0

    @property
    def loop(self) -> Any:
        """The loop, or None if it is gone."""
        return self.loop_or_none()

    def blocked_for(self) -> float:
        """Return the seconds for which the loop has not turned; 0 if it does."""
        note, now = self.note(), time.monotonic()
        if note == NOT_BLOCKED or note != self.seen:
            self.seen, self.seen_at = note, now
            if note != NOT_BLOCKED:
                self.processor.begin()
            return 0.0
        return now - self.seen_at

    def held_above(self, threshold: float) -> float:
        """Return what `blocked_for` does; above `threshold`, what `held_for` does."""
        seconds = self.blocked_for()
        return self.held_for(seconds) if seconds >= threshold else seconds

    def held_for(self, seconds: float) -> float:
        """Return how much of `seconds`, what `blocked_for` said, is the line's doing.

        For the rest its thread waited for a processor.
        """
        return max(0.0, seconds - self.processor.waited(seconds))

    def note(self) -> int:
        """Return what stays the same while the loop is blocked; else `NOT_BLOCKED`.

        It is above zero between two looks outside and below zero during one.
        """
        loop = self.loop
        if loop is None:
            return NOT_BLOCKED
        note: int = loop.polled_at
        if not loop.is_running():
            return NOT_BLOCKED
        # A poller of another make cannot be asked whether it sleeps.
        if note < 0 and getattr(loop.poller, "sleeping", True):
            return NOT_BLOCKED
        return note


class ForeignPulse(Pulse):
    """The same for a loop of another make, which has to be woken for it."""

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        # Not every make can be referred to weakly.
        self.loop_or_none = lambda: loop
        self.asked = 0
        self.answered = 0

    def note(self) -> int:
        """Ask the loop to answer, unless an answer is due."""
        if not self.loop.is_running():
            return NOT_BLOCKED
        if self.answered == self.asked:
            self.asked += 1
            try:
                self.loop.call_soon_threadsafe(self.answer, self.asked)
            except RuntimeError:
                # It was closed meanwhile.
                return NOT_BLOCKED
        return self.asked

    def answer(self, asked: int) -> None:
        """Note, in the loop, that it turns."""
        self.answered = asked


def pulse_of(loop: Any) -> Pulse:
    """Return what tells whether `loop` turns."""
    return Pulse(loop) if isinstance(loop, Scheduler) else ForeignPulse(loop)


def say_blocked(loop: Any, thread_id: int, seconds: float) -> None:
    """Say which line of `thread_id` holds `loop`, and for how long already."""
    place = described_place(loop, thread_id)
    say([f"quiesce: the loop is blocked for {seconds:.1f} s {place}"])


def described_place(loop: Any, thread_id: int) -> str:
    """Say at which line `thread_id` is, and in which task of `loop`."""
    words = place_of(frames_down_to(sys._current_frames().get(thread_id)))
    task = task_of(loop)
    return words if task is None else f"{words} (task {task.get_name()})"


def place_of(frames: list[FrameType]) -> str:
    """Name the innermost line of the program, and what it called if that has lines."""
    places = tuple(map(await_chain.place_of, called_by_us(frames)))
    own = own_place(places)
    if own is None:
        return "in a callback that has no lines"
    if own == places[-1]:
        return f"at {own}"
    return f"at {own}, which called {places[-1]}"


def called_by_us(frames: list[FrameType]) -> list[FrameType]:
    """Return those of a stack's `frames` that are inside what our code has called."""
    for index, frame in reversed(list(enumerate(frames))):
        if runs_a_loop(frame.f_code):
            return frames[index + 1 :]
    return frames


def runs_a_loop(code: CodeType) -> bool:
    """Tell whether `code` is ours, with a loop below it or a callback of the loop."""
    return code in HANDING_OVER or code.co_filename.startswith(RUN_LOOPS)


def task_of(loop: Any) -> Any:
    """Return the task that `loop` runs, as far as another thread can tell."""
    current = getattr(loop, "current", None)
    return asyncio.current_task(loop) if current is None else current
