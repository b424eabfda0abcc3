"""Holds the deadline where the loop cannot: a thread that looks at it from outside.

While a program runs, the watchdog tells of a loop that is blocked longer than a
threshold, while it is blocked; without a threshold there is no thread. Once the end has
begun (`hold`) there always is one. It

- names the line that holds the loop, after one second;
- from half of the grace on interrupts what holds it too long by itself, so that the
  cleanups of all the others have the rest of it;
- and at the deadline, if the end has not come, calls who ends the process.

Read `blocked` (how one knows) and `interruption` (how a line is ended) before this.
Where a call in C keeps the GIL no thread of Python runs: that is for `guard`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.blocked import Announcer, pulse_of
from quiesce.shutdown.interruption import Interruption, may_raise
from quiesce.shutdown.watch_thread import WatchThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.shutdown.budget import Budget

# Seconds of a blocked loop after which an end that waits for it says so.
NAMED_AFTER = 1.0
# Between two looks once the end has begun, in seconds.
LOOKS = 0.05
# From this share of the grace on a blocker is interrupted when it took another share.
INTERRUPTS_FROM = 0.5
PATIENCE = 0.125
# Of that time it must have run or slept for so many seconds: a line whose thread did
# not get a processor is not to blame.
LEAST_HELD = 0.02
# How long the end may overrun its deadline as long as the loop turns, in seconds.
OVERRUN = 0.5
# Seconds after which a blocked loop is told of while the program runs; None is never.
# ``quiesce run`` sets it.
default_threshold: float | None = None
# Those that look after a loop now, be it without a word until its end begins.
ON_DUTY: set[Watchdog] = set()


class Watchdog:
    """Looks after one loop; made and called in the thread that runs it.

    `threshold` is in seconds; with None nothing is told while the program runs. Outside
    the main thread it only names lines. Tasks that it interrupts are added to
    `interrupted`.
    """

    def __init__(
        self, loop: Any, *, threshold: float | None, interrupted: set[Any]
    ) -> None:
        self.loop = loop
        self.threshold = threshold
        self.thread_id = threading.get_ident()
        self.pulse = pulse_of(loop)
        self.announcer = Announcer(self.pulse, self.thread_id)
        self.interruption = Interruption(self.pulse, interrupted)
        self.thread: WatchThread | None = None
        self.budget: Budget | None = None
        self.on_deadline: Callable[[], None] | None = None

    def start(self) -> None:
        """Tell from now on of a loop that is blocked for longer than the threshold."""
        ON_DUTY.add(self)
        if self.threshold is not None and self.thread is None:
            self.thread = thread = WatchThread(
                self.look_while_running, self.start_in_next_iteration
            )
            thread.start()

    def start_in_next_iteration(self, thread: WatchThread) -> None:
        """Look again when the fork that goes on is over.

        Python counts the threads, to warn of them, after all that is done at a fork.
        """
        try:
            self.loop.call_soon_threadsafe(self.start_again, thread)
        except RuntimeError:
            # The loop is closed.
            return

    def start_again(self, thread: WatchThread) -> None:
        """Look again, if this is still asked for."""
        if self.thread is thread:
            thread.start()

    def stop(self) -> None:
        """Tell no more of a blocked loop, until the end has begun."""
        if self.budget is None:
            ON_DUTY.discard(self)
            self.end_thread()

    def end_thread(self) -> None:
        """Have no thread that looks."""
        thread, self.thread = self.thread, None
        if thread is not None:
            thread.stop()

    def hold(self, budget: Budget, *, on_deadline: Callable[[], None] | None) -> None:
        """See to it that the end, which begins now, keeps to `budget`.

        May be called by a signal's handler. If `release` is not called before the
        deadline, `on_deadline` is, in another thread. Again, it replaces the budget.
        """
        if self.budget is not None:
            self.budget = budget
            return
        ON_DUTY.add(self)
        self.end_thread()
        self.on_deadline = on_deadline
        self.budget = budget
        self.interruption.prepare()
        self.thread = thread = WatchThread(self.look_while_ending)
        thread.start()

    def release(self) -> None:
        """Note that the end has come in time."""
        self.on_deadline = None
        ON_DUTY.discard(self)
        self.end_thread()
        if self.budget is not None:
            self.budget = None
            self.interruption.give_up()

    # -- in the thread

    def look_while_running(self) -> float | None:
        """Tell of a block above the threshold; return when to look next."""
        assert self.threshold is not None
        seconds = self.announcer.look(self.threshold)
        return pause_before_next_look(seconds, self.threshold)

    def look_while_ending(self) -> float | None:
        """Name, interrupt or end what holds the loop; return when to look next."""
        budget = self.budget
        if budget is None:
            return None
        seconds, now = self.pulse.blocked_for(), time.monotonic()
        stands = self.pulse.stands_for > 0
        if now >= budget.deadline and (stands or now >= budget.deadline + OVERRUN):
            on_deadline, self.on_deadline = self.on_deadline, None
            if on_deadline is not None:
                on_deadline()
            return None
        patience = patience_with(budget, now)
        if (
            seconds >= min(NAMED_AFTER, patience)
            and self.pulse.step.held_for(seconds) >= LEAST_HELD
        ):
            if seconds >= NAMED_AFTER:
                self.announcer.tell(seconds)
            if seconds >= patience and now - self.interruption.raised_at >= patience:
                self.interrupt(seconds)
        elif self.pulse.stands_for >= NAMED_AFTER:
            self.announcer.tell_busy(LEAST_HELD)
        return LOOKS

    def interrupt(self, seconds: float) -> None:
        """End the line that holds the loop, after it was named; not one of ours."""
        frame = sys._current_frames().get(self.thread_id)
        if may_raise(frame, self.pulse.seen):
            self.announcer.tell(seconds)
            self.interruption.interrupt(
                self.thread_id,
                f"interrupted: it had blocked the loop for {seconds:.1f} s",
            )


def is_watched(loop: Any) -> bool:
    """Tell whether a watchdog looks after `loop`, as it does for a runner."""
    return any(watchdog.loop is loop for watchdog in list(ON_DUTY))


def pause_before_next_look(seconds: float, threshold: float) -> float:
    """Return for how long to look away from a loop that stands for `seconds`."""
    left = threshold - seconds
    return min(max(left, LOOKS), threshold / 2) if seconds else threshold / 2


def patience_with(budget: Budget, now: float) -> float:
    """Return for how many seconds a loop may be blocked before it is interrupted."""
    is_hurried = budget.deadline < budget.began_at + budget.grace
    if is_hurried or now >= budget.deadline - budget.reserve:
        return LOOKS
    if now >= budget.at(INTERRUPTS_FROM):
        return PATIENCE * budget.grace
    return float("inf")


def threshold() -> float | None:
    """Return the threshold in seconds: ``QUIESCE_WATCHDOG_MS``, or else the default.

    Raises ValueError for what is not a number of milliseconds.
    """
    text = os.environ.get("QUIESCE_WATCHDOG_MS", "").strip()
    if not text:
        return default_threshold
    try:
        milliseconds = float(text)
    except ValueError:
        milliseconds = -1.0
    if not 0 <= milliseconds < float("inf"):
        raise ValueError(
            f"QUIESCE_WATCHDOG_MS must be a number of milliseconds, not {text!r}"
        )
    return milliseconds / 1000 or None
