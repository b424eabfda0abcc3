"""The call graph of Python 3.14 shows who waits through a combinator."""

from __future__ import annotations

import asyncio
import sys

import pytest

from quiesce import (
    Queue,
    as_completed,
    create_task,
    gather,
    shield,
    sleep,
    wait,
    wait_for,
)
from tests.combinators.running import in_loop

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 14), reason="asyncio has the call graph since 3.14"
)


async def take_all(tasks):
    async for _ in as_completed(tasks):
        pass


async def wait_shielded(task):
    await shield(task)


async def gather_all(task):
    await gather(task)


WAYS = {
    "wait": lambda task: wait([task]),
    "wait_for": lambda task: wait_for(task, 9),
    "as_completed": lambda task: take_all([task]),
    "shield": wait_shielded,
    "gather": gather_all,
}


def waiting_for(task):
    """Return the names of those who wait for `task`, directly or not."""
    graph = asyncio.capture_call_graph(task)
    names, ahead = set(), list(graph.awaited_by)
    while ahead:
        one = ahead.pop()
        if hasattr(one.future, "get_name"):
            names.add(one.future.get_name())
        ahead.extend(one.awaited_by)
    return names


@in_loop
@pytest.mark.parametrize("way", WAYS)
async def test_the_one_who_waits_is_shown(way):
    task = create_task(sleep(2))
    waiter = create_task(WAYS[way](task), name="the waiter")
    await sleep(1)
    assert waiting_for(task) == {"the waiter"}
    await waiter


@in_loop
@pytest.mark.parametrize("way", WAYS)
async def test_the_one_who_waited_is_shown_no_more(way):
    task = create_task(sleep(2))
    waiter = create_task(WAYS[way](shield(task)), name="the waiter")
    await sleep(1)
    waiter.cancel()
    await wait([waiter])
    assert "the waiter" not in waiting_for(task)
    await task


@in_loop
async def test_a_task_that_waits_for_a_queue_has_a_graph():
    queue = Queue()
    getting = create_task(queue.get(), name="getter")
    await sleep(0)
    assert asyncio.capture_call_graph(getting).awaited_by == ()
    queue.put_nowait(1)
    await getting
