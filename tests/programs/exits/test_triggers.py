"""What asks a program to end, and what its parent then hears."""

from __future__ import annotations

import signal

import pytest

ASKS = [signal.SIGINT, signal.SIGTERM]

WAITING = """
async def main():
    task = asyncio.create_task(sleeper("background", 0.05))
    await asyncio.sleep(0)
    say()
    await sleeper("main", 0.05)

run(main())
"""


@pytest.mark.parametrize("signum", ASKS)
def test_a_signal_ends_main_and_then_the_rest(scenario, signum):
    outcome = scenario.interrupted(WAITING, by=signum)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signum)
    assert outcome.gone_within(0.1)


def test_ctrl_c_at_a_terminal_ends_the_program_as_sigint_does(scenario):
    with scenario.start(WAITING, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)
