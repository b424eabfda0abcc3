"""Coroutines that another thread hands over to a loop which is closed, or about to be.

That thread waits for a future of `concurrent.futures`, which asyncio leaves as it is:
the thread waits for ever, and the coroutine is said to be never awaited. Here it is
told.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def inner_codes(function: Callable[..., Any]) -> set[CodeType]:
    """Return the code of the functions that `function` makes."""
    constants = getattr(getattr(function, "__code__", None), "co_consts", ())
    return {each for each in constants if isinstance(each, CodeType)}


# Of what begins a coroutine in its loop, asyncio's and ours: both call what they keep
# ``coro`` and ``future``.
HANDS_OVER = inner_codes(asyncio.run_coroutine_threadsafe)
# The futures to which somebody is about to give that error, and who: the thread that
# closes the loop and the one that hands over may come to it at the same time.
claims: dict[Any, object] = {}


def refuse_all(handles: Iterable[Any]) -> None:
    """Refuse what these are to call, which a loop never does: it has been closed."""
    for handle in handles:
        refuse(getattr(handle, "_callback", None))


def refuse(callback: Any) -> None:
    """Let who waits for the coroutine that `callback` would begin get a RuntimeError.

    Does nothing where it is another callback than that of ``run_coroutine_threadsafe``.
    """
    # What else it may be is asked for nothing: it may be a proxy of what is gone.
    if type(callback) is not FunctionType or callback.__code__ not in HANDS_OVER:
        return
    cells = zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=True)
    held = {name: cell.cell_contents for name, cell in cells}
    with suppress(Exception):
        held["coro"].close()
    fail(held["future"], RuntimeError("Event loop is closed"))


def fail(future: Any, error: BaseException) -> None:
    """Let a future of `concurrent.futures` end with `error`, if nobody else does."""
    mine = object()
    if claims.setdefault(future, mine) is not mine:
        return
    try:
        if not future.done() and future.set_running_or_notify_cancel():
            future.set_exception(error)
    finally:
        del claims[future]
