"""Which tasks have swallowed a request to cancel them, and gone on.

That has to be certain: to ask a task that unwinds is to cut its cleanup short. A task
unwinds if it has not had its turn since it was asked, if an exception is in flight in
it, or if it waits for a task that unwinds. All others have dealt with the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.shutdown.in_flight import is_cleaning_up
from quiesce.shutdown.task_state import coroutine_of, was_asked
from quiesce.shutdown.wait_graph import WaitGraph

if TYPE_CHECKING:
    from collections.abc import Iterable


def swallowers(tasks: Iterable[Any], told: Iterable[Any]) -> set[Any]:
    """Return those of `tasks` that have swallowed what they were told.

    `told` are all pending tasks that were told to end, `tasks` some of these.
    """
    tasks, told = set(tasks), set(told)
    if not any(map(has_gone_on, tasks)):
        # The others are many.
        return set()
    gone_on = set(filter(has_gone_on, told))
    waiting = WaitGraph(()).waiting_for(told - gone_on, gone_on)
    return (tasks & gone_on) - waiting


def certain_swallowers(tasks: Iterable[Any]) -> set[Any]:
    """Return those of some pending tasks that have swallowed their last request too.

    Of one that waits for another task or several that cannot be told: they may be who
    got it.
    """
    told = set(filter(was_asked, tasks))
    return {task for task in swallowers(told, told) if not waits_for_tasks(task)}


def waits_for_tasks(task: Any) -> bool:
    """Tell whether `task` awaits a task, or what ``gather`` made of several."""
    future = getattr(task, "_fut_waiter", None)
    return any(hasattr(future, name) for name in ("get_coro", "_children", "children"))


def has_gone_on(task: Any) -> bool:
    """Tell whether `task` has had its turn since it was told, and shows no cleanup."""
    if getattr(task, "_must_cancel", False):
        return False
    future = getattr(task, "_fut_waiter", None)
    if future is not None and future.done():
        return False
    return is_cleaning_up(coroutine_of(task)) is False
