"""`shielded` keeps requests to cancel from a block until it is over."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

import quiesce
from quiesce.shutdown import shielded
from tests.combinators.running import in_loop

MAKERS = {"ours": asyncio.create_task, "asyncio's": asyncio.Task}
TIMEOUTS = {"ours": quiesce.timeout, "asyncio's": asyncio.timeout}

each_task = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
each_timeout = pytest.mark.parametrize("timeout", TIMEOUTS.values(), ids=TIMEOUTS)


def spans(log, seconds, protected, after=0.0):
    """Return a coroutine that sleeps in a block, then outside of it."""

    async def sleeps():
        with shielded(seconds):
            await asyncio.sleep(protected)
            log.append("block done")
        await asyncio.sleep(after)
        log.append("all done")

    return sleeps()


async def outcome_of(task):
    await asyncio.wait([task])
    return "cancelled" if task.cancelled() else task.exception() or "done"


@each_task
@in_loop
async def test_a_cancellation_waits_for_the_end_of_the_block(make):
    log = []
    task = make(spans(log, seconds=5, protected=2, after=9))
    await asyncio.sleep(1)
    assert task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["block done"]


@each_task
@in_loop
async def test_it_is_raised_by_the_next_wait(make):
    begun = asyncio.get_running_loop().time()
    task = make(spans([], seconds=5, protected=2, after=9))
    await asyncio.sleep(1)
    task.cancel()
    await outcome_of(task)
    assert asyncio.get_running_loop().time() - begun == 2


@each_task
@in_loop
async def test_without_a_cancellation_nothing_changes(make):
    log = []
    task = make(spans(log, seconds=5, protected=2, after=9))
    assert await outcome_of(task) == "done"
    assert log == ["block done", "all done"]


@each_task
@in_loop
async def test_after_the_block_the_task_is_cancelled_as_ever(make):
    log = []
    task = make(spans(log, seconds=5, protected=1, after=9))
    await asyncio.sleep(2)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["block done"]


@each_task
@in_loop
async def test_the_block_is_protected_only_for_its_seconds(make):
    log = []
    loop = asyncio.get_running_loop()
    begun = loop.time()
    task = make(spans(log, seconds=5, protected=100))
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert loop.time() - begun == pytest.approx(5)
    assert log == []


@each_task
@in_loop
async def test_when_the_seconds_are_over_a_cancellation_comes_at_once(make):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    task = make(spans([], seconds=5, protected=100))
    await asyncio.sleep(7)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert loop.time() - begun == 7


@each_task
@in_loop
async def test_several_cancellations_are_one_error_and_counted_each(make):
    counts = []

    async def counts_requests():
        with shielded(5):
            await asyncio.sleep(3)
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError:
            counts.append(asyncio.current_task().cancelling())
            await asyncio.sleep(1)
            raise

    task = make(counts_requests())
    for _ in range(2):
        await asyncio.sleep(1)
        task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert counts == [2]


@each_task
@in_loop
async def test_the_message_of_a_cancellation_arrives(make):
    messages = []

    async def hears():
        with shielded(5):
            await asyncio.sleep(2)
        try:
            await asyncio.sleep(9)
        except asyncio.CancelledError as error:
            messages.extend(error.args)
            raise

    task = make(hears())
    await asyncio.sleep(1)
    task.cancel("why")
    await outcome_of(task)
    assert messages == ["why"]


@each_task
@in_loop
async def test_a_task_that_ends_with_its_block_is_cancelled(make):
    async def only_block():
        with shielded(5):
            await asyncio.sleep(2)

    task = make(only_block())
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"


@each_task
@in_loop
async def test_an_error_of_the_block_comes_out(make):
    async def fails():
        with shielded(5):
            await asyncio.sleep(2)
            raise LookupError

    task = make(fails())
    await asyncio.sleep(1)
    task.cancel()
    assert isinstance(await outcome_of(task), LookupError)


@each_task
@in_loop
async def test_a_cleanup_is_protected_from_a_second_cancellation(make):
    log = []

    async def cleans_up():
        try:
            await asyncio.sleep(9)
        finally:
            async with shielded(5):
                await asyncio.sleep(2)
                log.append("cleaned up")

    task = make(cleans_up())
    for _ in range(3):
        await asyncio.sleep(0.5)
        task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["cleaned up"]


@each_task
@each_timeout
@in_loop
async def test_a_timeout_around_the_block_waits_for_it(make, timeout):
    log = []

    async def limited():
        async with timeout(1):
            await spans(log, seconds=5, protected=2, after=9)

    assert isinstance(await outcome_of(make(limited())), TimeoutError)
    assert log == ["block done"]


@each_task
@each_timeout
@in_loop
async def test_a_timeout_inside_the_block_works(make, timeout):
    log = []

    async def limits():
        with shielded(5):
            try:
                async with timeout(1):
                    await asyncio.sleep(9)
            except TimeoutError:
                log.append(asyncio.get_running_loop().time() - begun)

    begun = asyncio.get_running_loop().time()
    assert await outcome_of(make(limits())) == "done"
    assert log == [1]


@each_task
@in_loop
async def test_a_timeout_inside_works_while_a_cancellation_waits(make):
    log = []

    async def limits():
        with shielded(5):
            try:
                async with quiesce.timeout(2):
                    await asyncio.sleep(9)
            except TimeoutError:
                log.append("timed out")

    task = make(limits())
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["timed out"]


@each_task
@in_loop
async def test_a_task_group_inside_the_block_works(make):
    async def fails():
        await asyncio.sleep(1)
        raise LookupError

    async def groups():
        with shielded(5):
            async with asyncio.TaskGroup() as group:
                group.create_task(fails())
                await asyncio.sleep(9)

    begun = asyncio.get_running_loop().time()
    error = await outcome_of(make(groups()))
    assert isinstance(error, ExceptionGroup)
    assert asyncio.get_running_loop().time() - begun == 1


@each_task
@in_loop
async def test_a_task_group_around_the_block_waits_for_it(make):
    log = []

    async def fails():
        await asyncio.sleep(1)
        raise LookupError

    async def groups():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await spans(log, seconds=5, protected=2, after=9)

    assert isinstance(await outcome_of(make(groups())), ExceptionGroup)
    assert log == ["block done"]


@each_task
@in_loop
async def test_a_task_in_a_group_is_protected_from_the_group(make):
    log = []

    async def fails():
        await asyncio.sleep(1)
        raise LookupError

    async def groups():
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            group.create_task(spans(log, seconds=5, protected=2, after=9))

    assert isinstance(await outcome_of(make(groups())), ExceptionGroup)
    assert log == ["block done"]


@each_task
@in_loop
async def test_the_block_can_cancel_its_own_task(make):
    async def cancels_itself():
        with shielded(5):
            asyncio.current_task().cancel()
            await asyncio.sleep(1)

    begun = asyncio.get_running_loop().time()
    assert await outcome_of(make(cancels_itself())) == "cancelled"
    assert asyncio.get_running_loop().time() == begun


@each_task
@in_loop
async def test_a_cancellation_of_the_waiter_waits_for_the_block(make):
    log = []

    async def waits():
        await make(spans(log, seconds=5, protected=2, after=9))

    task = make(waits())
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["block done"]


@each_task
@in_loop
async def test_of_nested_blocks_the_longest_protects(make):
    log = []

    async def nests():
        with shielded(3):
            with shielded(9):
                await asyncio.sleep(5)
                log.append("inner done")
            await asyncio.sleep(9)
            log.append("outer done")

    begun = asyncio.get_running_loop().time()
    task = make(nests())
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["inner done"]
    assert asyncio.get_running_loop().time() - begun == 5


@each_task
@in_loop
async def test_a_block_around_protects_when_the_inner_one_is_left(make):
    log = []

    async def nests():
        with shielded(9):
            with shielded(3):
                await asyncio.sleep(2)
            await asyncio.sleep(2)
            log.append("outer done")

    task = make(nests())
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["outer done"]


@each_timeout
@in_loop
async def test_a_timeout_between_two_blocks_waits_for_the_inner_one(timeout):
    log = []

    async def nests():
        with shielded(9):
            async with timeout(1):
                with shielded(5):
                    await asyncio.sleep(2)
                    log.append("inner done")
                await asyncio.sleep(9)

    error = await outcome_of(asyncio.create_task(nests()))
    assert isinstance(error, TimeoutError)
    assert log == ["inner done"]


@in_loop
async def test_tasks_that_are_made_inside_are_not_protected():
    async def makes():
        with shielded(5):
            return asyncio.create_task(asyncio.sleep(9))

    inner = await makes()
    inner.cancel()
    assert await outcome_of(inner) == "cancelled"


@in_loop
async def test_a_block_is_entered_once():
    block = shielded(1)
    with block:
        pass
    with pytest.raises(RuntimeError, match="once"), block:
        pass


def test_a_block_needs_a_task(loop):
    failed = []

    def enter():
        try:
            shielded(1).__enter__()
        except RuntimeError as error:
            failed.append(str(error))
        loop.stop()

    loop.call_soon(enter)
    loop.run_forever()
    assert failed == ["shielded() should be used inside a task"]


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_the_seconds_must_be_above_zero(seconds):
    with pytest.raises(ValueError, match="above 0"):
        shielded(seconds)


@in_loop
async def test_a_chain_of_many_tasks_stops_at_the_block():
    log = []
    task = asyncio.create_task(spans(log, seconds=5, protected=2, after=9))

    async def waits(inner):
        await inner

    for _ in range(3000):
        task = asyncio.create_task(waits(task))
    await asyncio.sleep(1)
    task.cancel()
    assert await outcome_of(task) == "cancelled"
    assert log == ["block done"]


@in_loop
async def test_wait_for_inside_the_block_works():
    async def waits(wait_for):
        with shielded(5):
            await wait_for(asyncio.sleep(9), 1)

    for wait_for in (quiesce.wait_for, asyncio.wait_for):
        task = asyncio.create_task(waits(partial(wait_for)))
        assert isinstance(await outcome_of(task), TimeoutError)
