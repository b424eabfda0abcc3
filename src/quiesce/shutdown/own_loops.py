"""The loops that a program runs by itself, with no runner, under ``quiesce run``.

A runner has a `watchdog` and a `guard`. A program that calls
``loop.run_until_complete()`` has none, so one thread looks at all such loops and tells
of those that are blocked. It is made when the first of them runs, and with it comes a
guard. A signal that asks for the end comes out of the run as `Terminated`, and as long
as a blocked loop keeps it from that, a watchdog holds the deadline.
"""

from __future__ import annotations

import functools
import signal
import threading
from typing import Any

from quiesce.core import runs
from quiesce.core.scheduler import Scheduler
from quiesce.errors import Terminated
from quiesce.shutdown import triggers
from quiesce.shutdown.blocked import Pulse, say_blocked
from quiesce.shutdown.budget import Budget, grace_of
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.reason import SIGNALLED, Reason
from quiesce.shutdown.watch_thread import RUNNING, WatchThread
from quiesce.shutdown.watchdog import (
    Watchdog,
    is_watched,
    pause_before_next_look,
    threshold,
)


class OwnLoop:
    """One loop, in the thread that runs it; it may be gone meanwhile."""

    def __init__(self, loop: Any) -> None:
        self.pulse = Pulse(loop)
        self.thread_id = threading.get_ident()
        # The note of the pulse for the block that was told of last.
        self.told = 0

    def is_over(self) -> bool:
        """Tell whether the loop will not run any more."""
        loop = self.pulse.loop
        return loop is None or loop.is_closed()

    def look(self, threshold: float) -> float:
        """Tell, once, of a block above the threshold; return for how long it is."""
        loop = self.pulse.loop
        if loop is None or is_watched(loop):
            return 0.0
        seconds = self.pulse.held_above(threshold)
        if seconds >= threshold and self.told != self.pulse.seen:
            self.told = self.pulse.seen
            say_blocked(loop, self.thread_id, seconds)
        return seconds


class OwnLoops:
    """All of them; `watch` is to be called with each loop that begins to run."""

    def __init__(self) -> None:
        self.threshold = 0.0
        self.known: list[OwnLoop] = []
        self.thread = WatchThread(self.look, self.start_in_next_iteration)

    def watch(self, loop: Any) -> None:
        """Look at `loop`, which begins to run in this thread.

        Raises ValueError as `threshold` does.
        """
        if is_watched(loop):
            return
        guard_run(loop)
        seconds = threshold()
        if seconds is None:
            return
        self.threshold = seconds
        thread_id = threading.get_ident()
        for known in self.known:
            if known.pulse.loop is loop and known.thread_id == thread_id:
                break
        else:
            others = [
                known
                for known in self.known
                if not known.is_over() and known.pulse.loop is not loop
            ]
            self.known = [*others, OwnLoop(loop)]
        # A fork may have left it behind.
        if self.thread not in RUNNING:
            self.thread.start()

    def start_in_next_iteration(self, _: WatchThread) -> None:
        """Look again when the fork that goes on is over: see `Watchdog`."""
        for known in self.known:
            loop = known.pulse.loop
            if loop is not None and loop.is_running():
                try:
                    loop.call_soon_threadsafe(self.watch, loop)
                except RuntimeError:
                    continue
                return
        # The next run starts it.

    def look(self) -> float:
        """Look at all of them; return when to look next. In the thread."""
        blocked = [known.look(self.threshold) for known in self.known]
        return min(
            (pause_before_next_look(each, self.threshold) for each in blocked),
            default=self.threshold,
        )


# It ends the process where a call in C keeps the GIL while such a loop runs.
guard = Guard(yields=True)
# What holds the deadline of runs that were asked to end, by their loops.
ENDING: dict[Any, Watchdog] = {}


def guard_run(loop: Any) -> None:
    """Guard the run of `loop`, unless a runner does."""
    grace = grace_of(None)
    if Guard.present is None:
        signums = [
            signum
            for signum in triggers.SIGNALS
            if signal.getsignal(signum) in triggers.STAND_INS
        ]
        guard.stand([*signums, signal.SIGINT], grace)
    if Guard.present is guard and isinstance(loop, Scheduler):
        # It holds Ctrl-C anew in each run.
        loop.interrupts.on_heard = guard.let_go
        if signal.getsignal(signal.SIGINT) == loop.interrupts.heard:
            guard.add(signal.SIGINT, grace)
    guard.share(loop)


def terminate(loop: Any, signum: int) -> None:
    """Let `Terminated` come out of the run of `loop`, between two callbacks.

    Called by a signal's handler. A loop that is blocked is dealt with as a runner would
    within the grace; at the end of that the process is ended.
    """
    if loop in ENDING:
        # Supervisors repeat themselves.
        return
    budget, reason = Budget(grace_of(None)), Reason(SIGNALLED, signum)
    ENDING[loop] = watchdog = Watchdog(loop, threshold=None, interrupted=set())
    loop.call_soon_threadsafe(come_out, loop, signum)
    guard.hold(budget.deadline, reason.forced_status)
    watchdog.hold(
        budget, on_deadline=functools.partial(end_process, loop, reason, budget)
    )


def come_out(loop: Any, signum: int) -> None:
    """Raise `Terminated` in the run of `loop`."""
    ENDING.pop(loop).release()
    guard.let_go()
    raise Terminated(signum)


def end_process(loop: Any, reason: Reason, budget: Budget) -> None:
    """End the process, whose loop is blocked; called in another thread."""
    from quiesce.shutdown import forcing
    from quiesce.shutdown.report import Report
    from quiesce.shutdown.sequence import Sequence

    # Else the run has ended by itself, and the program is past it.
    if loop.is_running():
        forcing.end_process(Sequence(loop, reason, budget, Report(reason, budget)))


def watch_own_loops() -> None:
    """From now on, tell of each loop that is blocked while no runner runs it."""
    runs.on_run = OwnLoops().watch
