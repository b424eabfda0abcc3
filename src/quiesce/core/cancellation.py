"""How a request to cancel travels: along the chain of those who await one another.

`Task.cancel` begins it. The request stays with the last task of the chain, the one that
waits for no task: as a cancelled future, or as ``_must_cancel`` until its next step.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from quiesce.core import cancel_request, native
from quiesce.core import task as tasks
from quiesce.core.cancel_request import CancelRequest, requesting
from quiesce.core.future import Future

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quiesce.core.task import Task

OtherFuture = asyncio.Future

__all__ = ["CancelRequest", "requesting"]


def cancel_task(task: Task, msg: object, request: CancelRequest | None) -> bool:
    """Cancel `task`, and all it waits for; return False if it is done.

    `request` says who asks: without it, the code that runs now.
    """
    task._unretrieved = False
    if task._status != native.PENDING:
        return False
    if request is None:
        request = cancel_request.request_from_here(task._loop, msg)
    last = cancel_chain(task, msg, request)
    if last is not None:
        cancel_tree(last, msg, request)
    return True


def cancel_chain(task: Task, msg: object, request: CancelRequest) -> Task | None:
    """Cancel `task`, and with it what it waits for, however long that chain is.

    The chain is followed in a loop, not by recursion: 30,000 tasks that await one
    another are no more than a list. Where it leads back into itself, one of the circle
    waits no longer but is cancelled, and the others by its end. Returns the last task
    if what it waits for has parts: they are yet to be cancelled.
    """
    # Brent's way to find a circle: compare with one task on the way, chosen anew after
    # twice as many steps each time.
    seen = task
    steps = limit = 1
    while True:
        task._cancel_request = request
        if task._gate is not None and task._gate.hold_back(msg):
            return None
        task._num_cancels_requested += 1
        waiter = task._fut_waiter
        if waiter is None:
            break
        if type(waiter) is not tasks.Task:
            if isinstance(waiter, Future) and has_parts(waiter):
                return task
            if cancel_other(waiter, msg, request):
                return None
            break
        inner = waiter
        if inner._status != native.PENDING:
            break
        task = inner
        if task is seen:
            break_circle(task)
            break
        steps -= 1
        if not steps:
            seen = task
            steps = limit = 2 * limit
    must_cancel(task, msg)
    return None


def cancel_tree(task: Task, msg: object, request: CancelRequest) -> None:
    """Cancel the parts of what `task` waits for, and what they wait for in turn.

    In the order in which recursion would, without its depth.
    """
    rest: list[Any] = []
    seen: set[Any] = set()
    if not cancel_parts(task._fut_waiter, rest, seen, request):
        must_cancel(task, msg)
    cancel_rest(rest, seen, msg, request)


def cancel_rest(
    rest: list[Any], seen: set[Any], msg: object, request: CancelRequest
) -> None:
    """Cancel those in `rest`, the last one first, and what they wait for."""
    while rest:
        part = rest.pop()
        if type(part) is tasks.Task:
            last = None if part.done() else cancel_chain(part, msg, request)
            if last is not None and not cancel_parts(
                last._fut_waiter, rest, seen, request
            ):
                must_cancel(last, msg)
        elif not (isinstance(part, Future) and has_parts(part)):
            cancel_other(part, msg, request)
        else:
            cancel_parts(part, rest, seen, request)


def cancel_whole(whole: Future, msg: object) -> bool:
    """Cancel the parts of `whole`; return whether one was pending."""
    request = cancel_request.request_from_here(whole._loop, msg)
    rest: list[Any] = []
    seen: set[Any] = set()
    cancelled = cancel_parts(whole, rest, seen, request)
    cancel_rest(rest, seen, msg, request)
    return cancelled


def cancel_parts(
    whole: Any, rest: list[Any], seen: set[Any], request: CancelRequest
) -> bool:
    """Put the pending parts of `whole` on `rest`; return whether there are any."""
    if id(whole) in seen:
        return True
    seen.add(id(whole))
    whole._cancel_request = request
    return whole.hand_out_parts(rest)


def has_parts(future: Future) -> bool:
    """Tell whether others are cancelled in place of `future`."""
    return future._status == native.PENDING and future.has_parts()


def must_cancel(task: Task, msg: object) -> None:
    """Let `task`, which waits for nothing that can be cancelled, hear of it itself."""
    task._must_cancel = True
    task._message = msg


def cancel_other(waiter: Any, msg: object, request: CancelRequest) -> bool:
    """Cancel what is no task of ours; return False if it is done."""
    if type(waiter) is Future:
        return cancel_future(waiter, msg, request)
    if isinstance(waiter, asyncio.Task) and waiter.done():
        # To cancel it would be to say that its error was seen.
        return False
    with requesting(request):
        return waiter.cancel(msg=msg)


def cancel_future(future: Future, msg: object, request: CancelRequest) -> bool:
    """Cancel a future of ours; return False if it is done."""
    if future._status != native.PENDING:
        return False
    future._cancel_request = request
    return future.mark_cancelled(msg)


def solitary(some: Iterable[Any]) -> list[Any]:
    """Return which of `some` tasks concern nobody else: to cancel one needs no thought.

    They are ours, nobody waits for them or has cancelled them, and they wait for no
    task. What closes a generator is none of them: either it is awaited, or it runs no
    coroutine.
    """
    return [each for each in some if type(each) is tasks.Task and is_solitary(each)]


def is_solitary(task: Task) -> bool:
    """Tell whether to cancel `task` is to cancel it alone, and not against a wish."""
    waiter = task._fut_waiter
    return (
        task._first_callback is None
        and task._num_cancels_requested == 0
        and task._gate is None
        and not task._shielded
        and task._status == native.PENDING
        and (waiter is None or type(waiter) is Future or type(waiter) is OtherFuture)
        and type(task._coro) is CoroutineType
    )


def cancel_each(some: list[Any], request: CancelRequest) -> None:
    """Cancel each of `some` tasks of ours."""
    for task in some:
        cancel_task(task, None, request)


def cancel_past_gate(task: Task, msg: object) -> None:
    """Cancel `task` although its gate would hold that back."""
    gate = task._gate
    task._gate = None
    try:
        cancel_task(task, msg, task._cancel_request)
    finally:
        task._gate = gate


def break_circle(task: Task) -> None:
    """Let `task`, which awaits itself through other tasks, go on."""
    waiter: Any = task._fut_waiter
    waiter.give_up_waiting(task)
    task._fut_waiter = None
    task.came_to_yield(None)
