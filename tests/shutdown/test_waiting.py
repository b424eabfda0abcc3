"""What a task waits for, in words."""

from __future__ import annotations

import asyncio
import threading

import pytest

import quiesce
from tests.combinators.running import in_loop
from tests.shutdown.describing import described


async def event():
    await asyncio.Event().wait()


async def lock():
    one = asyncio.Lock()
    await one.acquire()
    await one.acquire()


async def with_lock():
    one = asyncio.Lock()
    await one.acquire()
    async with one:
        pass


async def with_semaphore():
    async with asyncio.Semaphore(0):
        pass


async def with_condition():
    condition = asyncio.Condition()
    await condition.acquire()
    async with condition:
        pass


async def asyncios_queue():
    await asyncio.Queue().get()


async def our_queue():
    await quiesce.Queue().get()


async def asyncios_sleep():
    await asyncio.sleep(100)


async def our_sleep():
    await quiesce.sleep(100)


async def task():
    await asyncio.create_task(event(), name="inner")


async def shielded():
    await asyncio.shield(asyncio.create_task(event(), name="inner"))


async def our_shielded():
    await quiesce.shield(asyncio.create_task(event(), name="inner"))


async def gathered():
    await asyncio.gather(*named("a", "b", "c", "d"))


async def our_gathered():
    await quiesce.gather(*named("a", "b", "c", "d"))


async def group():
    async with asyncio.TaskGroup() as group:
        group.create_task(event(), name="inner")


async def future():
    await asyncio.get_running_loop().create_future()


async def limited_sleep():
    async with quiesce.timeout(200):
        await asyncio.sleep(100)


def named(*names):
    return [asyncio.create_task(event(), name=name) for name in names]


CASES = {
    event: "an event",
    lock: "a lock",
    with_lock: "a lock",
    with_semaphore: "a semaphore",
    # That is what one enters with it.
    with_condition: "a lock",
    asyncios_queue: "an item from a queue",
    our_queue: "an item from a queue",
    asyncios_sleep: "a sleep of 100 s, 100.0 s left",
    our_sleep: "a sleep of 100 s, 100.0 s left",
    limited_sleep: "a sleep of 100 s, 100.0 s left",
    task: "task 'inner'",
    shielded: "task 'inner', shielded",
    our_shielded: "task 'inner', shielded",
    gathered: "all of 'a', 'b', 'c' and 1 more",
    our_gathered: "all of 'a', 'b', 'c' and 1 more",
    group: "task 'inner'",
    future: "a future",
}


@pytest.mark.parametrize("waits", CASES, ids=lambda case: case.__name__)
@in_loop
async def test_it_is_said_what_a_task_waits_for(waits):
    assert (await described(waits())).waits_for == CASES[waits]
    for inner in asyncio.all_tasks() - {asyncio.current_task()}:
        inner.cancel()


@pytest.mark.parametrize("how", ["to_thread", "run_in_executor"])
def test_it_is_said_that_a_task_waits_for_a_thread(how):
    release = threading.Event()

    async def waits():
        if how == "to_thread":
            await asyncio.to_thread(release.wait)
        else:
            await asyncio.get_running_loop().run_in_executor(None, release.wait)

    async def main():
        try:
            return await described(waits())
        finally:
            release.set()

    assert quiesce.run(main()).waits_for.startswith("a function in a thread")
