"""A cleanup that must not be cut is protected for as long as it asked for."""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

SAVING = """
from quiesce.shutdown import shielded

async def saves(seconds, needed):
    try:
        await asyncio.sleep(3600)
    finally:
        async with shielded(seconds):
            {busy}
            await asyncio.sleep(needed)
            log("saved")

async def main():
    task = asyncio.create_task({saves})
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        # Whoever else cancels it, again and again, has to wait too.
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)

run(main())
"""


def saving(seconds, needed, busy="pass"):
    return SAVING.format(saves=f"saves({seconds}, {needed})", busy=busy)


def test_a_cleanup_of_any_length_is_let_finish(scenario):
    outcome = scenario.interrupted(saving(1.5, 1.2), by=signal.SIGTERM, grace=2)
    assert outcome.log == ["saved"]
    assert outcome.tells(signal.SIGTERM)


def test_it_is_let_finish_although_it_swallows_a_cancellation_before(scenario):
    # Asked again, at half of the grace, is who goes on as if nothing had happened.
    text = saving(1.5, 1.2).replace(
        "        await asyncio.sleep(3600)\n    finally:\n        async with",
        "        await asyncio.sleep(3600)\n    except asyncio.CancelledError:\n"
        "        async with",
        1,
    )
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2)
    assert outcome.log == ["saved"]
    assert outcome.tells(signal.SIGTERM)


def test_the_grace_wins(scenario):
    busy = """
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                log("cut")
                raise
    """.strip()
    text = saving(3600, 0, busy)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.log == ["cut"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(2)


def test_a_timeout_inside_works(scenario):
    busy = """
            try:
                async with asyncio.timeout(0.1):
                    await asyncio.sleep(3600)
            except TimeoutError:
                log("timed out")
    """.strip()
    text = saving(5, 0.1, busy)
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["timed out", "saved"]
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("make", ["asyncio.Task", "asyncio.create_task"])
def test_tasks_of_any_make_are_protected(scenario, make):
    text = saving(1.5, 1.2).replace("asyncio.create_task", make)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2)
    assert outcome.log == ["saved"]
    assert outcome.tells(signal.SIGTERM)
