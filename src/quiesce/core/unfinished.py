"""What an interrupted `run_until_complete` was waiting for.

A program that catches Ctrl-C cancels its tasks and calls `run_forever` once more, so
that they can clean up. asyncio then runs for ever, because nobody remembers what would
be the end. Here that call ends by itself once everything that was pending at the
interrupt is done (docs/design/unfinished-runs.md).
"""

from __future__ import annotations

import asyncio
from asyncio.exceptions import CancelledError
from typing import Any


class UnfinishedWait:
    """The futures that were pending when a run was interrupted."""

    def __init__(self, futures: list[Any]) -> None:
        self.futures = futures
        self.left = 0
        self.stop: Any = None

    def stop_when_done(self, stop: Any) -> None:
        """Call `stop` once all of them are done."""
        self.stop = stop
        self.left = len(self.futures)
        for future in self.futures:
            future.add_done_callback(self.one_done)

    def one_done(self, future: Any) -> None:
        """Count one that is done; a failure is its owner's to ask for."""
        if isinstance(getattr(future, "_exception", None), CancelledError):
            # What `gather` makes of a cancelled child. Nobody waits for it any more.
            future._log_traceback = False
        self.left -= 1
        if not self.left:
            self.stop()

    def withdraw(self) -> UnfinishedWait | None:
        """Wait no longer; return what is still pending, if anything is."""
        for future in self.futures:
            future.remove_done_callback(self.one_done)
        return unfinished_of(self.futures)


def unfinished_of(futures: list[Any]) -> UnfinishedWait | None:
    """Remember those of `futures` that are pending, if any are."""
    pending = [future for future in futures if not future.done()]
    return UnfinishedWait(pending) if pending else None


def unfinished_wait(loop: Any, future: Any) -> UnfinishedWait | None:
    """Remember `future` and all tasks of `loop`, as far as they are pending."""
    tasks = asyncio.all_tasks(loop)
    tasks.discard(future)
    return unfinished_of([future, *tasks])
