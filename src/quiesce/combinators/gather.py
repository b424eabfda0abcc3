"""Waiting for many at once, for the list of their results.

`gather` makes a `Gathering`, the future that is awaited. Each child that is ours keeps a
`ChildDone`, a handle that is queued as itself when the child is done; one that is not ours
gets it as an ordinary done-callback.
"""

from __future__ import annotations

import asyncio
import types
from asyncio import events
from asyncio.exceptions import CancelledError
from typing import Any

from quiesce.combinators.ensure_future import ensure_future, loop_of
from quiesce.core import native
from quiesce.core.future import Future
from quiesce.core.handle import Handle
from quiesce.core.scheduler import Scheduler, make_task
from quiesce.core.task import Task

CoroutineType = types.CoroutineType
running_loop = events._get_running_loop


class Gathering(Future):
    """The outcome of many: their results in order, or the first error.

    Cancelling it cancels every child that is not done.
    """

    __slots__ = ("cancel_requested", "children", "keeps_errors", "left")

    @property
    def __class__(self) -> type:
        """The type that libraries test for."""
        return asyncio.tasks._GatheringFuture

    def cancel(self, msg: object = None) -> bool:
        """Cancel every child that is not done; return whether there was one."""
        if self._status != native.PENDING:
            return False
        cancelled = False
        for child in self.children:
            if child.cancel(msg=msg):
                cancelled = True
        if cancelled:
            self.cancel_requested = True
        return cancelled

    def add(self, child: Any) -> None:
        """Wait for one child."""
        exact = type(child) is Task or type(child) is Future
        if not (exact and wait_for_ours(self, child)):
            child.add_done_callback(new_child_done(self, child))

    def child_done(self, child: Any) -> None:
        """Take note of a child that is done."""
        self.left -= 1
        if self._status != native.PENDING:
            # One failed before. This one's error is asked for here, so that it is not
            # reported as forgotten.
            error_of(child)
        else:
            error = None if self.keeps_errors else error_of(child)
            if error is not None:
                self.fail(error)
            elif not self.left:
                self.complete(child)

    def complete(self, last: Any) -> None:
        """Be done: every child is."""
        if self.cancel_requested:
            error = last._make_cancelled_error() if last.cancelled() else CancelledError()
            self.fail(error)
        else:
            self.finish([result_of(child) for child in self.children])


class ChildDone(Handle):
    """Tells a `Gathering` that one child is done."""

    __slots__ = ("child", "gathering")

    @property
    def awaiter(self) -> Gathering:
        """Who waits, for the call graph."""
        return self.gathering

    @property
    def _wakeup(self) -> ChildDone:
        return self

    def __call__(self, child: Any) -> None:
        self.gathering.child_done(child)

    def run(self) -> None:
        """Tell it, from the ready queue."""
        self.gathering.child_done(self.child)


native.give_defaults(
    Gathering,
    {"cancel_requested": False, "children": None, "keeps_errors": False, "left": 0},
)
native.keep_freed(ChildDone)


def new_gathering(loop: Any, keeps_errors: bool) -> Gathering:
    """Make a gathering without children."""
    gathering = Gathering.__new__(Gathering)
    gathering.attach(loop)
    gathering.children = []
    gathering.keeps_errors = keeps_errors
    return gathering


def new_child_done(gathering: Gathering, child: Any) -> ChildDone:
    """Make the handle that `child` keeps for `gathering`."""
    done = ChildDone.__new__(ChildDone)
    done._callback = None
    done._args = None
    done._context = None
    done._loop = gathering._loop
    done._source_traceback = None
    done._repr = None
    done._cancelled = False
    done.gathering = gathering
    done.child = child
    return done


def wait_for_ours(gathering: Gathering, child: Future) -> bool:
    """Wait in a child that is ours; return False if it is not on one of our loops."""
    if child._ready is None:
        return False
    child.wait_for_it(new_child_done(gathering, child), None)
    return True


def error_of(child: Any) -> BaseException | None:
    """Return what a child that is done failed with, or None."""
    if (type(child) is Task or type(child) is Future) and succeeded(child):
        return None
    if child.cancelled():
        return child._make_cancelled_error()
    return child.exception()


def succeeded(future: Future) -> bool:
    """Tell whether there is a result."""
    return future._status == native.FINISHED and future._exception is None


def result_of(child: Any) -> Any:
    """Return what a child that is done stands for in the list."""
    if child.cancelled():
        message = child._cancel_message
        return CancelledError("" if message is None else message)
    error = child.exception()
    return child.result() if error is None else error


def task_for(loop: Any, awaitable: Any) -> Any:
    """Return `awaitable` as a future of `loop`, or of any loop if there is none yet."""
    if type(awaitable) is CoroutineType and isinstance(loop, Scheduler):
        child = make_task(loop, awaitable)
    else:
        child = ensure_future(awaitable, loop=loop)
    if child is not awaitable:
        # Whoever cancels the gathering deals with it: no task is lost silently.
        child._log_destroy_pending = False
    return child


def gather(*coros_or_futures: Any, return_exceptions: bool = False) -> Any:
    """Run all at once; return a future of the list of their results, in the given order.

    Coroutines become tasks. The first error is raised at once and the others run on, unless
    `return_exceptions` asks for errors among the results. Cancelling the future cancels
    every child; a cancelled child is an error like any other and leaves its siblings alone.
    The same coroutine or future given twice runs once.

    Outside a running loop the loop is that of the first future, or else the one that is set.
    """
    loop = running_loop()
    if not coros_or_futures:
        outer = (events.get_event_loop() if loop is None else loop).create_future()
        outer.set_result([])
        return outer
    known = {}
    children = []
    for awaitable in coros_or_futures:
        child = known.get(awaitable)
        if child is None:
            child = task_for(loop, awaitable)
            if loop is None:
                loop = loop_of(child)
            known[awaitable] = child
        children.append(child)
    return gathered(loop, known, children, return_exceptions)


def gathered(
    loop: Any, known: dict[Any, Any], children: list[Any], keeps_errors: bool
) -> Gathering:
    """Make the gathering of `children`, each of which stands once in `known`."""
    gathering = new_gathering(loop, keeps_errors)
    gathering.children = children
    gathering.left = len(known)
    done_now = []
    for child in known.values():
        if child.done():
            done_now.append(child)
        else:
            gathering.add(child)
    for child in done_now:
        gathering.child_done(child)
    return gathering
