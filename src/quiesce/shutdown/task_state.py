"""What can be known of a task, whatever its class.

A task factory may make tasks that have no more than the older methods.
"""

from __future__ import annotations

from asyncio import TaskGroup
from typing import Any

from quiesce.core.async_generators import close

CLOSES_GENERATOR = close.__code__


def coroutine_of(task: Any) -> Any:
    """Return the coroutine of `task`; None where that cannot tell."""
    try:
        return task.get_coro()
    except AttributeError:
        return None


def requests_of(task: Any) -> int:
    """Return how many requests to cancel `task` are open."""
    try:
        return task.cancelling()
    except AttributeError:
        return 0


def was_asked(task: Any) -> bool:
    """Tell whether somebody has cancelled `task` already."""
    return requests_of(task) > 0


def is_cleanup(task: Any) -> bool:
    """Tell whether `task` does nothing but close an asynchronous generator.

    Loops make one for each generator that is dropped half-way, as by the task that had
    iterated it, and for those that are left. To cancel it would be to lose what the
    generator awaits in its end.
    """
    coroutine = coroutine_of(task)
    code = getattr(coroutine, "cr_code", None)
    if code is None:
        return type(coroutine).__name__ == "async_generator_athrow"
    return code is CLOSES_GENERATOR


def group_owner(task: Any) -> Any:
    """Return the task that has the task group of which `task` is a child, or None."""
    callbacks = getattr(task, "_callbacks", None)
    if not callbacks:
        return None
    for callback, _ in callbacks:
        group = getattr(callback, "__self__", None)
        if isinstance(group, TaskGroup):
            return getattr(group, "_parent_task", None)
    return None
