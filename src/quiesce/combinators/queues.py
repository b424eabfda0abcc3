"""Queues between tasks: first in first out, last in first out, or the smallest first.

What they do, and how a task waits for them, is in `exchange`; here is what they look
like. They inherit from asyncio's, for whoever asks ``isinstance(q, asyncio.Queue)``,
and subclasses may override asyncio's hooks ``_init``, ``_get`` and ``_put``.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import QueueEmpty, QueueFull
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from quiesce.combinators.exchange import (
    Exchange,
    QueueShutDown,
    wake_next,
    with_quick_calls,
)

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "LifoQueue",
    "PriorityQueue",
    "Queue",
    "QueueEmpty",
    "QueueFull",
    "QueueShutDown",
]

T = TypeVar("T")


@with_quick_calls
class Queue(Exchange, asyncio.Queue[T]):
    """Items from the tasks that put to the tasks that get, in the order of putting.

    With a positive `maxsize`, ``await put(item)`` waits while that many items are in
    the queue. Belongs to the loop in which somebody first had to wait; not thread-safe.
    """

    def __init__(self, maxsize: float = 0) -> None:
        Exchange.__init__(self, maxsize, type(self) in OWN_CLASSES)
        self._init(maxsize)

    def _init(self, maxsize: float) -> None:  # noqa: ARG002 - asyncio's hook
        self._queue = deque()

    def _get(self) -> T:
        return self._queue.popleft()

    def _put(self, item: T) -> None:
        self._queue.append(item)

    def _moves(self, items: Any) -> tuple[Callable[[T], object], Callable[[], T]]:
        """Return how to put on and how to get from the container `items`."""
        return items.append, items.popleft

    def shutdown(self, immediate: bool = False) -> None:
        """Refuse items from now on; `get` too raises `QueueShutDown` once it is empty.

        With `immediate`, the items that are left are dropped and count as worked off.
        Everybody who waits to put, and to get from an empty queue, gets
        `QueueShutDown`.
        """
        self._is_shutdown = True
        if immediate:
            self._drop_items()
        for line in (self._getters, self._putters):
            while line:
                wake_next(line)

    def _drop_items(self) -> None:
        while not self.empty():
            self._get()
            if self._unfinished_tasks > 0:
                self._unfinished_tasks -= 1
        if self._unfinished_tasks == 0:
            self._finished.set()

    def _format(self) -> str:
        text = super()._format()
        if self._is_shutdown and not text.endswith(" shutdown"):
            text += " shutdown"
        return text


@with_quick_calls
class LifoQueue(Queue[T], asyncio.LifoQueue[T]):
    """A queue that gives the item that was put last."""

    def _init(self, maxsize: float) -> None:  # noqa: ARG002 - asyncio's hook
        self._queue = []

    def _get(self) -> T:
        return self._queue.pop()

    def _moves(self, items: Any) -> tuple[Callable[[T], object], Callable[[], T]]:
        return items.append, items.pop


@with_quick_calls
class PriorityQueue(Queue[T], asyncio.PriorityQueue[Any]):
    """A queue that gives the smallest item first: a tuple (priority, item), usually."""

    def _init(self, maxsize: float) -> None:  # noqa: ARG002 - asyncio's hook
        self._queue = []

    def _get(self) -> T:
        return heapq.heappop(self._queue)

    def _put(self, item: T) -> None:
        heapq.heappush(self._queue, item)

    def _moves(self, items: Any) -> tuple[Callable[[T], object], Callable[[], T]]:
        return partial(heapq.heappush, items), partial(heapq.heappop, items)


# A subclass of these may have overridden anything.
OWN_CLASSES = frozenset({Queue, LifoQueue, PriorityQueue})
