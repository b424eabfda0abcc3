"""Blocking functions, run in the threads of a loop's default executor.

A loop holds one `DefaultExecutor`, which makes its threads when the first function is
handed to it.
"""

from __future__ import annotations

import contextvars
import functools
import threading
import warnings
from asyncio import events, futures
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from quiesce.combinators.threadsafe import wrap_future
from quiesce.combinators.timeouts import timeout as time_limit

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.core.future import Future

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
        self.pool: ThreadPoolExecutor | None = None
        self.refuses = False

    def replace(self, pool: ThreadPoolExecutor) -> None:
        """Use `pool` from now on; the former one keeps what it was given."""
        if not isinstance(pool, ThreadPoolExecutor):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError("executor must be ThreadPoolExecutor instance")
        self.pool = pool

    def submit(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> futures.Future[Any]:
        """Return a future for ``func(*args)`` in `executor`, or else in the pool."""
        if executor is None:
            executor = self.started()
        return wrap_future(executor.submit(func, *args), loop=self.loop)

    def started(self) -> ThreadPoolExecutor:
        """Return the pool, made now if this is its first use."""
        if self.refuses:
            raise RuntimeError("Executor shutdown has been called")
        if self.pool is None:
            self.pool = ThreadPoolExecutor(thread_name_prefix="asyncio")
        return self.pool

    async def shut_down(self, timeout: float | None = None) -> None:
        """Wait until the pool's threads have ended, for at most `timeout` seconds.

        Functions that were submitted still run. When the time is up a RuntimeWarning
        says so and the threads are left to end by themselves.
        """
        self.refuses = True
        if self.pool is None:
            return
        ended = self.loop.create_future()
        waiter = threading.Thread(target=self.join, args=(self.pool, ended))
        waiter.start()
        try:
            async with time_limit(timeout):
                await ended
        except TimeoutError:
            warnings.warn(
                "The executor did not finishing joining its threads within "
                f"{timeout} seconds.",
                RuntimeWarning,
                stacklevel=2,
            )
            self.pool.shutdown(wait=False)
        else:
            waiter.join()

    def join(self, pool: ThreadPoolExecutor, ended: Future) -> None:
        """Join the threads of `pool`, which blocks, and tell the loop in its thread."""
        pool.shutdown(wait=True)
        try:
            self.loop.call_soon_threadsafe(finish, ended)
        except RuntimeError:
            # The wait was given up and the loop is closed: nobody wants to know.
            pass

    def abandon(self) -> None:
        """Take no more work and do not wait for what is running: the loop closes."""
        self.refuses = True
        if self.pool is not None:
            pool, self.pool = self.pool, None
            pool.shutdown(wait=False)


def finish(ended: Future) -> None:
    """Set the result, unless the wait was given up."""
    if not ended.done():
        ended.set_result(None)
