"""`sleep` waits as long as it is told, or lets others run once."""

from __future__ import annotations

import asyncio

import pytest

from quiesce import create_task, get_running_loop, sleep
from tests.combinators.running import in_loop


@in_loop
async def test_it_takes_as_long_as_it_is_told():
    loop = get_running_loop()
    began = loop.time()
    await sleep(2.5)
    assert loop.time() - began == 2.5


@in_loop
async def test_it_gives_the_result_it_was_given():
    assert await sleep(0, "now") == "now"
    assert await sleep(1, (1, 2)) == (1, 2)


@in_loop
@pytest.mark.parametrize("delay", [0, -1, -0.5])
async def test_without_a_positive_delay_others_run_once(delay):
    steps = []

    async def two_steps(name):
        steps.append(name)
        await sleep(delay)
        steps.append(name)

    await asyncio.gather(two_steps("a"), two_steps("b"))
    assert steps == ["a", "b", "a", "b"]


@in_loop
async def test_a_delay_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        await sleep(float("nan"))


@in_loop
async def test_cancelling_the_sleeper_stops_the_timer():
    sleeper = create_task(sleep(10))
    await sleep(0)
    sleeper.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper
    assert len(get_running_loop().timers) == 0


@in_loop
async def test_it_can_be_run_as_a_task():
    assert await create_task(sleep(1, "done")) == "done"


@in_loop
async def test_it_can_be_awaited_only_once():
    sleeping = sleep(1)
    await sleeping
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        await sleeping


def test_one_that_is_not_awaited_is_reported():
    with pytest.warns(RuntimeWarning, match="coroutine 'sleep' was never awaited"):
        sleep(1)
