"""Tells of blocked loops that a program runs by itself, with no runner.

A runner has a `watchdog`. A program that calls ``loop.run_until_complete()`` has none,
so under ``quiesce run`` one thread looks at all such loops. It is made when the first
of them runs. How such a loop is ended is in `own_ends`.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

from quiesce.core import runs
from quiesce.shutdown import own_ends
from quiesce.shutdown.blocked import Announcer, Pulse
from quiesce.shutdown.budget import grace_of
from quiesce.shutdown.loops_in_threads import loops_in_threads
from quiesce.shutdown.waiting_main import waiting_main
from quiesce.shutdown.watch_thread import RUNNING, WatchThread
from quiesce.shutdown.watchdog import is_watched, pause_before_next_look, threshold


class OwnLoop:
    """One loop, in the thread that runs it; it may be gone meanwhile."""

    def __init__(self, loop: Any) -> None:
        self.pulse = Pulse(loop)
        self.thread_id = threading.get_ident()
        self.announcer = Announcer(self.pulse, self.thread_id)

    def is_over(self) -> bool:
        """Tell whether the loop will not run any more."""
        loop = self.pulse.loop
        return loop is None or loop.is_closed()

    def look(self, threshold: float) -> float:
        """Tell of a block above the threshold; return for how long the loop stands."""
        loop = self.pulse.loop
        if loop is None or is_watched(loop):
            return 0.0
        return self.announcer.look(threshold)


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
        own_ends.guard_run(loop)
        loops_in_threads.begin_run(loop)
        waiting_main.look_on(grace_of(None), stops_loops=True)
        seconds = threshold()
        if seconds is None:
            return
        self.threshold = seconds
        thread_id = threading.get_ident()
        for known in self.known.copy():
            if known.pulse.loop is not loop:
                continue
            if known.thread_id == thread_id:
                break
            self.discard(known)
        else:
            self.known.append(OwnLoop(loop))
        # A fork may have left it behind.
        if self.thread not in RUNNING:
            self.thread.start()

    def start_in_next_iteration(self, _: WatchThread) -> None:
        """Look again when the fork that goes on is over: see `Watchdog`."""
        for known in self.known.copy():
            loop = known.pulse.loop
            if loop is not None and loop.is_running():
                try:
                    loop.call_soon_threadsafe(self.watch, loop)
                except RuntimeError:
                    continue
                return
        # The next run starts it.

    def forget(self) -> None:
        """Know of none, in a forked child: its parent's do not run there."""
        self.known = []

    def discard(self, known: OwnLoop) -> None:
        """Know of one loop no longer; in whatever thread."""
        with suppress(ValueError):
            self.known.remove(known)

    def look(self) -> float:
        """Look at all of them; return when to look next. In the thread."""
        for known in self.known.copy():
            if known.is_over():
                self.discard(known)
        blocked = [known.look(self.threshold) for known in self.known.copy()]
        return min(
            (pause_before_next_look(each, self.threshold) for each in blocked),
            default=self.threshold,
        )


def watch_own_loops() -> None:
    """From now on, tell of each loop that is blocked while no runner runs it."""
    own_loops = OwnLoops()
    runs.on_run = own_loops.watch
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=own_loops.forget)
