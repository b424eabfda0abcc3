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
        self.closed = False
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
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.create_task, generator.aclose())

    def unclosed(self) -> list[AsyncGenerator[Any, Any]]:
        """Return those that have been closed in vain so far."""
        return [
            each for each in self.closing if getattr(each, "ag_frame", None) is not None
        ]

    async def close_all(self) -> None:
        """Close every live generator and report errors; none may begin afterwards."""
        self.closed = True
        generators = self.closing = list(self.alive)
        self.closing_since = time.monotonic()
        self.alive.clear()
        if not generators:
            return
        closing = [task_in_spite_of_it(self.loop, close(each)) for each in generators]
        outcomes = await asyncio.gather(*closing, return_exceptions=True)
        self.closing = []
        for outcome, generator in zip(outcomes, generators, strict=True):
            if isinstance(outcome, Exception):
                self.loop.call_exception_handler(
                    {
                        "message": "an error occurred during closing of "
                        f"asynchronous generator {generator!r}",
                        "exception": outcome,
                        "asyncgen": generator,
                    }
                )


async def close(generator: AsyncGenerator[Any, Any]) -> None:
    """Close `generator`, awaits included."""
    await generator.aclose()
