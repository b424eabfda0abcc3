"""`wait_for` waits for one thing, but not too long, and loses no result."""

from __future__ import annotations

import asyncio

import pytest

from quiesce import create_task, get_running_loop, shield, sleep, wait_for
from tests.combinators.running import in_loop


@in_loop
async def test_a_result_in_time_is_returned():
    assert await wait_for(sleep(1, "in time"), 2) == "in time"


@in_loop
async def test_no_timeout_means_no_limit():
    assert await wait_for(sleep(1000, "late"), None) == "late"


@in_loop
async def test_what_takes_too_long_is_cancelled():
    task = create_task(sleep(9))
    with pytest.raises(TimeoutError):
        await wait_for(task, 1)
    assert task.cancelled()
    assert get_running_loop().time() == 1


@in_loop
async def test_a_result_that_comes_at_the_deadline_is_not_lost():
    loop = get_running_loop()
    future = loop.create_future()
    loop.call_later(1, future.set_result, "just in time")
    try:
        outcome = await wait_for(future, 1)
    except TimeoutError:
        outcome = future.result()
    assert outcome == "just in time"


@in_loop
async def test_the_timeout_comes_after_the_cleanup_of_what_is_cancelled():
    steps = []

    async def clean_up_slowly():
        try:
            await sleep(9)
        finally:
            await sleep(1)
            steps.append("cleaned up")

    with pytest.raises(TimeoutError):
        await wait_for(clean_up_slowly(), 1)
    assert steps == ["cleaned up"]


@in_loop
async def test_a_result_instead_of_the_cancellation_is_returned():
    async def refuse():
        try:
            await sleep(9)
        except asyncio.CancelledError:
            return "refused"

    assert await wait_for(refuse(), 1) == "refused"


@in_loop
async def test_an_exception_instead_of_the_cancellation_is_raised():
    async def fail():
        try:
            await sleep(9)
        except asyncio.CancelledError:
            raise LookupError from None

    with pytest.raises(LookupError):
        await wait_for(fail(), 1)


@in_loop
async def test_cancelling_the_waiter_cancels_what_it_waits_for():
    task = create_task(sleep(9))
    waiter = create_task(wait_for(task, 5))
    await sleep(1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert task.cancelled()


@in_loop
async def test_a_shielded_task_outlives_the_timeout():
    task = create_task(sleep(2, "unharmed"))
    with pytest.raises(TimeoutError):
        await wait_for(shield(task), 1)
    assert await task == "unharmed"


@in_loop
@pytest.mark.parametrize("timeout", [0, -1])
async def test_without_any_time_a_coroutine_does_not_start(timeout):
    started = []

    async def start():
        started.append(True)

    with pytest.raises(TimeoutError):
        await wait_for(start(), timeout)
    assert started == []


@in_loop
async def test_without_any_time_a_result_that_is_there_is_returned():
    future = get_running_loop().create_future()
    future.set_result("there")
    assert await wait_for(future, 0) == "there"


@in_loop
async def test_the_cancellation_is_the_cause_of_the_timeout_error():
    with pytest.raises(TimeoutError) as caught:
        await wait_for(sleep(9), 1)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


@in_loop
async def test_no_timer_is_left_behind():
    await wait_for(sleep(1), 9)
    assert len(get_running_loop().timers) == 0
