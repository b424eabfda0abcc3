"""A cleanup that must not be cut: requests to cancel its task wait until it is over.

A `Protection` is a gate through which every request to cancel one task goes. A task of
ours asks the gate itself (``_gate``); for another one the gate stands in for the method
``cancel`` of that one object.

A request passes if it comes from inside the block: from a timeout or task group that
was entered there, or from the code that runs there. That can be told by its context:
the block sets a context variable, callbacks and tasks that are made inside inherit it.
"""

# Tasks can be of any make.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from quiesce.core.cancellation import cancel_past_gate
from quiesce.core.task import Task
from quiesce.shutdown import ending

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

INSIDE: ContextVar[Protection | None] = ContextVar("quiesce.shielded", default=None)


def shielded(seconds: float) -> Protection:
    """Return a context manager whose block is not cancelled for so many `seconds`.

    For a cleanup that must not be cut short, with ``with`` or ``async with``, inside a
    task. The time begins to run when the block is entered. Whoever cancels the task
    meanwhile, directly, through a timeout or task group around the block or because the
    program ends, is heard when the block is left, or when the time is over if that is
    sooner: then the next wait raises CancelledError. A program that ends waits for the
    block so long, but ends it a little before the grace is over, so that it can still
    react: after 6.8 of 8 seconds.

    What begins inside the block works there as ever: timeouts, task groups, and the
    code itself may cancel the task. Tasks that are made or awaited in the block are not
    protected themselves. Blocks can be nested.

    Raises ValueError if `seconds` is not above 0, and RuntimeError on entering outside
    of a task or a second time.
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be a number above 0, not {seconds!r}")
    return Protection(float(seconds))


class Protection:
    """One protected block; made by `shielded`."""

    __slots__ = (
        "held",
        "is_entered",
        "loop",
        "outer",
        "seconds",
        "task",
        "timer",
        "token",
        "until",
    )

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.until = 0.0
        self.is_entered = False
        # The block around this one, of the same task.
        self.outer: Protection | None = None
        # The requests that wait: what makes each, and from which block it came.
        self.held: list[tuple[Callable[[], object], Protection | None]] = []
        self.loop: Any = None
        self.task: Any = None
        self.timer: Any = None
        self.token: Token[Protection | None] | None = None

    def __enter__(self) -> Self:
        if self.is_entered:
            raise RuntimeError("a shielded block can be entered once only")
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.current_task()
        if self.task is None:
            raise RuntimeError("shielded() should be used inside a task")
        self.is_entered = True
        self.until = self.loop.time() + self.seconds
        self.outer = gate_of(self.task)
        put_gate(self.task, self)
        self.token = INSIDE.set(self)
        return self

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        assert self.token is not None
        try:
            INSIDE.reset(self.token)
        except ValueError:
            # Closed from outside, so in another context: a generator, a task given up.
            pass
        self.leave()
        if error_type is not GeneratorExit:
            self.let_through()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, error_type: type[BaseException] | None, *_: object
    ) -> None:
        self.__exit__(error_type)

    def leave(self) -> None:
        """Stop being the task's gate, or one of those behind it."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        gate = gate_of(self.task)
        if gate is self:
            put_gate(self.task, self.outer)
            return
        while gate is not None:
            # Blocks in generators may be left in another order.
            if gate.outer is self:
                gate.outer = self.outer
            gate = gate.outer

    # -- requests to cancel

    def cancel(self, msg: object = None) -> bool:
        """Take a request in place of the ``cancel`` of a task that is not ours."""
        if self.task.done():
            return False
        request = partial(type(self.task).cancel, self.task, msg=msg)
        self.take(request, INSIDE.get())
        return True

    def hold_back(self, msg: object) -> bool:
        """Keep a request to cancel a task of ours, or return False: then it passes."""
        return self.keep(partial(cancel_past_gate, self.task, msg), INSIDE.get())

    def from_inside(self, cancel: Callable[[], object]) -> None:
        """Call `cancel`, which a timeout does that was entered in this block."""
        token = INSIDE.set(self)
        try:
            cancel()
        finally:
            INSIDE.reset(token)

    def take(self, request: Callable[[], object], origin: Protection | None) -> None:
        """Make a request, or keep it until that is allowed."""
        if not self.keep(request, origin):
            request()

    def keep(self, request: Callable[[], object], origin: Protection | None) -> bool:
        """Keep a request in the innermost block that must not hear it; False: none."""
        gate: Protection | None = self
        while gate is not None:
            if gate.refuses(origin):
                gate.held.append((request, origin))
                gate.wait()
                return True
            gate = gate.outer
        return False

    def refuses(self, origin: Protection | None) -> bool:
        """Tell whether a request from the block `origin` has to wait for this one."""
        while origin is not None:
            if origin is self:
                return False
            origin = origin.outer
        return self.loop.time() < self.end()

    def end(self) -> float:
        """Return when the time is over, in the loop's time; the grace may end it."""
        end = ending.end_of(self.loop)
        if end is None:
            return self.until
        budget = end.budget
        # Half of the reserve is for what the block does when it is cut.
        cut = budget.deadline - 1.5 * budget.reserve
        return min(self.until, self.loop.time() + cut - time.monotonic())

    def wait(self) -> None:
        """Let the requests through at the end of the time."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_at(self.end(), self.let_through)

    def let_through(self) -> None:
        """Make the requests that have waited, as far as blocks around allow them."""
        self.timer = None
        held, self.held = self.held, []
        for request, origin in held:
            gate = gate_of(self.task)
            if gate is None:
                request()
            else:
                gate.take(request, origin)


def gate_of(task: Any) -> Protection | None:
    """Return the innermost protected block that `task` is in."""
    if isinstance(task, Task):
        return task._gate
    gate = getattr(task.cancel, "__self__", None)
    return gate if isinstance(gate, Protection) else None


def put_gate(task: Any, gate: Protection | None) -> None:
    """Let requests to cancel `task` go through `gate`, or through none."""
    if isinstance(task, Task):
        task._gate = gate
    elif gate is not None:
        task.cancel = gate.cancel
    else:
        del task.cancel


def number_held(task: Any) -> int:
    """Return how many requests to cancel `task` wait for the end of a block."""
    number = 0
    gate = gate_of(task)
    while gate is not None:
        number += len(gate.held)
        gate = gate.outer
    return number
