"""Phase 3, its last resort: what never ends is closed by force, and only named"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 1.0
CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}
STUCK = {"lets itself be closed": "CancelledError", "refuses that too": "BaseException"}
PROGRAM = """
from asyncio import CancelledError, create_task

async def stuck():
    while True:
        with contextlib.suppress({kind}):
            await asyncio.sleep(3600)

async def waits():
    {wait}

async def main():
    {tasks}
    create_task(waits())
    await asyncio.sleep(0.01)
    say()
    await sleeper("main")

run(main())
"""
# By what a task waits for another one that never ends, or for what that would do.
WAITS = {
    "a coroutine": "await stuck()",
    "a task": "await create_task(stuck())",
    "a chain of tasks": """
    async def link(n):
        await (create_task(link(n - 1)) if n else stuck())
    await link(5)
    """,
    "gather": "await asyncio.gather(stuck(), stuck())",
    "gather that keeps errors": """
    await asyncio.gather(stuck(), stuck(), return_exceptions=True)
    """,
    "gather of gathers": """
    await asyncio.gather(asyncio.gather(stuck()), asyncio.gather(stuck()))
    """,
    "gather of a task and a plain future": """
    future = asyncio.get_running_loop().create_future()
    await asyncio.gather(create_task(stuck()), future)
    """,
    "wait": "await asyncio.wait([create_task(stuck())])",
    "wait_for": "await asyncio.wait_for(stuck(), 3600)",
    "as_completed": """
    for each in asyncio.as_completed([stuck(), stuck()]):
        await each
    """,
    "timeout": """
    async with asyncio.timeout(3600):
        await create_task(stuck())
    """,
    "a task group": """
    async with asyncio.TaskGroup() as group:
        group.create_task(stuck())
    """,
    "a coroutine in a task group": """
    async with asyncio.TaskGroup():
        await stuck()
    """,
    "shield": "await asyncio.shield(stuck())",
    "shield of a gather": "await asyncio.shield(asyncio.gather(stuck(), stuck()))",
    "an event set in the end": """
    event = asyncio.Event()
    async def sets():
        try:
            await stuck()
        finally:
            event.set()
    task = create_task(sets())
    await event.wait()
    """,
    "a queue filled in the end": """
    queue = asyncio.Queue()
    async def fills():
        try:
            await stuck()
        finally:
            queue.put_nowait(1)
    task = create_task(fills())
    await queue.get()
    """,
    "a lock": """
    lock = asyncio.Lock()
    async def holds():
        async with lock:
            await stuck()
    task = create_task(holds())
    await asyncio.sleep(0)
    async with lock:
        pass
    """,
    "a future of a callback": """
    future = asyncio.get_running_loop().create_future()
    create_task(stuck()).add_done_callback(lambda _: future.cancel())
    await future
    """,
    "a task, in a cleanup": """
    try:
        await asyncio.sleep(3600)
    finally:
        await create_task(stuck())
    """,
    "gather, in a cleanup": """
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.gather(stuck(), stuck())
    """,
    "an asynchronous generator": """
    async def generates():
        try:
            yield await stuck()
        finally:
            await stuck()
    async for _ in generates():
        pass
    """,
}


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("tasks", CLASSES)
@pytest.mark.parametrize("kind", STUCK)
@pytest.mark.parametrize("wait", WAITS)
def test_what_waits_for_it_is_given_up_with_it_and_silently(
    scenario, wait, kind, tasks
):
    text = filled(PROGRAM, wait=WAITS[wait], tasks=CLASSES[tasks])
    outcome = scenario.interrupted(
        text.replace("{kind}", STUCK[kind]), by=signal.SIGTERM, grace=GRACE
    )
    assert outcome.log == ["main"]
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_a_task_that_is_begun_again_once_it_was_given_up_is_given_up_too(scenario):
    wait = """
    import quiesce

    async def again():
        try:
            await stuck()
        finally:
            log("closed again")

    def begin_again(_):
        loop = asyncio.get_running_loop()
        again.task = quiesce.Task(again(), loop=loop, eager_start=True)

    create_task(stuck()).add_done_callback(begin_again)
    await stuck()
    """
    text = filled(PROGRAM, wait=wait, tasks="").replace("{kind}", "CancelledError")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "closed again"]
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.tells_force(signal.SIGTERM)


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("last", ["asyncio.sleep(0)", "asyncio.to_thread(log, 'late')"])
def test_a_cleanup_that_is_cut_and_awaits_more_ends_silently(scenario, last):
    wait = """
    try:
        await stuck()
    finally:
        await {last}
    """
    text = filled(PROGRAM, wait=wait.replace("{last}", last), tasks="")
    outcome = scenario.interrupted(
        text.replace("{kind}", "CancelledError"), by=signal.SIGTERM, grace=GRACE
    )
    assert outcome.log == ["main"]
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.tells_force(signal.SIGTERM)


@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize("wait", ["a task", "gather", "a chain of tasks"])
def test_on_a_loop_of_another_make_it_is_no_different(scenario, wait):
    text = filled(PROGRAM, wait=WAITS[wait], tasks="")
    text = text.replace(
        "run(main())", "run(main(), loop_factory=asyncio.SelectorEventLoop)"
    ).replace("{kind}", "BaseException")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main"]
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.tells_force(signal.SIGTERM)
