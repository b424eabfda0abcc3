"""Does what has its moment while the interpreter exits within a budget.

See `process_wide`. Each step of the exit can hang, so this happens beside the main
thread: one thread acts, another ends the process should that one hang too, and where no
Python runs the `guard` does. Most exits are over before there is anything to do: they
find one thread, asleep, which costs them less than one that still waits for its turn
when the interpreter takes itself down.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from quiesce.shutdown import processes, survivors
from quiesce.shutdown.budget import AT_ONCE, SLOW
from quiesce.shutdown.exit_status import keep_death_by_ctrl_c
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.own_thread import start_thread
from quiesce.shutdown.pools import waits_for_workers
from quiesce.shutdown.processes import ASK_AT
from quiesce.shutdown.stderr import has_room, say
from quiesce.shutdown.threads import threads_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quiesce.shutdown.process_wide import ExitBound
    from quiesce.shutdown.survivor import Survivor

# Seconds that threads have at least, also where the budget is used up: those that are
# idle need a moment to end.
LEAST_WAIT = 0.25
# Seconds that exit functions have at least after that.
LEAST_FOR_EXIT_FUNCTIONS = 0.25
# Seconds after which the process leaves although it could not say what is left.
UNHEARD = 0.4
# How long the main thread may overrun the deadline before it counts as stuck.
OVERRUN = 0.4
# Of the time that threads have, children are killed at this share.
KILL_CHILDREN = 0.85
# An exit that is over after so many does not say what it waits for, be it slow or not.
PROMPT = 0.1
# Said where that is why it could not end.
UNREAD = "nobody reads its output"
# There no thread can be made once the exit has begun.
NO_THREADS_AT_EXIT = sys.version_info[:2] == (3, 12)


class Supervisor:
    """Does, in a thread of its own, what has its moment in a bounded exit."""

    def __init__(self, bound: ExitBound) -> None:
        self.bound = bound
        self.guard = Guard(late=True)
        self.is_dismissed = False
        # Each is released when the exit begins, and when a moment has changed.
        self.wakes = [locked(), locked()]
        self.is_started = False
        self.has_second_thread = False
        # Released when the exit has begun and the first thread has nothing to do yet.
        self.looks_on = locked()
        self.output_is_unread = False
        # Moments on the monotonic clock: when the exit began, when threads are waited
        # for no longer, and when the process leaves.
        self.began_at = time.monotonic()
        self.waits_until = self.leaves_at = math.inf
        # Objects that are never to be dropped: its threads are not ended either.
        self.keeps: list[object] = []

    def start(self) -> None:
        """Make the thread that does what is due."""
        self.is_started = True
        start_thread(self.supervise, self.wakes[0])

    def start_second(self) -> None:
        """Make the thread that ends the process should the first one hang."""
        if not self.has_second_thread:
            try:
                start_thread(self.leave_unheard, self.wakes[1])
            except RuntimeError:
                # There can be no more threads: this one goes on alone.
                return
            self.has_second_thread = True

    def start_early(self) -> None:
        """Make the threads before the exit, if they are needed or cannot wait."""
        self.output_is_unread = is_unread(sys.stdout) or is_unread(sys.stderr)
        if NO_THREADS_AT_EXIT or self.output_is_unread:
            self.start()
            self.start_second()

    def take_over(self) -> None:
        """Begin: the interpreter's exit has begun."""
        now = time.monotonic()
        deadline = self.bound.budget.deadline
        reserve = self.bound.budget.reserve
        self.began_at = now
        self.waits_until = max(deadline - reserve, now + LEAST_WAIT)
        self.leaves_at = deadline + OVERRUN
        if self.bound.hurried:
            latest = self.leaves_at - LEAST_FOR_EXIT_FUNCTIONS
            self.waits_until = min(self.waits_until, latest)
        else:
            least = self.waits_until + LEAST_FOR_EXIT_FUNCTIONS
            self.leaves_at = max(self.leaves_at, least)
        self.hold_guard()
        self.wake()
        if not self.is_started:
            self.start()
            self.looks_on.acquire(timeout=LEAST_WAIT)

    def hurry(self) -> None:
        """Leave soon: called in the main thread."""
        now = time.monotonic()
        if not self.is_started:
            self.start()
        self.waits_until = now
        self.leaves_at = min(self.leaves_at, now + AT_ONCE)
        self.hold_guard()
        self.wake()

    def hold_guard(self) -> None:
        """Let the process end shortly after it should have left, if no Python runs."""
        self.guard.hold_exit(
            self.leaves_at - OVERRUN,
            self.bound.forced_status,
            [child.pid for child in processes.multiprocessing_children()],
        )

    def leave_soon(self) -> None:
        """Leave when exit functions have had their time, whatever they do then."""
        self.leaves_at = time.monotonic() + LEAST_FOR_EXIT_FUNCTIONS
        self.hold_guard()
        self.start_second()
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
        if self.output_is_unread:
            self.await_reader(wake)
        else:
            wake.acquire()
        if self.is_dismissed:
            return
        share = self.waits_until - self.began_at
        slow = max(self.bound.budget.began_at + SLOW, self.began_at + PROMPT)
        todo: list[tuple[float, Callable[[], None]]] = [
            (slow, self.say_what_is_waited_for),
            (self.began_at + ASK_AT * share, self.ask_children),
            (self.began_at + KILL_CHILDREN * share, self.kill_children),
        ]
        todo.sort(key=lambda each: each[0])
        self.looks_on.release()
        for moment, act in todo:
            self.sleep_until(moment, wake)
            if not self.bound.is_leaving and moment < self.leaves_at:
                self.start_second()
                act()
                keep_death_by_ctrl_c()
        self.sleep_until(math.inf, wake)
        if not self.bound.is_leaving:
            self.start_second()
            self.leave()

    def await_reader(self, wake: threading.Lock) -> None:
        """Wait for the exit, but not for a reader of what was printed before it.

        When a program is over Python writes its output out before all else.
        """
        left = self.bound.budget.deadline + UNHEARD - time.monotonic()
        if wake.acquire(timeout=max(0.0, left)):
            return
        if not is_running(threading.main_thread()):
            say([f"quiesce: forced to end ({self.bound}): {UNREAD}"])
            os._exit(self.bound.forced_status)
        # It still runs.
        wake.acquire()

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
        left = described(threads_left())
        # Without these, it is in an exit function.
        self.bound.report.slow(left or described([threading.main_thread()]))

    def ask_children(self) -> None:
        """Ask the children of `multiprocessing` to end, but for workers of pools.

        Those know that no more jobs come, and have the time that threads have for the
        ones that were submitted.
        """
        processes.terminate(processes.children_without_jobs())

    def kill_children(self) -> None:
        """End the children that were asked, and name them."""
        children = processes.children_without_jobs()
        if children:
            self.bound.name(processes.described(children))
            processes.kill(children)

    def leave(self) -> NoReturn:
        """End the process, whose main thread is stuck in something."""
        bound = self.bound
        stuck = [threading.main_thread(), *threads_left()]
        bound.name(described(stuck))
        processes.kill(processes.multiprocessing_children())
        bound.leave()


def locked() -> threading.Lock:
    """Make a lock for whose release one can wait."""
    lock = threading.Lock()
    lock.acquire()
    return lock


def described(threads: Iterable[threading.Thread]) -> list[Survivor]:
    """Describe `threads`, and all children, also those that outlive the process.

    A thread that waits for its pool's workers is left out: they say what it waits for.
    """
    busy = [thread for thread in threads if not waits_for_workers(thread)]
    children = [*processes.multiprocessing_children(), *processes.other_children()]
    return [*map(survivors.of_thread, busy), *processes.described(children)]


def is_running(thread: threading.Thread) -> bool:
    """Tell whether `thread` runs code of the program: more than Python's last words.

    Since 3.13 they are Python themselves: the traceback of what ended the program.
    """
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name != "_print_exception_bltin"


def is_unread(stream: Any) -> bool:
    """Tell whether `stream` leads to a pipe or terminal that takes nothing more."""
    try:
        return not has_room(stream.fileno(), time.monotonic())
    except Exception:  # noqa: BLE001 - a stand-in for stdout may raise anything
        return False
