"""A limit on the time that a block of code may wait.

States: created → active → finished, or, once the deadline has passed, active → expiring →
expired. Only entering, leaving and the deadline change them; `reschedule` moves the deadline
while the timeout is active.

At the deadline the timeout cancels its task. When the `CancelledError` comes out of the block
and nobody else has asked for a cancellation, the request is taken back (`Task.uncancel`) and
the error becomes a TimeoutError; otherwise the cancellation goes on, for it is not only ours.
"""

from __future__ import annotations

import asyncio
from asyncio.exceptions import CancelledError
from typing import TYPE_CHECKING, Any

from quiesce.core import native

if TYPE_CHECKING:
    from types import TracebackType

running_loop = asyncio.get_running_loop
current_task = asyncio.current_task

CREATED = 0
ACTIVE = 1
EXPIRING = 2
EXPIRED = 3
FINISHED = 4
STATE_NAMES = ("created", "active", "expiring", "expired", "finished")


def timeout(delay: float | None) -> Timeout:
    """Return a context manager that limits its ``async with`` block to `delay` seconds.

    The time begins to run with this call. Once it is over, what the block awaits is cancelled
    and the ``async with`` raises TimeoutError. With None there is no limit, until
    `Timeout.reschedule` sets one. Raises RuntimeError where no loop is running.
    """
    loop = running_loop()
    return Timeout(None if delay is None else loop.time() + delay)


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
        "state",
        "task",
        "timer",
    )

    def __init__(self, when: float | None) -> None:
        self.deadline = when
        self.state = CREATED
        self.task = None
        self.timer = None
        self.cancel_requests = 0

    def __repr__(self) -> str:
        text = f"<Timeout [{STATE_NAMES[self.state]}]"
        if self.state == ACTIVE:
            when = None if self.deadline is None else round(self.deadline, 3)
            text += f" when={when}"
        return text + ">"

    def when(self) -> float | None:
        """Return the deadline in the loop's time, or None if there is none."""
        return self.deadline

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
            raise RuntimeError(f"Cannot change state of {STATE_NAMES[self.state]} Timeout")
        self.deadline = when
        self.stop_timer()
        self.start_timer()

    def __aenter__(self) -> Entry:
        return Entry(self)

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
        self.task = None
        return NOTHING

    def enter(self) -> None:
        """Take the current task and start the timer."""
        if self.state != CREATED:
            raise RuntimeError("Timeout has already been entered")
        task = current_task()
        if task is None:
            raise RuntimeError("Timeout should be used inside a task")
        self.state = ACTIVE
        self.task = task
        self.cancel_requests = task.cancelling()
        self.start_timer()

    def start_timer(self) -> None:
        """Have `expire` called at the deadline, if there is one."""
        when = self.deadline
        if when is None:
            return
        loop = running_loop()
        if when <= loop.time():
            self.timer = loop.call_soon(self.expire)
        else:
            self.timer = loop.call_at(when, self.expire)

    def stop_timer(self) -> None:
        """Let the deadline pass without effect."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def expire(self) -> None:
        """Cancel the task: the deadline is there."""
        self.timer = None
        self.task.cancel()
        self.state = EXPIRING


def convert(error: BaseException) -> None:
    """Raise TimeoutError if `error` is our cancellation; else show it where that began.

    An exception that was raised while the cancellation was handled keeps going, but what it
    was raised from must not look like a cancellation to those outside.
    """
    if isinstance(error, CancelledError):
        raise TimeoutError from error
    insert_timeout_error(error)
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:
            insert_timeout_error(part)


def insert_timeout_error(error: BaseException) -> None:
    """Put a TimeoutError between `error` and the cancellation in its chain of contexts."""
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

    def __init__(self, entered: Timeout) -> None:
        self.entered = entered

    def __await__(self) -> Entry:
        return self

    def __iter__(self) -> Entry:
        return self

    def __next__(self) -> Any:
        self.entered.enter()
        native.stop_with(self.entered)
        raise StopIteration


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
