"""The exit of the interpreter, within the budget of the end that leads to it.

When a signal, ``sys.exit()`` or force ended a run, `bound_exit` sees to it that what
the process has beside loops does not hold it either. The interpreter's exit then goes:

1. Pools are told, threads and the workers of pools finish what they can until shortly
   before the deadline. Other children of `multiprocessing` are asked to end at half of
   that time and killed near its end.
2. If nothing is left, the exit functions run, output is written out, and the ordinary
   exit goes on, as if nobody had looked.
3. Otherwise what is left is named, the exit functions run, output is written out, and
   the process leaves with the status that says why.

Each step can hang, so `exit_supervisor` looks on, and leaves where the main thread
cannot.

Until then `callers` looks on. A program that caught the exception and goes on beyond
the deadline is on its own again.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from quiesce.shutdown import late_status, processes, survivors
from quiesce.shutdown.budget import AT_ONCE, Budget
from quiesce.shutdown.callers import Callers, goes_on, keep_later_ctrl_c_quiet
from quiesce.shutdown.exit_status import (
    ends_by_ctrl_c,
    flush_files,
    flush_or_forget,
    flush_output,
    keep_death_by_ctrl_c,
    run_last_acts,
    strike,
    within_a_moment,
)
from quiesce.shutdown.exit_supervisor import Supervisor, described
from quiesce.shutdown.pools import tell_pools
from quiesce.shutdown.reason import EXITED, RETURNED, Reason
from quiesce.shutdown.report import Report
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.streams import put_aside_buffers
from quiesce.shutdown.survivor import not_among
from quiesce.shutdown.threads import (
    daemons,
    join_until,
    threads_given_up,
    threads_left,
)
from quiesce.shutdown.triggers import SAME_CTRL_C, ignore, is_default

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

    from quiesce.shutdown.survivor import Survivor


def bound_exit(
    budget: Budget,
    reason: Reason,
    *,
    report: Report | None = None,
    hurried: bool = False,
) -> None:
    """Have the interpreter's exit end within `budget`, if it begins within that.

    What `report`, that on the run, has said is not said again; `hurried` tells that a
    second Ctrl-C came. Does nothing in a thread that is not the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    forget()
    bound = ExitBound(budget, reason, report)
    bound.hurried = hurried
    # Order matters: the last that is registered is called first, and concurrent.futures
    # joins the threads of its pools in such a function.
    try:
        threading._register_atexit(at_exit)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    except RuntimeError:
        # The run of an exit function: threads have been joined already.
        late_status.keep()
        return
    BOUNDS.append(bound)
    bound.supervisor.start_early()
    bound.callers.look_on()
    keep_later_ctrl_c_quiet(hurry_next)


def force_exit(
    began_at: float,
    grace: float,
    left: list[threading.Thread],
    *,
    hurried: bool = False,
) -> NoReturn:
    """Name the threads that are left, and leave without them.

    To be called when the interpreter's exit, which `began_at` then, has waited for them
    for as long as the `grace`, or when it is `hurried` by a second Ctrl-C.
    """
    error = KeyboardInterrupt() if hurried or ends_by_ctrl_c() else None
    reason = Reason(EXITED if error else RETURNED, error=error)
    bound = ExitBound(Budget(grace, began_at), reason)
    if hurried:
        bound.hurried = True
        bound.supervisor.leave_soon()
    bound.force(left)


def is_bound() -> bool:
    """Tell whether the interpreter's exit would be bounded, if it began now."""
    return any(bound.is_in_time() for bound in BOUNDS)


def hurry(otherwise: ExitBound) -> bool:
    """Let the bounded exit come at once that has not begun, or else `otherwise`.

    Called at a Ctrl-C: does nothing, and returns False, if it is the same one again.
    """
    bound = BOUNDS[-1] if BOUNDS else otherwise
    if bound.later_ctrl_c.is_the_same():
        return False
    bound.hurried = True
    bound.budget.hurry(AT_ONCE)
    return True


def hurry_next() -> bool:
    """Let the exit come at once that has not begun; return False if none is bounded."""
    return is_bound() and hurry(BOUNDS[-1])


def forget() -> None:
    """Leave the interpreter's exit as it is."""
    while BOUNDS:
        bound = BOUNDS.pop()
        bound.callers.leave()
        bound.supervisor.dismiss()


def unbind() -> None:
    """Leave the interpreter's exit as it is: a run has ended that bounds nothing.

    Not in another thread, or while what has bounded it is still on its way out.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if BOUNDS and in_main_thread and goes_on():
        forget()


def at_exit() -> None:
    """Bound the exit that begins, if it is to be."""
    if BOUNDS:
        BOUNDS.pop()()


def report_children() -> None:
    """Let the report on an exit that goes on have the children that outlive it.

    To be called after the exit functions, which may have ended some.
    """
    for bound in GOING_ON:
        if bound.report.was_written:
            bound.report.add_children(processes.described_others())


BOUNDS: list[ExitBound] = []
# Those of which the exit has begun.
GOING_ON: list[ExitBound] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=BOUNDS.clear)
    os.register_at_fork(after_in_child=GOING_ON.clear)


class ExitBound:
    """The exit of the interpreter, bounded.

    Called in the main thread when it begins, before threads are joined.
    """

    def __init__(
        self, budget: Budget, reason: Reason, report: Report | None = None
    ) -> None:
        self.begin(budget, reason, report)
        self.is_forced = False
        self.hurried = False
        self.runs_exit_functions = False
        # Once it leaves, nobody else has to.
        self.is_leaving = False
        self.supervisor = Supervisor(self)
        self.callers = Callers(
            budget,
            reason.forced_status,
            reason.signum,
            say_slow=self.supervisor.say_what_is_waited_for,
            name_left=lambda: self.name(described(threads_left())),
        )
        self.later_ctrl_c = LaterCtrlC(self)

    def begin(
        self, budget: Budget, reason: Reason, report: Report | None = None
    ) -> None:
        """Let it be for this reason, and after what this report has said."""
        self.budget = budget
        # Not the reason itself: its exception would keep frames alive as long as the
        # program goes on.
        self.signum = reason.signum
        self.why = str(reason)
        self.forced_status = reason.forced_status
        self.report = self.new_report(report)

    def __str__(self) -> str:
        return self.why

    def new_report(self, former: Report | None) -> Report:
        """Make the report on what is left of the process, after that on the loop."""
        report = Report(self, self.budget, to=None if former is None else former.to)
        if former is not None:
            report.was_slow = former.was_slow
            report.was_forced = former.was_forced
            report.survivors = former.survivors
            report.phases = former.phases
            report.was_written, report.status = former.was_written, former.status
        return report

    def __call__(self) -> None:
        """Wait for what can end; leave if something cannot."""
        self.callers.leave()
        if not self.is_in_time():
            self.supervisor.dismiss()
            return
        GOING_ON.append(self)
        self.ignore_repetition()
        with self.later_ctrl_c.heard():
            self.wait()
            self.run_exit_functions()
        if self.is_forced:
            self.leave()
        if self.signum is not None:
            flush_or_forget()
        if daemons():
            self.supervisor.keeps = put_aside_buffers()
        keep_death_by_ctrl_c()

    def is_in_time(self) -> bool:
        """Tell whether an exit that begins now is part of what was asked for."""
        return self.budget.is_recent() or self.callers.has_just_seen_it()

    def ignore_repetition(self) -> None:
        """Let the signal that asked for the end not cut the end short."""
        signum = self.signum
        if signum is None or signum == signal.SIGINT:
            return
        ignore(signum)

    def wait_for_threads(self) -> None:
        """Join what the interpreter would join, as long as there is time."""
        while threads := threads_left():
            if time.monotonic() >= self.supervisor.waits_until:
                return
            join_until(threads[0], self.supervisor.waits_until)

    def wait(self) -> None:
        """Wait for pools, runs and threads; leave if something of them cannot end."""
        self.report.phase("process")
        try:
            self.supervisor.take_over()
            tell_pools()
            all_runs.end(self.supervisor.waits_until)
            self.wait_for_threads()
        except KeyboardInterrupt:
            self.hurry()
            self.hurry_runs()
        left = threads_left()
        if left or self.is_forced or threads_given_up() or self.must_kill():
            self.force(left)

    def take_over_late(self) -> None:
        """Begin when the exit functions are already being called."""
        self.runs_exit_functions = True
        self.later_ctrl_c.hear()
        self.supervisor.take_over()

    def run_exit_functions(self) -> None:
        """Run them, and write out what was printed.

        Here, because what they leave must be known: children that could not be waited
        for, and output. At its very end the interpreter would wait for a reader, and
        nobody looks on then.
        """
        self.runs_exit_functions = True
        try:
            run_last_acts()
            report_children()
        except KeyboardInterrupt:
            # Raised by ours, while output was written.
            pass

    def cut_exit_functions(self, frame: FrameType | None) -> None:
        """Name what holds one of them, which is at `frame`, and give it up."""
        children = processes.multiprocessing_children()
        left = described(())
        if not children:
            # Else it is one of these that is waited for.
            left.insert(0, survivors.of_thread(threading.main_thread(), frame))
        self.name(left)
        processes.kill(children)

    def must_kill(self) -> bool:
        """Tell whether children are left for which there is no time any more."""
        return self.hurried and bool(processes.multiprocessing_children())

    def hurry(self) -> None:
        """Let the end come at once."""
        self.hurried = True
        self.supervisor.hurry()

    def hurry_runs(self) -> None:
        """Let the runs in threads say what they give up, unless that is too long."""
        try:
            all_runs.hurry()
        except KeyboardInterrupt:
            # One more: then it is their threads that are named.
            return

    def force(self, left: list[threading.Thread]) -> NoReturn:
        """Name what is left, and leave without it."""
        self.is_leaving = True
        self.name(described(left))
        processes.end(processes.multiprocessing_children())
        run_last_acts()
        self.leave()

    def name(self, left: list[Survivor]) -> None:
        """Name what is left, in a line each or in full."""
        self.is_forced = True
        left = not_among(self.report.survivors, left)
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
        within_a_moment(flush_files)
        if self.forced_status == 128 + signal.SIGINT and ends_by_ctrl_c():
            strike(signal.SIGINT)
        os._exit(self.forced_status)


class LaterCtrlC:
    """Ctrl-C while the process ends: everything is to end at once, without noise.

    Python shows what a signal's handler raises in an exit function, and goes on to the
    next one.
    """

    def __init__(self, bound: ExitBound) -> None:
        self.bound = bound

    @contextmanager
    def heard(self) -> Generator[None]:
        """Hear of it within the block, unless the program has a handler of its own."""
        before = sys.unraisablehook
        former = signal.getsignal(signal.SIGINT)
        hook = self.hear()
        try:
            yield
        finally:
            if hook is not None:
                signal.signal(signal.SIGINT, former)
                if sys.unraisablehook is hook:
                    sys.unraisablehook = before

    def hear(self) -> object:
        """Hear of it from now on; return the hook installed for it, if there is one."""
        if not is_default(signal.SIGINT, signal.getsignal(signal.SIGINT)):
            return None
        signal.signal(signal.SIGINT, self.interrupt)
        return late_status.hide(KeyboardInterrupt)

    def interrupt(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Cut short what the main thread does, unless it is the same Ctrl-C again."""
        bound = self.bound
        if self.is_the_same():
            return
        if bound.runs_exit_functions and not bound.hurried:
            bound.hurry()
            bound.cut_exit_functions(frame)
        bound.hurry()
        raise KeyboardInterrupt

    def is_the_same(self) -> bool:
        """Tell whether one that comes now is that which asked for the end."""
        return time.monotonic() - self.bound.budget.began_at < SAME_CTRL_C
