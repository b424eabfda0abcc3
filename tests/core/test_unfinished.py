"""`run_forever` after an interrupted `run_until_complete` ends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import quiesce


def interrupt() -> None:
    raise KeyboardInterrupt


async def clean_up(steps: int, log: list[int]) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        for _ in range(steps):
            await quiesce.sleep(0)
        log.append(steps)


def test_it_ends_once_every_pending_task_has_cleaned_up(loop) -> None:
    log: list[int] = []
    loop.call_later(0, interrupt)
    everything = quiesce.gather(
        *[quiesce.ensure_future(clean_up(steps, log), loop=loop) for steps in (9, 1, 5)]
    )
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(everything)
    for task in quiesce.all_tasks(loop):
        task.cancel()
    loop.run_forever()
    assert log == [1, 5, 9]
    assert everything.done()
    everything.exception() if not everything.cancelled() else None


def test_nothing_is_remembered_if_nothing_was_pending(loop) -> None:
    async def end() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(end())
    ran: list[int] = []
    loop.call_soon(ran.append, 1)
    loop.call_soon(loop.call_soon, loop.stop)
    loop.run_forever()
    assert ran == [1]


def test_the_next_run_until_complete_forgets_it(loop) -> None:
    future: asyncio.Future[Any] = loop.create_future()
    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(future)
    loop.run_until_complete(quiesce.sleep(0))
    ran: list[str] = []
    loop.call_soon(future.set_result, None)
    loop.call_later(0.01, lambda: (ran.append("still running"), loop.stop()))
    loop.run_forever()
    assert ran == ["still running"]


def test_a_second_interrupt_leaves_the_rest_to_the_next_run(loop) -> None:
    log: list[int] = []
    task = loop.create_task(clean_up(3, log))
    loop.call_later(0, interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    task.cancel()
    loop.call_soon(interrupt)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    loop.run_forever()
    assert log == [3]
    assert task.cancelled()
