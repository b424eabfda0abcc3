"""Whose cancellation would reach a task that unwinds already, and cut its cleanup.

A request goes down to what a task awaits or gathers. Who waits for the cleanup of a
task that was told before cannot be asked until that is over.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from quiesce.core.future import Future
from quiesce.shutdown.cancelling import asyncios_parts, awaited_tasks
from quiesce.shutdown.swallowing import has_gone_on
from quiesce.shutdown.task_state import was_asked
from quiesce.shutdown.wait_graph import is_gathering

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

# What most tasks wait for, if for anything: these lead to no other task.
PLAIN = frozenset({type(None), Future, asyncio.Future})


def waiting_for_cleanups(tasks: Iterable[Any]) -> set[Any]:
    """Return who of `tasks`, and of those they wait for, waits for one that unwinds."""
    waiters: dict[Any, list[Any]] = {}
    left = [
        task for task in tasks if type(getattr(task, "_fut_waiter", None)) not in PLAIN
    ]
    known = set(left)
    while left:
        waiter = left.pop()
        for awaited in awaited_tasks(waiter, parts_of):
            waiters.setdefault(awaited, []).append(waiter)
            if awaited not in known:
                known.add(awaited)
                left.append(awaited)
    found: set[Any] = set()
    left = list(filter(is_unwinding, waiters))
    while left:
        new = [each for each in waiters.get(left.pop(), ()) if each not in found]
        found.update(new)
        left += new
    return found


def parts_of(future: Any) -> Collection[Any]:
    """Return what a gathering consists of, asyncio's or ours."""
    if not is_gathering(future):
        return ()
    return asyncios_parts(future) or getattr(future, "children", ())


def is_unwinding(task: Any) -> bool:
    """Tell whether `task` was told to end, and may be in its cleanup since."""
    return was_asked(task) and not has_gone_on(task)
