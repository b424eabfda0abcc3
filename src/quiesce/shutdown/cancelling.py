"""Cancels a task, however many tasks it waits for, and however they are chained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.core.failures import failed_at_the_end
from quiesce.core.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Of `cancel`, for one task and all that it waits for.
MOST_CALLS = 50_000
# Of these, for tasks that another path has led to already.
MOST_REPEATS = 1_000


def cancel(task: Any) -> Collection[Any]:
    """Cancel `task`, however long the chain of tasks is that it waits for.

    asyncio's own tasks hand the request down the chain by recursion. Where that comes
    to its end, the innermost are cancelled, and with them the others, which wait for
    each other: they are returned. One that cannot be cancelled must not keep the others
    from it: that is reported, and so is the failure of what a task of asyncio's awaits:
    it would forget that.
    """
    failed = None if type(task) is Task else failed_waiter(task)
    try:
        if takes_too_long(task):
            return cancel_innermost(task)
        task.cancel()
    except RecursionError:
        return cancel_innermost(task)
    except Exception as error:  # noqa: BLE001 - of the program's own class
        task.get_loop().call_exception_handler(
            {"message": "A task could not be cancelled", "exception": error}
        )
    if failed is not None:
        failed_at_the_end(task.get_loop(), failed)
    return ()


def failed_waiter(task: Any) -> Any:
    """Return the task that `task` awaits, if that has failed and nobody has heard."""
    waiter = getattr(task, "_fut_waiter", None)
    is_untaken = hasattr(waiter, "get_coro") and getattr(
        waiter, "_log_traceback", False
    )
    return waiter if is_untaken else None


def takes_too_long(task: Any) -> bool:
    """Tell whether to cancel `task` is to call `cancel` more often than can be waited.

    A gathering hands a request on to each of its children. Where these wait for the
    same ones again, level by level, all paths through them are walked; where they wait
    for each other in a circle, there is no end to it.
    """
    gathering = getattr(task, "_fut_waiter", None)
    if not getattr(gathering, "_children", None):
        return False
    left, known, repeats = [task], {task}, 0
    for _ in range(MOST_CALLS):
        if not left:
            return False
        awaited = awaited_tasks(left.pop())
        repeats += sum(each in known for each in awaited)
        if repeats > MOST_REPEATS:
            return True
        known.update(awaited)
        left += awaited
    return True


def cancel_innermost(task: Any) -> set[Any]:
    """Cancel what all the others wait for in the end; return them, with `task`."""
    chain = {task}
    left = [task]
    while left:
        each = left.pop()
        gathering: Any = getattr(each, "_fut_waiter", None)
        awaited = awaited_tasks(each)
        if not awaited:
            each.cancel()
        elif hasattr(gathering, "_cancel_requested"):
            # Whatever it makes of its children's ends, it is cancelled itself.
            gathering._cancel_requested = True
        new = [one for one in awaited if one not in chain]
        chain.update(new)
        left += new
    return chain


def outermost_first(tasks: Collection[Any]) -> list[Any]:
    """Return `tasks`, those that no other of them waits for at the head.

    To cancel a task is to cancel what it waits for: so each chain is walked only once.
    """
    awaited = {
        waiter
        for task in tasks
        if hasattr(waiter := getattr(task, "_fut_waiter", None), "get_coro")
    }
    return sorted(tasks, key=awaited.__contains__) if awaited else list(tasks)


def asyncios_parts(future: Any) -> Collection[Any]:
    """Return what a gathering of asyncio's consists of: ours cancels its own."""
    return getattr(future, "_children", ())


def awaited_tasks(
    task: Any, parts_of: Callable[[Any], Collection[Any]] = asyncios_parts
) -> list[Any]:
    """Return the tasks for which `task` waits, directly or through a gathering.

    `parts_of` tells what a future consists of that is no task.
    """
    found: list[Any] = []
    left = [getattr(task, "_fut_waiter", None)]
    while left:
        future = left.pop()
        if future is None:
            continue
        if hasattr(future, "get_coro"):
            found.append(future)
        else:
            left.extend(parts_of(future))
    return found
