"""`ensure_future` makes a future of whatever can be awaited."""

from __future__ import annotations

import asyncio

import pytest

import quiesce
from quiesce import ensure_future, get_running_loop, isfuture
from tests.combinators.running import in_loop


async def number():
    return 1


class Later:
    """Something that can be awaited and is neither coroutine nor future."""

    def __await__(self):
        yield from asyncio.sleep(1).__await__()
        return "later"


@in_loop
async def test_a_future_is_returned_as_it_is():
    future = get_running_loop().create_future()
    assert ensure_future(future) is future
    assert ensure_future(future, loop=get_running_loop()) is future


@in_loop
async def test_a_coroutine_becomes_a_task():
    task = ensure_future(number())
    assert isinstance(task, quiesce.Task)
    assert await task == 1


@in_loop
async def test_whatever_can_be_awaited_becomes_a_task():
    assert await ensure_future(Later()) == "later"


@in_loop
async def test_what_cannot_be_awaited_is_refused():
    with pytest.raises(TypeError, match="coroutine or an awaitable is required"):
        ensure_future("word")


@in_loop
async def test_a_future_of_another_loop_is_refused():
    future = get_running_loop().create_future()
    other = quiesce.new_event_loop()
    with pytest.raises(ValueError, match="belongs to a different loop"):
        ensure_future(future, loop=other)
    other.close()


def test_outside_a_running_loop_the_loop_that_is_set_is_used(loop):
    asyncio.set_event_loop(loop)
    try:
        task = ensure_future(number())
    finally:
        asyncio.set_event_loop(None)
    assert task.get_loop() is loop
    assert loop.run_until_complete(task) == 1


def test_a_closed_loop_closes_the_coroutine_it_refuses(loop):
    loop.close()
    coro = number()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        ensure_future(coro, loop=loop)
    with pytest.raises(RuntimeError, match="cannot reuse"):
        coro.send(None)


@in_loop
async def test_futures_and_tasks_of_any_make_are_known_as_futures():
    loop = get_running_loop()
    task = ensure_future(number())
    assert isfuture(loop.create_future())
    assert isfuture(task)
    assert isfuture(asyncio.Future(loop=loop))
    await task


@pytest.mark.parametrize("thing", [None, 1, number, quiesce.Future])
def test_other_things_are_not(thing):
    assert not isfuture(thing)
