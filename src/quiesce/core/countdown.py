"""Waiting for the last of many, for who ends a program: it asks none how it ended.

Futures of ours keep a `Countdown` as they keep a task that awaits them: it is queued as
itself, once for each that is done. Others call it.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from quiesce.core.future import Future
from quiesce.core.handle import Handle, begin_notice
from quiesce.core.task import Task

if TYPE_CHECKING:
    from collections.abc import Collection


class Countdown(Handle):
    """Ends the loop's turn when the last of some futures is done.

    `all_done` is a future of the loop for that. A task of ours for which nobody else
    waits does not keep the error with which it was cancelled, if that says no more than
    one that is made for who asks later.
    """

    __slots__ = ("all_done", "left")

    @property
    def _wakeup(self) -> Countdown:
        return self

    def __call__(self, _: Any) -> None:
        """Count one that is not ours."""
        self.run()

    def only_counts(self) -> bool:
        """Tell that it does."""
        return True

    def run(self) -> None:
        """Count one that is done, unless nobody waits for the last any longer."""
        self.left -= 1
        if self.left == 0 and not self._cancelled:
            self.all_done.set_result(None)
            self._loop.stop()


def count_down(loop: Any, futures: Collection[Any]) -> Countdown:
    """Return what counts `futures` of `loop`, of whatever make; at least one.

    It stays with those that are not done until they are, also after its `cancel`.
    """
    countdown = Countdown.__new__(Countdown)
    begin_notice(countdown, loop)
    countdown.all_done = loop.create_future()
    countdown.left = len(futures)
    # One for all: by itself each would get a copy of its own.
    context = copy_context()
    for future in futures:
        exact = type(future) is Task or type(future) is Future
        ours = future if exact else None
        if ours is None or not ours.tell_when_done(countdown):
            future.add_done_callback(countdown, context=context)
    return countdown
