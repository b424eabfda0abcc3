"""Who waits for whom among pending tasks, also where a task does not say so itself.

A task that awaits another has it as ``_fut_waiter``. One that waits by ``gather``,
``wait``, ``as_completed`` or ``wait_for`` awaits a future that only the callbacks of
the others know: these lead to what is told when they are done. The callback of a task
group leads to the task that has the group.
"""

# What callbacks hold can be anything.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
from asyncio import TaskGroup
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from quiesce.core.awaited_by import held_by
from quiesce.core.shielding import is_shielded

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

# Ours are instances of it too.
Gathering: Any = asyncio.tasks._GatheringFuture
RELEASE_WAITER: Any = getattr(asyncio.tasks, "_release_waiter", Gathering)
# Whose callbacks are looked into.
LIBRARIES = ("asyncio.", "quiesce.")


class WaitGraph:
    """Who waits for `tasks` now; of no use once the loop has run again."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        # Thousands of tasks may have one and the same function as their callback.
        self.known: dict[Any, list[Any]] = {}
        # The futures by which somebody awaits one task, up to Python 3.11 in wait_for.
        self.stand_ins: set[Any] = set()
        # Each future, queue and task that is told, and who tells it.
        self.tellers: dict[Any, list[Any]] = {}
        left = [task for task in tasks if getattr(task, "_callbacks", None)]
        while left:
            teller = left.pop()
            for told in self.told(teller):
                if told not in self.tellers:
                    self.tellers[told] = []
                    if not is_task(told):
                        left.append(told)
                self.tellers[told].append(teller)

    def told(self, teller: Any) -> list[Any]:
        """Return what is told when `teller` is done, or a queue has an item."""
        if is_queue(teller):
            return list(getattr(teller, "_getters", ()))
        found: list[Any] = []
        for callback, _ in getattr(teller, "_callbacks", None) or ():
            found += self.told_by(callback)
        return found

    def told_by(self, callback: Any) -> list[Any]:
        """Return what `callback` tells."""
        if type(callback) is not FunctionType:
            told = told_by_object(callback)
            if getattr(callback, "func", None) is RELEASE_WAITER:
                self.stand_ins.update(told)
            return told
        known = self.known.get(callback)
        if known is None:
            held = held_by(callback).values()
            self.known[callback] = known = [each for each in held if is_told(each)]
        return known

    def awaited_by(self, tasks: Iterable[Any], but: Container[Any] = ()) -> set[Any]:
        """Return what `tasks` wait for: other tasks, and what is between them.

        Those in `but` only where they are awaited themselves, or gathered.
        """
        found: set[Any] = set()
        left = list(tasks)
        while left:
            waiter = left.pop()
            awaited = self.tellers.get(waiter, ())
            if not (is_gathering(waiter) or waiter in self.stand_ins):
                awaited = [each for each in awaited if each not in but]
            awaited = {*awaited, getattr(waiter, "_fut_waiter", None)}
            new = {each for each in awaited if each is not None and each not in found}
            found |= new
            left += new
        return found

    def shielded_gatherings(self) -> list[Any]:
        """Return the gatherings that are shielded themselves."""
        return [
            each for each in filter(is_gathering, self.tellers) if is_shielded(each)
        ]

    def shielded(self) -> set[Any]:
        """Return the tasks that are parts of a gathering that is shielded."""
        found: set[Any] = set()
        left = self.shielded_gatherings()
        while left:
            new = {part for part in self.tellers[left.pop()] if part not in found}
            found |= new
            left += filter(is_gathering, new)
        return set(filter(is_task, found))

    def waiting_for(self, tasks: Iterable[Any], others: Iterable[Any]) -> set[Any]:
        """Return what waits for `tasks`, among it those of `others` that do."""
        awaiting: dict[Any, list[Any]] = {}
        for task in others:
            awaiting.setdefault(getattr(task, "_fut_waiter", None), []).append(task)
        found: set[Any] = set()
        left = list(tasks)
        while left:
            awaited = left.pop()
            waiters = [*self.told(awaited), *awaiting.get(awaited, ())]
            new = {each for each in waiters if each not in found}
            found |= new
            left += new
        return found


def told_by_object(callback: Any) -> list[Any]:
    """Return what a callback tells that is no plain function."""
    if isinstance(callback, partial):
        return [each for each in callback.args if is_told(each)]
    owner = getattr(callback, "__self__", callback)
    if is_told(owner):
        # It may be the method that gives a future its outcome.
        return [owner]
    if isinstance(owner, TaskGroup):
        told = getattr(owner, "_parent_task", None)
    elif type(owner).__module__.startswith(LIBRARIES):
        told = queue_of(owner) or getattr(callback, "awaiter", None)
    else:
        # Of the program's own make: to look at its attributes may do anything.
        told = None
    return [] if told is None else [told]


def queue_of(owner: Any) -> Any:
    """Return the queue from which who iterates an `as_completed` takes."""
    for name in ("done", "_done"):
        queue = getattr(owner, name, None)
        if is_queue(queue):
            return queue
    return None


def is_told(thing: Any) -> bool:
    """Tell whether a callback that holds `thing` does so to pass something on to it.

    Not so a task: that may be held for many a reason.
    """
    return is_queue(thing) or (
        hasattr(type(thing), "_asyncio_future_blocking") and not is_task(thing)
    )


# What callbacks hold is asked for its type only: it may be a proxy of nothing.


def is_queue(thing: Any) -> bool:
    """Tell whether `thing` is a queue, asyncio's or ours."""
    return issubclass(type(thing), asyncio.Queue)


def is_task(thing: Any) -> bool:
    """Tell whether `thing` is a task, of whatever make."""
    return hasattr(type(thing), "get_coro")


def is_gathering(thing: Any) -> bool:
    """Tell whether `thing` is what ``gather`` returns, asyncio's or ours."""
    return isinstance(thing, Gathering)
