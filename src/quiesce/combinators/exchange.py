"""The busy half of a queue: items that wait, and the tasks that wait for one another.

`Exchange` keeps the items, those who want to put one and those who want to get one;
`Put` and `Get` are what ``await queue.put(item)`` and ``await queue.get()`` drive. The
class that users see is `queues.Queue`; read that first.

Invariants:

- A waiter (a pending future in ``_putters`` or ``_getters``) stands for one task that
  waits. Waking it moves no item: the task looks again when it runs, for another may
  have been quicker. If it cannot run any more, it wakes the next in its place.
- ``direct`` means that the class is one of quiesce's own and the container a deque or
  list. A user's subclass may override any step, so there each step goes through the
  method that asyncio's queue would call.
- A `Put` or `Get` that has ended is kept by its exchange for the next call, unless
  somebody else holds it: making and freeing one costs as much as all the rest of it.
"""

from __future__ import annotations

import asyncio
import math
import warnings
from asyncio import events
from collections import deque
from typing import Any, TypeVar

from quiesce.core import native
from quiesce.core.awaiting import thrown
from quiesce.core.future import Future, new_future
from quiesce.core.ready import ReadyQueue


class OwnQueueShutDown(Exception):  # noqa: N818 - asyncio's name
    """Raised when putting on to or getting from a shut-down queue."""


# asyncio has it since 3.13; an exception of its own kind is what programs catch.
QueueShutDown = getattr(asyncio, "QueueShutDown", OwnQueueShutDown)
QueueEmpty = asyncio.QueueEmpty
QueueFull = asyncio.QueueFull
running_loop = events._get_running_loop

Q = TypeVar("Q", bound=type)


class Exchange:
    """Items on their way from those who put to those who get."""

    __slots__ = (
        "_getters",
        "_is_shutdown",
        "_loop",
        "_putters",
        "_unfinished_tasks",
        "bound",
        "direct",
        "is_own_class",
        "items",
        "joined",
        "limit",
        "ready",
        "spare_get",
        "spare_put",
        "store",
        "take",
    )

    def __init__(self, maxsize: float, is_own_class: bool) -> None:
        self.is_own_class = is_own_class
        self.direct = False
        self._maxsize = maxsize
        self._getters: deque[Any] = deque()
        self._putters: deque[Any] = deque()
        self._unfinished_tasks = 0
        self._is_shutdown = False
        self._loop: Any = None
        self.ready: ReadyQueue | None = None
        self.items: Any = None
        self.store: Any = None
        self.take: Any = None
        self.joined: asyncio.Event | None = None
        self.spare_put: Put | None = None
        self.spare_get: Get | None = None

    # -- what users call

    def put(self, item: Any) -> Any:
        """Add `item`; wait for a free place if the queue is full.

        If the wait is cancelled, `item` was not added. Raises `QueueShutDown` if the
        queue is shut down, also to those who already wait.
        """
        put = self.spare_put
        self.spare_put = None
        if put is None or native.references(put) > 1:
            put = Put.__new__(Put)
            put.waiter = None
        put.exchange = self
        put.item = item
        return put

    def get(self) -> Any:
        """Remove and return the next item; wait for one if the queue is empty.

        If the wait is cancelled, no item was removed. Raises `QueueShutDown` if the
        queue is shut down and empty, also to those who already wait.
        """
        get = self.spare_get
        self.spare_get = None
        if get is None or native.references(get) > 1:
            get = Get.__new__(Get)
            get.waiter = None
            get.item = None
        get.exchange = self
        return get

    def put_nowait(self, item: Any) -> None:
        """Add `item` at once.

        Raises `QueueFull` if there is no free place and `QueueShutDown` if the queue is
        shut down.
        """
        if self._is_shutdown:
            raise QueueShutDown
        if not has_room(self):
            raise QueueFull
        add(self, item)

    def get_nowait(self) -> Any:
        """Remove and return the next item at once.

        Raises `QueueEmpty` if there is none, or `QueueShutDown` if none can come any
        more.
        """
        if not has_items(self):
            raise QueueShutDown if self._is_shutdown else QueueEmpty
        return remove(self)

    def task_done(self) -> None:
        """Count one item that was got as worked off; `join` waits for all of them.

        Raises ValueError if called more often than items were put.
        """
        if self._unfinished_tasks <= 0:
            raise ValueError("task_done() called too many times")
        self._unfinished_tasks -= 1
        if self._unfinished_tasks == 0 and self.joined is not None:
            self.joined.set()

    # -- what asyncio's queue, and subclasses of it, call by these names

    @property
    def _queue(self) -> Any:
        """The container of the items."""
        return self.items

    @_queue.setter
    def _queue(self, items: Any) -> None:
        self.items = items
        self.direct = self.is_own_class and type(items) in (deque, list)
        if self.direct:
            self.store, self.take = self._moves(items)

    @property
    def _maxsize(self) -> float:
        """How many items there is room for; without limit if it is not positive."""
        return self.bound

    @_maxsize.setter
    def _maxsize(self, maxsize: float) -> None:
        self.bound = maxsize
        self.limit = float(maxsize) if maxsize > 0 else math.inf

    @property
    def _finished(self) -> asyncio.Event:
        """The event that `join` waits for; made when it is first asked for."""
        if self.joined is None:
            self.joined = asyncio.Event()
            if self._unfinished_tasks == 0:
                self.joined.set()
        return self.joined

    # -- how it works

    def _moves(self, items: Any) -> tuple[Any, Any]:
        """Return how to put on and how to get from the container `items`."""
        raise NotImplementedError

    def new_waiter(self) -> Future:
        """Return a future of the running loop.

        Raises RuntimeError if somebody waited for this queue in another loop before.
        """
        loop = native.call_none(running_loop)
        if loop is not self._loop:
            if self._loop is not None:
                raise RuntimeError(f"{self!r} is bound to a different event loop")
            self._loop = loop
            ready = getattr(loop, "direct_ready", None)
            self.ready = ready if type(ready) is ReadyQueue else None
        return new_future(loop, self.ready)


def with_quick_calls(queue_class: Q) -> Q:
    """Let Python call the methods of an `Exchange` on `queue_class` the short way."""
    names = ("put", "get", "put_nowait", "get_nowait", "task_done")
    native.adopt_methods(queue_class, Exchange, names)
    return queue_class


def has_room(exchange: Any) -> bool:
    """Tell whether an item may be added."""
    if exchange.direct:
        return native.size(exchange.items) < exchange.limit
    return not exchange.full()


def has_items(exchange: Any) -> bool:
    """Tell whether an item may be removed."""
    if exchange.direct:
        return native.size(exchange.items) > 0
    return not exchange.empty()


def add(exchange: Any, item: Any) -> None:
    """Add `item`, for which there is room, and wake one who wants it."""
    if exchange.direct:
        native.call_one(exchange.store, item)
    else:
        exchange._put(item)
    if exchange._unfinished_tasks == 0 and exchange.joined is not None:
        exchange.joined.clear()
    exchange._unfinished_tasks += 1
    if exchange._getters:
        wake_next(exchange._getters)


def remove(exchange: Any) -> Any:
    """Remove the next item, which there is, and wake one who wants its place."""
    item = native.call_none(exchange.take) if exchange.direct else exchange._get()
    if exchange._putters:
        wake_next(exchange._putters)
    return item


def wake_next(waiters: deque[Any]) -> None:
    """Wake the first that still waits."""
    woken = False
    while waiters and not woken:
        waiter = waiters.popleft()
        if type(waiter) is Future:
            future = waiter
            woken = future._status == native.PENDING
            if woken:
                future.finish(None)
        elif not waiter.done():
            woken = True
            waiter.set_result(None)


class Move:
    """What `Put` and `Get` share: an awaitable with the protocol of a coroutine.

    Like a coroutine it does nothing before it is awaited, may be given to a task, and
    can be awaited once. States: not begun (an exchange, no waiter), waiting (both),
    ended (neither).
    """

    __slots__ = ("exchange", "item", "waiter")

    # What the repr of a task shows of the coroutine it runs.
    __name__ = "Queue"

    def __await__(self) -> Move:
        return self

    def __iter__(self) -> Move:
        return self

    def __next__(self) -> Any:
        raise NotImplementedError

    def send(self, value: object) -> Any:  # noqa: ARG002 - the protocol's
        """Resume, as `coroutine.send` does; what is sent has no effect."""
        return next(self)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        """End without a move, and raise the exception that is given."""
        error = thrown(typ, val, tb)
        self.close()
        try:
            raise error
        finally:
            # An error's traceback keeps this frame: see "Cycles" in `core.task`.
            error = typ = val = None

    def close(self) -> None:
        """End without a move; if it was this one's turn, it is the next one's."""
        exchange = self.exchange
        waiter = self.waiter
        self.exchange: Any = None
        self.waiter: Any = None
        self.item: Any = None
        if waiter is not None:
            self.leave(exchange, waiter)

    def __del__(self) -> None:
        if self.waiter is not None:
            self.close()
        elif self.exchange is not None:
            message = f"coroutine '{self.__name__}' was never awaited"
            warnings.warn(message, RuntimeWarning, stacklevel=native.OWN_FRAMES + 1)

    def check_turn(self) -> None:
        """Raise unless this is the first step, or it was woken."""
        if self.exchange is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if self.waiter is not None:
            if self.waiter._status == native.PENDING:
                raise RuntimeError("coroutine is being awaited already")
            self.waiter = None

    def wait(self, exchange: Exchange, line: deque[Any]) -> Future:
        """Stand in `line`, and return the future to wait for."""
        waiter = exchange.new_waiter()
        line.append(waiter)
        self.exchange = exchange
        self.waiter = waiter
        waiter._blocking = True
        return waiter

    def leave(self, exchange: Exchange, waiter: Future) -> None:
        """Leave the line in which `waiter` stands."""
        raise NotImplementedError


def left_line(line: deque[Any], waiter: Future) -> bool:
    """Take `waiter` out of `line`; return False if it had been woken."""
    if waiter._status == native.FINISHED:
        return False
    if waiter in line:
        line.remove(waiter)
    return True


class Put(Move):
    """One ``queue.put(item)``."""

    __slots__ = ()

    __name__ = "Queue.put"

    def __next__(self) -> Future:
        exchange = self.exchange
        if self.exchange is None or self.waiter is not None:
            self.check_turn()
        self.exchange = None
        if exchange._is_shutdown:
            raise QueueShutDown
        if not has_room(exchange):
            return self.wait(exchange, exchange._putters)
        item = self.item
        self.item = None
        if exchange.direct:
            add(exchange, item)
            exchange.spare_put = self
        else:
            native.stop_with(exchange.put_nowait(item))
        raise StopIteration

    def leave(self, exchange: Exchange, waiter: Future) -> None:
        """Leave the line; if it was this one's turn, it is the next one's."""
        if not left_line(exchange._putters, waiter) and has_room(exchange):
            wake_next(exchange._putters)


class Get(Move):
    """One ``queue.get()``."""

    __slots__ = ()

    __name__ = "Queue.get"

    def __next__(self) -> Future:
        exchange = self.exchange
        if self.exchange is None or self.waiter is not None:
            self.check_turn()
        self.exchange = None
        if not has_items(exchange):
            if exchange._is_shutdown:
                raise QueueShutDown
            return self.wait(exchange, exchange._getters)
        if exchange.direct:
            item = remove(exchange)
            exchange.spare_get = self
        else:
            item = exchange.get_nowait()
        native.stop_with(item)
        raise StopIteration

    def leave(self, exchange: Exchange, waiter: Future) -> None:
        """Leave the line; if it was this one's turn, it is the next one's."""
        if not left_line(exchange._getters, waiter) and has_items(exchange):
            wake_next(exchange._getters)


# A task that waits holds one of these.
native.keep_freed(Put)
native.keep_freed(Get)
