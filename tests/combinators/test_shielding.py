"""Which jobs are known as shielded, for who ends the program."""

from __future__ import annotations

import asyncio

import pytest

import quiesce
from quiesce.core.shielding import is_shielded

SHIELDS = [quiesce.shield, asyncio.tasks.shield]
TASKS = [None, asyncio.tasks._CTask]
each_shield = pytest.mark.parametrize("shield", SHIELDS)
each_task = pytest.mark.parametrize("task_type", TASKS)


async def sleep_long():
    await asyncio.sleep(3600)


def make(task_type, coro):
    loop = asyncio.get_running_loop()
    return loop.create_task(coro) if task_type is None else task_type(coro, loop=loop)


async def end(*tasks):
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@each_shield
@each_task
def test_the_inner_job_of_a_shield_is_shielded_and_who_waits_is_not(shield, task_type):
    async def main():
        job = make(task_type, sleep_long())
        waiting = asyncio.create_task(wait_behind(shield, job))
        await asyncio.sleep(0)
        answers = is_shielded(job), is_shielded(waiting)
        await end(job, waiting)
        return answers

    assert quiesce.run(main()) == (True, False)


@each_shield
def test_a_job_stays_shielded_when_who_waits_was_cancelled(shield):
    async def main():
        job = make(None, sleep_long())
        waiting = asyncio.create_task(wait_behind(shield, job))
        await asyncio.sleep(0)
        await end(waiting)
        answer = is_shielded(job)
        await end(job)
        return answer

    assert quiesce.run(main())


async def wait_behind(shield, job):
    await shield(job)
