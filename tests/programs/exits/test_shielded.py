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
