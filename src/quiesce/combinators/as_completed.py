"""Several things one after the other, in the order in which they get done."""

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from quiesce.combinators.ensure_future import ensure_future
from quiesce.combinators.queues import Queue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Iterable

T = TypeVar("T")


# Until 3.13 asyncio's was a generator, which does nothing before its first step.
STARTS_AT_ONCE = sys.version_info >= (3, 13)


def as_completed(
    fs: Iterable[Awaitable[T]], *, timeout: float | None = None
) -> Completions[T]:
    """Return an iterator over `fs`, run concurrently, in the order of their completion.

    ``async for future in as_completed(fs)`` gives the futures of `fs` themselves, each
    when it is done, so that one can tell which it is; for a coroutine it gives its
    task. ``for waiting in as_completed(fs)`` gives as many coroutines: awaiting one
    returns or raises the outcome of the next that completes.

    After `timeout` seconds, what is not done comes as a TimeoutError, raised by the
    ``async for`` or by each coroutine that remains; nothing is cancelled.

    As with the running Python's asyncio, coroutines and `timeout` start with this call
    since 3.13, and with the first step of the iteration before that.
    """
    completions: Completions[T] = Completions(fs, timeout)
    if STARTS_AT_ONCE:
        completions.start()
    return completions


class Completions(Generic[T]):
    """The iterator that `as_completed` returns, and the callback on its futures."""

    def __init__(self, awaitables: Any, timeout: float | None) -> None:
        self.awaitables = awaitables
        self.timeout = timeout
        self.timer: asyncio.TimerHandle | None = None
        self.awaiter = None
        # A completed future, or None for one that did not complete in time.
        self.done: Queue[asyncio.Future[T] | None] = Queue()
        self.pending: set[asyncio.Future[T]] = set()
        self.left = -1

    def start(self) -> None:
        """Run everything as tasks and start the clock."""
        if inspect.isawaitable(self.awaitables):
            kind = type(self.awaitables).__name__
            raise TypeError(f"expects an iterable of awaitables, not {kind}")
        loop = asyncio.get_event_loop()
        self.pending = {ensure_future(item, loop=loop) for item in set(self.awaitables)}
        self.left = len(self.pending)
        self.awaiter = asyncio.current_task(loop)
        for future in self.pending:
            future.add_done_callback(self)
        if self.pending and self.timeout is not None:
            self.timer = loop.call_later(self.timeout, self.give_up)

    def __call__(self, future: asyncio.Future[T]) -> None:
        """Hand on a future that is done."""
        # A callback that was already queued when the time was over comes too late.
        if not self.pending:
            return
        self.pending.remove(future)
        self.done.put_nowait(future)
        if not self.pending and self.timer is not None:
            self.timer.cancel()

    def give_up(self) -> None:
        """Let everybody who still waits have a TimeoutError."""
        for future in self.pending:
            future.remove_done_callback(self)
            self.done.put_nowait(None)
        self.pending.clear()

    def __aiter__(self) -> Completions[T]:
        return self

    def __iter__(self) -> Completions[T]:
        return self

    async def __anext__(self) -> asyncio.Future[T]:
        if not self.claim_one():
            raise StopAsyncIteration
        return await self.next_done()

    def __next__(self) -> Coroutine[Any, Any, T]:
        if not self.claim_one():
            raise StopIteration
        return self.next_outcome()

    def claim_one(self) -> bool:
        """Count one more as given; return False if there is none."""
        if self.left < 0:
            self.start()
        if self.left == 0:
            return False
        self.left -= 1
        return True

    async def next_done(self) -> asyncio.Future[T]:
        """Return the next future that gets done, or raise TimeoutError."""
        future = await self.done.get()
        if future is None:
            raise TimeoutError
        return future

    async def next_outcome(self) -> T:
        """Return or raise the outcome of the next future that gets done."""
        return (await self.next_done()).result()
