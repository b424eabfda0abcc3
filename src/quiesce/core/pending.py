"""The tasks of one loop that are not done."""

# Fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from typing import TYPE_CHECKING

from quiesce.core import native

if TYPE_CHECKING:
    from quiesce.core.task import Task


class PendingTasks:
    """The tasks of one loop that are not done, held by strong references.

    Each knows its place in the list; where one leaves, the last one takes its place
    (docs/design/pending-tasks.md).
    """

    __slots__ = ("tasks",)

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def __len__(self) -> int:
        return len(self.tasks)

    def add(self, task: Task) -> None:
        """Hold `task` until it is done."""
        task._among = self
        task._place = native.size(self.tasks)
        native.append(self.tasks, task)

    def forget(self, task: Task) -> None:
        """Hold `task`, which is one of them, no more."""
        task._among = None
        last = native.take_last(self.tasks)
        if last is not task:
            self.tasks[task._place] = last
            last._place = task._place

    def all(self) -> list[Task]:
        """Return a new list of all of them, in no order."""
        return self.tasks.copy()

    def clear(self) -> None:
        """Hold none of them any more: the loop is closed."""
        tasks = self.tasks
        self.tasks = []
        for task in tasks:
            task._among = None
