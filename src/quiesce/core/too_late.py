"""Coroutines that another thread hands over to a loop which is closed, or about to be.

That thread waits for a future of `concurrent.futures`, which asyncio leaves as it is:
the thread waits for ever, and the coroutine is said to be never awaited. Here it is
told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def refuse_all(handles: Iterable[Any]) -> None:
    """Refuse what these are to call, which a loop never does: it has been closed."""
    for handle in handles:
        refuse(getattr(handle, "_callback", None))


def refuse(callback: Callable[..., object] | None) -> None:
    """Let who waits for the coroutine that `callback` would begin get a RuntimeError.

    Does nothing where it is another callback than that of ``run_coroutine_threadsafe``,
    ours or asyncio's.
    """
    held = list(contents_of(callback))
    futures = [each for each in held if hasattr(each, "set_running_or_notify_cancel")]
    if not futures:
        return
    for each in held:
        if hasattr(each, "cr_await"):
            each.close()
    for future in futures:
        if future.set_running_or_notify_cancel():
            future.set_exception(RuntimeError("Event loop is closed"))


def contents_of(callback: Any) -> Iterable[Any]:
    """Yield what a function refers to that was made inside of another one."""
    for cell in getattr(callback, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # Empty: what it refers to was deleted.
            continue
