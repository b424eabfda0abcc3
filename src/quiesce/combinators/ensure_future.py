"""From anything that can be awaited to a future.

The first door of most combinators: whoever must wait for a thing *later* needs it as a
future. Read `gather`, `wait` and `shield` next.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from typing_extensions import TypeIs

    T = TypeVar("T")
    F = TypeVar("F", bound=asyncio.Future[Any])


def isfuture(obj: Any) -> TypeIs[asyncio.Future[Any]]:
    """Tell whether `obj` is a future or a task, of whatever make."""
    # The class is asked first because a mock has any attribute one asks it for.
    return (
        hasattr(obj.__class__, "_asyncio_future_blocking")
        and obj._asyncio_future_blocking is not None
    )


def loop_of(future: Any) -> Any:
    """Return the loop `future` belongs to."""
    get_loop = getattr(future, "get_loop", None)
    return future._loop if get_loop is None else get_loop()


@overload
def ensure_future(coro_or_future: F, *, loop: Any = None) -> F: ...
@overload
def ensure_future(
    coro_or_future: Awaitable[T], *, loop: Any = None
) -> asyncio.Task[T]: ...
def ensure_future(coro_or_future: Any, *, loop: Any = None) -> Any:
    """Return `coro_or_future` if it is a future, else a task that awaits it.

    The task belongs to `loop`; without it, to the running loop, or outside of one to
    the loop that was set with `set_event_loop`. Raises TypeError for what cannot be
    awaited, ValueError for a future of another loop, and RuntimeError where there is no
    loop or a closed one, which closes the coroutine too.
    """
    if isfuture(coro_or_future):
        if loop is not None and loop is not loop_of(coro_or_future):
            raise ValueError(
                "The future belongs to a different loop than "
                "the one specified as the loop argument"
            )
        return coro_or_future
    coro = as_coroutine(coro_or_future)
    if loop is None:
        loop = asyncio.get_event_loop()
    try:
        return loop.create_task(coro)
    except RuntimeError:
        coro.close()
        raise


def as_coroutine(awaitable: Any) -> Coroutine[Any, Any, Any]:
    """Return `awaitable` as something a task can run."""
    if asyncio.iscoroutine(awaitable):
        return awaitable
    if inspect.isawaitable(awaitable):
        return await_it(awaitable)
    raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")


async def await_it(awaitable: Awaitable[T]) -> T:
    """Await `awaitable`."""
    return await awaitable
