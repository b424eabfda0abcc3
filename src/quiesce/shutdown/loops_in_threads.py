"""Loops that threads of the program run by themselves when it comes to its end.

A loop that serves synchronous code from a thread of its own is common, and Python drops
such a thread in the middle of whatever its tasks do. Under ``quiesce run`` the thread
is let out of its loop instead, so that whoever asks can end what is left on that.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from quiesce.core.running import all_of, loops
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.threads import join_until

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that a thread has to leave its loop, and to clean up after that.
LEAVES_WITHIN = 1.0


class LoopsInThreads:
    """The threads that have left their loops, or are to when they run one."""

    def __init__(self) -> None:
        # Which threads are to leave theirs from now on.
        self.ends: list[Callable[[threading.Thread], bool]] = []
        # Those that were asked: a loop with which one cleans up then is left alone.
        self.asked: WeakSet[threading.Thread] = WeakSet()
        self.asking = threading.Lock()

    def ask(self, loop: Any, thread: threading.Thread) -> None:
        """Let `thread` leave `loop`, unless it was asked to leave one before.

        What comes out there is SystemExit, of which Python says nothing in a thread.
        """
        with self.asking:
            if thread in self.asked:
                return
            self.asked.add(thread)
        # It may just have been closed.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(sys.exit)

    def begin_run(self, loop: Any) -> None:
        """Ask this thread, which begins to run `loop`, if it is to leave it.

        Not the main thread: there it is an exit function that does.
        """
        if not self.ends or not is_driven_by_hand(loop):
            return
        thread = threading.current_thread()
        if thread is not threading.main_thread() and any(
            ends(thread) for ends in self.ends
        ):
            self.ask(loop, thread)


loops_in_threads = LoopsInThreads()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=loops_in_threads.ends.clear)


def stop_loops(ends: Callable[[threading.Thread], bool]) -> set[Any]:
    """Stop the loops of other threads that shall end; return those still in use.

    Also those that they run only later, for each thread once.
    """
    asked = ask_loops(ends)
    deadline = time.monotonic() + LEAVES_WITHIN
    for thread in asked.values():
        join_until(thread, deadline)
    return {loop for loop, thread in asked.items() if thread.is_alive()}


def ask_loops(
    ends: Callable[[threading.Thread], bool],
) -> dict[Any, threading.Thread]:
    """Ask threads to leave their loops, those that shall end; return these loops."""
    loops_in_threads.ends.append(ends)
    asked: dict[Any, threading.Thread] = {}
    for loop in all_of(loops):
        thread = thread_of(loop)
        if thread is None or not is_driven_by_hand(loop) or not ends(thread):
            continue
        loops_in_threads.ask(loop, thread)
        asked[loop] = thread
    return asked


def driving_threads() -> set[int]:
    """Return, as their numbers, the threads but for main that run loops by themselves.

    The number is that of `threading.get_ident`.
    """
    driving = {loop._thread_id for loop in all_of(loops) if is_driven_by_hand(loop)}
    return driving - {None, threading.main_thread().ident}


def is_driven_by_hand(loop: Any) -> bool:
    """Tell whether no runner has `loop`: that ends by itself at the exit."""
    return not all_runs.will_close(loop)


def thread_of(loop: Any) -> threading.Thread | None:
    """Return the thread that runs `loop` now, if that is not this one."""
    ident = loop._thread_id
    if ident is None or ident == threading.get_ident():
        return None
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread
    return None
