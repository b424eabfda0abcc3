"""Plain-Python stand-ins for what the core can only say in C.

Compiled modules cimport these names from ``native.pxd`` (bodies: ``native.h``), so this
file runs only where nothing is compiled. Both sides promise the same
(docs/design/compiled-plain-python.md).
"""

from __future__ import annotations

import operator
import sys
from contextvars import Context, copy_context
from time import monotonic as now
from time import monotonic_ns as ticks
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = [
    "CANCELLED",
    "COMPILED",
    "FINISHED",
    "OWN_FRAMES",
    "PENDING",
    "TICKS_PER_100_US",
    "adopt_methods",
    "append",
    "await_itself",
    "call_in",
    "check_signals",
    "content",
    "copy_context",
    "copy_of",
    "finalize_only_if",
    "give_defaults",
    "has_returned",
    "has_yielded",
    "identity_hash",
    "inherit_attributes",
    "keep_freed",
    "lazy_attributes",
    "now",
    "rearrange",
    "references",
    "release",
    "send_in",
    "size",
    "stop_with",
    "take_last",
    "throw_in",
    "ticks",
    "truncate",
]

COMPILED = False
# How many Python frames one function of ours takes on the stack: compiled, none.
OWN_FRAMES = 1

# The states of a future.
PENDING = 0
CANCELLED = 1
FINISHED = 2

TICKS_PER_100_US = 100_000

# Python's own functions do what the C ones do; a function around them would cost more
# than they.
any_list: Any = list
append: Callable[[list[Any], Any], None] = any_list.append
rearrange: Callable[[list[Any], int, Any], None] = operator.setitem
size: Callable[[Any], int] = len
take_last: Callable[[list[Any]], Any] = any_list.pop


class End:
    """How a coroutine ended: what `send_in` and `throw_in` give, but for a yield."""

    __slots__ = ("content", "raised")

    def __init__(self, content: Any, raised: bool) -> None:
        self.content = content
        self.raised = raised


def copy_of(context: Context) -> Context:
    """Return a copy of `context`."""
    return context.copy()


def send_in(context: Context, coro: Coroutine[Any, Any, Any]) -> Any:
    """Resume `coro` with None inside `context`; give what it yields or how it ends."""
    try:
        return context.run(coro.send, None)
    except StopIteration as stop:
        return End(stop.value, raised=False)
    except BaseException as error:  # noqa: BLE001 - the caller's to deal with
        return End(error, raised=True)


def throw_in(
    context: Context, coro: Coroutine[Any, Any, Any], error: BaseException
) -> Any:
    """Raise `error` in `coro` inside `context`; give what `send_in` gives."""
    try:
        return context.run(coro.throw, error)
    except StopIteration as stop:
        return End(stop.value, raised=False)
    except BaseException as raised:  # noqa: BLE001 - the caller's to deal with
        return End(raised, raised=True)
    finally:
        # An error's traceback keeps this frame: see "Cycles" in `task`.
        del error


def has_yielded(came: Any) -> bool:
    """Tell whether what came of resuming a coroutine is what it yielded."""
    return type(came) is not End


def has_returned(came: Any) -> bool:
    """Tell whether the coroutine returned, where it has not yielded."""
    return not came.raised


def content(came: Any) -> Any:
    """Return what the coroutine returned or raised."""
    return came.content


def call_in(
    context: Context, callback: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    """Call ``callback(*args)`` inside `context`."""
    try:
        context.run(callback, *args)
    finally:
        # An error's traceback keeps this frame: see "Cycles" in `task`.
        del callback, args


def adopt_methods(subtype: type, base: type, names: tuple[str, ...]) -> None:
    """Let `subtype` have the methods of `base` as its own: Python finds them anyway."""


def call_none(function: Callable[[], Any]) -> Any:
    """Return ``function()``."""
    return function()


def call_one(function: Callable[[Any], Any], argument: Any) -> Any:
    """Return ``function(argument)``."""
    return function(argument)


def stop_with(value: Any) -> None:
    """Raise ``StopIteration(value)``; the caller's bare raise is not reached."""
    raise StopIteration(value)


def truncate(items: list[Any]) -> None:
    """Empty a list whose items are all None."""
    items.clear()


def identity_hash(thing: object) -> int:
    """Return what objects without a hash of their own have."""
    return object.__hash__(thing)


def references(thing: object) -> int:  # noqa: ARG001 - the C one needs it
    """Return how many refer to `thing`: here, more than anybody counts on."""
    return sys.maxsize


def check_signals() -> None:
    """Run pending signal handlers: the interpreter does so by itself here."""


def lazy_attributes(type_: type, owner: object, field: object) -> None:
    """Allow any attribute on instances: any Python class does."""


def inherit_attributes(subtype: type, base: type) -> None:
    """Allow any attribute on instances of a subtype too: any Python class does."""


def await_itself(type_: type, waits: Any, result: Any) -> None:
    """Let `await` drive instances without an iterator: here they keep theirs."""


def finalize_only_if(type_: type, speaks: Any) -> None:
    """Skip finalizers that have nothing to say: the interpreter runs them all here."""


def keep_freed(type_: type) -> None:
    """Keep the memory of dead instances for new ones: Python's own business here."""


def give_defaults(type_: type, defaults: dict[str, Any]) -> None:
    """Let new instances start with these fields, as compiled ones do by themselves."""
    for name, value in defaults.items():
        setattr(type_, name, value)


def release(reference: object) -> None:
    """Let go what Python does not count for us: here it counts everything."""
