"""Who asked a task to end is said where its CancelledError surfaces, and in reports"""

from __future__ import annotations

import re
import signal
import textwrap

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

# Prints the error with which a task is cancelled.
SHOWS = """
import traceback

async def shows():
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        traceback.print_exc()
        raise

"""


def test_a_task_that_asked_is_named_with_its_line(scenario):
    text = """
    async def victim():
        await asyncio.sleep(3600)

    async def main():
        asyncio.current_task().set_name("boss")
        task = asyncio.create_task(victim())
        await asyncio.sleep(0)
        task.cancel("too old")  # here
        await task

    run(main())
    """
    with scenario.start(text) as program:
        outcome = program.end()
        line = program.line_of("# here")
        place = f"{program.path}:{line} in main"
    lines = outcome.err.splitlines()
    (note,) = (each for each in lines if each.startswith("Cancelled by "))
    assert note.startswith(f"Cancelled by task 'boss', {place}, ")
    assert lines[lines.index(note) - 1].endswith("CancelledError: too old")
    assert outcome.status == 1


def test_a_task_group_that_asked_is_named_after_its_task(scenario):
    text = """
    async def fails():
        raise ZeroDivisionError

    async def main():
        asyncio.current_task().set_name("parent")
        with contextlib.suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(shows())
                group.create_task(fails())

    run(main())
    """
    outcome = scenario.ended(SHOWS + textwrap.dedent(text))
    assert outcome.err.count("Cancelled by the task group of task 'parent', ") == 1
    assert outcome.status == 0


def test_a_timeout_that_asked_is_named(scenario):
    text = """
    async def main():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.err.count("Cancelled by a timeout") == 1
    assert outcome.err.splitlines()[-1] == "TimeoutError"
    assert outcome.status == 1


@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize(
    ("limited", "by"),
    [
        ("within(quiesce.timeout(0.01))", "a timeout of 0.01 s"),
        ("quiesce.wait_for(shows(), 0.01)", "wait_for with a timeout of 0.01 s"),
    ],
)
def test_our_timeouts_say_how_long_they_were(scenario, limited, by):
    text = """
    import quiesce

    async def within(limit):
        async with limit:
            await shows()

    async def main():
        with contextlib.suppress(TimeoutError):
            await {limited}

    run(main())
    """
    text = textwrap.dedent(text).replace("{limited}", limited)
    outcome = scenario.ended(SHOWS + text)
    assert outcome.err.count(f"Cancelled by {by}, ") == 1


ENDS = {
    "main returned": "return",
    "SIGINT": "say()\n    await asyncio.sleep(3600)",
    "SIGTERM": "say()\n    await asyncio.sleep(3600)",
    "SIGHUP": "say()\n    await asyncio.sleep(3600)",
}


@pytest.mark.parametrize("reason", ENDS)
def test_the_end_says_why_it_asked_the_background_tasks(scenario, reason):
    text = """
async def main():
    task = asyncio.create_task(shows())
    await asyncio.sleep(0)
    {end}

run(main())
"""
    outcome = ended(scenario, SHOWS + text.replace("{end}", ENDS[reason]), reason)
    assert outcome.err.count(f"Cancelled by the end ({reason}), ") == 1


@pytest.mark.parametrize("reason", ["SIGTERM", "SIGHUP"])
def test_the_end_says_why_it_asked_main(scenario, reason):
    text = """
async def main():
    say()
    await shows()

run(main())
"""
    outcome = ended(scenario, SHOWS + text, reason)
    assert outcome.err.count(f"Cancelled by the end ({reason}), ") == 1
    assert outcome.tells(signal.Signals[reason])


def test_who_awaits_a_task_that_the_end_has_cancelled_sees_where_it_was(scenario):
    text = """
    import traceback

    async def waits():
        await asyncio.sleep(3600)

    async def awaits(task):
        try:
            await task
        except asyncio.CancelledError as error:
            frames = traceback.extract_tb(error.__traceback__)
            log([each.name for each in frames if each.filename == __file__])

    async def main():
        asyncio.create_task(awaits(asyncio.create_task(waits())))
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["['awaits', 'waits']"]


def test_who_asks_later_hears_it_too(scenario):
    text = """
    import traceback

    tasks = []

    async def main():
        tasks.append(asyncio.create_task(asyncio.sleep(3600)))
        say()
        await asyncio.sleep(3600)

    @atexit.register
    def asks():
        try:
            tasks[0].result()
        except asyncio.CancelledError:
            traceback.print_exc()

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.err.count("Cancelled by the end (SIGTERM), ") == 1
    assert outcome.tells(signal.SIGTERM)


STUBBORN = """
async def stubborn():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

async def main():
    {tasks}
    task = asyncio.create_task(stubborn(), name="mule")
    await asyncio.sleep(0)
    task.cancel()
    say()
    await asyncio.sleep(3600)

run(main())
"""
TASKS = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}


@pytest.mark.parametrize("tasks", TASKS)
def test_the_forced_report_says_by_whom_and_how_long_ago_a_survivor_was_asked(
    scenario, tasks
):
    text = filled(STUBBORN, tasks=TASKS[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    lines = outcome.err.splitlines()
    after = lines[next(n for n, line in enumerate(lines) if "task 'mule'" in line) :]
    assert any(
        re.search(r"was asked to end \d+ times, last \d+\.\d s ago", line)
        for line in after
    )
    assert any("was cancelled last by the end (SIGTERM)" in line for line in after)


@pytest.mark.parametrize("tasks", TASKS)
def test_the_report_as_json_says_it_too(scenario, tasks):
    text = filled(STUBBORN, tasks=TASKS[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1, reports=True)
    (mule,) = outcome.report["survivors"]
    assert mule["asked_by"].startswith("the end (SIGTERM)")
    assert 0 <= mule["asked_ago"] <= 3600
    assert mule["asked"] >= 2
    assert mule["swallowed"] >= 1


AWAITED = """
async def stubborn():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)

async def waits(task):
    await task

async def main():
    {tasks}
    mule = asyncio.create_task(stubborn(), name="mule")
    asyncio.create_task(waits(mule), name="driver")
    say()
    await asyncio.sleep(3600)

run(main())
"""


@pytest.mark.parametrize("tasks", TASKS)
def test_the_end_is_named_also_where_it_asked_through_another_task(scenario, tasks):
    text = filled(AWAITED, tasks=TASKS[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert "left: 2 tasks" in outcome.err
    assert outcome.err.count("was cancelled last by the end (SIGTERM)") == 2


HURRIED = """
async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_later(0.7, say, "again")

async def main():
    {tasks}
    asyncio.create_task(stubborn(), name="mule")
    say()
    await asyncio.sleep(3600)

run(main())
"""


@pytest.mark.parametrize("tasks", TASKS)
def test_the_report_of_a_hurried_end_says_by_whom_a_survivor_was_asked(scenario, tasks):
    text = filled(HURRIED, tasks=TASKS[tasks])
    with scenario.start(text, grace=60, reports=True) as program:
        for moment in "ready", "again":
            program.wait_for(moment)
            program.send(signal.SIGINT)
        (mule,) = program.end().report["survivors"]
    assert mule["asked_by"] == "the end (SIGINT)"
    assert mule["asked_ago"] >= 0


def ended(scenario, text, reason):
    """Run a program that ends for that reason."""
    if reason == "main returned":
        return scenario.ended(text)
    return scenario.interrupted(text, by=signal.Signals[reason])


# What a cancelled task may end with that says more than that it was cancelled.
SAYS_MORE = {
    "a class of its own": "raise Stopped()",
    "words of its own": 'raise asyncio.CancelledError("saved 3 of 5")',
    "a cause": 'raise error from OSError("disk full")',
    "what it was handling": "raise asyncio.CancelledError from None",
    "a note": 'error.add_note("saved 3 of 5"); raise',
    "an attribute": "error.saved = 3; raise",
}


@pytest.mark.parametrize("ending", SAYS_MORE)
def test_what_a_cancelled_task_says_by_its_error_is_there_for_who_asks_later(
    scenario, ending
):
    text = """
    class Stopped(asyncio.CancelledError):
        pass

    raised = []

    async def saves():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            try:
                {ending}
            except asyncio.CancelledError as error:
                raised.append(error)
                raise

    async def asks(task):
        try:
            await asyncio.sleep(3600)
        finally:
            while not task.done():
                await asyncio.sleep(0)
            try:
                task.result()
            except asyncio.CancelledError as error:
                log(error is raised[0])

    async def main():
        asyncio.create_task(asks(asyncio.create_task(saves())))
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    run(main())
    """
    text = filled(text, ending=SAYS_MORE[ending])
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["True"]
