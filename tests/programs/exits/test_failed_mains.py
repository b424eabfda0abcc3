"""What main raises is shown, once, also where a signal says how the program ends"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

RAISES = """
async def main():
    {background}
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.05, say)
    raise ValueError("of main")

{run}
"""
RUNS = {
    "a run": "run(main())",
    "a runner": "with Runner() as runner:\n    runner.run(main())",
}
PROMPT = 'start("background", 0.5)'
STUBBORN = 'start("background", for_ever)'


def of_main(outcome):
    """Return how often what main raised was shown."""
    return outcome.err.splitlines().count("ValueError: of main")


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_one_raised_is_shown_once_though_a_signal_comes_at_the_end(
    scenario, signum, run
):
    text = filled(RAISES, background=PROMPT, run=RUNS[run])
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["background"]
    assert outcome.tells(signum)
    assert of_main(outcome) == 1


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_one_raised_is_shown_though_its_end_is_forced_after_a_signal(
    scenario, signum, run
):
    text = filled(RAISES, background=STUBBORN, run=RUNS[run])
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.tells_force(signum)
    assert of_main(outcome) == 1


@pytest.mark.parametrize("run", RUNS)
def test_what_one_raised_is_shown_though_a_later_ctrl_c_hides_the_first(scenario, run):
    text = filled(RAISES, background=STUBBORN, run=RUNS[run])
    with scenario.start(text) as program:
        program.wait_for()
        program.send(signal.SIGINT)
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.tells(signal.SIGINT)
    assert of_main(outcome) == 1


@pytest.mark.parametrize("run", RUNS)
def test_what_one_raises_at_a_signal_is_shown_once(scenario, run):
    text = """
    async def main():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("of main")

    {run}
    """
    outcome = scenario.ended(filled(text, run=RUNS[run]))
    assert outcome.tells(signal.SIGTERM)
    assert of_main(outcome) == 1


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_one_raises_when_others_clean_up_for_long_is_shown_once(
    scenario, signum, run
):
    text = """
    async def main():
        start("background", 1.2)
        await asyncio.sleep(0)
        say()
        try:
            await sleeper("main")
        finally:
            raise ValueError("of main")

    {run}
    """
    outcome = scenario.interrupted(filled(text, run=RUNS[run]), by=signum, grace=5)
    assert outcome.log == ["main", "background"]
    assert of_main(outcome) == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_one_raises_beside_others_is_shown_once(scenario, signum):
    text = """
    async def main():
        start("background", 1.2)
        await asyncio.sleep(0)
        say()
        try:
            await sleeper("main")
        finally:
            # Longer than main has the loop for itself.
            await asyncio.sleep(1.1)
            raise ValueError("of main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=4)
    assert outcome.log == ["main", "background"]
    assert of_main(outcome) == 1
