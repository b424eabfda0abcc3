"""`gather` runs many at once and gives their results in the given order."""

from __future__ import annotations

import asyncio

import pytest

from quiesce import create_task, gather, get_running_loop, run, sleep
from tests.combinators.running import in_loop


async def fail(delay=0.0):
    await sleep(delay)
    raise LookupError(delay)


@in_loop
async def test_results_come_in_the_order_of_the_arguments():
    assert await gather(sleep(3, "a"), sleep(1, "b"), sleep(2, "c")) == ["a", "b", "c"]


@in_loop
async def test_all_run_at_the_same_time():
    loop = get_running_loop()
    began = loop.time()
    await gather(sleep(3), sleep(2), sleep(1))
    assert loop.time() - began == 3


@in_loop
async def test_nothing_gathered_is_an_empty_list():
    assert await gather() == []


@in_loop
async def test_the_first_error_is_raised_and_the_others_run_on():
    other = create_task(sleep(5, "later"))
    with pytest.raises(LookupError):
        await gather(other, fail(1))
    assert get_running_loop().time() == 1
    assert await other == "later"


@in_loop
async def test_errors_stand_among_the_results_if_asked_for():
    results = await gather(sleep(0, 1), fail(), return_exceptions=True)
    assert results[0] == 1
    assert isinstance(results[1], LookupError)


@in_loop
async def test_what_is_given_twice_runs_once():
    coro = sleep(1, object())
    first, second = await gather(coro, coro)
    assert first is second


@in_loop
async def test_cancelling_it_cancels_every_child():
    children = [create_task(sleep(9)) for _ in range(3)]
    gathering = gather(*children)
    await sleep(0)
    assert gathering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert all(child.cancelled() for child in children)


@in_loop
async def test_a_cancelled_child_leaves_its_siblings_alone():
    first, second = create_task(sleep(9)), create_task(sleep(1, "alive"))
    gathering = gather(first, second)
    await sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gathering
    assert await second == "alive"


@in_loop
async def test_a_cancelled_child_is_an_error_among_the_results():
    child = create_task(sleep(9))
    gathering = gather(child, sleep(1, "alive"), return_exceptions=True)
    await sleep(0)
    child.cancel()
    error, result = await gathering
    assert isinstance(error, asyncio.CancelledError)
    assert result == "alive"


def test_outside_a_running_loop_the_loop_that_is_set_is_used(loop):
    asyncio.set_event_loop(loop)
    try:
        both = gather(sleep(0, 1), sleep(0, 2))
    finally:
        asyncio.set_event_loop(None)
    assert loop.run_until_complete(both) == [1, 2]


def test_an_error_after_the_first_is_reported_once():
    reported = []

    async def fail(turns):
        for _ in range(turns):
            await asyncio.sleep(0)
        raise ZeroDivisionError(turns)

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        with pytest.raises(ZeroDivisionError, match="1"):
            await gather(fail(1), fail(5))
        for _ in range(10):
            await asyncio.sleep(0)

    run(main())
    assert [str(context["exception"]) for context in reported] == ["5"]
