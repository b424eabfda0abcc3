"""Futures across threads: asyncio's for coroutines, `concurrent.futures`' for threads.

Thread-safe: everything here. A future of asyncio's kind is touched in the thread of its
loop alone; what another thread wants of it goes through ``call_soon_threadsafe``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from asyncio import events
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.combinators.ensure_future import ensure_future, isfuture, loop_of
from quiesce.core import too_late

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    T = TypeVar("T")

ThreadFuture = concurrent.futures.Future


def run_coroutine_threadsafe(
    coro: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop
) -> ThreadFuture[T]:
    """Run `coro` as a task of `loop`, from another thread, and return its future.

    The other thread waits with ``future.result(timeout)`` and may cancel the task with
    ``future.cancel()``. Calling ``result`` in the loop's own thread blocks the loop for
    ever. Raises TypeError if `coro` is no coroutine and RuntimeError if `loop` is
    closed.
    """
    if not asyncio.iscoroutine(coro):
        raise TypeError("A coroutine object is required")
    future: ThreadFuture[T] = concurrent.futures.Future()

    def start() -> None:
        try:
            chain(ensure_future(coro, loop=loop), future)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            raise

    try:
        loop.call_soon_threadsafe(start)
    except RuntimeError:
        # It is closed. That it was never awaited is no news beside that.
        coro.close()
        raise
    return future


too_late.HANDS_OVER |= too_late.inner_codes(run_coroutine_threadsafe)


def wrap_future(
    future: ThreadFuture[T] | asyncio.Future[T],
    *,
    loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.Future[T]:
    """Return a future of `loop` that ends as the thread's `future` does.

    Without `loop` it belongs to the running loop, or else to the one that was set.
    Cancelling it cancels `future`, which has an effect only if its work has not begun.
    A future of asyncio's kind is returned as it is.
    """
    if isfuture(future):
        return future
    assert isinstance(future, ThreadFuture), (
        f"concurrent.futures.Future is expected, got {future!r}"
    )
    if loop is None:
        loop = asyncio.get_event_loop()
    wrapper: asyncio.Future[T] = loop.create_future()
    chain(future, wrapper)
    return wrapper


def chain(source: Any, destination: Any) -> None:
    """Make `destination` end as `source` does, and cancel `source` with `destination`.

    Each may be of either kind, and of any loop.
    """
    source_loop = loop_of(source) if isfuture(source) else None
    destination_loop = loop_of(destination) if isfuture(destination) else None

    def cancel_source(destination: Any) -> None:
        if destination.cancelled():
            # At once in the source's own loop, also for a thread's future.
            call_from(events._get_running_loop(), source_loop, source.cancel)

    def finish_destination(source: Any) -> None:
        if destination_loop is not None and destination_loop.is_closed():
            return
        copy = copy_to_thread if destination_loop is None else copy_to_loop
        call_from(source_loop, destination_loop, copy, source, destination)

    destination.add_done_callback(cancel_source)
    source.add_done_callback(finish_destination)


def call_from(
    here: asyncio.AbstractEventLoop | None,
    loop: asyncio.AbstractEventLoop | None,
    callback: Callable[..., object],
    *args: Any,
) -> None:
    """Call at once if any thread may or `here` is `loop`; or hand over to it.

    What a thread has done by now is handed over, too: who awaits one quick function
    after the other would never let others have their turn.
    """
    if loop is None or loop is here:
        callback(*args)
    else:
        loop.call_soon_threadsafe(callback, *args)


def copy_to_thread(source: Any, destination: ThreadFuture[Any]) -> None:
    """Give the outcome of `source` to a thread's future."""
    if source.cancelled():
        destination.cancel()
    if not destination.set_running_or_notify_cancel():
        return
    error = source.exception()
    if error is not None:
        destination.set_exception(for_coroutines(error))
    else:
        destination.set_result(source.result())


def copy_to_loop(source: Any, destination: asyncio.Future[Any]) -> None:
    """Give the outcome of `source` to a future of asyncio's kind, if it still waits."""
    if destination.cancelled():
        return
    if source.cancelled():
        destination.cancel()
    elif (error := source.exception()) is not None:
        destination.set_exception(for_coroutines(error))
    else:
        destination.set_result(source.result())


def for_coroutines(error: BaseException) -> BaseException:
    """Return `error`, or asyncio's counterpart if it is `concurrent.futures`' own."""
    if type(error) is concurrent.futures.CancelledError:
        counterpart: BaseException = asyncio.CancelledError(*error.args)
    elif type(error) is concurrent.futures.InvalidStateError:
        counterpart = asyncio.InvalidStateError(*error.args)
    else:
        return error
    return counterpart.with_traceback(error.__traceback__)
