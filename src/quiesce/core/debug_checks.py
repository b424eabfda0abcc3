"""What debug mode asks of a call: is it a callback, from which thread, from where."""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import inspect
import sys
import threading
from asyncio import coroutines
from asyncio.format_helpers import extract_stack
from typing import TYPE_CHECKING, Any

from quiesce.core import native

if TYPE_CHECKING:
    from quiesce.core.scheduler import Scheduler


def check_call(callback: Any, method: str) -> None:
    """Refuse what cannot be called back."""
    if coroutines.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
        raise TypeError(f"coroutines cannot be used with {method}()")
    if not callable(callback):
        raise TypeError(
            f"a callable object was expected by {method}(), got {callback!r}"
        )


def check_thread(loop: Scheduler) -> None:
    """Refuse a call from another thread than the one that runs the loop."""
    if loop._thread_id is not None and threading.get_ident() != loop._thread_id:
        raise RuntimeError(
            "Non-thread-safe operation invoked on an event loop other than the "
            "current one"
        )


def caller_stack() -> Any:
    """Return the stack of the user's code that called a method of the scheduler."""
    return extract_stack(sys._getframe(2 * native.OWN_FRAMES))
