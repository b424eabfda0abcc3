"""Jobs that the program has shielded from cancellation"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM]
SHIELDS = {
    "asyncio.shield": "shield = asyncio.shield",
    "quiesce.shield": "import quiesce\nshield = quiesce.shield",
}
GATHERS = {
    "asyncio.shield": "gather = asyncio.gather",
    "quiesce.shield": "gather = quiesce.gather",
}
CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}
# Either the program knows of quiesce, or it has the standard library's shield alone.
BOTH = pytest.mark.ways("quiesce.run", "quiesce run")

PROGRAM = """
{shield}

async def job(seconds):
    try:
        await asyncio.sleep(seconds)
        log("job done")
    except asyncio.CancelledError:
        log("job cancelled")
        raise

async def waits(seconds):
    try:
        await shield(job(seconds))
    finally:
        log("outer")

async def main():
    {tasks}
    {place}

run(main())
"""
PLACES = {
    "main": "asyncio.get_running_loop().call_soon(say)\nawait waits({seconds})",
    "a background task": """
    asyncio.create_task(waits({seconds}))
    await asyncio.sleep(0.01)
    say()
    await asyncio.sleep(3600)
    """,
}


def program(shield, place, seconds, tasks="own tasks"):
    text = filled(
        PROGRAM, shield=SHIELDS[shield], place=PLACES[place], tasks=CLASSES[tasks]
    )
    return text.replace("{seconds}", str(seconds))


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_shielded_job_is_spared(scenario, shield, place, signum):
    outcome = scenario.interrupted(program(shield, place, 0.5), by=signum)
    assert outcome.log == ["outer", "job done"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("tasks", CLASSES)
def test_a_shielded_job_is_spared_when_main_returns(scenario, tasks):
    text = program("asyncio.shield", "a background task", 0.5, tasks)
    outcome = scenario.ended(text.replace("await asyncio.sleep(3600)", "return"))
    assert outcome.log == ["outer", "job done"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_shielded_job_whose_outer_was_cancelled_before_is_spared(
    scenario, shield, tasks
):
    text = """
    outer = asyncio.create_task(waits(0.5))
    await asyncio.sleep(0)
    outer.cancel()
    await asyncio.wait([outer])
    """
    text = filled(PROGRAM, shield=SHIELDS[shield], place=text, tasks=CLASSES[tasks])
    outcome = scenario.ended(text)
    assert outcome.log == ["outer", "job done"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_a_shielded_job_of_which_the_caller_timed_out_is_spared(scenario):
    text = """
    try:
        await asyncio.wait_for(asyncio.shield(job(0.5)), 0.05)
    except TimeoutError:
        log("timed out")
    """
    text = filled(PROGRAM, shield=SHIELDS["asyncio.shield"], place=text, tasks="")
    outcome = scenario.ended(text)
    assert outcome.log == ["timed out", "job done"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_what_a_shielded_job_waits_for_is_spared_too(scenario):
    text = """
    async def commit():
        async with asyncio.TaskGroup() as group:
            first = group.create_task(asyncio.sleep(0.3, "first"))
            second = group.create_task(asyncio.sleep(0.5, "second"))
        log(first.result())
        log(second.result())

    async def main():
        asyncio.get_running_loop().call_later(0.1, say)
        await asyncio.shield(commit())

    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log == ["first", "second"]
    assert outcome.tells(signal.SIGINT)


@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_for_which_a_shielded_job_waits_is_spared(scenario, tasks):
    text = """
    async def job():
        log(await asyncio.create_task(asyncio.sleep(0.5, "from a task")))

    async def main():
        {tasks}
        asyncio.get_running_loop().call_later(0.1, say)
        await asyncio.shield(job())

    run(main())
    """
    outcome = scenario.interrupted(filled(text, tasks=CLASSES[tasks]))
    assert outcome.log == ["from a task"]
    assert outcome.tells(signal.SIGINT)


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_shielded_job_is_cancelled_at_three_quarters_of_the_grace(
    scenario, shield, tasks
):
    text = program(shield, "main", 3600, tasks)
    text = text.replace(
        'log("job cancelled")',
        'log("in time" if 2.6 < time.monotonic() - asked < 3.8 else "not then")',
    )
    text = text.replace('log("outer")', "note_the_time()")
    text = text.replace(
        "async def job(",
        "def note_the_time():\n"
        "    global asked\n"
        "    asked = time.monotonic()\n\n"
        "async def job(",
    )
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["in time"]
    assert outcome.tells(signal.SIGINT)


GATHERING = """
{shield}
{gather}

async def job(name, seconds):
    try:
        await asyncio.sleep(seconds)
        log(name)
    except asyncio.CancelledError:
        log(f"{name} cancelled")
        raise

async def waits(seconds):
    await shield(gather(job("a", seconds), gather(job("b", seconds))))

async def main():
    {tasks}
    {place}

run(main())
"""


def gathering(shield, place, seconds, tasks):
    text = filled(
        GATHERING,
        shield=SHIELDS[shield],
        gather=GATHERS[shield],
        place=PLACES[place],
        tasks=CLASSES[tasks],
    )
    return text.replace("{seconds}", str(seconds))


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
@pytest.mark.parametrize("tasks", CLASSES)
@pytest.mark.parametrize("place", PLACES)
def test_the_jobs_of_a_shielded_gathering_are_spared(scenario, shield, place, tasks):
    text = gathering(shield, place, 1.5, tasks)
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert sorted(outcome.log) == ["a", "b"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
def test_the_jobs_of_a_shielded_gathering_are_spared_when_main_returns(
    scenario, shield
):
    text = gathering(shield, "a background task", 0.5, "own tasks")
    outcome = scenario.ended(text.replace("await asyncio.sleep(3600)", "return"))
    assert sorted(outcome.log) == ["a", "b"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@BOTH
@pytest.mark.parametrize("shield", SHIELDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_the_jobs_of_a_shielded_gathering_that_go_on_are_cancelled_in_silence(
    scenario, shield, tasks
):
    text = gathering(shield, "main", 3600, tasks)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2)
    assert sorted(outcome.log) == ["a cancelled", "b cancelled"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_shielded_job_that_cannot_end_is_forced(scenario):
    text = """
    async def main():
        asyncio.get_running_loop().call_later(0.05, say)
        await asyncio.shield(sleeper("job", for_ever))

    run(main())
    """
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.log == []
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)
