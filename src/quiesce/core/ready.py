"""The callbacks and tasks that may run now, in the order in which they became ready.

An item is a `Handle` or a `Task`: a task that may run is stored as itself, which is half of
what makes tasks cheap here. Read `handle` before this module and `scheduler` after it.

The queue keeps two lists and swaps them: one iteration takes all that is ready and runs it
while what becomes ready meanwhile is collected in the other list, for the next iteration.
``push`` is one ``list.append``, so a signal handler that interrupts interpreted code between
any two bytecodes finds a queue in order.
"""

from __future__ import annotations

from typing import Any

from quiesce.core import native


class ReadyQueue:
    """What one loop may run, first in, first out.

    Invariant: only the loop's own thread touches it (`Scheduler.call_soon_threadsafe` is
    the way in from another).
    """

    __slots__ = ("items", "spare")

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.spare: list[Any] = []

    def __len__(self) -> int:
        return len(self.items)

    def push(self, item: Any) -> None:
        """Append a `Handle` or a `Task`; it runs in the next iteration."""
        self.items.append(item)

    def take(self) -> list[Any]:
        """Take all that is ready now; what is pushed later waits for the next take.

        The caller replaces each item it takes by None and then returns the list with
        `give_back`.
        """
        batch = self.items
        self.items = self.spare
        return batch

    def give_back(self, batch: list[Any], taken: int) -> None:
        """Return a list got from `take`, of which the first `taken` items are consumed.

        Items that were not reached, because one before them raised, go back to the front.
        """
        if taken < len(batch):
            self.items = batch[taken:] + self.items
            self.spare = []
        else:
            native.truncate(batch)
            self.spare = batch

    def clear(self) -> None:
        """Forget everything that was ready."""
        self.items = []
        self.spare = []
