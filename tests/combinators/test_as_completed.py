"""`as_completed` gives things in the order in which they get done."""

from __future__ import annotations

import asyncio

import pytest

from quiesce import as_completed, create_task, get_running_loop, sleep
from tests.combinators.running import in_loop


async def fail_after(delay):
    await sleep(delay)
    raise LookupError


@in_loop
async def test_a_plain_loop_gives_coroutines_of_the_results():
    waiting = as_completed([sleep(3, "c"), sleep(1, "a"), sleep(2, "b")])
    assert [await coro for coro in waiting] == ["a", "b", "c"]


@in_loop
async def test_an_async_loop_gives_the_futures_themselves():
    slow, quick = create_task(sleep(2)), create_task(sleep(1))
    assert [task async for task in as_completed([slow, quick])] == [quick, slow]


@in_loop
async def test_an_async_loop_gives_the_tasks_of_coroutines():
    tasks = [task async for task in as_completed([sleep(2, "b"), sleep(1, "a")])]
    assert [task.result() for task in tasks] == ["a", "b"]


@in_loop
async def test_an_exception_is_raised_by_the_coroutine_whose_turn_it_is():
    first, second = as_completed([sleep(1, "a"), fail_after(2)])
    assert await first == "a"
    with pytest.raises(LookupError):
        await second


@in_loop
async def test_what_is_given_twice_comes_once():
    task = create_task(sleep(1))
    assert [done async for done in as_completed([task, task])] == [task]


@in_loop
async def test_nothing_gives_nothing():
    assert list(as_completed([])) == []
    assert [done async for done in as_completed([])] == []


@in_loop
async def test_after_the_timeout_each_that_remains_raises():
    slow = create_task(sleep(5, "late"))
    first, second = as_completed([sleep(1, "in time"), slow], timeout=2)
    assert await first == "in time"
    with pytest.raises(TimeoutError):
        await second
    assert await slow == "late"


@in_loop
async def test_after_the_timeout_an_async_loop_raises():
    quick, slow = create_task(sleep(1)), create_task(sleep(5))
    waiting = as_completed([quick, slow], timeout=2)
    assert await anext(waiting) is quick
    with pytest.raises(TimeoutError):
        await anext(waiting)
    await slow


@in_loop
async def test_no_timer_is_left_behind():
    async for _ in as_completed([sleep(1), sleep(2)], timeout=9):
        pass
    assert len(get_running_loop().timers) == 0


@in_loop
async def test_both_kinds_of_loop_can_share_one_iterator():
    waiting = as_completed([sleep(1, "a"), sleep(2, "b")])
    assert await next(waiting) == "a"
    assert (await anext(waiting)).result() == "b"
    with pytest.raises(StopIteration):
        next(waiting)
    with pytest.raises(StopAsyncIteration):
        await anext(waiting)


@in_loop
async def test_a_single_future_is_refused():
    future = get_running_loop().create_future()
    with pytest.raises(TypeError, match="an iterable of awaitables, not Future"):
        list(as_completed(future))


@in_loop
async def test_cancelling_the_one_who_iterates_cancels_nothing_else():
    task = create_task(sleep(2, "unharmed"))

    async def iterate():
        async for _ in as_completed([task]):
            pass

    iterating = create_task(iterate())
    await sleep(1)
    iterating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await iterating
    assert await task == "unharmed"
