"""A thread that looks at something again and again, and that a fork does not find.

A process that forks while it has several threads gets a warning since Python 3.12, so
the thread goes before a fork and comes back after it, in the parent only.
"""

from __future__ import annotations

import _thread
import os
import time
from typing import TYPE_CHECKING

from quiesce.shutdown.forks import forks
from quiesce.shutdown.own_thread import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds that a fork waits for a thread to be gone.
PATIENCE = 1.0

RUNNING: set[WatchThread] = set()
# Those that were told to end and may not have done so: only a fork waits for that.
LEAVING: set[WatchThread] = set()


class WatchThread:
    """Calls `look` until that returns None, else after as many seconds as it returns.

    After a fork it begins again at once, or as `after_fork` does that with it. All
    methods may be called anywhere, also by a signal's handler.
    """

    def __init__(
        self,
        look: Callable[[], float | None],
        after_fork: Callable[[WatchThread], object] | None = None,
    ) -> None:
        self.look = look
        self.after_fork = after_fork or WatchThread.start
        self.wakeup = _thread.allocate_lock()
        self.wakeup.acquire()
        # Whoever runs for an older turn than this has been told to end.
        self.turn = 0
        self.ident = 0
        self.native_id = 0

    def start(self) -> bool:
        """Begin to look; return False where there can be no more threads."""
        hold_at_forks()
        self.turn += 1
        self.native_id = 0
        try:
            self.ident = start_thread(self.run, self.turn)
        except RuntimeError:
            return False
        RUNNING.add(self)
        return True

    def stop(self) -> None:
        """Look no more; the thread may need a moment to end."""
        self.turn += 1
        RUNNING.discard(self)
        for each in list(LEAVING):
            if not each.is_there():
                LEAVING.discard(each)
        if self.ident != _thread.get_ident():
            LEAVING.add(self)
        self.wake()

    def wake(self) -> None:
        """Let it look now."""
        try:
            self.wakeup.release()
        except RuntimeError:
            # It is awake.
            return

    def run(self, turn: int) -> None:
        """Look, in the thread."""
        self.native_id = _thread.get_native_id()
        while turn == self.turn:
            pause = self.look()
            if pause is None:
                break
            self.wakeup.acquire(timeout=pause)
        if turn == self.turn:
            RUNNING.discard(self)

    def wait_until_gone(self) -> None:
        """Wait a little until the system knows nothing of the thread any more."""
        deadline = time.monotonic() + PATIENCE
        while self.is_there() and time.monotonic() < deadline:
            time.sleep(0.0002)

    def is_there(self) -> bool:
        """Tell whether the system has such a thread; one that starts has no number."""
        # No import of pathlib for this.
        path = f"/proc/self/task/{self.native_id}"
        return not self.native_id or os.path.exists(path)  # noqa: PTH110


HELD: list[WatchThread] = []


def end_before_fork() -> None:
    """Let no thread of ours be there while the process forks."""
    HELD.extend(RUNNING)
    mine = _thread.get_ident()
    for thread in list(HELD):
        if thread.ident == mine:
            HELD.remove(thread)
        else:
            thread.stop()
    while LEAVING:
        LEAVING.pop().wait_until_gone()


def begin_again() -> None:
    """Go on in the parent."""
    while HELD:
        thread = HELD.pop()
        thread.after_fork(thread)


def forget_all() -> None:
    """Begin with no thread, in the child."""
    HELD.clear()
    RUNNING.clear()
    LEAVING.clear()


def hold_at_forks() -> None:
    """From now on, end the threads before each fork."""
    if end_before_fork not in forks.before:
        forks.before.append(end_before_fork)
        forks.after_in_parent.append(begin_again)
        forks.after_in_child.append(forget_all)
