"""A result that will come."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

import quiesce
from tests.combinators.running import in_loop
from tests.properties.virtual_time import iterate


def test_a_new_future_is_pending(loop) -> None:
    future = loop.create_future()
    assert not future.done()
    with pytest.raises(asyncio.InvalidStateError):
        future.result()


def test_a_future_is_an_asyncio_future(loop) -> None:
    future = loop.create_future()
    assert isinstance(future, asyncio.Future)
    assert asyncio.isfuture(future)


def test_an_outcome_is_set_once(loop) -> None:
    future = loop.create_future()
    future.set_result(1)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_result(2)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_exception(ValueError())
    assert not future.cancel()
    assert future.result() == 1


def test_callbacks_run_in_order_in_the_iteration_after_the_outcome(loop) -> None:
    future = loop.create_future()
    ran: list[int] = []
    for number in range(3):
        future.add_done_callback(lambda _, number=number: ran.append(number))
    future.set_result(None)
    assert ran == []
    iterate(loop)
    assert ran == [0, 1, 2]


def test_a_removed_callback_does_not_run(loop) -> None:
    future = loop.create_future()
    ran: list[Any] = []
    future.add_done_callback(ran.append)
    future.add_done_callback(ran.append)
    assert future.remove_done_callback(ran.append) == 2
    future.set_result(None)
    iterate(loop)
    assert ran == []


def test_removing_a_callback_does_not_remove_a_waiting_task(loop) -> None:
    future = loop.create_future()

    async def wait() -> object:
        return await future

    task = loop.create_task(wait())
    iterate(loop)
    future.add_done_callback(print)
    assert future.remove_done_callback(print) == 1
    future.set_result(7)
    assert loop.run_until_complete(task) == 7


def test_a_callback_that_compares_itself_oddly_does_no_harm(loop) -> None:
    future = loop.create_future()

    asked: list[object] = []

    class Odd:
        def __eq__(self, other: object) -> bool:
            if not asked:
                asked.append(other)
                future.remove_done_callback(print)
            return False

        __hash__ = None

        def __call__(self, _: object) -> None: ...

    future.add_done_callback(print)
    future.add_done_callback(Odd())
    future.remove_done_callback(Odd())
    assert asked
    assert future.cancel()


def test_an_unretrieved_exception_is_reported_when_the_future_is_dropped(loop) -> None:
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    loop.create_future().set_exception(ValueError("nobody asks"))
    gc.collect()
    assert [str(report["exception"]) for report in reports] == ["nobody asks"]


def test_the_running_loop_is_needed_where_none_is_given() -> None:
    asyncio.set_event_loop(None)
    with pytest.raises(RuntimeError):
        quiesce.Future()


@in_loop
async def test_several_tasks_may_wait_for_one_future() -> None:
    future = asyncio.get_running_loop().create_future()

    async def wait() -> object:
        return await future

    tasks = [quiesce.create_task(wait()) for _ in range(3)]
    await quiesce.sleep(0)
    future.set_result(5)
    assert [await task for task in tasks] == [5, 5, 5]


@in_loop
async def test_tuples_and_exceptions_are_results_like_any_other() -> None:
    for value in ((1, 2), ValueError("a value"), StopIteration(3), None):
        future = asyncio.get_running_loop().create_future()
        future.set_result(value)
        assert await future is value
        waited = asyncio.get_running_loop().create_future()
        waited.set_result(value)
        assert await quiesce.ensure_future(waited) is value


def test_a_future_that_was_never_initialised_only_refuses() -> None:
    future = quiesce.Future.__new__(quiesce.Future)
    for act in (
        lambda: future.set_result(1),
        lambda: future.set_exception(ValueError()),
        future.cancel,
        lambda: future.add_done_callback(print),
        lambda: future.remove_done_callback(print),
        future.get_loop,
    ):
        with pytest.raises((RuntimeError, AttributeError)):
            act()
