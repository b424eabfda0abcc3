"""The ordinary way of a task: where its future or its loop is not ours.

There nothing can queue the task as itself. So it waits with `TaskWakeup`, which is a
done-callback, or is queued as `TaskStep`, a callback of the loop. Both run a step with
the task as the current one, which the loop sees to for tasks on its ready queue.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from quiesce.core import running

if TYPE_CHECKING:
    from quiesce.core.task import Task


class TaskWakeup:
    """The done-callback that a task leaves with a future that is not ours."""

    __slots__ = ("task",)

    def __init__(self, task: Task) -> None:
        self.task = task

    @property
    def __self__(self) -> Task:
        """The task, where asyncio's debugging looks for it."""
        return self.task

    @property
    def awaiter(self) -> Task:
        """Who waits, for the call graph."""
        return self.task

    def __repr__(self) -> str:
        return f"<wakeup of the task at {id(self.task):#x}>"

    def __call__(self, future: Any) -> None:
        """Resume the task with the outcome of `future`."""
        error = None
        if not self.task.passes_over(future):
            try:
                future.result()
            except BaseException as raised:  # noqa: BLE001 - thrown into the coroutine
                error = raised
        step_as_callback(self.task, error)
        self = error = None  # noqa: PLW0642 - see "Cycles" in `task`


class TaskStep:
    """A step queued as a callback, because it throws or the loop is not ours."""

    __slots__ = ("exception", "task")

    def __init__(self, task: Task, exception: BaseException | None) -> None:
        self.task = task
        self.exception = exception

    @property
    def __self__(self) -> Task:
        """The task, where asyncio's debugging looks for it."""
        return self.task

    def __call__(self) -> None:
        """Take the step."""
        step_as_callback(self.task, self.exception)
        self = None  # noqa: PLW0642 - see "Cycles" in `task`


def step_as_callback(task: Task, error: BaseException | None) -> None:
    """Run one step inside a callback, with the task as the current one meanwhile."""
    loop = task.get_loop()
    before = running.swap_current_task(loop, task)
    try:
        task.step(error)
    finally:
        running.swap_current_task(loop, before)
        # See "Cycles" in `task`.
        del task


def wrong_to_yield(task: Task, yielded: Any, blocking: bool | None) -> str | None:
    """Say what is wrong with what the coroutine of `task` yielded, or None."""
    if blocking is None:
        if isinstance(yielded, types.GeneratorType):
            return (
                "yield was used instead of yield from for generator in task "
                f"{task!r} with {yielded!r}"
            )
        return f"Task got bad yield: {yielded!r}"
    # Not asyncio's function for it: an interrupt could be raised there, and the task be
    # lost.
    get_loop = getattr(yielded, "get_loop", None)
    if (yielded._loop if get_loop is None else get_loop()) is not task.get_loop():
        return f"Task {task!r} got Future {yielded!r} attached to a different loop"
    if not blocking:
        return f"yield was used instead of yield from in task {task!r} with {yielded!r}"
    if yielded is task:
        return f"Task cannot await on itself: {task!r}"
    return None
