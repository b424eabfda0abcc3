"""Waiting for some of several futures, without touching those that are not done."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.combinators.ensure_future import isfuture

if TYPE_CHECKING:
    from collections.abc import Iterable

    F = TypeVar("F", bound=asyncio.Future[Any])

FIRST_COMPLETED = concurrent.futures.FIRST_COMPLETED
FIRST_EXCEPTION = concurrent.futures.FIRST_EXCEPTION
ALL_COMPLETED = concurrent.futures.ALL_COMPLETED


async def wait(
    fs: Iterable[F],
    *,
    timeout: float | None = None,
    return_when: str = ALL_COMPLETED,
) -> tuple[set[F], set[F]]:
    """Return two sets of the futures in `fs`: those that are done, and the others.

    Waits until all are done, or as `return_when` says: ``FIRST_COMPLETED``, or
    ``FIRST_EXCEPTION``, which is ``ALL_COMPLETED`` if none fails. After `timeout`
    seconds it returns with what is done by then; that is no error. Nothing is
    cancelled, neither by the timeout nor when the caller is cancelled.

    Raises ValueError if `fs` is empty and TypeError if it holds coroutines: as nobody
    could tell which task came from which, make the tasks first.
    """
    if isfuture(fs) or asyncio.iscoroutine(fs):
        raise TypeError(f"expect a list of futures, not {type(fs).__name__}")
    if not fs:
        raise ValueError("Set of Tasks/Futures is empty.")
    if return_when not in (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED):
        raise ValueError(f"Invalid return_when value: {return_when}")
    futures = set(fs)
    if any(asyncio.iscoroutine(future) for future in futures):
        raise TypeError("Passing coroutines is forbidden, use tasks explicitly.")
    await Countdown(futures, return_when).run(timeout)
    done = {future for future in futures if future.done()}
    return done, futures - done


class Countdown:
    """The callback of one `wait` on each of its futures: wakes the caller in time."""

    __slots__ = ("__weakref__", "awaiter", "futures", "left", "return_when", "waiter")

    def __init__(self, futures: set[Any], return_when: str) -> None:
        self.futures = futures
        self.left = len(futures)
        self.return_when = return_when
        self.awaiter = asyncio.current_task()
        self.waiter = asyncio.get_running_loop().create_future()

    async def run(self, timeout: float | None) -> None:
        """Return when enough of the futures are done, or after `timeout` seconds."""
        timer = None
        if timeout is not None:
            timer = self.waiter.get_loop().call_later(timeout, self.wake)
        for future in self.futures:
            future.add_done_callback(self)
        try:
            await self.waiter
        finally:
            if timer is not None:
                timer.cancel()
            for future in self.futures:
                future.remove_done_callback(self)

    def __call__(self, future: asyncio.Future[Any]) -> None:
        """Count a future that is done."""
        self.left -= 1
        if (
            self.left <= 0
            or self.return_when == FIRST_COMPLETED
            or (self.return_when == FIRST_EXCEPTION and failed(future))
        ):
            self.wake()

    def wake(self) -> None:
        """Let the caller go on."""
        if not self.waiter.done():
            self.waiter.set_result(None)


def failed(future: asyncio.Future[Any]) -> bool:
    """Tell whether `future`, which is done, ended with an exception of its own."""
    return not future.cancelled() and future.exception() is not None
