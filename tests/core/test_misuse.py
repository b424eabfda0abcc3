"""Whatever a program does to tasks and handles, the loop goes on."""

from __future__ import annotations

import asyncio

import pytest

import quiesce


@pytest.fixture
def loop():
    loop = quiesce.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def reports(loop):
    heard = []
    loop.set_exception_handler(lambda _, context: heard.append(context))
    return heard


async def circle_of_tasks(tasks, ended):
    """Start a, which awaits b, and b and c, which await each other."""

    async def wait_for(name, other):
        try:
            await tasks[other]
        finally:
            ended.append(name)

    for name, other in (("a", "b"), ("b", "c"), ("c", "b")):
        tasks[name] = asyncio.ensure_future(wait_for(name, other))
    await asyncio.sleep(0)


@pytest.mark.parametrize("first", ["a", "b", "c"])
def test_tasks_that_await_one_another_in_a_circle_can_be_cancelled(loop, first):
    tasks, ended = {}, []

    async def main():
        await circle_of_tasks(tasks, ended)
        assert tasks[first].cancel()
        await asyncio.wait(tasks.values())

    loop.run_until_complete(main())
    assert all(task.cancelled() for task in tasks.values())
    assert sorted(ended) == ["a", "b", "c"]


def test_a_program_ends_though_tasks_await_one_another_in_a_circle():
    tasks, ended = {}, []
    quiesce.run(circle_of_tasks(tasks, ended))
    assert all(task.cancelled() for task in tasks.values())
    assert sorted(ended) == ["a", "b", "c"]


@pytest.mark.parametrize("ending", ["returns", "raises"])
def test_a_task_that_was_given_a_result_from_outside_is_reported(loop, reports, ending):
    async def main():
        quiesce.Future.set_result(quiesce.current_task(), "from outside")
        if ending == "raises":
            raise ValueError

    async def rest():
        await asyncio.sleep(0)
        return await task

    task = loop.create_task(main())
    assert loop.run_until_complete(rest()) == "from outside"
    assert [type(report["exception"]) for report in reports] == [
        asyncio.InvalidStateError
    ]


def test_a_cancelled_handle_that_is_run_by_hand_is_reported(loop, reports):
    handle = loop.call_soon(print)
    handle.cancel()
    handle._run()
    assert [type(report["exception"]) for report in reports] == [TypeError]


def test_a_loop_that_was_never_initialized_refuses_to_work():
    class Careless(quiesce.Loop):
        def __init__(self):
            pass

        def __del__(self):
            pass

    loop = Careless()
    for use in (loop.run_forever, lambda: loop.call_soon(print)):
        # Compiled it is a closed loop; interpreted its attributes are missing.
        with pytest.raises((RuntimeError, AttributeError)):
            use()


def test_the_notice_of_a_gathering_that_is_run_by_hand_does_nothing(loop):
    child = loop.create_future()
    gathering = quiesce.gather(child)
    notice, _ = child._callbacks[0]
    notice._run()
    child.set_result(1)
    assert loop.run_until_complete(gathering) == [1]


def test_an_empty_heap_of_timers_has_nothing_to_take(loop):
    with pytest.raises(IndexError):
        loop.timers.pop()
