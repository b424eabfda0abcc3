"""The asynchronous generators that a loop has begun to iterate (PEP 525).

A generator that is dropped half-way is closed by its loop, in a task; those that are
left when the loop ends are closed by `AsyncGenerators.close_all`.
"""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from quiesce.core.failures import is_failure
from quiesce.core.task_factory import task_in_spite_of_it

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class AsyncGenerators:
    """Knows the live generators of one loop through the interpreter's hooks."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.alive: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()
        # Those that `close_all` is waiting for.
        self.closing: list[AsyncGenerator[Any, Any]] = []
        self.closing_since = 0.0
        # The tasks in which they are closed.
        self.closers: set[Any] = set()
        self.closed = False
        # Nothing runs any more that could close one.
        self.given_up = False
        self.hooks_before: Any = None

    def install_hooks(self) -> None:
        """Hear of the generators of this thread from now on."""
        self.hooks_before = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self.on_first, finalizer=self.on_dropped)

    def restore_hooks(self) -> None:
        """Leave this thread's generators to whoever had them before."""
        if self.hooks_before is not None:
            sys.set_asyncgen_hooks(*self.hooks_before)
            self.hooks_before = None

    def on_first(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Remember a generator that begins."""
        if self.closed:
            warnings.warn(
                f"asynchronous generator {generator!r} was scheduled after "
                f"loop.shutdown_asyncgens() call",
                ResourceWarning,
                source=self.loop,
                stacklevel=2,
            )
        self.alive.add(generator)

    def on_dropped(self, generator: AsyncGenerator[Any, Any]) -> None:
        """Close a generator that the garbage collector found, in whatever thread."""
        self.alive.discard(generator)
        if not self.given_up and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.create_task, generator.aclose())

    def suspended(self) -> list[AsyncGenerator[Any, Any]]:
        """Return those that have begun and are not over."""
        return [
            each for each in self.alive if getattr(each, "ag_frame", None) is not None
        ]

    def awaiting(self) -> list[AsyncGenerator[Any, Any]]:
        """Return those that are in the middle of an ``await``, being closed or not."""
        known = {*self.alive, *self.closing}
        return [each for each in known if getattr(each, "ag_await", None) is not None]

    def unclosed(self) -> list[AsyncGenerator[Any, Any]]:
        """Return those that have been closed in vain so far."""
        return [
            each for each in self.closing if getattr(each, "ag_frame", None) is not None
        ]

    async def close_all(self) -> None:
        """Close every live generator and report errors; none may begin afterwards.

        One that a task is in the middle of ends with that task.
        """
        self.closed = True
        generators = [each for each in self.alive if not is_running(each)]
        self.closing = generators
        self.closing_since = time.monotonic()
        self.alive.difference_update(generators)
        if not generators:
            return
        closers = [task_in_spite_of_it(self.loop, close(each)) for each in generators]
        self.closers = set(closers)
        try:
            await asyncio.gather(*closers, return_exceptions=True)
            self.closing, self.closers = [], set()
        finally:
            # Also of those that fail when their time is over.
            for closer, generator in zip(closers, generators, strict=True):
                self.report(closer, generator)

    def report(self, closer: Any, generator: Any) -> None:
        """Report it if `closer` has failed to close `generator`."""
        if not closer.done() or closer.cancelled():
            return
        error = closer.exception()
        if is_failure(error):
            self.loop.call_exception_handler(
                {
                    "message": "an error occurred during closing of "
                    f"asynchronous generator {generator!r}",
                    "exception": error,
                    "asyncgen": generator,
                }
            )


def is_running(generator: Any) -> bool:
    """Tell whether somebody awaits a step of `generator`, or that it is closed."""
    return bool(getattr(generator, "ag_running", False))


async def close(generator: AsyncGenerator[Any, Any]) -> None:
    """Close `generator`, awaits included."""
    await generator.aclose()
