"""The exit of the interpreter, within the budget of the end that leads to it.

When a signal, ``sys.exit()`` or force ended a run, `bound_exit` sees to it that what
the process has beside loops does not hold it either. The interpreter's exit then goes:

1. Pools are told, threads finish what they can until shortly before the deadline. The
   children of `multiprocessing` are asked to end at half of that time and killed near
   its end.
2. If nothing is left, the ordinary exit goes on, as if nobody had looked.
3. Otherwise what is left is named, the exit functions run, output is written out, and
   the process leaves with the status that says why.

Two threads look on, because each step can hang: `Supervisor` does what has its moment,
and leaves where the main thread is stuck; should it be stuck itself, in writing output
that nobody reads, another one leaves without a word.

A program that caught the exception and goes on beyond the deadline is on its own again.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from quiesce.shutdown import processes
from quiesce.shutdown.exit_status import (
    ends_by_ctrl_c,
    flush_output,
    keep_death_by_ctrl_c,
    run_last_acts,
    strike,
)
from quiesce.shutdown.pools import tell_pools
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.streams import put_aside_buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quiesce.shutdown.budget import Budget
    from quiesce.shutdown.reason import Reason
    from quiesce.shutdown.report import Report
    from quiesce.shutdown.survivors import Survivor

# An exit that begins so many seconds after the deadline is the program's own business.
LATEST = 1.0
# Seconds that threads have at least, also where the budget is used up: those that are
# idle need a moment to end.
LEAST_WAIT = 0.25
# Seconds that exit functions have at least after that.
LEAST_FOR_EXIT_FUNCTIONS = 0.25
# Seconds after which the process leaves although it could not say what is left.
UNHEARD = 0.2
# Of the time that threads have, children are asked to end and killed at these shares.
ASK_CHILDREN = 0.5
KILL_CHILDREN = 0.85
# An end that takes so many seconds says what it waits for.
SLOW = 1.0
# Seconds that everything has after another Ctrl-C.
HURRIED = 1.0
# There no thread can be made once the exit has begun.
NO_THREADS_AT_EXIT = sys.version_info[:2] == (3, 12)


def bound_exit(budget: Budget, reason: Reason, *, report: Report | None = None) -> None:
    """Have the interpreter's exit end within `budget`, if it begins within that.

    What `report`, that on the run, has said is not said again. Does nothing in a thread
    that is not the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    forget()
    bound = ExitBound(budget, reason, report)
    BOUNDS.append(bound)
    # Order matters: the last that is registered is called first, and concurrent.futures
    # joins the threads of its pools in such a function.
    threading._register_atexit(at_exit)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    if NO_THREADS_AT_EXIT:
        bound.supervisor.start()


def is_bound() -> bool:
    """Tell whether the interpreter's exit would be bounded, if it began now."""
    return any(bound.is_in_time() for bound in BOUNDS)


def forget() -> None:
    """Leave the interpreter's exit as it is."""
    while BOUNDS:
        BOUNDS.pop().supervisor.dismiss()


def at_exit() -> None:
    """Bound the exit that begins, if it is to be."""
    if BOUNDS:
        BOUNDS.pop()()


BOUNDS: list[ExitBound] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BOUNDS.clear)


class ExitBound:
    """The exit of the interpreter, bounded.

    Called in the main thread when it begins, before threads are joined.
    """

    def __init__(self, budget: Budget, reason: Reason, report: Report | None) -> None:
        self.budget = budget
        # Not the reason itself: its exception would keep frames alive as long as the
        # program goes on.
        self.signum = reason.signum
        self.why = str(reason)
        self.forced_status = reason.forced_status
        self.report = self.new_report(report)
        self.is_forced = False
        self.hurried = False
        self.supervisor = Supervisor(self)

    def __str__(self) -> str:
        return self.why

    def new_report(self, former: Report | None) -> Report:
        """Make the report on what is left of the process, after that on the loop."""
        from quiesce.shutdown.report import Report

        report = Report(self, self.budget, to=None if former is None else former.to)
        if former is not None:
            report.was_slow = former.was_slow
            report.was_forced = former.was_forced
            report.survivors = former.survivors
            report.phases = former.phases
        return report

    def __call__(self) -> None:
        """Wait for what can end; leave if something cannot."""
        if not self.is_in_time():
            self.supervisor.dismiss()
            return
        self.report.phase("process")
        self.ignore_repetition()
        self.supervisor.take_over()
        try:
            tell_pools()
            all_runs.end(self.supervisor.waits_until)
            self.wait_for_threads()
        except KeyboardInterrupt:
            self.hurry()
        left = threads_left()
        if left or self.is_forced or threads_given_up():
            self.force(left)
        if processes.multiprocessing_children():
            # They are waited for in an exit function; to know how that went, the exit
            # functions are called here.
            run_last_acts()
            if self.is_forced:
                self.leave()
        if daemons():
            self.supervisor.keeps = put_aside_buffers()
        keep_death_by_ctrl_c()

    def is_in_time(self) -> bool:
        """Tell whether an exit that begins now is part of what was asked for."""
        return time.monotonic() <= self.budget.deadline + LATEST

    def ignore_repetition(self) -> None:
        """Let the signal that asked for the end not cut the end short."""
        signum = self.signum
        if signum is None or signum == signal.SIGINT:
            return
        if signal.getsignal(signum) is signal.SIG_DFL:
            # Not SIG_IGN, which what an exit function starts would inherit.
            signal.signal(signum, nothing)

    def wait_for_threads(self) -> None:
        """Join what the interpreter would join, as long as there is time."""
        while threads := threads_left():
            left = self.supervisor.waits_until - time.monotonic()
            if left <= 0:
                return
            threads[0].join(left)

    def hurry(self) -> None:
        """Let the end come at once."""
        self.hurried = True
        self.supervisor.hurry()

    def force(self, left: list[threading.Thread]) -> NoReturn:
        """Name what is left, and leave without it."""
        self.name([*map(of_thread, left), *of_children()])
        processes.kill(processes.multiprocessing_children())
        run_last_acts()
        self.leave()

    def name(self, left: list[Survivor]) -> None:
        """Name what is left, in a line each or in full."""
        self.is_forced = True
        if not left:
            # It was named before, in this report or in that on the loop.
            return
        before = self.report.survivors
        if self.hurried:
            self.report.hurried(left)
        else:
            self.report.forced(left)
        self.report.survivors = [*before, *left]
        self.report.write(self.forced_status)

    def leave(self) -> NoReturn:
        """End the process, with the status that says why."""
        flush_output()
        if self.forced_status == 128 + signal.SIGINT and ends_by_ctrl_c():
            strike(signal.SIGINT)
        os._exit(self.forced_status)


class Supervisor:
    """Does, in a thread of its own, what has its moment in a bounded exit."""

    def __init__(self, bound: ExitBound) -> None:
        self.bound = bound
        self.is_dismissed = False
        # Each is released when the exit begins, and when a moment has changed.
        self.wakes = [threading.Lock(), threading.Lock()]
        for wake in self.wakes:
            wake.acquire()
        self.is_started = False
        # Objects that are never to be dropped: its threads are not ended either.
        self.keeps: list[object] = []

    def start(self) -> None:
        """Make the threads: not those of `threading`, which the program could see."""
        from _thread import start_new_thread

        self.is_started = True
        start_new_thread(self.supervise, (self.wakes[0],))
        start_new_thread(self.leave_unheard, (self.wakes[1],))

    def take_over(self) -> None:
        """Begin: the interpreter's exit has begun."""
        now = time.monotonic()
        deadline = self.bound.budget.deadline
        reserve = self.bound.budget.reserve
        self.began_at = now
        self.waits_until = max(deadline - reserve, now + LEAST_WAIT)
        self.leaves_at = max(deadline, self.waits_until + LEAST_FOR_EXIT_FUNCTIONS)
        if not self.is_started:
            self.start()
        self.wake()

    def hurry(self) -> None:
        """Leave soon: called in the main thread."""
        now = time.monotonic()
        self.waits_until = now
        self.leaves_at = min(self.leaves_at, now + HURRIED)
        self.wake()

    def dismiss(self) -> None:
        """Do nothing any more."""
        self.is_dismissed = True
        self.wake()

    def wake(self) -> None:
        """Have the threads look at what has changed."""
        for wake in self.wakes:
            if wake.locked():
                wake.release()

    def supervise(self, wake: threading.Lock) -> None:
        """Do what is due, one after the other."""
        wake.acquire()
        if self.is_dismissed:
            return
        share = self.waits_until - self.began_at
        slow = max(self.bound.budget.began_at + SLOW, self.began_at)
        todo: list[tuple[float, Callable[[], None]]] = [
            (slow, self.say_what_is_waited_for),
            (self.began_at + ASK_CHILDREN * share, self.ask_children),
            (self.began_at + KILL_CHILDREN * share, self.kill_children),
        ]
        for moment, act in sorted(todo, key=lambda each: each[0]):
            self.sleep_until(moment, wake)
            if not self.bound.hurried and moment < self.leaves_at:
                act()
                keep_death_by_ctrl_c()
        self.sleep_until(math.inf, wake)
        self.leave()

    def leave_unheard(self, wake: threading.Lock) -> None:
        """End the process at the very last moment, if nothing else has."""
        wake.acquire()
        if not self.is_dismissed:
            self.sleep_until(math.inf, wake)
            time.sleep(UNHEARD)
            os._exit(self.bound.forced_status)

    def sleep_until(self, moment: float, wake: threading.Lock) -> None:
        """Return at that moment, or when it is time to leave."""
        while (left := min(moment, self.leaves_at) - time.monotonic()) > 0:
            wake.acquire(timeout=left)

    def say_what_is_waited_for(self) -> None:
        """Say once that the end takes long, and why."""
        left = [*map(of_thread, threads_left()), *of_children()]
        # Without these, it is in an exit function.
        self.bound.report.slow(left or [of_thread(threading.main_thread())])

    def ask_children(self) -> None:
        """Ask the children of `multiprocessing` to end."""
        processes.terminate(processes.multiprocessing_children())

    def kill_children(self) -> None:
        """End the children that were asked, and name them."""
        children = processes.multiprocessing_children()
        if children:
            self.bound.name([of_child(child) for child in children])
            processes.kill(children)

    def leave(self) -> NoReturn:
        """End the process, whose main thread is stuck in something."""
        bound = self.bound
        stuck = [threading.main_thread(), *threads_left()]
        bound.name([*map(of_thread, stuck), *of_children()])
        processes.kill(processes.multiprocessing_children())
        bound.leave()


def nothing(*_: object) -> None:
    """Do nothing, where a function is asked for."""


def threads_left() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits before it exits."""
    own = threading.main_thread()
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon and thread is not own and not is_given_up(thread)
    ]


def threads_given_up() -> list[threading.Thread]:
    """Return the threads of loops that their end has named and given up."""
    return [thread for thread in threading.enumerate() if is_given_up(thread)]


def daemons() -> list[threading.Thread]:
    """Return the threads for which nobody waits."""
    return [thread for thread in threading.enumerate() if thread.daemon]


def is_given_up(thread: Any) -> bool:
    """Tell whether a thread is a loop's, whose end has given it up."""
    return getattr(getattr(thread, "pool", None), "given_up", False) is True


def of_thread(thread: threading.Thread) -> Survivor:
    """Describe a thread."""
    from quiesce.shutdown import survivors

    return survivors.of_thread(thread)


def of_child(child: Any) -> Survivor:
    """Describe a child process."""
    from quiesce.shutdown import survivors

    return survivors.of_child(child)


def of_children() -> list[Survivor]:
    """Describe all children, also those that outlive the process."""
    children: Sequence[Any] = processes.multiprocessing_children()
    return [*map(of_child, children), *map(of_child, processes.other_children())]
