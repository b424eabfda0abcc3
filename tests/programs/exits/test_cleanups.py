"""What cleanups may use, and the ways in which tasks end that are not the plain one"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
# A background task and main, each with the same cleanup.
PROGRAM = """
import contextvars
from asyncio import TaskGroup, gather, timeout, wait_for

async def nap(name, seconds=0.1):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        log("cut short")
        raise
    log(name)

async def works():
    {work}

async def main():
    asyncio.get_running_loop().call_later(0.1, say)
    {place}

run(main())
"""
PLACES = {
    "main": "await works()",
    "the background": "asyncio.create_task(works())\nawait asyncio.sleep(3600)",
}
WORKS = {
    "gather": """
    try:
        await asyncio.sleep(3600)
    finally:
        await gather(nap("a"), nap("b"))
        log("end")
    """,
    "gather in gather": """
    try:
        await asyncio.sleep(3600)
    finally:
        await gather(gather(nap("a")), gather(nap("b")))
        log("end")
    """,
    "a task group": """
    try:
        await asyncio.sleep(3600)
    finally:
        async with TaskGroup() as group:
            group.create_task(nap("a"))
            group.create_task(nap("b"))
        log("end")
    """,
    "a timeout around tasks": """
    try:
        await asyncio.sleep(3600)
    finally:
        async with timeout(5):
            tasks = [asyncio.create_task(nap(name)) for name in "ab"]
            await asyncio.wait(tasks)
        log("end")
    """,
    "as_completed": """
    try:
        await asyncio.sleep(3600)
    finally:
        for each in asyncio.as_completed([nap("a"), nap("b", 0.2)]):
            await each
        log("end")
    """,
    "wait_for": """
    try:
        await asyncio.sleep(3600)
    finally:
        await wait_for(nap("a"), 5)
        await wait_for(asyncio.shield(nap("b")), 5)
        log("end")
    """,
    "locks": """
    lock = asyncio.Lock()
    async def needs_it():
        async with lock:
            await nap("a")
    try:
        async with lock:
            task = asyncio.create_task(needs_it())
            await asyncio.sleep(0)
            await asyncio.sleep(3600)
    finally:
        async with lock:
            await nap("b")
        log("end")
    """,
    "an exit stack": """
    @contextlib.asynccontextmanager
    async def resource(name):
        try:
            yield
        finally:
            await nap(name)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(log, "end")
        await stack.enter_async_context(resource("b"))
        await stack.enter_async_context(resource("a"))
        await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("work", [name for name in WORKS if name != "locks"])
def test_what_a_cleanup_starts_and_awaits_is_not_cancelled(
    scenario, work, place, signum
):
    text = filled(PROGRAM, work=WORKS[work], place=PLACES[place])
    outcome = scenario.interrupted(text, by=signum)
    assert sorted(outcome.log) == ["a", "b", "end"]
    assert outcome.log[-1] == "end"
    assert outcome.tells(signum)
    assert outcome.is_silent


# Longer than main is alone, and than half of the grace.
LONG = """
import quiesce

async def nap(name):
    try:
        await asyncio.sleep(2.4)
    except asyncio.CancelledError:
        log("cut short")
        raise
    log(name)

async def naps():
    {wait}
    log("end")

async def cleans_up():
    try:
        await asyncio.sleep(3600)
    finally:
        await naps()

async def main():
    {tasks}
    asyncio.get_running_loop().call_later(0.1, say)
    {place}

run(main())
"""
LONG_PLACES = {
    "main": "await cleans_up()",
    "the background": "asyncio.create_task(cleans_up())\nawait asyncio.sleep(3600)",
    "a shielded job": "await asyncio.shield(naps())",
}
WAITS = {
    "wait": """
    await LIBRARY.wait([asyncio.create_task(nap(name)) for name in "ab"])
    """,
    "as_completed": """
    for each in LIBRARY.as_completed([nap("a"), nap("b")]):
        await each
    """,
    "wait_for": """
    await LIBRARY.wait_for(LIBRARY.gather(nap("a"), nap("b")), 5)
    """,
    "gather of wait": """
    async def waits(name):
        async with asyncio.timeout(5):
            await LIBRARY.wait([asyncio.create_task(nap(name))])
    await LIBRARY.gather(waits("a"), waits("b"))
    """,
    "a group's task that waits": """
    async def waits():
        await LIBRARY.wait([asyncio.create_task(nap(name)) for name in "ab"])
    async with asyncio.TaskGroup() as group:
        group.create_task(waits())
    """,
    "a future that its callback sets": """
    future = asyncio.get_running_loop().create_future()
    tasks = asyncio.gather(nap("a"), nap("b"))
    tasks.add_done_callback(lambda done: future.set_result(done.result()))
    await future
    """,
}
TASKS = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}


@pytest.mark.whole
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize(
    ("library", "tasks"),
    [("asyncio", "own tasks"), ("asyncio", "asyncio.Task"), ("quiesce", "own tasks")],
)
def test_what_a_cleanup_waits_for_is_spared_however_it_waits(
    scenario, wait, library, tasks
):
    text = filled(LONG, wait=WAITS[wait], place=LONG_PLACES["main"], tasks=TASKS[tasks])
    text = text.replace("LIBRARY", library)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert sorted(outcome.log) == ["a", "b", "end"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("place", LONG_PLACES)
def test_what_a_cleanup_or_shielded_job_waits_for_has_time(scenario, place):
    text = filled(LONG, wait=WAITS["wait"], place=LONG_PLACES[place], tasks="")
    text = text.replace("LIBRARY", "asyncio")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert sorted(outcome.log) == ["a", "b", "end"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("place", PLACES)
def test_a_lock_that_was_held_at_the_signal_can_be_taken_again(scenario, place):
    text = filled(PROGRAM, work=WORKS["locks"], place=PLACES[place])
    outcome = scenario.interrupted(text)
    assert "end" in outcome.log
    assert "b" in outcome.log
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_workers_of_a_queue_that_main_joins_in_its_cleanup_finish_it(scenario, signum):
    text = """
    async def worker(queue):
        while True:
            item = await queue.get()
            await asyncio.sleep(0.02)
            log(item)
            queue.task_done()

    async def main():
        queue = asyncio.Queue()
        for _ in range(2):
            asyncio.create_task(worker(queue))
        for item in range(10):
            queue.put_nowait(item)
        asyncio.get_running_loop().call_soon(say)
        try:
            await asyncio.sleep(3600)
        finally:
            await queue.join()
            log("joined")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert sorted(outcome.log) == sorted([*map(str, range(10)), "joined"])
    assert outcome.log[-1] == "joined"
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_a_shield_in_wait_for_that_timed_out_leaves_its_job_time(scenario):
    text = """
    async def job():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.2)
            log("job")

    async def main():
        task = asyncio.create_task(job())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 0.05)
        task.cancel()
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert sorted(outcome.log) == ["job", "main"]
    assert outcome.is_silent


def test_a_cleanup_under_a_timeout_of_its_own_is_cut_by_that_alone(scenario):
    work = """
    try:
        await asyncio.sleep(3600)
    finally:
        try:
            async with timeout(0.1):
                await asyncio.sleep(3600)
        except TimeoutError:
            log("timed out")
        await nap("end")
    """
    for place in PLACES.values():
        outcome = scenario.interrupted(filled(PROGRAM, work=work, place=place))
        assert outcome.log == ["timed out", "end"]
        assert outcome.is_silent


def test_tasks_that_beget_tasks_in_their_cleanup_for_ever_are_bounded(scenario):
    text = """
    async def hydra():
        try:
            await asyncio.sleep(3600)
        finally:
            asyncio.create_task(hydra())
            asyncio.create_task(hydra())
            await asyncio.sleep(0.3)

    async def main():
        asyncio.create_task(hydra())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert "hydra" in outcome.err


@pytest.mark.whole
@pytest.mark.parametrize(("count", "grace"), [(10_000, 4), (100_000, 10)])
def test_many_tasks_that_swallow_for_ever_are_bounded(scenario, count, grace):
    text = """
    async def swallows():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    async def main():
        for _ in range(COUNT):
            asyncio.create_task(swallows())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """.replace("COUNT", str(count))
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=grace)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(grace + 1)
    assert len(outcome.err.splitlines()) < 200


def test_a_coroutine_that_ignores_its_close_at_force_ends_silently(scenario):
    text = """
    async def stays():
        while True:
            try:
                await asyncio.sleep(3600)
            except BaseException:
                pass

    async def main():
        asyncio.create_task(stays())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)
    assert "Traceback" not in outcome.err
    assert "ignored" not in outcome.err


def test_a_deep_recursion_of_coroutines_is_unwound(scenario):
    text = """
    sys.setrecursionlimit(5000)

    async def deep(n):
        try:
            if n:
                await deep(n - 1)
            else:
                say()
                await asyncio.sleep(3600)
        finally:
            if n % 100 == 0:
                log(n)

    async def main():
        await deep(700)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == [str(n) for n in range(0, 701, 100)]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_debug_mode_ends_as_ever(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main(), debug=True)
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_a_task_held_is_let_go_although_the_program_holds_the_task(
    scenario, signum
):
    text = """
    import weakref

    class Resource:
        pass

    async def uses():
        resource = Resource()
        weakref.finalize(resource, log, "let go")
        await asyncio.sleep(3600)

    tasks = []

    async def main():
        tasks.append(asyncio.create_task(uses()))
        start("background", 0.1)
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "let go", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_a_failing_cleanup_keeps_no_other_from_its_own(scenario):
    text = """
    async def fails(name):
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            raise ValueError(name)

    async def main():
        for number in range(3):
            asyncio.create_task(fails(f"failure {number}"))
        start("background", 0.1)
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "background"]
    for number in range(3):
        assert outcome.err.count(f"ValueError: failure {number}") == 1
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize(
    "loop", ["asyncio.new_event_loop", "asyncio.SelectorEventLoop"]
)
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_runner_with_a_loop_of_asyncio_keeps_the_promise(scenario, loop, signum):
    text = """
    async def generator():
        try:
            yield
        finally:
            await asyncio.sleep(0.01)
            log("generator")

    async def main():
        start("background", 0.05)
        held = generator()
        await anext(held)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    with Runner(loop_factory=LOOP) as runner:
        runner.run(main())
    """.replace("LOOP", loop)
    outcome = scenario.interrupted(text, by=signum)
    assert sorted(outcome.log) == ["background", "generator", "main"]
    assert outcome.tells(signum)
    assert outcome.is_silent
