"""Waiting for a while, or only letting others run.

`sleep` gives a `Sleep`, which has a coroutine's methods without a coroutine's frame:
for ``sleep(0)``, the commonest of all steps, the frame was most of the cost.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
import warnings
from asyncio import events
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.awaiting import thrown

if TYPE_CHECKING:
    from collections.abc import Awaitable

NOT_BEGUN = 0
WAITING = 1
ENDED = 2

get_running_loop = events.get_running_loop


class Sleep:
    """One sleep: begun by the first step, ended by the timer or what is thrown in."""

    __slots__ = ("delay", "future", "result", "stage", "timer")

    # What `repr` of a task and coroutine checkers show of a coroutine.
    __name__ = "sleep"
    __qualname__ = "sleep"

    def __await__(self) -> Sleep:
        return self

    def __iter__(self) -> Sleep:
        return self

    def __next__(self) -> Any:
        if self.stage == NOT_BEGUN:
            return self.begin()
        self.check_woken()
        self.end()
        native.stop_with(self.result)
        raise StopIteration

    def send(self, value: object) -> Any:  # noqa: ARG002 - a coroutine's
        """Take the next step, as a coroutine's ``send``."""
        return self.__next__()

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> None:
        """Raise where the sleep waits, as a coroutine's ``throw``."""
        self.end()
        try:
            raise thrown(typ, val, tb)
        finally:
            # An error's traceback keeps this frame: see "Cycles" in `core.task`.
            typ = val = None

    def close(self) -> None:
        """Give up sleeping."""
        self.end()

    def __del__(self) -> None:
        if self.stage == NOT_BEGUN:
            warnings.warn(
                "coroutine 'sleep' was never awaited", RuntimeWarning, stacklevel=1
            )

    def begin(self) -> Any:
        """Take the first step: yield at once, or wait in a future that a timer sets."""
        self.stage = WAITING
        if self.delay <= 0:
            return None
        return self.begin_waiting()

    def begin_waiting(self) -> Any:
        """Start the timer and return the future to wait in."""
        if math.isnan(self.delay):
            self.stage = ENDED
            raise ValueError("Invalid delay: NaN (not a number)")
        loop = get_running_loop()
        self.future = loop.create_future()
        self.timer = loop.call_later(self.delay, wake, self.future)
        self.future._asyncio_future_blocking = True
        return self.future

    def check_woken(self) -> None:
        """Raise what the wait ended with, if that is not the timer."""
        if self.stage == ENDED:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self.future is not None:  # pyright: ignore[reportUnnecessaryComparison]
            if not self.future.done():
                raise RuntimeError("await wasn't used with future")
            self.future.result()

    def end(self) -> None:
        """Stop the timer; from now on the sleep is over."""
        self.stage = ENDED
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


def wake(future: Any) -> None:
    """Let the sleeper run, unless it was cancelled meanwhile."""
    if not future.done():
        future.set_result(None)


def new_sleep(delay: float, result: Any) -> Sleep:
    """Make a sleep that is not begun."""
    sleeping = Sleep.__new__(Sleep)
    sleeping.delay = delay
    sleeping.result = result
    sleeping.future = None
    sleeping.timer = None
    sleeping.stage = NOT_BEGUN
    return sleeping


def sleep(delay: float, result: Any = None) -> Awaitable[Any]:
    """Wait for `delay` seconds and give `result`; with 0 or less, let others run once.

    If the waiting task is cancelled, the timer is stopped. Raises ValueError if `delay`
    is not a number.
    """
    return new_sleep(delay, result)


native.keep_freed(Sleep)
