"""One scheduled callback.

A handle is made by `Scheduler.call_soon` and its kin, waits in the ready queue, runs
once and is dropped. `timers` has the kind that waits for a time; read that next.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
import threading
from asyncio.format_helpers import extract_stack
from typing import TYPE_CHECKING, Any

from quiesce.core import failures, native

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context


# Which handles of asyncio's own are safe, if any.
ASYNCIO_TYPE: type = getattr(asyncio.events, "_ThreadSafeHandle", asyncio.Handle)


class Handle:
    """A callback with its arguments and its context, due to run in the loop's thread.

    What `asyncio.Handle` is; ``isinstance(handle, asyncio.Handle)`` holds.
    """

    __slots__ = (
        "__weakref__",
        "_args",
        "_callback",
        "_cancelled",
        "_context",
        "_loop",
        "_repr",
        "_source_traceback",
    )

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: Any,
        context: Context | None = None,
    ) -> None:
        self._callback = callback
        self._args = args
        self._loop = loop
        self._context = native.copy_context() if context is None else context
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        if loop.get_debug():
            self._source_traceback = extract_stack(sys._getframe(native.OWN_FRAMES))

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type asyncio's users test for."""
        return asyncio.Handle if type(self) is Handle else type(self)

    def _repr_info(self) -> list[str]:
        return asyncio.Handle._repr_info(self)

    def __repr__(self) -> str:
        return asyncio.Handle.__repr__(self)

    def get_context(self) -> Context:
        """Return the context in which the callback runs."""
        return self._context

    def cancel(self) -> None:
        """Prevent the callback from running; without effect once it ran.

        The callback and its arguments are let go at once. Not thread-safe.
        """
        if not self._cancelled:
            self._cancelled = True
            if self._source_traceback is not None:
                # Debug mode wants to name the callback, which is let go now.
                self._repr = repr(self)
            self._callback = None
            self._args = None

    def cancelled(self) -> bool:
        """Tell whether the handle was cancelled."""
        return self._cancelled

    def _run(self) -> None:
        """Run the callback now, as libraries that wrap handles do."""
        self.run()

    def told(self, future: Any) -> None:
        """Take note that `future`, which keeps this handle, is done.

        Only for handles that are kept by futures as themselves; others are not told.
        """

    def only_counts(self) -> bool:
        """Tell whether it counts futures and never looks at how they end."""
        return False

    def run(self) -> None:
        """Run the callback in its context; an error goes to the exception handler."""
        try:
            native.call_in(self._context, self._callback, self._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - asyncio reports these too
            failures.callback_failed(self, error)
        # Interpreted, the traceback leads here: see "Cycles" in `task`.
        self = None  # noqa: PLW0642


class ThreadSafeHandle(Handle):
    """A handle of `call_soon_threadsafe`, which any thread may cancel.

    Another thread that cancels it, or asks whether it is cancelled, while the callback
    runs waits until it is done; so that after `cancel` the callback either has ended or
    will never run. As in Python 3.14, on every version.
    """

    __slots__ = ("lock",)

    @property
    def __class__(self) -> type:
        """The type asyncio's users test for."""
        return ASYNCIO_TYPE

    def cancel(self) -> None:
        """Prevent the callback from running; wait for its end if it runs now."""
        with self.lock:  # pyright: ignore[reportGeneralTypeIssues]
            Handle.cancel(self)

    def cancelled(self) -> bool:
        """Tell whether the handle was cancelled, once the callback does not run."""
        with self.lock:  # pyright: ignore[reportGeneralTypeIssues]
            return self._cancelled

    def run(self) -> None:
        """Run the callback unless it was cancelled since the loop looked."""
        with self.lock:  # pyright: ignore[reportGeneralTypeIssues]
            if not self._cancelled:
                Handle.run(self)


def tell(handle: Handle, future: Any) -> None:
    """Let `handle` take note that `future` is done.

    For a future, to which a waiter can be anything: compiled, this knows its kind.
    """
    handle.told(future)


def only_counts(handle: Handle) -> bool:
    """Tell whether `handle` counts futures and never looks at how they end.

    For a future, as `tell`.
    """
    return handle.only_counts()


def make_handle(
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context,
) -> Handle:
    """Make a handle without the constructor's questions: compiled, one C call."""
    handle = Handle.__new__(Handle)
    begin_handle(handle, callback, args, loop, context)
    return handle


def make_thread_safe_handle(
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context,
) -> ThreadSafeHandle:
    """Make a handle that any thread may cancel."""
    handle = ThreadSafeHandle.__new__(ThreadSafeHandle)
    handle.lock = threading.RLock()
    begin_handle(handle, callback, args, loop, context)
    return handle


def begin_notice(handle: Handle, loop: Any) -> None:
    """Fill in a new handle of a class that has its own `run` and needs no callback."""
    begin_handle(handle, None, None, loop, None)


def begin_handle(
    handle: Handle,
    callback: Callable[..., object],
    args: tuple[Any, ...],
    loop: Any,
    context: Context,
) -> None:
    """Fill in a new handle."""
    handle._callback = callback
    handle._args = args
    handle._loop = loop
    handle._context = context
    handle._cancelled = False
    handle._repr = None
    handle._source_traceback = None


native.keep_freed(Handle)
