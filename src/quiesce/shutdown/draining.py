"""Drain steps: what a service does first when it is to end.

It stops taking on work and finishes what it has begun, while everything it is made of
still runs. A program registers a step with `drain`; the sequence runs them, the last
registered first, before it cancels main.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary

from quiesce.combinators.wait import wait
from quiesce.core.failures import is_failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol, TypeVarTuple

    Ts = TypeVarTuple("Ts")

    class BudgetLike(Protocol):
        """What is asked of the budget of an end."""

        cut: float

        def at(self, share: float) -> float: ...  # noqa: D102
        def left(self, until: float | None = None) -> float: ...  # noqa: D102


# What all steps together may take of the grace: cleanups need some of it too.
SHARE = 0.5

STEPS: WeakKeyDictionary[Any, list[Registration]] = WeakKeyDictionary()
# The step that each loop is at, as its name and its task.
RUNNING: WeakKeyDictionary[Any, tuple[str, Any]] = WeakKeyDictionary()


class Registration:
    """A drain step that is registered; its ``with`` block is how long it stays so."""

    __slots__ = ("args", "context", "limit", "loop", "name", "step")

    def __init__(
        self,
        loop: Any,
        step: Callable[..., object],
        args: tuple[Any, ...],
        limit: float | None,
        name: str,
    ) -> None:
        self.loop = loop
        self.step = step
        self.args = args
        self.limit = limit
        self.name = name
        self.context = contextvars.copy_context()

    def __repr__(self) -> str:
        limit = "" if self.limit is None else f" limit={self.limit:g} s"
        return f"<drain step {self.name!r}{limit}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Take the step back, if it has not begun; else this changes nothing."""
        steps = STEPS.get(self.loop, [])
        if self in steps:
            steps.remove(self)

    async def run(self) -> None:
        """Take the step."""
        outcome = self.step(*self.args)
        if inspect.isawaitable(outcome):
            await outcome


def drain(
    step: Callable[[*Ts], object],
    *args: *Ts,
    limit: float | None = None,
    name: str | None = None,
) -> Registration:
    """Have ``step(*args)`` called, and awaited, when the running loop's program ends.

    It is called once, before main is cancelled, so that everything still works: stop
    accepting work, wait for what has begun. Steps run one after the other, the last
    registered first, in the context of this call. One that takes longer than `limit`
    seconds is named on stderr and cancelled, and the next one begins. All of them
    together have half of the grace. An exception goes to the loop's exception handler.

    The end is that of `quiesce.run`, by a signal, by ``sys.exit()`` or because main has
    returned or raised; ``asyncio.run`` knows nothing of it. With a `Runner` it is
    `close`, to which it is left to end all but the main of a run. A step that is no
    longer of use is taken back with `Registration.cancel`, or by leaving the ``with``
    block of what this returns. `name` is what the step is called when it is named,
    without it that of the function.

    Raises RuntimeError where no loop is running and ValueError for a `limit` that is
    not above 0.
    """
    loop = asyncio.get_running_loop()
    if limit is not None and not limit > 0:
        raise ValueError(f"limit must be a number of seconds above 0, not {limit!r}")
    called = name or getattr(step, "__qualname__", None) or type(step).__qualname__
    registration = Registration(loop, step, args, limit, called)
    forget_closed()
    STEPS.setdefault(loop, []).append(registration)
    return registration


def forget_closed() -> None:
    """Drop the steps of loops that were closed without running them."""
    # What a step holds may well hold its loop, which then is never collected.
    for loop in list(STEPS):
        if loop.is_closed():
            del STEPS[loop]


def has_steps(loop: Any) -> bool:
    """Tell whether a drain step is registered on `loop`."""
    return bool(STEPS.get(loop))


def step_of(loop: Any) -> tuple[str, Any] | None:
    """Return the name and the task of the step that `loop` is at, if it is at one."""
    return RUNNING.get(loop)


async def run_drain_steps(loop: Any, budget: BudgetLike) -> None:
    """Run the steps of `loop`, which runs this, within their share of `budget`.

    If this is cancelled, so is the step that runs; the others are left.
    """
    steps = STEPS.get(loop, [])
    # With a `Runner` its main has had some of the grace already.
    until = budget.cut - (1 - SHARE) * budget.left(budget.cut)
    until = max(until, budget.at(SHARE))
    while steps:
        await run_step(loop, steps.pop(), budget.left(until))


def drop_steps(loop: Any) -> None:
    """Name the steps that have not begun; they never will."""
    steps = STEPS.get(loop, [])
    while steps:
        name_dropped(steps.pop())


async def run_step(loop: Any, step: Registration, left: float) -> None:
    """Run one step for at most its limit, or for what is `left` for all of them."""
    limit = left if step.limit is None else min(step.limit, left)
    if limit <= 0:
        name_dropped(step)
        return
    task = loop.create_task(
        step.run(), name=f"drain step {step.name}", context=step.context
    )
    RUNNING[loop] = step.name, task
    try:
        await wait([task], timeout=limit)
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        del RUNNING[loop]
    if not task.done():
        name_late(step, task, limit)
        task.cancel()
    elif not task.cancelled() and is_failure(task.exception()):
        loop.call_exception_handler(
            {
                "message": f"drain step {step.name!r} failed",
                "exception": task.exception(),
                "task": task,
            }
        )


def name_dropped(step: Registration) -> None:
    """Say which step was not taken."""
    from quiesce.shutdown.stderr import say

    say([f"quiesce: no time was left for drain step {step.name!r}"])


def name_late(step: Registration, task: Any, limit: float) -> None:
    """Say which step is not waited for any longer, and where it is."""
    from quiesce.shutdown.stderr import say
    from quiesce.shutdown.survivor_text import one_line
    from quiesce.shutdown.survivors import of_drain_step

    line = one_line(of_drain_step(step.name, task))
    say([f"quiesce: not done after {limit:g} s: {line}"])
