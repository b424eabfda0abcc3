"""What the grace period bounds, and what is said when it is used up"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import DEFAULT_GRACE, filled

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

# A cleanup that never ends, in the place where main can be.
STUCK = """
async def main():
    task = start("stuck", 3600)
    await asyncio.sleep(0)
    say()
    {end}

run(main())
"""


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_cleanup_that_never_ends_is_forced_and_the_status_tells_the_signal(
    scenario, signum
):
    outcome = scenario.interrupted(
        filled(STUCK, end="await sleeper('main')"), by=signum, grace=1
    )
    assert outcome.log == ["main"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


def test_a_cleanup_of_main_that_never_ends_is_forced(scenario):
    text = """
    async def main():
        say()
        await sleeper("main", 3600)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1 + 1)


def test_main_and_the_rest_share_one_grace(scenario):
    text = """
    async def main():
        for number in range(3):
            start(f"stuck {number}", 3600)
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await sleeper("main", 3600)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)


def test_a_cleanup_may_use_most_of_the_grace(scenario):
    text = """
    async def main():
        start("background", 1.8)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.2)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_cleanups_run_beside_each_other_not_one_after_the_other(scenario):
    text = """
    async def main():
        for number in range(20):
            start("background", 0.5)
        await asyncio.sleep(0)
        say()

    run(main())
    """
    outcome = scenario.ended(text, grace=4)
    assert (outcome.status, outcome.log) == (0, ["background"] * 20)


@pytest.mark.whole
def test_the_default_grace_fits_in_ten_seconds_and_allows_six(scenario):
    text = """
    async def main():
        start("honest", 5.5)
        start("stuck", 3600)
        await asyncio.sleep(0)
        say()

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert (outcome.status, outcome.log) == (70, ["honest"])
    assert outcome.gone_within(DEFAULT_GRACE + 1)
