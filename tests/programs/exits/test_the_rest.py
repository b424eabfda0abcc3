"""Phase 2: every other task is cancelled once, and its cleanup awaited"""

from __future__ import annotations

import signal
import sys

import pytest

from tests.programs.exits.scenario import filled

CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}
# How the program comes to its end.
ENDS = {"return": "return", "SIGINT": "say()\nawait asyncio.sleep(3600)"}


def ended(scenario, text, end, **options):
    """Run a program whose main ends in that way, and check the status."""
    text = filled(text, end=ENDS[end])
    if end == "return":
        outcome = scenario.ended(text, **options)
        assert outcome.status == 0, outcome
    else:
        outcome = scenario.interrupted(text, **options)
        assert outcome.tells(signal.SIGINT), outcome
    return outcome


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", CLASSES)
@pytest.mark.parametrize(
    "count", [1, 1_000, pytest.param(10_000, marks=pytest.mark.whole)]
)
def test_all_sleeping_tasks_end_and_their_cleanups_are_awaited(
    scenario, end, tasks, count
):
    text = """
    cleaned_up = 0

    async def background():
        global cleaned_up
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            cleaned_up += 1

    async def main():
        {tasks}
        for _ in range({count}):
            asyncio.create_task(background())
        await asyncio.sleep(0)
        {end}

    try:
        run(main())
    finally:
        log(cleaned_up)
    """
    text = filled(text, tasks=CLASSES[tasks]).replace("{count}", str(count))
    outcome = ended(scenario, text, end, grace=60)
    assert outcome.log == [str(count)]
    assert outcome.is_silent


def test_it_does_not_matter_what_a_task_waits_for(scenario):
    text = """
    async def waits(name, awaitable):
        try:
            await awaitable
        finally:
            log(name)

    async def spins():
        while True:
            await asyncio.sleep(0)

    async def takes(context):
        async with context:
            pass

    async def iterates(reader):
        async for line in reader:
            pass

    async def main():
        loop = asyncio.get_running_loop()
        lock, condition = asyncio.Lock(), asyncio.Condition()
        await lock.acquire()
        full = asyncio.Queue(1)
        full.put_nowait(None)
        semaphore = asyncio.Semaphore(0)
        waiting = {
            "barrier": asyncio.Barrier(2).wait(),
            "condition": in_condition(condition),
            "event": asyncio.Event().wait(),
            "future": asyncio.wait([loop.create_future()]),
            "full queue": full.put(None),
            "gather": asyncio.gather(asyncio.sleep(3600), asyncio.sleep(3600)),
            "lock": takes(lock),
            "process": process(),
            "queue": asyncio.Queue().get(),
            "semaphore": takes(semaphore),
            "spin": spins(),
            "stream": iterates(asyncio.StreamReader()),
            "wait_for": asyncio.wait_for(asyncio.Event().wait(), 3600),
        }
        for name, awaitable in waiting.items():
            asyncio.create_task(waits(name, awaitable))
        await asyncio.sleep(0.3)

    async def in_condition(condition):
        async with condition:
            await condition.wait()

    async def process():
        child = await asyncio.create_subprocess_exec("sleep", "3600")
        await child.wait()

    run(main())
    """
    outcome = scenario.ended(text)
    assert sorted(outcome.log) == [
        *("barrier", "condition", "event", "full queue", "future", "gather", "lock"),
        *("process", "queue", "semaphore", "spin", "stream", "wait_for"),
    ]
    assert outcome.status == 0
    assert outcome.left_behind == []


CLEANUPS = {
    "a timeout": """
    try:
        async with asyncio.timeout(0.05):
            await asyncio.sleep(3600)
    except TimeoutError:
        log("cleaned up")
    """,
    "wait_for": """
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.05)
    except TimeoutError:
        log("cleaned up")
    """,
    "a task group": """
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.05))
        task = group.create_task(asyncio.sleep(0.1, "cleaned up"))
    log(task.result())
    """,
    "a task": """
    log(await asyncio.create_task(asyncio.sleep(0.1, "cleaned up")))
    """,
    "gather": """
    log((await asyncio.gather(asyncio.sleep(0.1, "cleaned up")))[0])
    """,
    "a thread": """
    log(await asyncio.to_thread(lambda: time.sleep(0.1) or "cleaned up"))
    """,
    "a child process": """
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", "sleep 0.1; echo cleaned up", stdout=asyncio.subprocess.PIPE
    )
    log((await child.communicate())[0].decode().strip())
    """,
    "a connection": """
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"cleaned up\\n")
    await writer.drain()
    log((await reader.readline()).decode().strip())
    writer.close()
    await writer.wait_closed()
    """,
}
USES = """
import socket

def echo(listener):
    with listener, listener.accept()[0] as connection:
        time.sleep(0.05)
        connection.sendall(connection.recv(100))

listener = socket.create_server(("127.0.0.1", 0))
address = listener.getsockname()
threading.Thread(target=echo, args=[listener], daemon=True).start()

async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        {cleanup}

async def main():
    {place}

run(main())
"""
PLACES = {
    "main": "asyncio.get_running_loop().call_soon(say)\nawait background()",
    "a background task": """
    asyncio.create_task(background())
    await asyncio.sleep(0)
    say()
    await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("use", CLEANUPS)
def test_a_cleanup_may_use_what_it_could_use_before(scenario, use, place):
    text = filled(USES, cleanup=CLEANUPS[use], place=PLACES[place])
    outcome = scenario.interrupted(text)
    assert outcome.log == ["cleaned up"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_tasks_born_in_the_shutdown_are_ended_too(scenario, end, tasks):
    text = """
    async def parent(generation):
        try:
            await asyncio.sleep(3600)
        finally:
            if generation < 5:
                asyncio.create_task(parent(generation + 1))
            await asyncio.sleep(0.01)
            log(generation)

    async def main():
        {tasks}
        asyncio.create_task(parent(0))
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    text = filled(text, tasks=CLASSES[tasks])
    outcome = ended(scenario, text, end)
    assert outcome.log == list("012345")
    assert outcome.is_silent


def test_a_task_born_in_the_shutdown_that_began_has_its_cleanup_too(scenario):
    text = """
    async def parent():
        try:
            await asyncio.sleep(3600)
        finally:
            start("child", 0.05)
            await asyncio.sleep(0.05)
            log("parent")

    async def main():
        asyncio.create_task(parent())
        await asyncio.sleep(0)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, ["parent", "child"])
    assert outcome.is_silent


def test_a_task_born_by_a_done_callback_is_ended_too(scenario):
    text = """
    async def main():
        task = start("first", 0.05)
        task.add_done_callback(lambda _: start("second", 0.05))
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log[:2] == ["main", "first"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


def test_tasks_that_are_born_without_end_are_forced(scenario):
    text = """
    async def immortal():
        try:
            await asyncio.sleep(0.01)
        finally:
            asyncio.create_task(immortal())

    async def main():
        asyncio.create_task(immortal())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGINT) or outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1 + 1)


CANCELLED = """
async def background(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        try:
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:
            log("cut short")
            raise
        log("cleaned up")
        raise

async def main():
    {tasks}
    task = asyncio.create_task(background("background"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    {end}

run(main())
"""


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_the_program_has_cancelled_is_not_cancelled_again(
    scenario, end, tasks
):
    text = filled(CANCELLED, tasks=CLASSES[tasks])
    assert ended(scenario, text, end).log == ["cleaned up"]


def test_a_task_whose_timeout_has_cancelled_it_is_not_cancelled_again(scenario):
    text = """
    async def background():
        async with asyncio.timeout(0.05):
            try:
                await asyncio.sleep(3600)
            finally:
                say("cleaning")
                await asyncio.sleep(0.5)
                log("cleaned up")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.interrupted(text, at="cleaning")
    assert outcome.log == ["cleaned up"]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize(
    "depth", [1_000, pytest.param(30_000, marks=pytest.mark.whole)]
)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_chain_of_tasks_each_awaiting_the_next_ends_to_its_depth(
    scenario, end, depth, tasks
):
    text = """
    ended = 0

    async def link(next_one):
        global ended
        try:
            await (next_one or asyncio.sleep(3600))
        finally:
            ended += 1

    async def main():
        {tasks}
        task = None
        for _ in range({depth}):
            task = asyncio.create_task(link(task))
        await asyncio.sleep(0.01)
        {end}

    try:
        run(main())
    finally:
        log(ended)
    """
    text = filled(text, tasks=CLASSES[tasks]).replace("{depth}", str(depth))
    outcome = ended(scenario, text, end, grace=60)
    assert outcome.log == [str(depth)]
    assert outcome.is_silent


@pytest.mark.whole
def test_a_chain_that_main_awaits_is_cancelled_without_recursion(scenario):
    text = """
    ended = 0

    async def link(next_one):
        global ended
        try:
            await (next_one or asyncio.sleep(3600))
        finally:
            ended += 1

    async def main():
        task = None
        for _ in range(30_000):
            task = asyncio.create_task(link(task))
        asyncio.get_running_loop().call_later(0.1, say)
        await task

    try:
        run(main())
    finally:
        log(ended)
    """
    outcome = scenario.interrupted(text, grace=60)
    assert outcome.log == ["30000"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


@pytest.mark.whole
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_chain_whose_innermost_task_never_ends_is_forced_in_time(scenario, tasks):
    text = """
    async def link(next_one):
        await next_one

    async def main():
        {tasks}
        task = asyncio.create_task(never_ends())
        for _ in range(10_000):
            task = asyncio.create_task(link(task))
        await asyncio.sleep(0.01)
        say()
        await asyncio.sleep(3600)

    atexit.register(log, "exit function")
    run(main())
    """
    text = filled(text, tasks=CLASSES[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(4 + 1)
    assert outcome.log == ["exit function"]
    assert "a call in C" not in outcome.err


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@pytest.mark.parametrize("end", ENDS)
def test_eager_tasks_end_like_others(scenario, end):
    text = """
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        tasks = [start("background", 0.05) for _ in range(3)]
        {end}

    run(main())
    """
    outcome = ended(scenario, text, end)
    assert outcome.log == ["background"] * 3
    assert outcome.is_silent


@pytest.mark.parametrize("tasks", CLASSES)
@pytest.mark.parametrize("count", [1, 1_000])
def test_tasks_that_never_began_end_silently(scenario, tasks, count):
    text = """
    async def background():
        log("began")
        await asyncio.sleep(3600)

    def create(_):
        {tasks}
        for _ in range({count}):
            asyncio.create_task(background())

    async def main():
        # Called when the loop is about to stop.
        asyncio.current_task().add_done_callback(create)

    run(main())
    """
    text = filled(text, tasks=CLASSES[tasks]).replace("{count}", str(count))
    outcome = scenario.ended(text)
    assert outcome.log in ([], ["began"] * count)
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_a_signal_before_main_began_ends_it_silently(scenario):
    text = """
    async def main():
        log("began")
        await asyncio.sleep(3600)

    with Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
        runner.run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log in ([], ["began"])
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


@pytest.mark.parametrize(
    "make",
    [
        "asyncio.create_task(background())",
        "asyncio_tasks(); asyncio.create_task(background())",
        "asyncio.Task(background())",
    ],
    ids=["own", "asyncio.Task of a factory", "asyncio.Task by hand"],
)
def test_nobody_needs_to_hold_a_task_for_its_cleanup_to_run(scenario, make):
    text = """
    import gc

    async def background():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0.05)
            log("cleaned up")

    async def main():
        {make}
        await asyncio.sleep(0)
        gc.collect()

    run(main())
    """
    outcome = scenario.ended(filled(text, make=make))
    assert (outcome.status, outcome.log) == (0, ["cleaned up"])
    assert outcome.is_silent


def test_done_callbacks_run_before_the_loop_closes(scenario):
    text = """
    async def main():
        task = start("background", 0.05)
        task.add_done_callback(lambda task: log(f"cancelled: {task.cancelled()}"))
        await asyncio.sleep(0)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, ["background", "cancelled: True"])


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_gathering_that_nobody_awaits_is_ended_without_a_word(scenario, tasks, end):
    text = """
    async def main():
        {tasks}
        global held
        held = asyncio.gather(sleeper("one"), sleeper("two"))
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = ended(scenario, filled(text, tasks=CLASSES[tasks]), end)
    assert sorted(outcome.log) == ["one", "two"]
    assert outcome.is_silent


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@pytest.mark.ways("quiesce.run", "quiesce run")
def test_an_eager_task_made_by_hand_that_nobody_holds_is_ended(scenario):
    text = """
    import gc

    async def lonely():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await asyncio.sleep(0)
            log("lonely")

    async def main():
        loop = asyncio.get_running_loop()
        asyncio.Task(lonely(), loop=loop, eager_start=True)
        gc.collect()
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "lonely"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
