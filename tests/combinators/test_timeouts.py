"""`timeout` limits how long a block may wait."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction

import pytest

import quiesce
from quiesce import (
    CancelledError,
    TaskGroup,
    create_task,
    current_task,
    get_running_loop,
    sleep,
    timeout,
    timeout_at,
)
from tests.combinators.running import in_loop


async def wait_within(limit):
    """Wait for longer than any of these limits allow."""
    async with limit:
        await sleep(9)


async def fail_within(limit):
    """Fail because of the limit, with another error."""
    async with limit:
        try:
            await sleep(9)
        finally:
            raise LookupError


@in_loop
async def test_a_block_that_is_quick_enough_is_left_alone():
    async with timeout(2) as limit:
        await sleep(1)
    assert not limit.expired()
    assert get_running_loop().time() == 1


@in_loop
async def test_a_block_that_is_too_slow_ends_with_a_timeout_error():
    with pytest.raises(TimeoutError):
        async with timeout(1) as limit:
            await sleep(9)
    assert limit.expired()
    assert get_running_loop().time() == 1


@in_loop
async def test_the_cancellation_is_the_cause_of_the_timeout_error():
    with pytest.raises(TimeoutError) as caught:
        async with timeout(1):
            await sleep(9)
    assert isinstance(caught.value.__cause__, CancelledError)


@in_loop
async def test_the_task_is_not_being_cancelled_afterwards():
    with pytest.raises(TimeoutError):
        async with timeout(1):
            await sleep(9)
    assert current_task().cancelling() == 0
    await sleep(1)


@in_loop
async def test_a_deadline_can_be_given_in_the_time_of_the_loop():
    with pytest.raises(TimeoutError):
        async with timeout_at(3) as limit:
            await sleep(9)
    assert limit.when() == 3.0
    assert get_running_loop().time() == 3


@in_loop
@pytest.mark.parametrize("delay", [0, -1])
async def test_a_deadline_in_the_past_ends_the_first_wait(delay):
    with pytest.raises(TimeoutError):
        await wait_within(timeout(delay))
    assert get_running_loop().time() == 0


@in_loop
async def test_a_block_that_does_not_wait_does_not_time_out():
    async with timeout(0) as limit:
        pass
    assert not limit.expired()
    await sleep(1)


@in_loop
async def test_there_may_be_no_limit():
    async with timeout(None) as limit:
        await sleep(1000)
    assert limit.when() is None


@in_loop
async def test_of_two_limits_the_inner_one_can_expire_alone():
    async with timeout(5) as outer:
        with pytest.raises(TimeoutError):
            async with timeout(1) as inner:
                await sleep(9)
        await sleep(1)
    assert (outer.expired(), inner.expired()) == (False, True)


@in_loop
async def test_the_outer_limit_cancels_the_inner_block():
    outer, inner = timeout(1), timeout(5)
    cancelled = []

    async def wait_within_both():
        async with outer:
            try:
                await wait_within(inner)
            except CancelledError:
                cancelled.append(inner)
                raise

    with pytest.raises(TimeoutError):
        await wait_within_both()
    assert cancelled == [inner]
    assert (outer.expired(), inner.expired()) == (True, False)


@in_loop
async def test_of_two_limits_at_the_same_time_only_the_outer_one_raises():
    outer, inner = timeout_at(1), timeout_at(1)
    cancelled = []

    async def wait_within_both():
        async with outer:
            try:
                await wait_within(inner)
            except CancelledError:
                cancelled.append(inner)
                raise

    with pytest.raises(TimeoutError):
        await wait_within_both()
    assert cancelled == [inner]
    assert (outer.expired(), inner.expired()) == (True, True)


@in_loop
async def test_a_cancellation_from_elsewhere_stays_one():
    async def limited():
        async with timeout(5):
            await sleep(9)

    task = create_task(limited())
    await sleep(1)
    task.cancel()
    with pytest.raises(CancelledError):
        await task
    assert task.cancelled()


@in_loop
async def test_a_cancellation_from_elsewhere_at_the_deadline_wins():
    async def limited():
        async with timeout_at(1):
            await sleep(9)

    task = create_task(limited())
    get_running_loop().call_at(1, task.cancel)
    with pytest.raises(CancelledError):
        await task


@in_loop
async def test_other_errors_come_out_as_they_are():
    with pytest.raises(LookupError):
        async with timeout(1):
            raise LookupError


@in_loop
async def test_an_error_raised_because_of_the_deadline_shows_the_timeout():
    with pytest.raises(LookupError) as caught:
        await fail_within(timeout(1))
    late = caught.value.__context__
    assert isinstance(late, TimeoutError)
    assert isinstance(late.__cause__, CancelledError)


@in_loop
async def test_errors_in_a_group_show_the_timeout_too():
    async def fail_when_cancelled():
        try:
            await sleep(9)
        finally:
            raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        async with timeout(1), TaskGroup() as group:
            group.create_task(fail_when_cancelled())
    (error,) = caught.value.exceptions
    assert isinstance(error.__context__, TimeoutError)


@in_loop
async def test_a_task_group_in_the_block_is_ended_with_it():
    with pytest.raises(TimeoutError):
        async with timeout(1), TaskGroup() as group:
            child = group.create_task(sleep(9))
    assert child.cancelled()


@in_loop
async def test_the_deadline_can_be_moved():
    async with timeout(1) as limit:
        limit.reschedule(5)
        await sleep(3)
    async with timeout(9) as limit:
        limit.reschedule(get_running_loop().time() + 1)
        with pytest.raises(CancelledError):
            await sleep(3)
        assert get_running_loop().time() == 4


@in_loop
async def test_the_deadline_can_be_removed_and_set_again():
    async with timeout(1) as limit:
        limit.reschedule(None)
        await sleep(3)
        assert limit.when() is None
        limit.reschedule(9)
        assert limit.when() == 9.0


@in_loop
async def test_the_deadline_cannot_be_moved_outside_of_the_block():
    limit = timeout(1)
    with pytest.raises(RuntimeError, match="has not been entered"):
        limit.reschedule(2)
    async with limit:
        pass
    with pytest.raises(RuntimeError, match="Cannot change state of finished Timeout"):
        limit.reschedule(2)


@in_loop
async def test_the_deadline_cannot_be_moved_once_it_has_passed():
    async with timeout(1) as limit:
        with pytest.raises(CancelledError):
            await sleep(9)
        with pytest.raises(RuntimeError, match="state of expiring Timeout"):
            limit.reschedule(9)
    with pytest.raises(RuntimeError, match="state of expired Timeout"):
        limit.reschedule(9)


@in_loop
async def test_one_timeout_serves_one_block():
    limit = timeout(1)
    async with limit:
        with pytest.raises(RuntimeError, match="already been entered"):
            await limit.__aenter__()


def test_it_needs_a_task(loop):
    def enter():
        limit = timeout(1)
        with pytest.raises(RuntimeError, match="should be used inside a task"):
            next(limit.__aenter__().__await__())
        loop.stop()

    loop.call_soon(enter)
    loop.run_forever()


def test_it_needs_a_running_loop():
    with pytest.raises(RuntimeError, match="no running event loop"):
        timeout(1)


@in_loop
async def test_its_state_shows_in_its_repr():
    limit = timeout(1.5)
    assert repr(limit) == "<Timeout [created]>"
    async with limit:
        assert repr(limit) == "<Timeout [active] when=1.5>"
    assert repr(limit) == "<Timeout [finished]>"
    async with timeout(1) as late:
        with pytest.raises(CancelledError):
            await sleep(9)
        assert repr(late) == "<Timeout [expiring]>"
    assert repr(late) == "<Timeout [expired]>"
    async with timeout(None) as none:
        assert repr(none) == "<Timeout [active] when=None>"


@in_loop
async def test_no_timer_is_left_behind():
    for _ in range(3):
        async with timeout(9):
            await sleep(1)
    assert len(get_running_loop().timers) == 0


def test_it_works_on_asyncios_own_loop():
    async def limited():
        async with timeout(0):
            await asyncio.sleep(9)

    loop = asyncio.SelectorEventLoop()
    with pytest.raises(TimeoutError):
        loop.run_until_complete(limited())
    loop.close()


def test_it_works_in_debug_mode(loop):
    async def limited():
        async with timeout(0):
            await sleep(9)

    loop.set_debug(True)
    with pytest.raises(TimeoutError):
        loop.run_until_complete(limited())


@in_loop
async def test_in_an_eagerly_started_task_it_limits_that_task():
    async def limited():
        async with timeout(1):
            await sleep(9)

    task = quiesce.Task(limited(), loop=get_running_loop(), eager_start=True)
    with pytest.raises(TimeoutError):
        await task


@in_loop
@pytest.mark.parametrize("delay", [Decimal("0.1"), "0.1"])
async def test_what_cannot_be_added_to_a_time_is_refused_as_by_asyncio(delay):
    with pytest.raises(TypeError) as refused:
        asyncio.timeout(delay)
    with pytest.raises(TypeError) as error:
        timeout(delay)
    assert str(error.value) == str(refused.value)


@in_loop
@pytest.mark.parametrize("delay", [60, True, Fraction(60), float("inf")])
async def test_any_number_that_can_be_added_to_a_time_is_a_delay(delay):
    async with timeout(delay) as limit:
        assert limit.when() >= get_running_loop().time()
