"""What a caller of `run` gives as main: what is taken, and what becomes of it unrun."""

from __future__ import annotations

import inspect
import sys
from asyncio import coroutines, events
from typing import Any

# Since 3.14 any awaitable is taken, and looked at after the running loop.
TAKES_AWAITABLES = sys.version_info >= (3, 14)


def check_main(coro: Any) -> None:
    """Refuse what no run can have as its main, and a run inside of another one."""
    if not TAKES_AWAITABLES and not coroutines.iscoroutine(coro):
        raise ValueError(f"a coroutine was expected, got {coro!r}")
    # Here asyncio lets Python warn of the coroutine, and its tests look for that.
    refuse_running_loop("Runner.run()", None)


def refuse_running_loop(call: str, main: Any) -> None:
    """Raise RuntimeError if this thread is inside a running loop; `main` is dropped."""
    if events._get_running_loop() is not None:
        drop(main)
        raise RuntimeError(f"{call} cannot be called from a running event loop")


def drop(main: Any) -> None:
    """Close `main`: that it was never awaited is no news beside an error."""
    if coroutines.iscoroutine(main):
        main.close()


def drop_unbegun(main: Any) -> None:
    """Close `main` if a signal has kept it from being begun."""
    if (
        inspect.iscoroutine(main)
        and inspect.getcoroutinestate(main) == inspect.CORO_CREATED
    ):
        main.close()


def as_coroutine(awaitable: Any) -> Any:
    """Return a coroutine that awaits `awaitable`, which may be one already."""
    if coroutines.iscoroutine(awaitable):
        return awaitable
    if not inspect.isawaitable(awaitable):
        raise TypeError("An asyncio.Future, a coroutine or an awaitable is required")

    async def wrapped() -> Any:
        return await awaitable

    return wrapped()
