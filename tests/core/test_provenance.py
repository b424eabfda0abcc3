"""Who asked a task to end, and how that is seen."""

from __future__ import annotations

import asyncio
import pickle
import traceback

import pytest

import quiesce
from quiesce.core.cancellation import CancelRequest, requesting


async def sleep_long():
    await asyncio.sleep(3600)


async def cancelled(task):
    """Wait for a task that was cancelled and return the error."""
    try:
        await task
    except asyncio.CancelledError as error:
        return error
    raise AssertionError("it was not cancelled")


def started(name=None):
    return asyncio.get_running_loop().create_task(sleep_long(), name=name)


def test_the_note_says_which_task_asked_and_in_which_line():
    async def main():
        task = started()
        await asyncio.sleep(0)
        task.cancel()
        return await cancelled(task)

    error = quiesce.run(named(main, "boss"))
    (note,) = error.__notes__
    assert "task 'boss'" in note
    assert f"{__file__}:{main.__code__.co_firstlineno + 3} in " in note


async def named(function, name):
    asyncio.current_task().set_name(name)
    return await function()


def test_the_note_shows_in_a_traceback():
    async def main():
        task = started()
        await asyncio.sleep(0)
        task.cancel("enough")
        return "".join(traceback.format_exception(await cancelled(task)))

    assert "CancelledError: enough\nCancelled by task 'Task-" in quiesce.run(main())


def test_a_task_that_never_began_gets_the_note_too():
    async def main():
        task = started()
        task.cancel()
        return await cancelled(task)

    assert "Cancelled by task" in quiesce.run(main()).__notes__[0]


def test_notes_are_strings_to_whoever_reads_them():
    async def main():
        task = started()
        task.cancel()
        error = await cancelled(task)
        error.add_note("more")
        return error

    error = quiesce.run(main())
    assert "\n".join(["", *error.__notes__]).endswith("more")
    assert all(isinstance(note, str) for note in error.__notes__)
    assert len(error.__notes__) == 2


def test_an_error_with_its_note_can_be_pickled():
    async def main():
        task = started()
        task.cancel()
        return await cancelled(task)

    copied = pickle.loads(pickle.dumps(quiesce.run(main())))
    assert "Cancelled by task" in copied.__notes__[0]


def test_a_task_group_is_named_after_its_task():
    children = []

    async def fail():
        raise ZeroDivisionError

    async def failing(group):
        async with group:
            children.append(group.create_task(sleep_long()))
            group.create_task(fail())

    async def main():
        group = asyncio.TaskGroup()
        with pytest.raises(ExceptionGroup):
            await failing(group)
        return children[0]

    child = quiesce.run(named(main, "parent"))
    assert child._cancel_request.by == "the task group of task 'parent'"


@pytest.mark.parametrize(
    ("limited", "by"),
    [
        (lambda: quiesce.wait_for(sleep_long(), 0.001), "wait_for with a timeout of"),
        (lambda: within(quiesce.timeout(0.001)), "a timeout of 0.001 s"),
        (lambda: within(asyncio.timeouts.timeout(0.001)), "a timeout"),
    ],
)
def test_a_timeout_says_that_it_was_one(limited, by):
    async def main():
        with pytest.raises(TimeoutError) as caught:
            await limited()
        return caught.value.__cause__

    error = quiesce.run(main())
    assert error.__notes__[0].startswith(f"Cancelled by {by}")


async def within(limit):
    async with limit:
        await sleep_long()


def test_a_cancelled_future_says_who_cancelled_it():
    async def main():
        future = asyncio.get_running_loop().create_future()
        waiter = asyncio.create_task(wait_in(future))
        await asyncio.sleep(0)
        future.cancel()
        return await cancelled(waiter)

    error = quiesce.run(named(main, "boss"))
    assert "Cancelled by task 'boss'" in error.__notes__[0]


async def wait_in(future):
    await future


def test_a_callback_is_said_to_be_one():
    async def main():
        task = started()
        asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(0)
        return await cancelled(task)

    assert quiesce.run(main()).__notes__[0].startswith("Cancelled by a callback, 0")


def test_all_that_a_block_cancels_carries_its_request():
    request = CancelRequest("SIGTERM", "the program ends")

    async def main():
        task, other = started(), started()
        future = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        with requesting(request):
            task.cancel()
            future.cancel()
        other.cancel()
        error = await cancelled(task)
        await cancelled(other)
        return error, [each._cancel_request for each in (task, future, other)]

    error, (first, second, third) = quiesce.run(main())
    assert first is second is request is not third
    assert "Cancelled by SIGTERM: the program ends" in error.__notes__[0]


def test_requesting_can_be_nested():
    outer, inner = CancelRequest("outer"), CancelRequest("inner")

    async def main():
        tasks = [started() for _ in range(3)]
        with requesting(outer):
            with requesting(inner):
                tasks[0].cancel()
            tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [task._cancel_request for task in tasks]

    first, second, third = quiesce.run(main())
    assert (first, second) == (inner, outer)
    assert third is not inner
    assert third is not outer


def test_the_request_reaches_each_task_of_a_chain_and_each_part_of_a_gather():
    tasks = []

    async def wait_for_others():
        tasks.extend(started() for _ in range(3))
        await quiesce.gather(*tasks)

    async def main():
        tasks.append(asyncio.create_task(wait_for_others()))
        await asyncio.sleep(0)
        tasks[0].cancel()
        await cancelled(tasks[0])
        return {task._cancel_request for task in tasks}

    assert len(quiesce.run(main())) == 1


def test_a_task_that_swallows_the_request_counts_how_often():
    async def stubborn():
        for _ in range(2):
            try:
                await sleep_long()
            except asyncio.CancelledError:
                pass
        await sleep_long()

    async def main():
        task = asyncio.create_task(stubborn())
        for _ in range(3):
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.sleep(0)
        before = task._cancels_thrown
        await cancelled(task)
        return before, task.cancelling()

    assert quiesce.run(main()) == (3, 3)


def test_a_task_of_asyncios_own_gets_the_note_from_what_it_waits_for():
    async def main():
        loop = asyncio.get_running_loop()
        task = asyncio.tasks._CTask(wait_in(loop.create_future()), loop=loop)
        await asyncio.sleep(0)
        task.cancel()
        return await cancelled(task)

    error = quiesce.run(named(main, "boss"))
    assert "Cancelled by task 'boss'" in error.__notes__[0]


def test_cancelling_thousands_of_tasks_that_gather_one_another_does_not_recurse():
    async def link(depth, deepest):
        if depth:
            await quiesce.gather(asyncio.ensure_future(link(depth - 1, deepest)))
        else:
            deepest.set()
            await sleep_long()

    async def main():
        deepest = asyncio.Event()
        first = asyncio.create_task(link(5_000, deepest))
        await deepest.wait()
        first.cancel()
        await cancelled(first)
        return len(asyncio.all_tasks())

    assert quiesce.run(main()) == 1


def test_a_request_is_made_into_text_only_when_somebody_looks():
    class Why:
        asked = 0

        def __str__(self):
            self.asked += 1
            return "no reason"

    why = Why()

    async def main():
        task = started()
        await asyncio.sleep(0)
        with requesting(CancelRequest("somebody", why)):
            task.cancel()
        return await cancelled(task)

    error = quiesce.run(main())
    assert why.asked == 0
    assert error.__notes__[0].startswith("Cancelled by somebody: no reason, ")
