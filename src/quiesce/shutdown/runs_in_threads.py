"""Runs in threads that are not the main one, when the main thread ends.

Python tells them of no signal, and waits for their threads without a word, or, if they
are daemons, not at all. So each run is known here for as long as it lasts, and is asked
to end when the interpreter begins to exit.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quiesce.shutdown import late_status
from quiesce.shutdown.exit_status import ends_by_ctrl_c, keep_death_by_ctrl_c
from quiesce.shutdown.threads import join_until, threads_left
from quiesce.shutdown.triggers import Triggers, nothing
from quiesce.system.signals import default_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

# Seconds that a run has beyond its grace, to say what it gave up.
MARGIN = 0.5
# Seconds that runs have once a second Ctrl-C came, and their threads with them: what
# comes after these has the rest of those that everything has.
RUNS_AT_ONCE = 0.6
THREADS_AT_ONCE = 0.8


class Run:
    """The run in this thread; its end takes `grace` seconds.

    `hurry` is called with the seconds that it still has.
    """

    def __init__(
        self,
        ask: Callable[[], None],
        hurry: Callable[[float], None],
        grace: float,
    ) -> None:
        self.end = ask
        self.hurry = hurry
        self.grace = grace
        self.thread = threading.current_thread()
        self.was_asked = False
        self.ended = threading.Event()

    def ask(self) -> None:
        """Ask it to end, once, from any thread."""
        if not self.was_asked:
            self.was_asked = True
            self.end()


class Runs:
    """The runs of this process that no signal reaches, by their loops. Thread-safe."""

    # Whether those that begin now have no time.
    has_ended = False

    def __init__(self) -> None:
        self.runs: dict[Any, Run] = {}
        # The threads with runners for which the interpreter waits, by their loops.
        self.threads: WeakKeyDictionary[Any, threading.Thread] = WeakKeyDictionary()
        self.is_registered = False
        self.force_exit: Any = None

    @contextmanager
    def entered(
        self,
        loop: Any,
        ask: Callable[[], None],
        hurry: Callable[[float], None],
        grace: float,
    ) -> Generator[None]:
        """Ask the run of `loop` to end, should the interpreter exit within the block.

        See `Run` for the rest. It may be entered again while it is entered.
        """
        if loop in self.runs:
            yield
            return
        self.tell_at_exit()
        self.runs[loop] = run = Run(ask, hurry, grace)
        if self.has_ended:
            run.ask()
        try:
            yield
        finally:
            self.runs.pop(loop, None)
            run.ended.set()

    def note_loop(self, loop: Any) -> None:
        """Take note that a runner in this thread runs `loop`, and will close it.

        If it has time for that: it has none in a thread that is a daemon. The main
        thread ends by itself what is left there.
        """
        thread = threading.current_thread()
        if thread is not threading.main_thread() and not thread.daemon:
            self.threads[loop] = thread

    def will_close(self, loop: Any) -> bool:
        """Tell whether a runner in another thread runs `loop`, or will again."""
        thread = self.threads.get(loop)
        return loop in self.runs or (thread is not None and thread.is_alive())

    def tell_at_exit(self) -> None:
        """Have the interpreter call `end` when it begins to exit."""
        if self.is_registered:
            return
        self.is_registered = True
        # Order matters: the last that is registered is called first, and if the thread
        # is one of a pool, concurrent.futures would wait for it.
        try:
            import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]

            # Now, because at the end there may be no descriptor left for it.
            from quiesce.shutdown import process_wide

            self.force_exit = process_wide.force_exit
            threading._register_atexit(self.at_exit)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        except RuntimeError:
            # The exit has begun already: it is too late to be told of it.
            pass

    def ask_those_of(self, pool: Any) -> None:
        """Ask the runs to end that are jobs of a loop's `pool`, if it has one."""
        if pool is None:
            return
        for run in list(self.runs.values()):
            if getattr(run.thread, "pool", None) is pool:
                run.ask()

    def ask_all(self) -> None:
        """Ask every run to end."""
        for run in list(self.runs.values()):
            run.ask()

    def at_exit(self) -> None:
        """End every run, as the exit of the interpreter begins that nobody bounds.

        A thread whose loop is blocked would hold the process for ever.
        """
        began_at = time.monotonic()
        with ctrl_c_heard(began_at) as triggers:
            self.end_or_hurry()
            stuck = [run for run in self.runs.values() if not run.thread.daemon]
            grace = max((run.grace for run in stuck), default=0.0)
            if triggers.hurried and (left := threads_left()):
                self.force_exit(began_at, grace, left, hurried=True)
            if stuck:
                self.force_exit(began_at, grace, [run.thread for run in stuck])

    def end_or_hurry(self) -> None:
        """End every run, at once when a Ctrl-C means that."""
        try:
            self.end()
        except KeyboardInterrupt:
            self.hurry()
            keep_death_by_ctrl_c()

    def end(self, until: float | None = None) -> None:
        """Ask every run to end, and wait for it: as long as its own grace lasts.

        With `until`, no longer than until then, and none may begin any more.
        """
        self.has_ended = until is not None
        runs = list(self.runs.values())
        self.ask_all()
        now = time.monotonic()
        for run in runs:
            limit = now + run.grace + MARGIN
            if until is not None:
                limit = min(limit, until)
            run.ended.wait(max(0.0, limit - time.monotonic()))
        if runs:
            keep_death_by_ctrl_c()

    def hurry_all(self) -> list[Run]:
        """Let every run end at once; return those that have yet to."""
        runs = list(self.runs.values())
        for run in runs:
            run.hurry(RUNS_AT_ONCE)
        return runs

    def hurry(self) -> None:
        """Let the runs that have not ended say what they give up, and end at once."""
        now = time.monotonic()
        for run in self.hurry_all():
            # What follows in the thread is part of it: it would be named else.
            join_until(run.thread, now + THREADS_AT_ONCE)


@contextmanager
def ctrl_c_heard(began_at: float) -> Generator[Triggers]:
    """Hear of Ctrl-C while runs end, unless somebody else answers it.

    The first asks for the end, if none did before; a later one hurries the triggers and
    raises KeyboardInterrupt, once.
    """

    def hurry() -> None:
        triggers.hurry = nothing
        raise KeyboardInterrupt

    triggers = Triggers(nothing, hurry, (signal.SIGINT,))
    if signal.getsignal(signal.SIGINT) is not default_handler(signal.SIGINT):
        yield triggers
        return
    asked = ends_by_ctrl_c()
    with triggers:
        if asked:
            triggers.signum, triggers.heard_at = signal.SIGINT, began_at
        yield triggers
        triggers.answered = True
    if triggers.signum is not None and not asked:
        late_status.exit_with(128 + signal.SIGINT)


all_runs = Runs()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=all_runs.runs.clear)
    os.register_at_fork(after_in_child=all_runs.threads.clear)
