"""Tasks that unwind already when the end begins, or that something else tells to"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 4.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
HEAD = """
async def nap(name, seconds):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        log(f"{name} was cut short")
        raise
    log(name)

async def worker():
    try:
        await asyncio.sleep(3600)
    finally:
        {cleanup}
"""
# What takes longer than main is alone.
CLEANUPS = {
    "awaits": 'await nap("closed", 1.5)',
    "gathers": 'await asyncio.gather(nap("closed", 1.5))',
    "awaits a task": 'await asyncio.create_task(nap("closed", 1.5))',
    "waits with a limit": 'await asyncio.wait_for(nap("closed", 1.5), 3)',
}
TOLD = {
    "by mains task group": """
    async with asyncio.TaskGroup() as group:
        group.create_task(worker())
        await asyncio.sleep(0)
        say()
    """,
    "by a task group in the background": """
    async def owner():
        async with asyncio.TaskGroup() as group:
            group.create_task(worker())

    task = asyncio.create_task(owner())
    await asyncio.sleep(0.05)
    say()
    await asyncio.sleep(3600)
    """,
    "by the cleanup of main": """
    task = asyncio.create_task(worker())
    try:
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)
    finally:
        task.cancel()
        await asyncio.wait([task])
    """,
    "by the program before the end": """
    task = asyncio.create_task(worker())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.05)
    say()
    await asyncio.sleep(3600)
    """,
    "by a timeout before the end": """
    async def limited():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker()

    task = asyncio.create_task(limited())
    await asyncio.sleep(0.1)
    say()
    await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("cleanup", CLEANUPS)
@pytest.mark.parametrize("told", TOLD)
def test_what_its_cleanup_waits_for_is_spared_whoever_told_it(scenario, told, cleanup):
    text = filled(
        HEAD + "\nasync def main():\n    {told}\n\nrun(main())\n",
        cleanup=CLEANUPS[cleanup],
        told=TOLD[told],
    )
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["closed"]
    assert outcome.tells(signal.SIGTERM)


WAYS_TO_WAIT = {
    "await": "await task",
    "gather": "await asyncio.gather(task)",
    "gather of ours": "import quiesce\nawait quiesce.gather(task)",
    "gather beside another": "await asyncio.gather(task, asyncio.sleep(3600))",
    "gather and keep errors": "await asyncio.gather(task, return_exceptions=True)",
    "wait": "await asyncio.wait([task])",
    "through another task": "await asyncio.create_task(passes_on(task))",
}
WAITED_FOR = (
    HEAD
    + """
async def passes_on(task):
    await task

async def main():
    {tasks}
    task = asyncio.create_task(worker())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.05)
    asyncio.get_running_loop().call_later(0.1, say)
    {wait}

run(main())
"""
)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("tasks", ["pass", "asyncio_tasks()"], ids=["own", "asyncio"])
@pytest.mark.parametrize("wait", WAYS_TO_WAIT)
def test_who_waits_for_its_cleanup_is_not_asked_at_its_cost(
    scenario, wait, tasks, signum
):
    text = filled(
        WAITED_FOR,
        cleanup='await nap("closed", 1.5)',
        tasks=tasks,
        wait=WAYS_TO_WAIT[wait],
    )
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["closed"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_cleanup_that_its_end_leads_to_is_not_cut_either(scenario, signum):
    text = filled(
        WAITED_FOR,
        cleanup='await nap("closed", 1.5)',
        tasks="pass",
        wait="""
        try:
            await task
        finally:
            await nap("main", 0.5)
        """,
    )
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["closed", "main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_who_goes_on_when_the_cleanup_is_done_is_asked_then(scenario, signum):
    text = filled(
        WAITED_FOR,
        cleanup='await nap("closed", 1.5)',
        tasks="pass",
        wait="""
        with contextlib.suppress(asyncio.CancelledError):
            await task
        try:
            await asyncio.sleep(3600)
        finally:
            log("main")
        """,
    )
    outcome = scenario.interrupted(text, by=signum, grace=10)
    assert outcome.log == ["closed", "main"]
    assert outcome.tells(signum)
    # Far from half of the grace.
    assert outcome.gone_within(2)


# Each unwinds a part of the program, takes its request back, and goes on.
LIMITED = {
    "timeout": """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await job()
    await asyncio.sleep(3600)
    """,
    "timeout, and goes on in the handler": """
    try:
        async with asyncio.timeout(0.05):
            await job()
    except TimeoutError:
        await asyncio.sleep(3600)
    """,
    "wait_for": """
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(job(), 0.05)
    await asyncio.sleep(3600)
    """,
    "task group": """
    async def fails():
        await asyncio.sleep(0.05)
        raise ValueError

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await job()
    except* ValueError:
        pass
    await asyncio.sleep(3600)
    """,
}
PLACES = {
    "main": "await limited()",
    "the background": """
    task = asyncio.create_task(limited())
    await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", LIMITED)
def test_one_that_took_its_request_back_is_asked_as_soon_as_it_has(
    scenario, how, place, signum
):
    text = filled(
        """
        async def job():
            try:
                await asyncio.sleep(3600)
            finally:
                try:
                    await asyncio.sleep(0.5)
                    log("closed")
                except asyncio.CancelledError:
                    log("cut short")
                    raise

        async def limited():
            {how}

        async def main():
            asyncio.get_running_loop().call_later(0.3, say)
            {place}

        run(main())
        """,
        how=LIMITED[how],
        place=PLACES[place],
    )
    outcome = scenario.interrupted(text, by=signum, grace=10)
    assert outcome.log == ["closed"]
    assert outcome.tells(signum)
    assert outcome.tracebacks <= 1
    # Far from half of the grace.
    assert outcome.gone_within(2)


@pytest.mark.parametrize("how", ["dropped", "held"])
def test_what_a_generator_gathers_as_it_is_closed_is_spared(scenario, how):
    text = filled(
        HEAD
        + """
async def numbers():
    try:
        yield 1
    finally:
        await asyncio.gather(nap("closed", 1.0))

async def main():
    generator = numbers()
    async for _ in generator:
        break
    {how}
    await asyncio.sleep(0.1)

run(main())
""",
        cleanup="pass",
        how={"dropped": "del generator", "held": "main.held = generator"}[how],
    )
    outcome = scenario.ended(text, grace=GRACE)
    assert (outcome.log, outcome.status) == (["closed"], 0)
