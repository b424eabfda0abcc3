"""A limit on the time that a block of code may wait.

States: created → active → finished, or, once the deadline has passed, active → expiring
→ expired. Only entering, leaving and the deadline change them; `reschedule` moves the
deadline while the timeout is active.

At the deadline the timeout cancels its task. When the `CancelledError` comes out of the
block and nobody else has asked for a cancellation, the request is taken back
(`Task.uncancel`) and the error becomes a TimeoutError; otherwise the cancellation goes
on, for it is not only ours.
"""

from __future__ import annotations

import asyncio
from asyncio.exceptions import CancelledError
from typing import TYPE_CHECKING, Any

from quiesce.core import cancel_request, cancellation, current_task, native
from quiesce.core.scheduler import Scheduler
from quiesce.core.task import Task
from quiesce.core.timers import TimerHandle, begin_timer

if TYPE_CHECKING:
    from types import TracebackType

running_loop = asyncio.get_running_loop

CREATED = 0
ACTIVE = 1
EXPIRING = 2
EXPIRED = 3
FINISHED = 4
STATE_NAMES = ("created", "active", "expiring", "expired", "finished")


def timeout(delay: float | None) -> Timeout:
    """Return a context manager that limits its ``async with`` block to `delay` seconds.

    The time begins to run with this call. Once it is over, what the block awaits is
    cancelled and the ``async with`` raises TimeoutError. With None there is no limit,
    until `Timeout.reschedule` sets one. Raises RuntimeError where no loop is running.
    """
    return limit_of(delay, False)


def limit_of(delay: float | None, for_wait_for: bool) -> Timeout:
    """Return what `timeout` does; `for_wait_for` shows in the request to cancel."""
    loop = native.call_none(running_loop)
    limit = Timeout.__new__(Timeout)
    if delay is None:
        limit.begin_life(0.0, False)
    else:
        if type(delay) is not float:
            # What cannot be added to a time, such as a Decimal, is refused.
            delay = 0.0 + delay
        length = delay
        limit.begin_life(time_of(loop) + length, True)
        limit.length = length
    limit.for_wait_for = for_wait_for
    return limit


def timeout_at(when: float | None) -> Timeout:
    """Return a context manager as `timeout` does, for a deadline in the loop's time.

    A deadline in the past cancels the first wait in the block.
    """
    return Timeout(when)


class Timeout:
    """The limit on one ``async with`` block; made by `timeout` or `timeout_at`."""

    __slots__ = (
        "__weakref__",
        "cancel_requests",
        "deadline",
        "for_wait_for",
        "gate",
        "is_limited",
        "length",
        "state",
        "task",
        "timer",
    )

    def __init__(self, when: float | None) -> None:
        if when is None:
            self.begin_life(0.0, False)
        else:
            self.begin_life(float(when), True)

    def begin_life(self, deadline: float, is_limited: bool) -> None:
        """Be created, with a deadline or with none."""
        self.deadline = deadline
        self.is_limited = is_limited
        self.state = CREATED
        self.for_wait_for = False
        # Seconds; negative where only the deadline is known.
        self.length = -1.0
        # What the task's requests to cancel went through when the block was entered.
        self.gate: Any = None
        self.task: Any = None
        self.timer: Any = None
        self.cancel_requests = 0

    def __repr__(self) -> str:
        text = f"<Timeout [{STATE_NAMES[self.state]}]"
        if self.state == ACTIVE:
            text += f" when={round(self.deadline, 3) if self.is_limited else None}"
        return text + ">"

    def when(self) -> float | None:
        """Return the deadline in the loop's time, or None if there is none."""
        return self.deadline if self.is_limited else None

    def expired(self) -> bool:
        """Tell whether the deadline passed while the block ran."""
        return self.state in (EXPIRING, EXPIRED)

    def reschedule(self, when: float | None) -> None:
        """Move the deadline to `when`, in the loop's time; None removes it.

        Raises RuntimeError before the block is entered and once it is over or too late.
        """
        if self.state != ACTIVE:
            if self.state == CREATED:
                raise RuntimeError("Timeout has not been entered")
            raise RuntimeError(
                f"Cannot change state of {STATE_NAMES[self.state]} Timeout"
            )
        self.is_limited = when is not None
        self.length = -1.0
        self.deadline = 0.0 if when is None else float(when)
        self.stop_timer()
        self.start_timer(running_loop())

    def __aenter__(self) -> Entry:
        return new_entry(self)

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Nothing:
        self.stop_timer()
        if self.state == EXPIRING:
            self.state = EXPIRED
            requests = self.task.uncancel()
            if requests <= self.cancel_requests and exc_val is not None:
                convert(exc_val)
        elif self.state == ACTIVE:
            self.state = FINISHED
        self.task = self.gate = None
        return NOTHING

    def enter(self) -> None:
        """Take the current task and start the timer."""
        if self.state != CREATED:
            raise RuntimeError("Timeout has already been entered")
        loop = native.call_none(running_loop)
        task = running_task(loop)
        if task is None:
            raise RuntimeError("Timeout should be used inside a task")
        self.state = ACTIVE
        self.task = task
        self.cancel_requests = cancel_requests_of(task)
        self.gate = gate_of(task)
        self.start_timer(loop)

    def start_timer(self, loop: Any) -> None:
        """Have `expire` called at the deadline, if there is one."""
        if self.is_limited:
            if is_plain(loop):
                self.timer = new_deadline(self, loop)
            elif self.deadline <= loop.time():
                self.timer = loop.call_soon(self.expire)
            else:
                self.timer = loop.call_at(self.deadline, self.expire)

    def stop_timer(self) -> None:
        """Let the deadline pass without effect."""
        timer = self.timer
        self.timer = None
        if type(timer) is Deadline:
            drop_deadline(timer)
        elif timer is not None:
            timer.cancel()

    def expire(self) -> None:
        """Cancel the task: the deadline is there."""
        self.timer = None
        request = cancel_request.request_of_timeout(self.length, self.for_wait_for)
        if self.gate is None:
            cancel_for(self.task, request)
        else:
            with cancel_request.requesting(request):
                self.gate.from_inside(self.task.cancel)
        self.state = EXPIRING


class Deadline(TimerHandle):
    """The timer of a timeout on a loop of ours: it needs no callback, no context."""

    __slots__ = ("limit",)

    def run(self) -> None:
        """Tell the timeout that its time is over."""
        self.limit.expire()


def new_deadline(limit: Timeout, loop: Scheduler) -> Deadline:
    """Start the timer of `limit` on `loop`."""
    timer = Deadline.__new__(Deadline)
    begin_timer(timer, limit.deadline, None, None, loop, None)
    timer.limit = limit
    loop.start_timer(timer, loop.now())
    return timer


def drop_deadline(timer: Deadline) -> None:
    """Take a timer back; it may be queued to run already."""
    timer.drop()
    timer.limit = None


def is_plain(loop: Any) -> bool:
    """Tell whether timers may go straight to `loop`: ours, not debugged or extended."""
    if not isinstance(loop, Scheduler):
        return False
    ours = loop
    return ours.direct_ready is not None and not ours.debug


def time_of(loop: Any) -> float:
    """Return the time of `loop`."""
    if isinstance(loop, Scheduler):
        ours = loop
        return ours.now()
    return loop.time()


def cancel_requests_of(task: Any) -> int:
    """Return how many requests to cancel `task` are open."""
    if type(task) is Task:
        ours = task
        return ours._num_cancels_requested
    return task.cancelling()


def gate_of(task: Any) -> Any:
    """Return what requests to cancel `task` go through, if anything."""
    if type(task) is Task:
        ours = task
        return ours._gate
    owner = getattr(task.cancel, "__self__", None)
    return owner if hasattr(owner, "from_inside") else None


def running_task(loop: Any) -> Any:
    """Return the current task, of `loop` if that is ours."""
    if isinstance(loop, Scheduler):
        ours = loop
        return current_task.running_task(ours)
    return asyncio.current_task()


def cancel_for(task: Any, request: cancel_request.CancelRequest) -> None:
    """Cancel `task` with `request`."""
    if type(task) is Task:
        cancellation.cancel_task(task, None, request)
    else:
        with cancel_request.requesting(request):
            task.cancel()


def convert(error: BaseException) -> None:
    """Raise TimeoutError if `error` is our cancellation; else show it where that began.

    An exception that was raised while the cancellation was handled keeps going, but
    what it was raised from must not look like a cancellation to those outside.
    """
    if isinstance(error, CancelledError):
        raise TimeoutError from error
    insert_timeout_error(error)
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            insert_timeout_error(part)  # pyright: ignore[reportUnknownArgumentType]


def insert_timeout_error(error: BaseException) -> None:
    """Put a TimeoutError between `error` and the cancellation it came from."""
    while error.__context__ is not None:
        cause = error.__context__
        if isinstance(cause, CancelledError):
            late = TimeoutError()
            late.__cause__ = cause
            late.__context__ = cause
            error.__context__ = late
            return
        error = cause


class Entry:
    """What ``await timeout.__aenter__()`` drives: enters, and gives the timeout."""

    __slots__ = ("entered",)

    def __await__(self) -> Entry:
        return self

    def __iter__(self) -> Entry:
        return self

    def __next__(self) -> Any:
        self.entered.enter()
        native.stop_with(self.entered)
        raise StopIteration


def new_entry(limit: Timeout) -> Entry:
    """Make what enters `limit`."""
    entry = Entry.__new__(Entry)
    entry.entered = limit
    return entry


class Nothing:
    """What ``await timeout.__aexit__(...)`` drives: ends at once, without a value."""

    __slots__ = ()

    def __await__(self) -> Nothing:
        return self

    def __iter__(self) -> Nothing:
        return self

    def __next__(self) -> Any:
        raise StopIteration


NOTHING = Nothing()

native.keep_freed(Timeout)
native.keep_freed(Entry)
native.keep_freed(Deadline)
