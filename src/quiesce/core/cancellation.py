"""How a request to cancel travels: along the chain of those who await one another.

`Task.cancel` begins it. The request stays with the last task of the chain, the one that
waits for no task: as a cancelled future, or as ``_must_cancel`` until its next step.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core import task as tasks

if TYPE_CHECKING:
    from quiesce.core.task import Task


def cancel_chain(task: Task, msg: object) -> bool:
    """Cancel `task`, and with it what it waits for, however long that chain is.

    The chain is followed in a loop, not by recursion: 30,000 tasks that await one
    another are no more than a list. Where it leads back into itself, one of the circle
    waits no longer but is cancelled, and the others by its end.
    """
    task._unretrieved = False
    if task._status != native.PENDING:
        return False
    # Brent's way to find a circle: compare with one task on the way, chosen anew after
    # twice as many steps each time.
    seen = task
    steps = limit = 1
    while True:
        if task._gate is not None and task._gate.hold_back(msg):
            return True
        task._num_cancels_requested += 1
        waiter = task._fut_waiter
        if waiter is None:
            break
        if type(waiter) is not tasks.Task:
            if waiter.cancel(msg=msg):
                return True
            break
        inner = waiter
        inner._unretrieved = False
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
    task._must_cancel = True
    task._message = msg
    return True


def cancel_past_gate(task: Task, msg: object) -> None:
    """Cancel `task` although its gate would hold that back."""
    gate = task._gate
    task._gate = None
    try:
        cancel_chain(task, msg)
    finally:
        task._gate = gate


def break_circle(task: Task) -> None:
    """Let `task`, which awaits itself through other tasks, go on."""
    waiter: Any = task._fut_waiter
    waiter.give_up_waiting(task)
    task._fut_waiter = None
    task.came_to_yield(None)
