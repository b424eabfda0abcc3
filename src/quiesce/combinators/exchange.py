"""The busy half of a queue: items that wait, and the tasks that wait for one another.

`Exchange` keeps the items, those who want to put one and those who want to get one; `Put`
and `Get` are what ``await queue.put(item)`` and ``await queue.get()`` drive. The class that
users see is `queues.Queue`; read that first.

Invariants:

- A waiter (a pending future in ``_putters`` or ``_getters``) stands for one task that waits.
  Waking it moves no item: the task looks again when it runs, for another may have been
  quicker. If it cannot run any more, it wakes the next in its place.
- ``direct`` means that the class is one of quiesce's own. A user's subclass may override
  any step, so there each step goes through the method that asyncio's queue would call.
"""

from __future__ import annotations

import asyncio
import math
import warnings
from asyncio import events
from collections import deque
from typing import TYPE_CHECKING, Any

from quiesce.core import native
from quiesce.core.future import Future, new_future, thrown
from quiesce.core.ready import ReadyQueue

if TYPE_CHECKING:
    from collections.abc import Callable


class OwnQueueShutDown(Exception):  # noqa: N818 - asyncio's name
    """Raised when putting on to or getting from a shut-down queue."""


# asyncio has it since 3.13; an exception of its own kind is what programs catch.
QueueShutDown = getattr(asyncio, "QueueShutDown", OwnQueueShutDown)
QueueEmpty = asyncio.QueueEmpty
QueueFull = asyncio.QueueFull
running_loop = events._get_running_loop


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
        "items",
        "joined",
        "limit",
        "ready",
        "spare_get",
        "spare_put",
        "store",
        "take",
    )

    def __init__(self, maxsize: float, direct: bool) -> None:
        self.direct = direct
        self._maxsize = maxsize
        self._getters = deque()
        self._putters = deque()
        self._unfinished_tasks = 0
        self._is_shutdown = False
        self._loop = None
        self.ready = None
        self.items = None
        self.store = None
        self.take = None
        self.joined = None
        self.spare_put = None
        self.spare_get = None

    # -- what users call

    def put(self, item: Any) -> Put:
        """Add `item`; wait for a free place if the queue is full.

        If the wait is cancelled, `item` was not added. Raises `QueueShutDown` if the queue
        is shut down, also to those who already wait.
        """
        put = self.spare_put
        if put is None or put.exchange is not None or native.references(put) > 2:
            put = Put.__new__(Put)
            put.waiter = None
            self.spare_put = put
        put.exchange = self
        put.item = item
        return put

    def get(self) -> Get:
        """Remove and return the next item; wait for one if the queue is empty.

        If the wait is cancelled, no item was removed. Raises `QueueShutDown` if the queue is
        shut down and empty, also to those who already wait.
        """
        get = self.spare_get
        if get is None or get.exchange is not None or native.references(get) > 2:
            get = Get.__new__(Get)
            get.waiter = None
            get.item = None
            self.spare_get = get
        get.exchange = self
        return get

    def put_nowait(self, item: Any) -> None:
        """Add `item` at once.

        Raises `QueueFull` if there is no free place and `QueueShutDown` if the queue is shut
        down.
        """
        self.put_now(item)

    def get_nowait(self) -> Any:
        """Remove and return the next item at once.

        Raises `QueueEmpty` if there is none, or `QueueShutDown` if none can come any more.
        """
        return self.get_now()

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

    def has_room(self) -> bool:
        """Tell whether an item may be added."""
        if self.direct:
            return native.size(self.items) < self.limit
        return not self.full()

    def has_items(self) -> bool:
        """Tell whether an item may be removed."""
        if self.direct:
            return native.size(self.items) > 0
        return not self.empty()

    def put_now(self, item: Any) -> None:
        """Add `item` and wake one who wants it."""
        if self._is_shutdown:
            raise QueueShutDown
        if not self.has_room():
            raise QueueFull
        if self.direct:
            self.store(item)
        else:
            self._put(item)
        if self._unfinished_tasks == 0 and self.joined is not None:
            self.joined.clear()
        self._unfinished_tasks += 1
        if native.size(self._getters):
            wake_next(self._getters)

    def get_now(self) -> Any:
        """Remove the next item and wake one who wants its place."""
        if not self.has_items():
            raise QueueShutDown if self._is_shutdown else QueueEmpty
        item = self.take() if self.direct else self._get()
        if native.size(self._putters):
            wake_next(self._putters)
        return item

    def new_waiter(self) -> Future:
        """Return a future of the running loop.

        Raises RuntimeError if somebody waited for this queue in another loop before.
        """
        loop = running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise RuntimeError(f"{self!r} is bound to a different event loop")
            self._loop = loop
            ready = getattr(loop, "direct_ready", None)
            self.ready = ready if type(ready) is ReadyQueue else None
        return new_future(loop, self.ready)


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

    Like a coroutine it does nothing before it is awaited, may be given to a task, and can be
    awaited once. States: not begun (an exchange, no waiter), waiting (both), ended (neither).
    """

    __slots__ = ("exchange", "item", "waiter")

    def __await__(self) -> Move:
        return self

    def __iter__(self) -> Move:
        return self

    def send(self, value: object) -> Any:
        """Resume, as `coroutine.send` does; what is sent has no effect."""
        return next(self)

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> Any:
        """End without a move, and raise the exception that is given."""
        error = thrown(typ, val, tb)
        self.close()
        raise error

    def close(self) -> None:
        """End without a move; if it was this one's turn, it is the next one's."""
        exchange = self.exchange
        waiter = self.waiter
        self.exchange = None
        self.waiter = None
        self.item = None
        if waiter is None:
            return
        line = self.line(exchange)
        if waiter._status != native.FINISHED:
            if waiter in line:
                line.remove(waiter)
        elif self.can_move(exchange):
            wake_next(line)

    def __del__(self) -> None:
        if self.waiter is not None:
            self.close()
        elif self.exchange is not None:
            message = f"coroutine '{self.__qualname__}' was never awaited"
            warnings.warn(message, RuntimeWarning, stacklevel=native.OWN_FRAMES + 1)

    def begin_step(self) -> Exchange:
        """Return the exchange to look at, and be ended unless `wait` follows."""
        exchange = self.exchange
        waiter = self.waiter
        if exchange is None:
            raise RuntimeError("cannot reuse already awaited coroutine")
        if waiter is not None:
            if waiter._status == native.PENDING:
                raise RuntimeError("coroutine is being awaited already")
            self.waiter = None
        self.exchange = None
        return exchange

    def wait(self, exchange: Exchange) -> Future:
        """Stand in line, and return the future to wait for."""
        waiter = exchange.new_waiter()
        self.line(exchange).append(waiter)
        # Only its task may hold it now, so that it ends with the task if that is dropped.
        if exchange.spare_put is self:
            exchange.spare_put = None
        elif exchange.spare_get is self:
            exchange.spare_get = None
        self.exchange = exchange
        self.waiter = waiter
        waiter._asyncio_future_blocking = True
        return waiter

    def line(self, exchange: Exchange) -> deque[Any]:
        """Return those who wait to do the same."""
        raise NotImplementedError

    def can_move(self, exchange: Exchange) -> bool:
        """Tell whether there is no reason to wait."""
        raise NotImplementedError


class Put(Move):
    """One ``queue.put(item)``."""

    __slots__ = ()

    # What the repr of a task shows of the coroutine it runs.
    __name__ = "Queue.put"
    __qualname__ = "Queue.put"

    def __next__(self) -> Future:
        exchange = self.begin_step()
        if not exchange._is_shutdown and not exchange.has_room():
            return self.wait(exchange)
        item = self.item
        self.item = None
        if exchange.direct:
            exchange.put_now(item)
        else:
            native.stop_with(exchange.put_nowait(item))
        raise StopIteration

    def line(self, exchange: Exchange) -> deque[Any]:
        """Return those who wait to put."""
        return exchange._putters

    def can_move(self, exchange: Exchange) -> bool:
        """Tell whether an item may be added."""
        return exchange.has_room()


class Get(Move):
    """One ``queue.get()``."""

    __slots__ = ()

    __name__ = "Queue.get"
    __qualname__ = "Queue.get"

    def __next__(self) -> Future:
        exchange = self.begin_step()
        if not exchange._is_shutdown and not exchange.has_items():
            return self.wait(exchange)
        if exchange.direct:
            native.stop_with(exchange.get_now())
        else:
            native.stop_with(exchange.get_nowait())
        raise StopIteration

    def line(self, exchange: Exchange) -> deque[Any]:
        """Return those who wait to get."""
        return exchange._getters

    def can_move(self, exchange: Exchange) -> bool:
        """Tell whether an item may be removed."""
        return exchange.has_items()


# A queue lives on these: one for each item that is put, and one for each that is got.
native.keep_freed(Put)
native.keep_freed(Get)
