"""Queues hand items from the tasks that put to the tasks that get."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref

import pytest

import quiesce
from quiesce import (
    LifoQueue,
    PriorityQueue,
    Queue,
    QueueEmpty,
    QueueFull,
    QueueShutDown,
    create_task,
    gather,
    get_running_loop,
    sleep,
    wait_for,
)
from tests.combinators.running import in_loop

KINDS = pytest.mark.parametrize("kind", [Queue, LifoQueue, PriorityQueue])


class Reversed(Queue):
    """A user's queue, with asyncio's hooks: it gives the item that was put last."""

    def _init(self, maxsize):
        self._queue = []

    def _put(self, item):
        self._queue.append(item)

    def _get(self):
        return self._queue.pop()


class Counted(Queue):
    """A user's queue that overrides what everybody calls."""

    puts = gets = 0

    def put_nowait(self, item):
        self.puts += 1
        super().put_nowait(item)

    def get_nowait(self):
        self.gets += 1
        return super().get_nowait()


ALL_KINDS = pytest.mark.parametrize(
    "kind", [Queue, LifoQueue, PriorityQueue, Reversed, Counted]
)


async def drain(queue):
    return [await queue.get() for _ in range(queue.qsize())]


@in_loop
@pytest.mark.parametrize(
    ("kind", "order"),
    [
        (Queue, [2, 3, 1]),
        (LifoQueue, [1, 3, 2]),
        (PriorityQueue, [1, 2, 3]),
        (Reversed, [1, 3, 2]),
        (Counted, [2, 3, 1]),
    ],
)
async def test_each_kind_has_its_order(kind, order):
    queue = kind()
    for item in (2, 3, 1):
        await queue.put(item)
    assert await drain(queue) == order


@in_loop
@ALL_KINDS
async def test_get_waits_for_an_item(kind):
    queue = kind()
    getting = create_task(queue.get())
    await sleep(1)
    assert not getting.done()
    queue.put_nowait("item")
    assert await getting == "item"


@in_loop
@ALL_KINDS
async def test_put_waits_for_a_place(kind):
    queue = kind(1)
    await queue.put(1)
    putting = create_task(queue.put(2))
    await sleep(1)
    assert not putting.done()
    assert queue.get_nowait() == 1
    await putting
    assert queue.get_nowait() == 2


@in_loop
@ALL_KINDS
async def test_what_many_put_many_get(kind):
    queue = kind(3)

    async def put_some(first):
        for item in range(first, first + 50):
            await queue.put(item)

    async def get_some():
        return [await queue.get() for _ in range(50)]

    _, _, *got = await gather(put_some(0), put_some(50), get_some(), get_some())
    assert sorted(itertools.chain(*got)) == list(range(100))


@in_loop
async def test_those_who_wait_get_in_the_order_in_which_they_came():
    queue = Queue()
    getting = [create_task(queue.get()) for _ in range(3)]
    await sleep(0)
    for item in "abc":
        queue.put_nowait(item)
    assert await gather(*getting) == ["a", "b", "c"]


@in_loop
async def test_any_object_is_an_item():
    queue = Queue()
    for item in (None, (), (1, 2), StopIteration(3), ValueError, LookupError()):
        await queue.put(item)
        assert await queue.get() is item


@in_loop
async def test_a_full_queue_refuses_what_cannot_wait():
    queue = Queue(1)
    queue.put_nowait(1)
    assert queue.full()
    with pytest.raises(QueueFull):
        queue.put_nowait(2)


@in_loop
async def test_an_empty_queue_has_nothing_for_who_cannot_wait():
    queue = Queue()
    assert queue.empty()
    with pytest.raises(QueueEmpty):
        queue.get_nowait()


@in_loop
@pytest.mark.parametrize("maxsize", [0, -1])
async def test_without_a_positive_size_there_is_always_room(maxsize):
    queue = Queue(maxsize)
    for item in range(1000):
        await queue.put(item)
    assert not queue.full()
    assert queue.qsize() == 1000
    assert queue.maxsize == maxsize


@in_loop
async def test_a_size_need_not_be_whole():
    queue = Queue(1.5)
    queue.put_nowait(1)
    assert not queue.full()
    queue.put_nowait(2)
    assert queue.full()
    assert queue.maxsize == 1.5


# -- cancelling


@in_loop
@ALL_KINDS
async def test_a_cancelled_get_leaves_the_item_to_the_next(kind):
    queue = kind()
    first, second = create_task(queue.get()), create_task(queue.get())
    await sleep(0)
    queue.put_nowait("item")
    first.cancel()
    assert await second == "item"
    assert first.cancelled()


@in_loop
@ALL_KINDS
async def test_a_cancelled_put_leaves_the_place_to_the_next(kind):
    queue = kind(1)
    queue.put_nowait(0)
    first, second = create_task(queue.put(1)), create_task(queue.put(2))
    await sleep(0)
    queue.get_nowait()
    first.cancel()
    await second
    assert first.cancelled()
    assert queue.get_nowait() == 2


@in_loop
async def test_a_get_that_was_cancelled_while_it_waited_takes_nothing():
    queue = Queue()
    getting = create_task(queue.get())
    await sleep(0)
    getting.cancel()
    await sleep(0)
    queue.put_nowait("item")
    assert getting.cancelled()
    assert queue.qsize() == 1


@in_loop
async def test_a_get_can_time_out():
    queue = Queue()
    with pytest.raises(TimeoutError):
        await wait_for(queue.get(), 1)
    queue.put_nowait("item")
    assert await wait_for(queue.get(), 1) == "item"


@in_loop
async def test_a_get_that_is_dropped_while_it_waits_leaves_its_turn_to_the_next():
    queue = Queue()
    dropped = queue.get()
    dropped.send(None)
    second = create_task(queue.get())
    await sleep(0)
    queue.put_nowait("item")
    del dropped
    gc.collect()
    assert await second == "item"


# -- put and get as coroutines


@in_loop
async def test_nothing_happens_before_the_first_step():
    queue = Queue()
    putting = queue.put(1)
    await sleep(1)
    assert queue.empty()
    await putting
    assert queue.qsize() == 1


@in_loop
async def test_put_and_get_are_coroutines_to_asyncio():
    queue = Queue()
    for coro in (queue.put(1), queue.get()):
        assert asyncio.iscoroutine(coro)
        await coro


@in_loop
async def test_a_put_can_be_awaited_only_once():
    queue = Queue()
    putting = queue.put(1)
    await putting
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await putting
    assert queue.qsize() == 1


@in_loop
async def test_a_put_that_somebody_keeps_is_not_used_again():
    queue = Queue()
    first = queue.put(1)
    await first
    second = queue.put(2)
    assert second is not first
    await second


@in_loop
async def test_two_that_are_not_yet_awaited_are_two():
    queue = Queue()
    first, second = queue.put(1), queue.put(2)
    await second
    await first
    assert await drain(queue) == [2, 1]


@in_loop
async def test_two_tasks_cannot_await_the_same_get():
    queue = Queue()
    getting = queue.get()
    waiting = create_task(getting)
    await sleep(0)
    with pytest.raises(RuntimeError, match="awaited already"):
        await getting
    queue.put_nowait("item")
    assert await waiting == "item"


def test_a_put_that_is_not_awaited_is_reported():
    queue = Queue()
    with pytest.warns(RuntimeWarning, match=r"'Queue\.put' was never awaited"):
        queue.put(1)


def test_a_get_that_is_not_awaited_is_reported():
    queue = Queue()
    with pytest.warns(RuntimeWarning, match=r"'Queue\.get' was never awaited"):
        queue.get()


def test_one_that_is_closed_before_it_begins_is_not_reported():
    Queue().get().close()


@in_loop
async def test_what_is_thrown_into_a_get_comes_out():
    getting = Queue().get()
    getting.send(None)
    with pytest.raises(LookupError):
        getting.throw(LookupError())


@in_loop
async def test_a_task_shows_what_it_runs():
    queue = Queue()
    getting = create_task(queue.get())
    assert "Queue.get" in repr(getting)
    queue.put_nowait(1)
    await getting


# -- join


@in_loop
@ALL_KINDS
async def test_join_waits_until_everything_is_worked_off(kind):
    queue = kind()
    for item in range(3):
        queue.put_nowait(item)
    joining = create_task(queue.join())
    for _ in range(3):
        await queue.get()
        await sleep(1)
        assert not joining.done()
        queue.task_done()
    await joining


@in_loop
async def test_join_of_an_unused_queue_returns_at_once():
    await Queue().join()


@in_loop
async def test_join_waits_again_for_what_is_put_later():
    queue = Queue()
    for _ in range(2):
        queue.put_nowait(1)
        joining = create_task(queue.join())
        await sleep(1)
        assert not joining.done()
        queue.get_nowait()
        queue.task_done()
        await joining


@in_loop
async def test_more_cannot_be_done_than_was_put():
    queue = Queue()
    queue.put_nowait(1)
    queue.task_done()
    with pytest.raises(ValueError, match="called too many times"):
        queue.task_done()


# -- shutdown


@in_loop
@ALL_KINDS
async def test_nothing_can_be_put_on_a_queue_that_is_shut_down(kind):
    queue = kind()
    queue.shutdown()
    with pytest.raises(QueueShutDown):
        await queue.put(1)
    with pytest.raises(QueueShutDown):
        queue.put_nowait(1)


@in_loop
@ALL_KINDS
async def test_what_is_left_can_still_be_got(kind):
    queue = kind()
    queue.put_nowait(1)
    queue.put_nowait(2)
    queue.shutdown()
    assert {await queue.get(), queue.get_nowait()} == {1, 2}
    with pytest.raises(QueueShutDown):
        await queue.get()
    with pytest.raises(QueueShutDown):
        queue.get_nowait()


@in_loop
@ALL_KINDS
async def test_those_who_wait_to_get_are_woken_by_a_shutdown(kind):
    queue = kind()
    getting = [create_task(queue.get()) for _ in range(3)]
    await sleep(0)
    queue.shutdown()
    outcomes = await gather(*getting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [QueueShutDown] * 3


@in_loop
@ALL_KINDS
async def test_those_who_wait_to_put_are_woken_by_a_shutdown(kind):
    queue = kind(1)
    queue.put_nowait(0)
    putting = [create_task(queue.put(item)) for item in range(3)]
    await sleep(0)
    queue.shutdown()
    outcomes = await gather(*putting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [QueueShutDown] * 3
    assert queue.qsize() == 1


@in_loop
async def test_a_shutdown_can_drop_what_is_left():
    queue = Queue()
    queue.put_nowait(1)
    joining = create_task(queue.join())
    await sleep(0)
    queue.shutdown(immediate=True)
    await joining
    with pytest.raises(QueueShutDown):
        await queue.get()


def test_the_error_is_the_one_asyncio_users_catch():
    assert QueueShutDown is getattr(asyncio, "QueueShutDown", QueueShutDown)
    assert QueueEmpty is asyncio.QueueEmpty
    assert QueueFull is asyncio.QueueFull


# -- what a queue is


@KINDS
def test_they_are_asyncios_queues_to_who_asks(kind):
    assert isinstance(kind(), getattr(asyncio, kind.__name__))
    assert isinstance(kind(), quiesce.Queue)


def test_they_can_carry_any_attribute():
    queue = Queue()
    queue.purpose = "work"
    assert queue.purpose == "work"


def test_they_take_a_type():
    assert Queue[int].__origin__ is Queue
    assert Queue[int].__args__ == (int,)


@in_loop
async def test_their_repr_says_what_is_in_them():
    queue = Queue(2)
    queue.put_nowait("a")
    queue.put_nowait("b")
    putting = create_task(queue.put("c"))
    await sleep(0)
    assert str(queue) == "<Queue maxsize=2 _queue=['a', 'b'] _putters[1] tasks=2>"
    putting.cancel()
    await sleep(0)
    queue.shutdown()
    assert str(queue) == "<Queue maxsize=2 _queue=['a', 'b'] tasks=2 shutdown>"


@in_loop
async def test_a_subclass_is_asked_for_each_step():
    queue = Counted(1)
    await gather(queue.put(1), queue.put(2), queue.get(), queue.get())
    assert (queue.puts, queue.gets) == (2, 2)


@in_loop
async def test_their_container_may_be_replaced():
    queue = Queue(2)
    queue.put_nowait("old")
    queue._queue = type(queue._queue)(["new"])
    assert await queue.get() == "new"
    queue._queue = {}
    assert queue.empty()


def test_a_queue_belongs_to_the_loop_in_which_somebody_waited():
    queue = Queue()

    async def wait_briefly():
        with pytest.raises(TimeoutError):
            await wait_for(queue.get(), 0.001)

    async def refuse():
        with pytest.raises(RuntimeError, match="bound to a different event loop"):
            await queue.get()

    for main in (wait_briefly, refuse):
        loop = quiesce.new_event_loop()
        loop.run_until_complete(main())
        loop.close()


def test_they_work_on_asyncios_own_loop():
    async def hand_over():
        queue = Queue(1)

        async def put_some():
            for item in range(10):
                await queue.put(item)

        putting = asyncio.ensure_future(put_some())
        items = [await queue.get() for _ in range(10)]
        await putting
        return items

    loop = asyncio.SelectorEventLoop()
    assert loop.run_until_complete(hand_over()) == list(range(10))
    loop.close()


@in_loop
async def test_a_queue_that_is_dropped_lets_go_of_its_items():
    class Item:
        pass

    queue = Queue()
    item = Item()
    await queue.put(item)
    gone = weakref.ref(item)
    dropped = weakref.ref(queue)
    del item, queue
    assert gone() is None
    assert dropped() is None


@in_loop
async def test_an_item_that_was_got_is_kept_by_nobody():
    class Item:
        pass

    queue = Queue()
    await queue.put(Item())
    item = await queue.get()
    gone = weakref.ref(item)
    del item
    assert gone() is None
    assert get_running_loop().time() == 0
