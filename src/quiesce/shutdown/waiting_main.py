"""A main thread that waits for others while it is on its way to the end.

A run in another thread hears that the program ends when the main thread does, or the
interpreter exits. Where the main thread waits for that very thread in a `with` or
`finally` block that a Ctrl-C, `Terminated` or ``sys.exit()`` is leaving, neither would
ever come. So as long as loops run in other threads somebody looks at the main thread
from time to time. Found so, it is given the grace: at half of it the loops are asked to
end, shortly before it is over they give up, and then the process is left.

So it is under ``quiesce run`` where a signal has come out of a loop that the program
runs by itself, or of its own code: whatever thread, pool or child it waits for then has
the grace.

A signal that has come just before a wait is heard at the next look.

Once a run in the main thread was ended, this is done by `callers`.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from quiesce.core.interrupts import STANDARD_LIBRARY
from quiesce.shutdown import exit_status, process_wide, processes
from quiesce.shutdown.await_chain import frames_down_to
from quiesce.shutdown.budget import SLOW, Budget
from quiesce.shutdown.callers import (
    WAITING,
    innermost_frame,
    is_caught_in,
    on_its_way,
    place_of,
)
from quiesce.shutdown.exit_supervisor import OVERRUN, described
from quiesce.shutdown.loops_in_threads import (
    ask_loops,
    driving_threads,
    loops_in_threads,
)
from quiesce.shutdown.nudge import interrupt_wait
from quiesce.shutdown.processes import ASK_AT
from quiesce.shutdown.reason import EXITED, SIGNALLED, Reason, signum_of
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.threads import threads_left
from quiesce.shutdown.watch_thread import WatchThread

if TYPE_CHECKING:
    from types import FrameType

# Those parts of the standard library in which one waits for processes.
FOR_PROCESSES = tuple(each for each in WAITING if "process" in each)
# Seconds between two looks, and once it has been found.
LOOK = 0.25
LOOK_AGAIN = 0.1


class WaitingMain:
    """Looks at the main thread as long as that may have to be ended. Thread-safe.

    That is as long as other threads run loops, and for the grace of a signal.
    """

    def __init__(self) -> None:
        self.thread = WatchThread(self.look, self.begin_after_fork)
        self.begin_in_child()

    def begin_in_child(self) -> None:
        """Begin anew: a forked child has none of these threads."""
        self.starting = threading.Lock()
        self.is_looking = False
        self.grace = 0.0
        # Whether loops count that threads run by themselves, as under ``quiesce run``.
        self.stops_loops = False
        # The grace that a signal has begun, with all that the main thread waits for.
        self.asked: Budget | None = None
        # Where it waited at the last look, and what bounds that.
        self.place: object = None
        self.bound: process_wide.ExitBound | None = None
        self.has_said = self.has_asked = self.has_hurried = False

    def begin_after_fork(self, thread: WatchThread) -> None:
        """Go on, in the parent, where other threads have loops.

        Else ours would be the only other one, and Python would warn of it: it counts
        them when this has been called.
        """
        self.is_looking = self.are_there_loops() and thread.start()

    def are_there_loops(self) -> bool:
        """Tell whether threads run loops that count."""
        return bool(all_runs.runs or (self.stops_loops and driving_threads()))

    def look_on(self, grace: float, *, stops_loops: bool = False) -> None:
        """Look from now on, if this is not the main thread; `grace` is in seconds.

        With `stops_loops` threads that run their loops by themselves leave them.
        """
        if threading.current_thread() is threading.main_thread():
            return
        with self.starting:
            self.grace = max(self.grace, grace)
            self.stops_loops |= stops_loops
            if not self.is_looking:
                self.is_looking = self.thread.start()

    def follow(self, budget: Budget) -> None:
        """Look for a while: a signal has begun this grace, and ends the main thread.

        Called by its handler, at any moment.
        """
        self.asked = budget
        if not self.is_looking:
            self.is_looking = self.thread.start()

    @property
    def follows(self) -> bool:
        """Whether the grace of a signal goes on of which this was told."""
        return self.asked is not None and self.asked.is_recent()

    def has_asked_for(self, error: BaseException) -> bool:
        """Tell whether `error` is what that signal has raised."""
        return self.follows and signum_of(error) is not None

    def look(self) -> float | None:
        """Do what is due, in the thread; return when to look again."""
        with self.starting:
            if not (self.are_there_loops() or self.follows or self.bound is not None):
                self.is_looking = False
                # Order matters: a signal's handler may have found that it still looks.
                if not self.follows:
                    self.grace = 0.0
                    # It has a frame, and that all that called it.
                    self.place = None
                    return None
                self.is_looking = True
        if place_of(innermost_frame()) is not None:
            interrupt_wait()
        error = None if process_wide.is_bound() else on_its_way()
        place = None if error is None else self.place_on_the_way_out(error)
        if error is None or place is None or place != self.place:
            self.give_up()
        else:
            self.act(self.bound or self.begin(error))
        self.place = place
        return LOOK if self.bound is None else LOOK_AGAIN

    def place_on_the_way_out(self, error: BaseException) -> object:
        """Return where the main thread waits, unless it has caught `error` to go on.

        Where a signal has raised that it has the grace also in an ``except``.
        """
        frames = frames_down_to(innermost_frame())
        if not frames:
            return None
        counts = self.has_asked_for(error) or (
            not is_caught_in(frames) and self.may_be_for_a_loop(frames[-1])
        )
        return place_of(frames[-1]) if counts else None

    def may_be_for_a_loop(self, frame: FrameType | None) -> bool:
        """Tell whether a wait at `frame` may be for a thread that has a loop.

        A wait for a process, or for threads without one, is the program's own business.
        """
        others = False
        while frame is not None and frame.f_code.co_filename.startswith(
            STANDARD_LIBRARY
        ):
            if frame.f_code.co_filename.startswith(FOR_PROCESSES):
                return False
            waited_for = threads_of(frame.f_locals.get("self"))
            if any(map(self.has_loop, waited_for)):
                return True
            others |= bool(waited_for)
            frame = frame.f_back
        # Who sets an event, a condition or a future, nobody knows.
        return not others

    def has_loop(self, thread: threading.Thread) -> bool:
        """Tell whether `thread` is one whose loop counts."""
        if any(run.thread is thread for run in list(all_runs.runs.values())):
            return True
        return self.stops_loops and thread.ident in driving_threads()

    def give_up(self) -> None:
        """Bound nothing: the main thread goes on."""
        self.bound = None
        while is_another in loops_in_threads.ends:
            loops_in_threads.ends.remove(is_another)

    def begin(self, error: BaseException) -> process_wide.ExitBound:
        """Begin the time of a main thread that waits while `error` leaves it."""
        # It has waited at the look before this one, too.
        budget = Budget(self.grace, time.monotonic() - 2 * LOOK)
        if self.asked is not None and self.has_asked_for(error):
            budget = self.asked
        self.has_said = self.has_asked = self.has_hurried = False
        self.bound = process_wide.ExitBound(budget, reason_of(error))
        return self.bound

    def act(self, bound: process_wide.ExitBound) -> None:
        """Do what is due now that the main thread still waits."""
        budget = bound.budget
        if not self.has_said and budget.elapsed() >= SLOW:
            self.has_said = True
            bound.supervisor.say_what_is_waited_for()
        if not self.has_asked and budget.elapsed() >= ASK_AT * budget.grace:
            self.has_asked = True
            all_runs.ask_all()
            processes.terminate(processes.children_without_jobs())
            if self.stops_loops:
                ask_loops(is_another)
        if not self.has_hurried and budget.left() <= budget.reserve:
            self.has_hurried = True
            # They know best what they give up.
            all_runs.hurry_all()
        if time.monotonic() >= budget.deadline + OVERRUN:
            bound.name(described(threads_left()))
            processes.end(processes.multiprocessing_children())
            exit_status.leave(bound.forced_status, bound.signum)


def threads_of(waited_for: object) -> list[threading.Thread]:
    """Return the threads that are `waited_for`: one, those of a pool, or none."""
    if isinstance(waited_for, threading.Thread):
        return [waited_for]
    return list(getattr(waited_for, "_threads", ()))


def is_another(thread: threading.Thread) -> bool:
    """Tell whether `thread` is not the main one."""
    return thread is not threading.main_thread()


def reason_of(error: BaseException) -> Reason:
    """Return why the program ends out of which `error` is on its way."""
    signum = signum_of(error)
    return Reason(EXITED, error=error) if signum is None else Reason(SIGNALLED, signum)


waiting_main = WaitingMain()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=waiting_main.begin_in_child)
