"""What is told of a task, thread, child, generator or connection that has not ended."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

import quiesce
from quiesce.shutdown import survivors
from tests.combinators.running import in_loop
from tests.shutdown.describing import described

HERE = Path(__file__)
MAKERS = {"ours": asyncio.create_task, "asyncio's": asyncio.Task}


def line_of(text):
    """Return the number of the first line of this file that has `text` in it."""
    lines = HERE.read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


async def waits():
    await asyncio.Event().wait()  # the innermost line


async def numbers():
    await waits()
    yield 1


async def reads():
    async for _ in numbers():
        pass


class Wrapped:
    def __await__(self):
        return waits().__await__()


async def awaits_wrapped():
    await Wrapped()


@pytest.mark.parametrize("coroutine", [waits, reads, awaits_wrapped])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@in_loop
async def test_a_task_is_where_its_innermost_own_line_is(coroutine, make):
    found = await described(coroutine(), make)
    assert (found.where.line, found.where.function) == (
        line_of("# the innermost line"),
        "waits",
    )


@in_loop
async def test_a_task_has_its_name_and_that_of_its_coroutine():
    found = await described(waits(), partial(asyncio.create_task, name="fetch"))
    assert (found.kind, found.name, found.runs) == ("task", "fetch", "waits")


@in_loop
async def test_a_task_shows_all_frames_that_wait():
    found = await described(reads())
    functions = [place.function for place in found.frames]
    assert functions == ["reads", "numbers", "waits", "Event.wait"]


@in_loop
async def test_a_running_task_is_where_it_runs():
    found = survivors.of_task(asyncio.current_task())
    name = inspect.currentframe().f_code.co_name
    assert name in [place.function for place in found.frames]
    assert found.waits_for == "nothing: it is running"


@in_loop
async def test_a_task_that_never_began_says_so():
    task = asyncio.create_task(waits())
    assert survivors.of_task(task).waits_for == "its first step"
    task.cancel()


@in_loop
async def test_a_task_of_asyncios_tells_where_it_is_defined():
    asyncio.get_running_loop().set_debug(False)
    found = await described(waits(), asyncio.Task)
    assert found.created is None
    assert found.defined.line == line_of("async def waits")


@in_loop
@pytest.mark.parametrize("debug", [False, True])
async def test_a_task_tells_where_it_was_created(debug):
    asyncio.get_running_loop().set_debug(debug)
    task = asyncio.create_task(waits())  # the creating line
    found = survivors.of_task(task)
    assert found.created.line == line_of("# the creating line")
    assert found.created.function.endswith("tells_where_it_was_created")
    task.cancel()


@in_loop
async def test_a_task_counts_the_requests_to_cancel_it():
    async def refuses():
        while True:
            try:
                await waits()
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling() == 3:
                    raise

    task = asyncio.create_task(refuses())
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert survivors.of_task(task).asked == 2
    task.cancel()


@in_loop
async def test_many_tasks_that_wait_alike_are_counted():
    tasks = [asyncio.create_task(waits()) for _ in range(100)]
    tasks.append(asyncio.create_task(reads()))
    await asyncio.sleep(0)
    found = survivors.of_tasks(tasks)
    assert len(found) == survivors.ONE_BY_ONE + 1
    assert sum(each.more for each in found) + len(found) == len(tasks)
    for task in tasks:
        task.cancel()


@in_loop
async def test_beyond_a_limit_tasks_are_only_counted(monkeypatch):
    coroutine = waits()
    task = asyncio.create_task(coroutine)
    found = survivors.of_tasks([task] * (survivors.LOOKED_AT + 5))
    assert found[-1].more == 5
    assert found[-1].name == ""
    task.cancel()


@in_loop
async def test_what_cannot_be_described_is_still_named():
    class Strange:
        def get_coro(self):
            raise LookupError

    (found,) = survivors.of_tasks([Strange()])
    assert "Strange" in found.name


def test_a_thread_is_where_its_innermost_own_line_is():
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait()  # the line of the thread

    thread = threading.Thread(target=work, name="worker")
    thread.start()
    begun.wait()
    try:
        while (found := survivors.of_thread(thread)).where.line == line_of(
            "        begun.set()"
        ):
            pass
    finally:
        release.set()
        thread.join()
    assert (found.kind, found.name) == ("thread", "worker")
    assert found.where.line == line_of("# the line of the thread")
    assert found.runs.endswith("work")


def test_a_child_shows_its_pid_and_command():
    words = [sys.executable, "-c", "input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        found = survivors.of_child(child)
        by_pid = survivors.of_child(child.pid)
        child.communicate(b"\n")
    assert (found.kind, found.pid) == ("child", child.pid)
    assert found.runs.endswith("-c 'input()'")
    assert by_pid.pid == child.pid


@in_loop
async def test_a_generator_is_where_it_stopped():
    async def counts():
        yield 1  # where it stopped
        yield 2

    generator = counts()
    await anext(generator)
    found = survivors.of_generator(generator)
    await generator.aclose()
    assert found.name.endswith("counts")
    assert found.where.line == line_of("# where it stopped")


@in_loop
async def test_of_many_generators_at_one_line_the_first_few_are_described():
    async def counts():
        yield 1  # the first stop
        yield 2  # the second one

    generators = [counts() for _ in range(100)]
    for generator in generators:
        await anext(generator)
    await anext(generators[0])
    found = survivors.of_generators(generators)
    for generator in generators:
        await generator.aclose()
    assert sum(1 + survivor.more for survivor in found) == 100
    assert len(found) < 20
    lines = {survivor.where.line for survivor in found}
    assert lines == {line_of("# the first stop"), line_of("# the second one")}


def test_a_connection_shows_its_peer_and_what_is_queued():
    async def main():
        server = await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        found = survivors.of_connection(writer.transport)
        writer.close()
        server.close()
        await server.wait_closed()
        return port, found

    port, found = quiesce.run(main())
    assert (found.kind, found.name) == ("connection", f"127.0.0.1:{port}")
    assert found.queued == 0
