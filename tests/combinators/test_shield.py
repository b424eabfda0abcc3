"""`shield` keeps a cancellation from what is waited for."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from quiesce import create_task, get_running_loop, shield, sleep
from tests.combinators.running import in_loop


async def fail_after(delay):
    await sleep(delay)
    raise LookupError


@in_loop
async def test_the_result_comes_through():
    assert await shield(sleep(1, "result")) == "result"


@in_loop
async def test_an_exception_comes_through():
    with pytest.raises(LookupError):
        await shield(fail_after(1))


@in_loop
async def test_a_cancellation_of_what_is_shielded_comes_through():
    inner = create_task(sleep(9))
    outer = shield(inner)
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer


@in_loop
async def test_a_cancellation_of_the_waiter_stops_at_the_shield():
    inner = create_task(sleep(2, "unharmed"))

    async def wait_shielded():
        await shield(inner)

    waiter = create_task(wait_shielded())
    await sleep(1)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert await inner == "unharmed"


@in_loop
async def test_what_is_done_needs_no_shield():
    inner = get_running_loop().create_future()
    inner.set_result(1)
    assert shield(inner) is inner


@in_loop
async def test_a_failure_after_the_shield_was_cancelled_is_reported_once():
    loop = get_running_loop()
    reports = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    inner = create_task(fail_after(1))
    for _ in range(2):
        shield(inner).cancel()
    await sleep(2)
    assert [type(report["exception"]) for report in reports] == [LookupError]
    assert reports[0]["message"] == "LookupError exception in shielded future"
    assert reports[0]["future"] is inner


@in_loop
async def test_a_shielded_coroutine_that_nobody_else_holds_runs_to_its_end():
    ended = []

    async def slow():
        await sleep(1)
        ended.append(True)

    shield(slow()).cancel()
    await sleep(0)
    gc.collect()
    await sleep(2)
    assert ended == [True]


@in_loop
async def test_a_shield_that_was_cancelled_is_not_kept_alive():
    inner = get_running_loop().create_future()
    outer = shield(inner)
    outer.cancel()
    await sleep(0)
    dropped = weakref.ref(outer)
    del outer
    gc.collect()
    assert dropped() is None
