"""Tasks of asyncio's own class on a loop of ours: held and heard like our tasks.

A program gets them from a task factory of its own, or makes them by hand. asyncio holds
its tasks weakly, so one that nobody else refers to may vanish half-way, and tells of
its failure when it is collected, which is never for one that is held somewhere. Here
each is held until it is done, and its failure is noted then.

It is known by its first step, which it queues with ``call_soon``, or by its factory, if
it is eager.
"""

# asyncio's inner names have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
from contextvars import Context
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiesce.core.unretrieved import Unretrieved

CLASSES = (asyncio.Task, asyncio.tasks._PyTask)


class OtherTasks:
    """The tasks of one loop that are asyncio's own and not done.

    Each has this as its first callback: `call_soon` knows it, and asks here at once,
    when the task still knows its other callbacks.
    """

    __slots__ = ("pending", "unretrieved")

    def __init__(self, unretrieved: Unretrieved) -> None:
        self.unretrieved = unretrieved
        self.pending: set[Any] = set()

    def __call__(self, task: Any) -> None:
        """Do nothing: what is to be done was done when this was queued."""

    def hold(self, task: Any) -> None:
        """Hold `task` until it is done; harmless if repeated."""
        if task.done():
            # An eager one.
            self.forget(task)
        elif task not in self.pending:
            self.pending.add(task)
            task.add_done_callback(self, context=Context())

    def forget(self, task: Any) -> None:
        """Let go of `task`, which is done, and note its failure."""
        self.pending.discard(task)
        # Whether anybody asks for that cannot be told yet. What is no Exception ends
        # the run of the loop, where it cannot be overlooked.
        if isinstance(getattr(task, "_exception", None), Exception):
            others = [pair for pair in task._callbacks or () if pair[0] is not self]
            self.unretrieved.note(task, others)

    def clear(self) -> None:
        """Hold none of them any more: the loop is closed."""
        self.pending.clear()


def is_asyncios(task: Any) -> bool:
    """Tell whether `task` is one of asyncio's own, which ours only seem to be."""
    return issubclass(type(task), CLASSES)


class Listener:
    """As much of a loop as a task needs to queue its first step."""

    step: object = None

    def get_debug(self) -> bool:
        """Not in debug mode."""
        return False

    def call_soon(self, callback: object, *_: object, **__: object) -> None:
        """Take note of the step."""
        self.step = callback


def type_of_steps() -> type | None:
    """Return the type of the callbacks that are steps of `asyncio.Task`.

    None where asyncio has no tasks in C: those in Python queue a plain method.
    """

    async def never() -> None:
        """Not run."""

    listener: Any = Listener()
    coroutine = never()
    task: Any = asyncio.Task(coroutine, loop=listener)
    task._log_destroy_pending = False
    coroutine.close()
    kind: type = type(listener.step)
    return None if kind is MethodType else kind
