"""Blocking functions, run in the threads of a loop's default executor.

A loop holds one `DefaultExecutor`, which makes its `thread_pool` when the first
function is handed to it.
"""

from __future__ import annotations

import contextvars
import functools
import threading
import warnings
from asyncio import events, futures
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from quiesce.offload.worker_pool import BusyWorker

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, ThreadPoolExecutor

    from quiesce.core.future import Future
    from quiesce.offload.thread_pool import ThreadPool

# What asyncio says where it is asked for a thread too late.
EXECUTOR_HAS_ENDED = "Executor shutdown has been called"

P = ParamSpec("P")
T = TypeVar("T")


async def to_thread(func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Return ``func(*args, **kwargs)``, called in a thread of the default executor.

    The function sees the caller's context variables. Cancelling the wait does not stop
    the function: its thread goes on to the end.
    """
    loop = events.get_running_loop()
    context = contextvars.copy_context()
    call = functools.partial(context.run, func, *args, **kwargs)
    return await loop.run_in_executor(None, call)


class DefaultExecutor:
    """The pool in which one loop runs blocking functions.

    Invariant: once it was asked to shut down it takes no more work, also where no
    thread had been made yet.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.pool: ThreadPool | ThreadPoolExecutor | None = None
        self.wrap_future: Callable[..., futures.Future[Any]] | None = None
        self.refuses = False

    def replace(self, pool: ThreadPoolExecutor) -> None:
        """Use `pool` from now on; the former one keeps what it was given."""
        from concurrent.futures import ThreadPoolExecutor

        if not isinstance(pool, ThreadPoolExecutor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("executor must be ThreadPoolExecutor instance")
        self.pool = pool

    def submit(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> futures.Future[Any]:
        """Return a future for ``func(*args)`` in `executor`, or else in the pool."""
        if self.wrap_future is None:
            # Once: an import is dear beside all the rest of this.
            from quiesce.combinators.threadsafe import wrap_future

            self.wrap_future = wrap_future
        if executor is None:
            executor = self.started()
        return self.wrap_future(executor.submit(func, *args), loop=self.loop)

    def started(self) -> Executor:
        """Return the pool, made now if this is its first use."""
        if self.refuses:
            raise RuntimeError(EXECUTOR_HAS_ENDED)
        if self.pool is None:
            from quiesce.offload.thread_pool import ThreadPool

            self.pool = ThreadPool()
        return self.pool

    async def shut_down(self, timeout: float | None = None) -> None:
        """Wait until the pool's threads have ended, for at most `timeout` seconds.

        Functions that were submitted still run. When the time is up a RuntimeWarning
        says so and the threads are left to end by themselves.
        """
        if not await self.end(timeout):
            warnings.warn(
                "The executor did not finishing joining its threads within "
                f"{timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )

    async def end(self, timeout: float | None = None) -> bool:
        """Shut the pool down and tell whether its threads ended within `timeout`.

        Functions that were submitted still run, also after this gave up waiting.
        """
        self.refuses = True
        if self.pool is None:
            return True
        ended = self.loop.create_future()
        self.end_pool(self.pool, functools.partial(self.tell, ended))
        if timeout is None:
            in_time: bool = await ended
        else:
            timer = self.loop.call_later(timeout, finish, ended, False)
            try:
                in_time = await ended
            finally:
                timer.cancel()
        # If they have ended: who said so was about to end itself.
        self.pool.shutdown(wait=in_time)
        return in_time

    def end_pool(
        self, pool: ThreadPool | ThreadPoolExecutor, then: Callable[[], None]
    ) -> None:
        """Shut `pool` down and call `then`, in some thread, once its threads ended."""
        when_ended = getattr(pool, "when_ended", None)
        if when_ended is not None:
            pool.shutdown(wait=False)
            when_ended(then)
            return

        def join() -> None:
            pool.shutdown(wait=True)
            then()

        # If it waits for ever, it shall not hold the process.
        threading.Thread(target=join, daemon=True).start()

    def tell(self, ended: Future) -> None:
        """Say in the loop's thread that the pool has ended."""
        try:
            self.loop.call_soon_threadsafe(finish, ended, True)
        except RuntimeError:
            # The wait was given up and the loop is closed: nobody wants to know.
            pass

    def abandon(self) -> None:
        """Take no more work and do not wait for what is running: the loop closes."""
        self.refuses = True
        if self.pool is not None:
            pool, self.pool = self.pool, None
            pool.shutdown(wait=False)

    def busy(self) -> list[BusyWorker]:
        """Return the threads of the pool that have not finished.

        Those of a pool that the program has made are known once that is shut down: then
        the idle ones have ended.
        """
        busy = getattr(self.pool, "busy", None)
        if busy is not None:
            return busy()
        if not getattr(self.pool, "_shutdown", False):
            return []
        return [
            BusyWorker(thread.name, thread.ident, None, None)
            for thread in getattr(self.pool, "_threads", ())
            if thread.is_alive()
        ]

    def give_up(self) -> None:
        """Let the process end without the threads that are busy: time is up."""
        self.refuses = True
        give_up = getattr(self.pool, "give_up", None)
        if give_up is not None:
            give_up()


def finish(ended: Future, in_time: bool) -> None:
    """Say whether the pool has ended in time, unless that is known or not asked."""
    if not ended.done():
        ended.set_result(in_time)
