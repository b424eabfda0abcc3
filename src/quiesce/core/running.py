"""The current loop and task of this thread, as asyncio's own functions see them.

Programs and libraries ask asyncio which task runs and which tasks there are, so ours
have to be where it looks. That is all that quiesce knows of asyncio's bookkeeping, and
it is in this file, because it differs between versions:

- The current task is ``asyncio.tasks._current_tasks[loop]`` up to 3.13 and part of the
  thread state, reached through ``_swap_current_task``, since 3.14.
- ``all_tasks`` reads a weak set: ``tasks._all_tasks`` on 3.11,
  ``tasks._scheduled_tasks`` on 3.12 and 3.13, and since 3.14 one that only the C module
  holds. Its class is replaced by a subclass whose iteration also gives the tasks of our
  loops, which therefore need not be entered into it one by one
  (docs/design/pending-tasks.md).
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import gc
import sys
import threading
from asyncio import tasks as asyncio_tasks
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

# The current task of each loop, where asyncio keeps it in a dictionary (3.11 to 3.13).
current_tasks: dict[Any, Any] | None = (
    asyncio_tasks._current_tasks if sys.version_info < (3, 14) else None
)

# Every loop of ours that is alive; `all_of` lists them.
loops: WeakSet[Any] = WeakSet()
# To list them, as often as asyncio tries it.
MOST_TRIES = 1000


def all_of(weak: Iterable[T]) -> list[T]:
    """Return what is in a weak set or among a weak dictionary's keys, in any thread.

    Another one may add to it meanwhile, which ends an iteration.
    """
    for _ in range(MOST_TRIES):
        try:
            return list(weak)
        except RecursionError:
            raise
        except RuntimeError:
            continue
    return list(weak)


def swap_current_task(loop: Any, task: Any) -> Any:
    """Make `task` the current one of `loop`, or none; return the one before."""
    if current_tasks is None:
        return asyncio_tasks._swap_current_task(loop, task)
    before = current_tasks.get(loop)
    if task is None:
        current_tasks.pop(loop, None)
    else:
        current_tasks[loop] = task
    return before


if sys.version_info >= (3, 14):
    swap_current_task = asyncio_tasks._swap_current_task


class TasksOfAllLoops(WeakSet[Any]):
    """What `asyncio.all_tasks` reads: asyncio's own tasks and those of our loops."""

    is_in_place = False

    def __iter__(self) -> Iterator[Any]:
        yield from WeakSet.__iter__(self)
        if not getattr(asks_for, "others", False):
            for loop in all_of(loops):
                yield from loop.pending_tasks.all()


# Whether a thread asks for asyncio's own tasks only.
asks_for = threading.local()


def asyncio_registries() -> list[WeakSet[Any]]:
    """Return the weak sets that `asyncio.all_tasks` reads, in C and in Python."""
    held: list[Any] = [
        getattr(asyncio_tasks, "_scheduled_tasks", None),
        getattr(asyncio_tasks, "_all_tasks", None),
    ]
    if current_tasks is None:
        held += gc.get_referents(sys.modules.get("_asyncio"))
    return [registry for registry in held if isinstance(registry, WeakSet)]


def add_loop(loop: Any) -> None:
    """Let asyncio's functions see the tasks of `loop` from now on."""
    loops.add(loop)
    if not TasksOfAllLoops.is_in_place:
        for registry in asyncio_registries():
            registry.__class__ = TasksOfAllLoops
        TasksOfAllLoops.is_in_place = True


def current_task(loop: Any = None) -> Any:
    """Return the task that runs in this thread, or None outside any task.

    With `loop`, the task that this loop is running. Raises `RuntimeError` if no loop is
    given and none runs in this thread.
    """
    return asyncio.current_task(loop)


def pending_tasks(loop: Any) -> set[Any]:
    """Do what `all_tasks` does, at a small price for many tasks of ours."""
    return set(listed_pending(loop))


def listed_pending(loop: Any) -> list[Any]:
    """Return each task of `loop` that is not done; for many far smaller than a set."""
    if loop not in loops:
        return list(asyncio.all_tasks(loop))
    asks_for.others = True
    try:
        others = asyncio.all_tasks(loop)
    finally:
        asks_for.others = False
    tasks: list[Any] = loop.pending_tasks.all()
    tasks.extend(others)
    return tasks


def all_tasks(loop: Any = None) -> set[Any]:
    """Return the tasks of `loop`, or of the running loop, that are not done.

    Raises `RuntimeError` if no loop is given and none runs in this thread.
    """
    return asyncio.all_tasks(loop)
