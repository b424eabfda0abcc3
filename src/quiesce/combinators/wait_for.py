"""Waiting for one thing, but not too long. Read `timeouts` first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.combinators.ensure_future import ensure_future
from quiesce.combinators.timeouts import limit_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    T = TypeVar("T")


async def wait_for(fut: Awaitable[T], timeout: float | None) -> T:
    """Return the result of `fut`, or raise TimeoutError after `timeout` seconds.

    When the time is over, `fut` is cancelled and TimeoutError comes once it has ended.
    No result gets lost: if `fut` turns its cancellation into a result or an exception,
    that is what comes instead. Cancelling the caller cancels `fut` too; to prevent
    that, pass ``shield(fut)``. With `timeout` None the wait has no limit; with zero or
    less a coroutine does not even start.
    """
    if timeout is not None and timeout <= 0:
        return await take_or_cancel(ensure_future(fut))
    async with limit_of(timeout, True):
        return await fut


async def take_or_cancel(future: asyncio.Future[T]) -> T:
    """Return the result if it is there, else cancel `future` and wait for its end."""
    if future.done():
        return future.result()
    await End(future).wait()
    try:
        return future.result()
    except asyncio.CancelledError as error:
        raise TimeoutError from error


class End:
    """The callback that sees the end of one future.

    The future itself is not awaited, for then a second cancellation of the caller would
    hit a future that is being cancelled already, and not the caller.
    """

    __slots__ = ("awaiter", "future", "waiter")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future
        self.awaiter = asyncio.current_task()
        self.waiter = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Cancel the future and return once it is done."""
        self.future.add_done_callback(self)
        try:
            self.future.cancel()
            await self.waiter
        finally:
            self.future.remove_done_callback(self)

    def __call__(self, _: asyncio.Future[Any]) -> None:
        """Let the caller go on."""
        if not self.waiter.done():
            self.waiter.set_result(None)
