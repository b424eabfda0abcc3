"""Which task runs: what the loop knows, and what asyncio's functions are told of it.

Telling them costs more than a step of a task, so up to Python 3.13, where nobody can
look without asking the loop first (`Scheduler.__hash__`), they are told when somebody
asks (docs/design/current-task.md).
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from quiesce.core import native, running

if TYPE_CHECKING:
    from quiesce.core.scheduler import Scheduler

current_tasks = running.current_tasks
swap_current_task = running.swap_current_task
# Whether it must be told before each step.
PUBLISHES_EAGERLY = current_tasks is None


def clear_current(loop: Scheduler) -> None:
    """Let no task be the current one."""
    loop.current = None
    publish(loop)


def publish(loop: Scheduler) -> None:
    """Put the current task where `asyncio.current_task` looks for it."""
    if loop.published is not loop.current:
        loop.published = loop.current
        if current_tasks is None:
            swap_current_task(loop, loop.current)
        elif loop.current is None:
            current_tasks.pop(loop, None)
        else:
            current_tasks[loop] = loop.current


def hash_of(loop: Scheduler) -> int:
    """Return the hash of `loop`, or raise what is on its way out of an eager task.

    Up to Python 3.13 an eager task of asyncio's that raises SystemExit asks for the
    hash with that under way, to let the task before it be the current one again. No
    function in Python can return then: SystemError takes the place of what was raised.
    """
    error: BaseException | None = None
    try:
        return native.identity_hash(loop)
    except SystemError as problem:
        error = problem.__cause__ or problem
    publish_again(loop)
    try:
        raise error
    finally:
        # The traceback keeps this frame.
        error = None


def publish_again(loop: Scheduler) -> None:
    """Let the task that the loop runs be the current one, whatever else has been."""
    if current_tasks is not None:
        task = loop.other_tasks.running or loop.current
        if task is None:
            current_tasks.pop(loop, None)
        else:
            current_tasks[loop] = task


def running_task(loop: Scheduler) -> Any:
    """Return what `asyncio.current_task` gives, if possible without asking it.

    As long as the current task has not been published, nobody has looked, and
    nobody can have put another one in its place, as asyncio's eager tasks do.
    """
    if PUBLISHES_EAGERLY or loop.current is None or loop.published is loop.current:
        return asyncio.current_task(loop)
    return loop.current
