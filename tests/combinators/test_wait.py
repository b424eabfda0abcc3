"""`wait` tells those that are done from those that are not."""

from __future__ import annotations

import asyncio

import pytest

from quiesce import (
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    create_task,
    get_running_loop,
    sleep,
    wait,
)
from tests.combinators.running import in_loop


async def fail_after(delay):
    await sleep(delay)
    raise LookupError


@in_loop
async def test_it_waits_for_all():
    tasks = {create_task(sleep(delay)) for delay in (1, 3, 2)}
    done, pending = await wait(tasks)
    assert (done, pending) == (tasks, set())
    assert get_running_loop().time() == 3


@in_loop
async def test_it_takes_a_list_as_well_as_a_set():
    tasks = [create_task(sleep(1)), create_task(sleep(1))]
    done, pending = await wait(tasks)
    assert (done, pending) == (set(tasks), set())


@in_loop
async def test_it_can_wait_for_the_first_that_is_done():
    quick, slow = create_task(sleep(1)), create_task(sleep(2))
    assert await wait([quick, slow], return_when=FIRST_COMPLETED) == ({quick}, {slow})
    assert get_running_loop().time() == 1
    await slow


@in_loop
async def test_it_can_wait_for_the_first_that_fails():
    quick, slow = create_task(sleep(1)), create_task(sleep(3))
    bad = create_task(fail_after(2))
    done, pending = await wait([quick, bad, slow], return_when=FIRST_EXCEPTION)
    assert (done, pending) == ({quick, bad}, {slow})
    with pytest.raises(LookupError):
        bad.result()
    await slow


@in_loop
async def test_waiting_for_the_first_failure_waits_for_all_if_none_fails():
    quick, slow = create_task(sleep(1)), create_task(sleep(2))
    quick_cancelled = create_task(sleep(9))
    get_running_loop().call_later(1, quick_cancelled.cancel)
    tasks = {quick, slow, quick_cancelled}
    assert await wait(tasks, return_when=FIRST_EXCEPTION) == (tasks, set())
    assert get_running_loop().time() == 2


@in_loop
async def test_after_the_timeout_it_gives_what_is_done():
    quick, slow = create_task(sleep(1)), create_task(sleep(3))
    assert await wait([quick, slow], timeout=2) == ({quick}, {slow})
    assert not slow.cancelled()
    await slow


@in_loop
async def test_cancelling_the_waiter_cancels_nothing_else():
    task = create_task(sleep(2, "unharmed"))
    waiter = create_task(wait([task]))
    await sleep(1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert await task == "unharmed"


@in_loop
async def test_futures_that_are_done_already_are_given_all_the_same():
    future = get_running_loop().create_future()
    future.set_result(None)
    assert await wait([future]) == ({future}, set())


@in_loop
async def test_no_timer_is_left_behind():
    await wait([create_task(sleep(1))], timeout=9)
    assert len(get_running_loop().timers) == 0


@in_loop
async def test_coroutines_are_refused():
    coro = sleep(1)
    with pytest.raises(TypeError, match="Passing coroutines is forbidden"):
        await wait([coro])
    coro.close()


@in_loop
async def test_a_single_future_is_refused():
    with pytest.raises(TypeError, match="expect a list of futures, not Future"):
        await wait(get_running_loop().create_future())


@in_loop
async def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="Set of Tasks/Futures is empty"):
        await wait([])


@in_loop
async def test_an_unknown_condition_is_refused():
    future = get_running_loop().create_future()
    with pytest.raises(ValueError, match="Invalid return_when value: SOMETIMES"):
        await wait([future], return_when="SOMETIMES")
