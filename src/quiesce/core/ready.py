"""The callbacks and tasks that may run now, in the order in which they became ready.

An item is a `Handle` or a `Task`: a task that may run is stored as itself, which is
half of what makes tasks cheap here. Read `handle` before this module and `scheduler`
after it.

The queue keeps two lists, and each iteration of the loop swaps them
(`iteration.run_ready`): it runs what is in one, ``spare``, and puts None in the place
of each item that it takes, while what becomes ready meanwhile is collected in the
other. ``push`` is one ``list.append``, so a signal handler that
interrupts interpreted code between any two bytecodes finds a queue in order
(docs/design/ready-queue.md).
"""

from __future__ import annotations

from typing import Any

from quiesce.core import native


class ReadyQueue:
    """What one loop may run, first in, first out.

    Invariant: only the loop's own thread touches it (`Scheduler.call_soon_threadsafe`
    is the way in from another); `taken` only looks.
    """

    __slots__ = ("closed", "items", "spare")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.spare: list[Any] = []
        self.closed = False

    def __len__(self) -> int:
        return len(self.items)

    def push(self, item: Any) -> None:
        """Append a `Handle` or a `Task`; it runs in the next iteration.

        Raises RuntimeError if the loop is closed, so that it never would.
        """
        if self.closed:
            raise RuntimeError("Event loop is closed")
        native.append(self.items, item)

    def put_back(self, batch: list[Any], taken: int) -> None:
        """Put those items back to the front that an iteration did not reach.

        `batch` is what it began with; it had `taken` of them when one raised.
        """
        self.items = batch[taken:] + self.items
        self.spare = []

    def taken(self) -> int:
        """Return how many items of the batch that runs have begun; thread-safe.

        It is 0 where no batch runs, or one of a single item.
        """
        batch = self.spare
        low, high = 0, len(batch)
        while low < high:
            middle = (low + high) // 2
            try:
                item = batch[middle]
            except IndexError:
                # Interpreted, the batch may end at any moment.
                return 0
            if item is None:
                low = middle + 1
            else:
                high = middle
        return low

    def close(self) -> None:
        """Forget everything that was ready, and take nothing any more."""
        self.closed = True
        self.items = []
        self.spare = []
