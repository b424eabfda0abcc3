"""Tens of thousands of tasks that wait for one another end without recursion.

Each chain is a program of its own: what is feared is a crash.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

LENGTH = 30_000

CHAIN = """
    import asyncio, gc, sys
    import quiesce

    loop = quiesce.new_event_loop()
    ended = []

    async def link(number, following):
        try:
            return await following
        finally:
            ended.append(number)

    last = loop.create_future()
    tasks = [loop.create_task(link(0, last))]
    for number in range(1, LENGTH):
        tasks.append(loop.create_task(link(number, tasks[-1])))
    loop.call_soon(loop.stop)
    loop.run_forever()
    first = tasks[-1]
"""

ENDINGS = {
    "finished": """
        last.set_result("done")
        assert loop.run_until_complete(first) == "done"
        assert ended == list(range(LENGTH))
    """,
    "failed": """
        last.set_exception(ValueError("why"))
        try:
            loop.run_until_complete(first)
        except ValueError as error:
            assert error.args == ("why",)
        assert ended == list(range(LENGTH))
        for task in tasks:
            task.exception()
    """,
    "cancelled from its first task": """
        assert first.cancel("enough")
        try:
            loop.run_until_complete(first)
        except asyncio.CancelledError as error:
            assert error.args == ("enough",)
        assert last.cancelled()
        assert all(task.cancelled() for task in tasks)
        assert ended == list(range(LENGTH))
    """,
    "cancelled from its last task": """
        last.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        assert all(task.cancelled() for task in tasks)
        assert ended == list(range(LENGTH))
    """,
    "cancelled everywhere": """
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
        assert all(task.cancelled() for task in tasks)
        assert ended == list(range(LENGTH))
    """,
    "dropped": """
        loop.set_exception_handler(lambda loop, context: None)
        loop.close()
        last = first = None
        tasks.clear()
        gc.collect()
        # They may be closed with the loop's memory of them, or at the exit; not crash.
    """,
}

WALKS_THE_REST = "cancelled everywhere"
"""Each of its cancels goes through all the rest, which suits a short chain."""


def run_program(source: str, **environment: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", source],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-4_000:]
    assert "RecursionError" not in ended.stderr, ended.stderr[-4_000:]


def chain(ending: str, length: int) -> str:
    lines = textwrap.dedent(CHAIN) + textwrap.dedent(ENDINGS[ending])
    return lines.replace("LENGTH", str(length))


@pytest.mark.parametrize("ending", sorted(ENDINGS.keys() - {WALKS_THE_REST}))
def test_a_chain_of_30_000_tasks_ends(ending):
    run_program(chain(ending, LENGTH))


def test_a_chain_each_task_of_which_is_cancelled_ends():
    run_program(chain(WALKS_THE_REST, LENGTH // 10))


@pytest.mark.stress
@pytest.mark.parametrize("ending", sorted(ENDINGS.keys() - {WALKS_THE_REST}))
def test_a_chain_of_300_000_tasks_ends(ending):
    run_program(chain(ending, 10 * LENGTH))


def test_a_chain_of_futures_that_finish_one_another_ends():
    run_program(
        textwrap.dedent("""
            import quiesce

            loop = quiesce.new_event_loop()
            futures = [loop.create_future() for _ in range(100_000)]
            for future, following in zip(futures, futures[1:]):
                future.add_done_callback(lambda _, f=following: f.set_result(None))
            futures[0].set_result(None)
            loop.run_until_complete(futures[-1])
            loop.close()
        """)
    )
