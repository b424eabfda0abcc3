"""Tasks of asyncio's own class on a loop of ours: held and heard like our tasks.

A program gets them from a task factory of its own, or makes them by hand. asyncio holds
its tasks weakly, so one that nobody else refers to may vanish half-way, and tells of
its failure when it is collected, which is never for one that is held somewhere. Here
each is held until it is done, and its failure is noted then.

A done callback of ours could be seen in the task's text. So the loop looks at it after
each of its steps: those come as callbacks of two types in C, for a step that waited for
nothing and for one that a future wakes.
"""

# asyncio's inner names have no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
from types import BuiltinMethodType, MethodType
from typing import TYPE_CHECKING, Any

from quiesce.core import places

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from quiesce.core.unretrieved import Unretrieved


class OtherTasks:
    """The tasks of one loop that are asyncio's own and not done."""

    __slots__ = ("pending", "running", "unretrieved")

    def __init__(self, unretrieved: Unretrieved) -> None:
        self.unretrieved = unretrieved
        # With the line that made each, as far as that is known.
        self.pending: dict[Any, tuple[CodeType, int] | None] = {}
        # The one in a step of which the loop is.
        self.running: Any = None

    def watched(self, callback: Any) -> Any:
        """Return what to call for `callback`, of one of the types below."""
        task = callback.__self__
        if not is_asyncios(task):
            return callback
        self.hold(task)
        return WatchedStep(callback, task, self)

    def note_waiter(self, callback: Any, loop: Any) -> None:
        """Hold the task of `loop` that `callback`, of the second type below, wakes."""
        task = callback.__self__
        if is_asyncios(task) and not task.done() and task.get_loop() is loop:
            self.pending.setdefault(task)

    def hold(self, task: Any) -> None:
        """Hold `task` until it is done."""
        if task.done():
            # An eager one.
            self.forget(task, ())
        else:
            self.pending.setdefault(task)

    def hold_new(self, task: Any) -> None:
        """Hold `task`, which a task factory has just made; note who asked for it."""
        self.hold(task)
        if task in self.pending:
            self.pending[task] = places.place_here()

    def forget(self, task: Any, waiters: Any) -> None:
        """Let go of `task`, which is done; note its failure, if that is one.

        `waiters` are the callbacks that it had.
        """
        self.pending.pop(task, None)
        error = getattr(task, "_exception", None)
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            # It ends the loop's run, where it cannot be overlooked.
            task._log_traceback = False
        elif error is not None:
            self.unretrieved.note(task, waiters)

    def clear(self) -> None:
        """Hold none of them any more: the loop is closed."""
        self.pending.clear()


class WatchedStep:
    """A step of a task; afterwards it looks whether that was the last one."""

    __slots__ = ("__self__", "others", "step")

    def __init__(
        self, step: Callable[..., object], task: Any, others: OtherTasks
    ) -> None:
        self.step = step
        # Who shows a callback shows the task.
        self.__self__ = task
        self.others = others

    def __call__(self, *args: Any) -> None:
        """Do the step."""
        task: Any = self.__self__
        waiters: Any = None if task.done() else task._callbacks
        self.others.running = task
        try:
            self.step(*args)
        finally:
            self.others.running = None
            if task in self.others.pending and task.done():
                self.others.forget(task, waiters)
            # The frame may be in the traceback of an error: see "Cycles" in `task`.
            self = task = waiters = None  # noqa: PLW0642
            args = ()


def is_asyncios(task: Any) -> bool:
    """Tell whether `task` is one of asyncio's own, which ours only seem to be."""
    return issubclass(type(task), asyncio.Task)


class Listener:
    """As much of a loop as a task needs to queue its first step."""

    step: object = None

    def get_debug(self) -> bool:
        """Not in debug mode."""
        return False

    def call_soon(self, callback: object, *_: object, **__: object) -> None:
        """Take note of the step."""
        self.step = callback


def step_types() -> tuple[type | None, type | None]:
    """Return the types of the callbacks that may be steps of an `asyncio.Task`.

    The first is of a step that waits for nothing, the other of one that a future wakes.
    Nothing where asyncio has no tasks in C: those in Python queue a plain method.
    """

    async def never() -> None:
        """Not run."""

    listener: Any = Listener()
    coroutine = never()
    task: Any = asyncio.Task(coroutine, loop=listener)
    task._log_destroy_pending = False
    coroutine.close()
    kind: type = type(listener.step)
    return (None, None) if kind is MethodType else (kind, BuiltinMethodType)


FREE_STEP, WOKEN_STEP = step_types()
