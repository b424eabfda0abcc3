"""What type checkers know of quiesce.

`make types` reads this file with pyright and mypy; it is never run. An ignored error
must be an error: both checkers complain of an ignore that ignores nothing.
"""

from __future__ import annotations

import asyncio as stock
from typing import assert_type

import quiesce
import quiesce as asyncio


async def number() -> int:
    return 1


async def word() -> str:
    return "one"


async def use_combinators() -> None:
    assert_type(await asyncio.sleep(0, "slept"), str)
    assert_type(await asyncio.gather(number(), word()), tuple[int, str])
    assert_type(await asyncio.wait_for(number(), 1), int)
    assert_type(await asyncio.shield(number()), int)
    assert_type(await asyncio.to_thread(len, "four"), int)
    done, pending = await asyncio.wait([asyncio.create_task(number())])
    assert_type({task.result() for task in done | pending}, set[int])
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        assert_type(group.create_task(number()).result(), int)


async def use_queue(queue: asyncio.Queue[int]) -> None:
    assert_type(await queue.get(), int)
    queue.put_nowait("word")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def use_futures(future: quiesce.Future[int], task: quiesce.Task[str]) -> None:
    assert_type(await future, int)
    assert_type(await task, str)
    assert_type(task.result(), str)
    assert_type(task.cancel("enough"), bool)
    future.set_result("no int")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    takes_asyncio(future, task)


def takes_asyncio(future: stock.Future[int], task: stock.Task[str]) -> None:
    """Ours go where asyncio's are asked for, as they do for isinstance."""


def use_runners() -> None:
    assert_type(quiesce.run(number()), int)
    assert_type(asyncio.run(word()), str)
    with quiesce.Runner() as runner:
        assert_type(runner.run(number()), int)
    loop = quiesce.new_event_loop()
    assert_type(loop.run_until_complete(number()), int)
    with stock.Runner(loop_factory=quiesce.new_event_loop) as runner_of_asyncio:
        assert_type(runner_of_asyncio.run(number()), int)
    assert_type(quiesce.COMPILED, bool)


def use_wrongly() -> None:
    quiesce.run(3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def use_shutdown(words: list[str]) -> None:
    assert_type(quiesce.shutdown.is_ending(), bool)
    assert_type(quiesce.shutdown.why(), str | None)
    assert_type(quiesce.shutdown.deadline(), float | None)
    assert_type(quiesce.shutdown.time_left(), float | None)
    async with quiesce.shutdown.shielded(2) as block:
        assert_type(block, quiesce.shutdown.Protection)
    with quiesce.shutdown.drain(words.append, "last", limit=3) as step:
        step.cancel()
    quiesce.shutdown.drain(words.append, 1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
