"""One coroutine, driven to its end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest

import quiesce
from tests.combinators.running import in_loop
from tests.properties.virtual_time import virtual_loop

variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)


async def give(value: object) -> object:
    await quiesce.sleep(0)
    return value


@in_loop
async def test_a_task_gives_what_its_coroutine_returns() -> None:
    assert await quiesce.create_task(give(5)) == 5


@in_loop
async def test_a_task_raises_what_its_coroutine_raises() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await quiesce.create_task(fail())


@in_loop
async def test_a_task_is_an_asyncio_task() -> None:
    task = quiesce.create_task(give(1))
    assert isinstance(task, asyncio.Task)
    assert isinstance(task, quiesce.Task)
    await task


@in_loop
async def test_a_task_runs_in_a_copy_of_the_context_it_was_made_in() -> None:
    async def change() -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    variable.set(10)
    assert await quiesce.create_task(change()) == 11
    assert variable.get() == 10


@in_loop
async def test_cancel_raises_where_the_coroutine_waits() -> None:
    caught: list[str] = []

    async def wait() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError as error:
            caught.append(str(error))
            raise

    task = quiesce.create_task(wait())
    await quiesce.sleep(0)
    task.cancel("because")
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert caught == ["because"]


@in_loop
async def test_a_task_that_is_cancelled_before_it_began_never_begins() -> None:
    begun: list[int] = []

    async def begin() -> None:
        begun.append(1)

    task = quiesce.create_task(begin())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert begun == []


@in_loop
async def test_uncancel_takes_a_request_back() -> None:
    async def refuse() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            current = asyncio.current_task()
            assert current is not None
            return f"{current.cancelling()} then {current.uncancel()}"
        return "not asked"

    task = quiesce.create_task(refuse())
    await quiesce.sleep(0)
    task.cancel()
    assert await task == "1 then 0"


@in_loop
async def test_cancelling_the_outermost_of_a_long_chain_needs_no_recursion() -> None:
    async def follow(depth: int) -> None:
        if depth:
            await quiesce.create_task(follow(depth - 1))
        else:
            await asyncio.get_running_loop().create_future()

    task = quiesce.create_task(follow(5000))
    while len(asyncio.all_tasks()) < 5002:
        await quiesce.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


@in_loop
async def test_a_task_cannot_await_itself() -> None:
    async def own() -> None:
        await task

    task = quiesce.create_task(own())
    with pytest.raises(RuntimeError, match="Task cannot await on itself"):
        await task


@in_loop
async def test_a_task_refuses_a_future_of_another_loop() -> None:
    other = quiesce.new_event_loop()
    foreign = other.create_future()
    try:
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await quiesce.create_task(quiesce.wait_for(foreign, None))
    finally:
        other.close()


def test_what_is_no_coroutine_is_refused(loop) -> None:
    with pytest.raises(TypeError, match="a coroutine was expected"):
        loop.create_task(5)


@in_loop
async def test_names_are_given_or_counted() -> None:
    one, two = quiesce.create_task(give(1)), quiesce.create_task(give(1), name="mine")
    assert one.get_name().startswith("Task-")
    assert two.get_name() == "mine"
    await quiesce.gather(one, two)


@in_loop
async def test_the_current_task_is_seen_by_asyncio() -> None:
    async def look() -> object:
        return asyncio.current_task()

    task = quiesce.create_task(look())
    assert await task is task
    assert asyncio.current_task() is not task


@in_loop
async def test_a_callback_runs_outside_of_any_task() -> None:
    loop = asyncio.get_running_loop()
    seen: list[object] = []
    loop.call_soon(lambda: seen.append(asyncio.current_task()))
    await quiesce.sleep(0)
    await quiesce.sleep(0)
    assert seen == [None]


@in_loop
async def test_all_tasks_gives_those_that_are_not_done() -> None:
    task = quiesce.create_task(give(1))
    assert task in asyncio.all_tasks()
    assert task in quiesce.all_tasks()
    await task
    assert task not in asyncio.all_tasks()


def test_a_task_that_nobody_keeps_is_not_lost(loop) -> None:
    done: list[int] = []
    waiting = weakref.WeakSet[Any]()

    async def forgotten() -> None:
        future = loop.create_future()
        waiting.add(future)
        await future
        done.append(1)

    async def main() -> None:
        loop.create_task(forgotten())
        await quiesce.sleep(0)
        gc.collect()
        for future in list(waiting):
            future.set_result(None)
        await quiesce.sleep(0)

    loop.run_until_complete(main())
    assert done == [1]


def test_an_error_that_nobody_retrieves_is_reported_once(loop) -> None:
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    async def fail() -> None:
        raise ValueError("nobody asks")

    async def main() -> None:
        loop.create_task(fail())
        await quiesce.sleep(0)

    loop.run_until_complete(main())
    gc.collect()
    messages = [report["message"] for report in reports]
    assert messages == ["Task exception was never retrieved"]


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "with another"])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
def test_a_failed_task_that_is_dropped_is_gone_without_the_collector(
    loop, others, waits
) -> None:
    async def fail() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    async def main() -> None:
        tasks = [loop.create_task(fail()) for _ in range(1 + others)]
        dropped = weakref.ref(tasks[0])
        await asyncio.wait(tasks)
        del tasks
        await asyncio.sleep(0)
        assert dropped() is None

    loop.set_exception_handler(lambda *_: None)
    gc.disable()
    try:
        loop.run_until_complete(main())
    finally:
        gc.enable()


def test_what_a_timed_out_coroutine_held_is_gone_without_the_collector(loop) -> None:
    class Held:
        pass

    async def wait_with(held: Held) -> None:
        try:
            await loop.create_future()
        finally:
            assert held

    async def main() -> weakref.ref[Held]:
        held = Held()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait_with(held), 0)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait_with(held), 1e-9)
        return weakref.ref(held)

    gc.disable()
    try:
        assert loop.run_until_complete(main())() is None
    finally:
        gc.enable()


def test_a_task_may_carry_attributes_and_they_are_collected(loop) -> None:
    class Kept:
        pass

    async def main() -> weakref.ref[Kept]:
        task: Any = loop.create_task(give(1))
        task.kept = Kept()
        task.kept.back = task
        assert vars(task)["kept"] is task.kept
        await task
        return weakref.ref(task.kept)

    kept = loop.run_until_complete(main())
    gc.collect()
    assert kept() is None


def test_asyncio_eager_factory_makes_our_tasks_and_starts_them_at_once(loop) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        pytest.skip("this Python's asyncio has no eager tasks")
    loop.set_task_factory(factory)
    ran: list[int] = []

    async def child() -> None:
        ran.append(1)

    async def main() -> None:
        task = loop.create_task(child())
        assert ran == [1]
        assert task.done()
        assert isinstance(task, quiesce.Task)

    loop.run_until_complete(main())
    assert loop.get_task_factory() is factory


def test_a_subclass_may_override_call_soon_and_sees_every_wakeup() -> None:
    calls: list[object] = []

    class Counting(quiesce.Loop):
        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            calls.append(callback)
            return super().call_soon(callback, *args, context=context)

    loop = Counting()
    assert loop.run_until_complete(give(3)) == 3
    loop.close()
    assert len(calls) >= 3


def test_waiting_takes_the_time_of_the_loop_s_own_clock() -> None:
    loop, clock, _ = virtual_loop()
    loop.run_until_complete(quiesce.sleep(3600))
    loop.close()
    assert clock.time == 3600
