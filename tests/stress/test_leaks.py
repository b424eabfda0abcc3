"""A hundred thousand tasks leave nothing behind: no object, no byte, no reference."""

from __future__ import annotations

import asyncio
import gc
import sys
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import quiesce

TOLERATED_OBJECTS = 40
TOLERATED_BYTES = 50_000
"""Caches grow a little; the smallest object left by each of 3,000 would be 100,000."""

WARM_UP = 2_000
"""Tasks that fill what is kept for new ones: the memory of so many dead ones."""

SHARED = object()
"""Handed to every task, so that each forgotten reference to it is counted."""

Use = Callable[[], Coroutine[Any, Any, None]]


async def nothing(_: object) -> None:
    pass


async def finish() -> None:
    assert await quiesce.create_task(nothing(SHARED)) is None


async def return_a_value() -> None:
    async def give() -> object:
        await quiesce.sleep(0)
        return SHARED

    assert await quiesce.create_task(give()) is SHARED


async def fail() -> None:
    async def raise_it() -> None:
        raise ValueError(SHARED)

    with pytest.raises(ValueError, match="object"):
        await quiesce.create_task(raise_it())


async def cancel() -> None:
    task = quiesce.create_task(quiesce.sleep(60, SHARED))
    await quiesce.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def gather() -> None:
    results = await quiesce.gather(*[quiesce.sleep(0, SHARED) for _ in range(10)])
    assert results == [SHARED] * 10


async def time_out() -> None:
    with pytest.raises(TimeoutError):
        async with quiesce.timeout(0):
            await quiesce.sleep(60, SHARED)


async def wait_long_enough() -> None:
    assert await quiesce.wait_for(quiesce.sleep(0, SHARED), 60) is SHARED


async def call_back() -> None:
    loop = quiesce.get_running_loop()
    future = loop.create_future()
    future.add_done_callback(lambda _: SHARED)
    loop.call_soon(future.set_result, SHARED)
    loop.call_later(60, future.set_result, SHARED).cancel()
    await future


async def queue() -> None:
    items: Any = quiesce.Queue(1)
    taker = quiesce.create_task(items.get())
    await items.put(SHARED)
    assert await taker is SHARED


async def shield() -> None:
    inner = quiesce.create_task(quiesce.sleep(0, SHARED))
    outer = quiesce.create_task(quiesce.wait_for(quiesce.shield(inner), 60))
    await quiesce.sleep(0)
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert await inner is SHARED


async def refer_to_itself() -> None:
    task = None

    async def wait() -> object:
        await quiesce.sleep(0)
        return task, SHARED

    task = quiesce.create_task(wait())
    await task


USES = [
    finish,
    return_a_value,
    fail,
    cancel,
    gather,
    time_out,
    wait_long_enough,
    call_back,
    queue,
    shield,
    refer_to_itself,
]


def measure(loop: asyncio.AbstractEventLoop, use: Use, times: int) -> list[int]:
    """Repeat `use`; return what exists afterwards: objects, bytes, references."""

    async def repeat() -> None:
        for _ in range(times):
            await use()

    loop.run_until_complete(repeat())
    for _ in range(3):
        gc.collect()
    shared = (SHARED, nothing, loop, type(loop), quiesce.Task, quiesce.Future)
    references = sum(sys.getrefcount(each) for each in shared)
    return [len(gc.get_objects()), tracemalloc.get_traced_memory()[0], references]


def leaves_nothing(use: Use, times: int) -> None:
    loop = quiesce.new_event_loop()
    tracemalloc.start()
    try:
        measure(loop, use, WARM_UP)
        before = measure(loop, use, WARM_UP)
        after = measure(loop, use, times)
    finally:
        tracemalloc.stop()
        loop.close()
    objects, size, references = (b - a for a, b in zip(before, after, strict=True))
    assert objects < TOLERATED_OBJECTS
    assert size < TOLERATED_BYTES
    assert references < TOLERATED_OBJECTS


@pytest.mark.parametrize("use", USES)
def test_tasks_leave_nothing_behind(use):
    leaves_nothing(use, 3_000)


@pytest.mark.stress
@pytest.mark.parametrize("use", USES)
def test_a_hundred_thousand_tasks_leave_nothing_behind(use):
    leaves_nothing(use, 100_000)
