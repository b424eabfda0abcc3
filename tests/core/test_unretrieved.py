"""Failures that nobody asks for: each is reported once, while its loop still runs."""

from __future__ import annotations

import asyncio
import gc

import pytest

import quiesce

SO_FAR = "Task exception was not retrieved so far"
NEVER = "Task exception was never retrieved"


class Reports:
    """What a loop was told of; `arrived` is set with each."""

    def __init__(self, after=None):
        self.contexts = []
        self.arrived = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.take)
        if after is not None:
            loop.report_unretrieved_after(after)

    def take(self, _loop, context):
        self.contexts.append(context)
        self.arrived.set()

    @property
    def messages(self):
        return [context["message"] for context in self.contexts]

    @property
    def errors(self):
        return [str(context["exception"]) for context in self.contexts]


async def fail(what="boom"):
    raise ValueError(what)


def failing(what="boom"):
    return asyncio.get_running_loop().create_task(fail(what))


async def settle():
    """Let what is ready run."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_failure_that_is_held_is_reported_while_main_runs():
    async def main():
        reports = Reports()
        task = failing()
        await reports.arrived.wait()
        return reports, task

    reports, task = quiesce.run(main())
    assert reports.messages == [SO_FAR]
    assert reports.contexts[0]["future"] is task
    assert reports.errors == ["boom"]


def test_a_later_await_still_raises_what_was_reported():
    async def main():
        reports = Reports(after=0.01)
        task = failing()
        await reports.arrived.wait()
        with pytest.raises(ValueError, match="boom"):
            await task
        return reports

    assert quiesce.run(main()).messages == [SO_FAR]


def test_what_was_reported_is_not_reported_again_when_it_is_collected():
    async def main():
        reports = Reports(after=0.01)
        task = failing()
        await reports.arrived.wait()
        reports.contexts[0].clear()
        del task
        gc.collect()
        return len(reports.contexts)

    assert quiesce.run(main()) == 1


@pytest.mark.parametrize("make", [asyncio.Task, asyncio.create_task])
def test_a_failure_is_reported_at_once_where_nobody_holds_the_task(make):
    async def main():
        reports = Reports()
        gc.disable()
        try:
            make(fail())
            await settle()
            return reports.messages
        finally:
            gc.enable()

    assert quiesce.run(main()) == [NEVER]


def test_one_timer_reports_all_that_failed():
    async def main():
        reports = Reports(after=0.01)
        tasks = [failing(number) for number in range(100)]
        await reports.arrived.wait()
        await settle()
        return reports, tasks

    reports, _ = quiesce.run(main())
    assert reports.errors == [str(number) for number in range(100)]


def test_what_fails_later_is_reported_later():
    async def main():
        reports = Reports(after=0.01)
        first = failing("first")
        await reports.arrived.wait()
        reports.arrived.clear()
        second = failing("second")
        await reports.arrived.wait()
        return reports, first, second

    assert quiesce.run(main())[0].errors == ["first", "second"]


def test_a_failure_is_reported_before_the_loop_closes():
    async def main():
        reports = Reports()
        task = failing()
        await settle()
        return reports, task

    assert quiesce.run(main())[0].errors == ["boom"]


def test_a_failure_that_was_asked_for_is_not_reported():
    async def main():
        reports = Reports()
        task = failing()
        await asyncio.wait([task])
        task.exception()
        return reports, task

    assert quiesce.run(main())[0].messages == []


def test_a_loop_that_is_not_asked_to_reports_before_it_closes():
    loop = quiesce.new_event_loop()

    async def main():
        reports = Reports()
        task = failing()
        await settle()
        return reports, task, list(reports.messages)

    reports, task, before = loop.run_until_complete(main())
    assert before == []
    loop.close()
    assert reports.messages == [NEVER]
    assert isinstance(task.exception(), ValueError)


def test_what_is_dropped_is_reported_when_it_is_collected():
    async def main():
        reports = Reports()
        failing()
        await settle()
        gc.collect()
        return list(reports.messages)

    assert quiesce.run(main()) == [NEVER]


def test_a_failed_future_is_called_a_future():
    async def main():
        reports = Reports()
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError())
        return reports, future

    (message,) = quiesce.run(main())[0].messages
    assert message.startswith("Future exception was ")


def test_many_failures_that_were_asked_for_are_forgotten():
    async def main():
        reports = Reports()
        kept = []
        for number in range(1_000):
            task = failing(number)
            kept.append(task)
            await asyncio.wait([task])
            if number % 100:
                task.exception()
        return reports, kept

    assert quiesce.run(main())[0].errors == [str(n) for n in range(0, 1_000, 100)]


def test_a_cancelled_task_is_no_failure():
    async def main():
        reports = Reports()
        task = asyncio.create_task(asyncio.sleep(3600))
        await settle()
        task.cancel()
        await settle()
        return reports, task

    assert quiesce.run(main())[0].messages == []


def test_an_error_in_a_cleanup_at_the_end_is_reported_once():
    async def clean_up():
        try:
            await asyncio.sleep(3600)
        finally:
            await fail("cleanup")

    async def main():
        reports = Reports()
        task = asyncio.create_task(clean_up())
        await settle()
        return reports, task

    assert quiesce.run(main())[0].errors == ["cleanup"]


@pytest.mark.parametrize("count", [2, 5])
def test_of_a_gather_each_failure_after_the_first_is_reported_once(count):
    async def main():
        reports = Reports()
        with pytest.raises(ValueError, match="0"):
            await quiesce.gather(*map(fail, range(count)))
        await settle()
        return reports

    assert quiesce.run(main()).errors == [str(n) for n in range(1, count)]


def test_a_gather_that_returns_errors_has_none_to_report():
    async def main():
        reports = Reports()
        errors = await quiesce.gather(*map(fail, range(3)), return_exceptions=True)
        return reports, errors

    reports, errors = quiesce.run(main())
    assert reports.messages == []
    assert [str(error) for error in errors] == ["0", "1", "2"]


def test_siblings_that_are_cancelled_after_a_failure_are_not_reported():
    async def main():
        reports = Reports()
        sibling = asyncio.create_task(asyncio.sleep(3600))
        with pytest.raises(ValueError, match="boom"):
            await quiesce.gather(fail(), sibling)
        sibling.cancel()
        await settle()
        return reports

    assert quiesce.run(main()).messages == []
