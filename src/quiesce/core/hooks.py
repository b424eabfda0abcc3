"""What a loop tells those who watch it.

A loop without observers runs as if there were none: it asks once per iteration. Debug
mode is such an observer, so that no step pays for questions that only debugging asks.
"""

from __future__ import annotations

from asyncio.log import logger
from typing import Any, Protocol


class Observer(Protocol):
    """Told about each callback and each step of a task, in the loop's thread."""

    def begins(self, item: Any) -> None:
        """Take note that `item`, a `Handle` or a `Task`, is about to run."""
        ...

    def ended(self, item: Any) -> None:
        """Take note that `item` ran, whether or not it raised."""
        ...


class SignalWakeup(Protocol):
    """What lets a signal wake a loop; told about each run, in the loop's thread."""

    def begin_run(self) -> None:
        """Let signals wake the loop, which begins to run."""
        ...

    def end_run(self) -> None:
        """Take note that the loop runs no more."""
        ...


class SlowCallbackLog:
    """Debug mode's log of what holds the loop for too long.

    The limit is the loop's ``slow_callback_duration``, in seconds.
    """

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.running: Any = None
        self.began = 0.0

    def begins(self, item: Any) -> None:
        """Start the clock."""
        self.running = item
        self.began = self.loop.time()

    def ended(self, item: Any) -> None:
        """Log `item` if it took too long."""
        self.running = None
        seconds = self.loop.time() - self.began
        if seconds >= self.loop.slow_callback_duration:
            logger.warning("Executing %s took %.3f seconds", described(item), seconds)


def described(item: Any) -> str:
    """Name the task that a callback steps, rather than the callback."""
    callback = getattr(item, "_callback", None)
    return repr(getattr(callback, "__self__", item) if is_step(callback) else item)


def is_step(callback: Any) -> bool:
    """Tell whether `callback` steps a task."""
    return hasattr(getattr(callback, "__self__", None), "get_coro")
