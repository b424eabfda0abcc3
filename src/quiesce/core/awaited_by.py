"""Who waits for a future: the call graph of Python 3.14 and later.

asyncio notes each waiter when its wait begins. Here nothing is noted, so nothing is
paid until somebody asks: who waits has left a callback, which knows for whom.

- A task that awaits the future is the callback, or its ``awaiter``.
- Combinators of ours have an ``awaiter``: the task, or a future awaited in its turn.
- asyncio's own keep the task under one of `ASYNCIO_NAMES`: in the closure or defaults
  of a function, or in an attribute of the object whose method is the callback.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import functools
from asyncio import isfuture
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

ASYNCIO_NAMES = ("cur_task", "parent_task")


def waiters(pairs: Iterable[tuple[Any, Any]] | None) -> set[Any] | None:
    """Return the tasks behind a future's callbacks; None if there are none."""
    found: set[Any] = set()
    for callback, _ in pairs or ():
        for waiter in behind(callback):
            if hasattr(waiter, "get_coro"):
                found.add(waiter)
            else:
                # Only a future: who awaits it waits for this one too.
                found |= waiters(getattr(waiter, "_callbacks", None)) or set()
    return found or None


def behind(callback: Any) -> list[Any]:
    """Return the tasks and futures for which `callback` was left."""
    if isfuture(callback):
        return [callback]
    waiter = getattr(callback, "awaiter", None)
    if waiter is not None:
        return [waiter]
    if isinstance(callback, functools.partial):
        return [argument for argument in callback.args if isfuture(argument)]
    held = held_by(callback)
    outer = held.get("outer")
    if outer is not None and outer.done():
        # Of asyncio's gather and shield, which leave the callback behind.
        return []
    return [held[name] for name in ASYNCIO_NAMES if held.get(name) is not None]


def held_by(callback: Any) -> dict[str, Any]:
    """Return what one of asyncio's callbacks carries with it, by name."""
    owner = getattr(callback, "__self__", None)
    if owner is not None:
        return {name: getattr(owner, f"_{name}", None) for name in ASYNCIO_NAMES}
    code = getattr(callback, "__code__", None)
    if code is None:
        return {}
    held: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, callback.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:
            # The variable was deleted.
            pass
    defaults = callback.__defaults__ or ()
    arguments = code.co_varnames[: code.co_argcount]
    held.update(zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True))
    return held
