"""How a task begins that was made by calling `Task`: in the next iteration, or at once.

Those that our loops make themselves need none of these questions (`task.new_task`).
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
import types
from asyncio.coroutines import iscoroutine
from typing import TYPE_CHECKING, Any

from quiesce.core import step_callbacks
from quiesce.core.pending import PendingTasks

if TYPE_CHECKING:
    from quiesce.core.task import Task

CoroutineType = types.CoroutineType
CONTEXT_IS_CHECKED = sys.version_info >= (3, 15)


def check_coroutine(coro: Any) -> None:
    """Refuse what is not a coroutine."""
    if type(coro) is not CoroutineType and not iscoroutine(coro):
        raise TypeError(f"a coroutine was expected, got {coro!r}")


def check_context(context: Any) -> None:
    """Refuse what is not a context, where this Python's asyncio does."""
    if CONTEXT_IS_CHECKED and context is not None and not hasattr(context, "run"):
        raise TypeError(
            f"a contextvars.Context was expected, got {type(context).__name__}"
        )


def start_soon(task: Task) -> None:
    """Let `task` begin in the next iteration of its loop."""
    pending = getattr(task._loop, "pending_tasks", None)
    if isinstance(pending, PendingTasks):
        pending.add(task)
    else:
        asyncio.tasks._register_task(task)
    task.came_to_yield(None)


def start_eagerly(task: Task) -> None:
    """Run the first step of `task` now, inside the task or callback that makes it."""
    loop = task.get_loop()
    pending = getattr(loop, "pending_tasks", None)
    if isinstance(pending, PendingTasks):
        pending.add(task)
    else:
        asyncio.tasks._register_task(task)
    # Raises RuntimeError, to the caller, if the context is entered already.
    context: Any = task._context
    context.run(bool)
    step_callbacks.step_as_callback(task, None)
    if task.done():
        forget_coroutine(task)
    # See "Cycles" in `task`.
    del task


def forget_coroutine(task: Task) -> None:
    """Let go the coroutine of a task that was done before anybody saw it."""
    task._coro = None
