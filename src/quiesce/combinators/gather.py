"""Waiting for many at once, for the list of their results.

`gather` makes a `Gathering`, the future that is awaited. Each child that is ours keeps
a `ChildNotice`, a handle that is queued as itself when the child is done; one that is
not ours gets it as an ordinary done-callback.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import types
from asyncio import events
from asyncio.exceptions import CancelledError
from typing import Any

from quiesce.combinators.ensure_future import ensure_future, loop_of
from quiesce.core import cancellation, failures, native
from quiesce.core.future import Future
from quiesce.core.handle import Handle, begin_notice
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
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type that libraries test for."""
        return asyncio.tasks._GatheringFuture

    def cancel(self, msg: object = None) -> bool:
        """Cancel every child that is not done; return whether there was one."""
        if self._status != native.PENDING:
            return False
        return cancellation.cancel_whole(self, msg)

    def has_parts(self) -> bool:
        """Tell whether others are cancelled in place of this future: the children."""
        return True

    def hand_out_parts(self, rest: list[Any]) -> bool:
        """Put the children that are not done on `rest`, for who cancels the last."""
        pending = [child for child in self.children if not is_done(child)]
        pending.reverse()
        rest += pending
        if pending:
            self.cancel_requested = True
        return bool(pending)

    def child_done(self, child: Any) -> None:
        """Take note of a child that is done."""
        self.left -= 1
        if self._status != native.PENDING:
            # One failed before, so nobody can ask for this one's error here.
            report_sibling(child)
        else:
            error = None if self.keeps_errors else error_of(child)
            if error is not None:
                self.fail(error)
                # A cancellation is no error that somebody forgot to ask for.
                self._unretrieved = not isinstance(error, CancelledError)
            elif not self.left:
                self.complete(child)

    def complete(self, last: Any) -> None:
        """Be done: every child is."""
        if self.cancel_requested:
            error = (
                last._make_cancelled_error()
                if last.cancelled()
                else self.cancelled_error()
            )
            self.fail(error)
            self._unretrieved = False
        else:
            self.finish([result_of(child) for child in self.children])


class ChildNotice(Handle):
    """What the children keep of a `Gathering`: queued once for each that is done.

    One serves all of them, so it notes which they are, in the order in which it is
    queued.
    """

    __slots__ = ("done", "gathering", "passed_on")

    @property
    def awaiter(self) -> Gathering:
        """Who waits, for the call graph."""
        return self.gathering

    @property
    def _wakeup(self) -> ChildNotice:
        return self

    def __call__(self, child: Any) -> None:
        """Pass on a child that is not ours."""
        self.gathering.child_done(child)

    def told(self, future: Any) -> None:
        """Take note of a child that is done."""
        self.done.append(future)

    def run(self) -> None:
        """Pass on the first child that was noted; one is, unless run by hand."""
        if self.passed_on < len(self.done):
            child = self.done[self.passed_on]
            self.done[self.passed_on] = None
            self.passed_on += 1
            self.gathering.child_done(child)


native.give_defaults(
    Gathering,
    {
        "cancel_requested": False,
        "children": None,
        "keeps_errors": False,
        "left": 0,
    },
)


def new_gathering(loop: Any, children: list[Any], keeps_errors: bool) -> Gathering:
    """Make a gathering that waits for nothing yet."""
    gathering = Gathering.__new__(Gathering)
    gathering.attach(loop)
    gathering.children = children
    gathering.keeps_errors = keeps_errors
    return gathering


def new_notice(gathering: Gathering) -> ChildNotice:
    """Make what the children of `gathering` keep."""
    notice = ChildNotice.__new__(ChildNotice)
    begin_notice(notice, gathering._loop)
    notice.gathering = gathering
    notice.done = []
    notice.passed_on = 0
    return notice


def leave_notice(notice: ChildNotice, child: Any) -> None:
    """Let `child` keep `notice`."""
    exact = type(child) is Task or type(child) is Future
    ours = child if exact else None
    if ours is None or not ours.tell_when_done(notice):
        child.add_done_callback(notice)


def error_of(child: Any) -> BaseException | None:
    """Return what a child that is done failed with, or None."""
    if (type(child) is Task or type(child) is Future) and succeeded(child):
        return None
    if child.cancelled():
        return child._make_cancelled_error()
    return child.exception()


def report_sibling(child: Any) -> None:
    """Report the error of a child whose gathering has failed before."""
    error = error_of(child)
    if error is not None and not isinstance(error, CancelledError):
        failures.sibling_failed(child, error)


def succeeded(future: Future) -> bool:
    """Tell whether there is a result."""
    return future._status == native.FINISHED and future._exception is None


def is_done(child: Any) -> bool:
    """Tell whether there is an outcome."""
    if type(child) is Task:
        return not is_pending(child)
    return child.done()


def is_pending(future: Future) -> bool:
    """Tell whether there is no outcome."""
    return future._status == native.PENDING


def result_of(child: Any) -> Any:
    """Return what a child that is done stands for in the list."""
    if type(child) is Task and succeeded(child):
        return result_of_ours(child)
    if child.cancelled():
        message = child._cancel_message
        return CancelledError("" if message is None else message)
    error = child.exception()
    return child.result() if error is None else error


def result_of_ours(future: Future) -> Any:
    """Return the result there is."""
    return future._result


def task_for(loop: Any, awaitable: Any) -> Any:
    """Return `awaitable` as a future of `loop`, or of any loop if there is none yet.

    A task that is made here is not reported if it is dropped: nobody else can know of
    it.
    """
    if type(awaitable) is CoroutineType and isinstance(loop, Scheduler):
        child = make_task(loop, awaitable)
    else:
        child = ensure_future(awaitable, loop=loop)
    if type(child) is Task and child is not awaitable:
        keep_quiet(child)
    elif child is not awaitable:
        child._log_destroy_pending = False
    return child


def keep_quiet(task: Task) -> None:
    """Do not report `task` if it is dropped before it is done."""
    task._reports_loss = False


def gather(*coros_or_futures: Any, return_exceptions: bool = False) -> Any:
    """Run all at once; return a future of the list of their results, in order.

    Coroutines become tasks. The first error is raised at once and the others run on,
    unless `return_exceptions` asks for errors among the results. Cancelling the future
    cancels every child; a cancelled child is an error like any other and leaves its
    siblings alone. The same coroutine or future given twice runs once.

    Outside a running loop the loop is that of the first future, or else the one that is
    set.
    """
    loop = running_loop()
    if not coros_or_futures:
        outer = (events.get_event_loop() if loop is None else loop).create_future()
        outer.set_result([])
        return outer
    if len(set(coros_or_futures)) == len(coros_or_futures):
        children = children_for(loop, coros_or_futures)
        return gathered(children, children, return_exceptions)
    known = list(dict.fromkeys(coros_or_futures))
    once = children_for(loop, known)
    by_awaitable = dict(zip(known, once, strict=True))
    return gathered(
        once,
        [by_awaitable[awaitable] for awaitable in coros_or_futures],
        return_exceptions,
    )


def children_for(loop: Any, awaitables: Any) -> list[Any]:
    """Return the awaitables as futures of `loop`, or of the loop of the first."""
    children = []
    for awaitable in awaitables:
        child = task_for(loop, awaitable)
        if loop is None:
            loop = loop_of(child)
        children.append(child)
    return children


def gathered(once: list[Any], children: list[Any], keeps_errors: bool) -> Gathering:
    """Make the gathering of `children`, each of which stands once in `once`."""
    gathering = new_gathering(loop_of(once[0]), children, keeps_errors)
    gathering.left = len(once)
    notice = new_notice(gathering)
    done_now = []
    for child in once:
        if is_done(child):
            done_now.append(child)
        else:
            leave_notice(notice, child)
    for child in done_now:
        gathering.child_done(child)
    return gathering
