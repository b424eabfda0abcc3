"""How another thread learns that a loop cannot turn, and at which line that is.

The loop does nothing for it: it notes anyway when it looked outside last, it takes each
callback off a list as that begins, and its poller knows whether it sleeps. Whoever
finds the same twice, and the loop awake both times, knows that no callback has ended in
between: that one blocks the loop. If only the look outside is the same, the loop is
busy with many, of which none is to blame. On a busy machine that may be because
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
from typing import TYPE_CHECKING, Any, NamedTuple

from quiesce.core.interrupts import HANDING_OVER, OURS
from quiesce.core.scheduler import Scheduler
from quiesce.shutdown import await_chain
from quiesce.shutdown.await_chain import frames_down_to, own_place
from quiesce.shutdown.processor_wait import ProcessorWait
from quiesce.shutdown.stderr import say

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

# The modules that run loops; compiled, there is nothing between them and a callback.
RUN_LOOPS = (f"{OURS}{os.sep}shutdown", f"{OURS}{os.sep}runner")


class Note(NamedTuple):
    """Where a loop is.

    `turn` is the same until it looks outside again, and below zero while it does;
    `step` is another one for each callback that begins meanwhile.
    """

    turn: int
    step: int


# Where a loop is that sleeps or does not run.
NOT_BLOCKED = Note(0, 0)


class Standstill:
    """For how long something is the same, as far as it was looked at.

    `native_id` is the system's number of the thread whose doing that is.
    """

    def __init__(self, native_id: int) -> None:
        self.processor = ProcessorWait(native_id)
        self.seen: object = None
        self.seen_at = 0.0

    def lasts(self, seen: object, now: float) -> float:
        """Return the seconds since `seen` was seen first; 0 if that is now."""
        if seen == self.seen:
            return now - self.seen_at
        self.seen, self.seen_at = seen, now
        self.processor.begin()
        return 0.0

    def held_for(self, seconds: float) -> float:
        """Return how much of `seconds`, what `lasts` said, the thread has used.

        For the rest it waited for a processor.
        """
        return max(0.0, seconds - self.processor.waited(seconds))


class Pulse:
    """Tells, in any thread, for how long one loop of ours is blocked, or only busy.

    It can only know since it was asked first: the answer is the least it can be. Made
    in the thread that runs the loop; does not keep the loop alive.
    """

    def __init__(self, loop: Any) -> None:
        self.loop_or_none: Callable[[], Any] = weakref.ref(loop)
        self.seen = NOT_BLOCKED
        native_id = threading.get_native_id()
        self.step = Standstill(native_id)
        self.turn = Standstill(native_id)
        # For how long the loop had not turned when it was looked at last.
        self.stands_for = 0.0

    @property
    def loop(self) -> Any:
        """The loop, or None if it is gone."""
        return self.loop_or_none()

    def blocked_for(self) -> float:
        """Return for how many seconds the present callback runs; 0 if none is known."""
        self.seen, now = self.note(), time.monotonic()
        if self.seen == NOT_BLOCKED:
            self.step.seen = self.turn.seen = None
            self.stands_for = 0.0
            return 0.0
        self.stands_for = self.turn.lasts(self.seen.turn, now)
        return self.step.lasts(self.seen, now)

    def note(self) -> Note:
        """Return what stays the same while the loop is blocked; else `NOT_BLOCKED`."""
        loop = self.loop
        if loop is None:
            return NOT_BLOCKED
        turn: int = loop.polled_at
        if not loop.is_running():
            return NOT_BLOCKED
        if turn >= 0:
            return Note(turn, loop.ready.taken())
        # A poller of another make cannot be asked whether it sleeps.
        if getattr(loop.poller, "sleeping", True):
            return NOT_BLOCKED
        return Note(turn, loop.poller.told())


class ForeignPulse(Pulse):
    """The same for a loop of another make, which has to be woken for it.

    What it tells of its callbacks is only which task runs: those outside of any task
    that follow one another pass for one.
    """

    def __init__(self, loop: Any) -> None:
        super().__init__(loop)
        # Not every make can be referred to weakly.
        self.loop_or_none = lambda: loop
        self.asked = 0
        self.answered = 0

    def note(self) -> Note:
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
        # Each task takes one step at most until the loop answers.
        return Note(self.asked, id(asyncio.current_task(self.loop)))

    def answer(self, asked: int) -> None:
        """Note, in the loop, that it turns."""
        self.answered = asked


def pulse_of(loop: Any) -> Pulse:
    """Return what tells whether `loop` turns."""
    return Pulse(loop) if isinstance(loop, Scheduler) else ForeignPulse(loop)


class Announcer:
    """Says what holds one loop, each time once."""

    def __init__(self, pulse: Pulse, thread_id: int) -> None:
        self.pulse = pulse
        self.thread_id = thread_id
        # What was told of last.
        self.told = NOT_BLOCKED
        self.told_busy = NOT_BLOCKED.turn

    def look(self, threshold: float) -> float:
        """Tell of what takes longer than `threshold`; return what the loop stands for.

        All in seconds. Time without a processor does not count.
        """
        pulse = self.pulse
        seconds = pulse.blocked_for()
        if seconds >= threshold and pulse.step.held_for(seconds) >= threshold:
            self.tell(seconds)
        elif pulse.stands_for >= threshold:
            self.tell_busy(threshold)
        return pulse.stands_for

    def tell(self, seconds: float) -> None:
        """Say for how many seconds already which line blocks the loop."""
        if self.told != self.pulse.seen:
            self.told = self.pulse.seen
            # Of the turn enough is known.
            self.told_busy = self.pulse.seen.turn
            self.say(f"blocked for {seconds:.1f} s")

    def tell_busy(self, least: float) -> None:
        """Say that many callbacks keep the loop from turning, after `least` seconds."""
        seconds, turn = self.pulse.stands_for, self.pulse.seen.turn
        if self.told_busy != turn and self.pulse.turn.held_for(seconds) >= least:
            self.told_busy = turn
            self.say(f"busy for {seconds:.1f} s with one callback after another, now")

    def say(self, words: str) -> None:
        """Say so of the loop, and where it is."""
        loop = self.pulse.loop
        say([f"quiesce: the loop is {words} {described_place(loop, self.thread_id)}"])


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
