"""Loops that threads of the program run by themselves when it comes to its end.

A loop that serves synchronous code from a thread of its own is common, and Python drops
such a thread in the middle of whatever its tasks do. Under ``quiesce run`` the thread
is let out of its loop instead, so that whoever asks can end what is left on that.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from quiesce.core.running import loops
from quiesce.shutdown.runs_in_threads import all_runs

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that a thread has to leave its loop, and to clean up after that.
LEAVES_WITHIN = 1.0


def stop_loops(ends: Callable[[threading.Thread], bool]) -> set[Any]:
    """Stop the loops of other threads that shall end; return those still in use.

    What comes out there is SystemExit, of which Python says nothing in a thread. A run
    of ours ends by itself when the interpreter exits, and is left alone.
    """
    asked: dict[Any, threading.Thread] = {}
    for loop in list(loops):
        thread = thread_of(loop)
        if thread is None or loop in all_runs.runs or not ends(thread):
            continue
        try:
            loop.call_soon_threadsafe(sys.exit)
        except RuntimeError:
            # It has just been closed.
            continue
        asked[loop] = thread
    deadline = time.monotonic() + LEAVES_WITHIN
    for thread in asked.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    return {loop for loop, thread in asked.items() if thread.is_alive()}


def thread_of(loop: Any) -> threading.Thread | None:
    """Return the thread that runs `loop` now, if that is not this one."""
    ident = loop._thread_id
    if ident is None or ident == threading.get_ident():
        return None
    for thread in threading.enumerate():
        if thread.ident == ident:
            return thread
    return None
