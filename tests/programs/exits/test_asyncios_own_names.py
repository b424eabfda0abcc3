"""asyncio's own functions, after `install` and on a loop of ours alone"""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.ways("quiesce.run")

MAIN = """
import quiesce

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    say()
    await sleeper("main", 0.05)
"""
INSTALLED = {
    "asyncio.run": "asyncio.run(main())",
    "run of asyncio.runners": "asyncio.runners.run(main())",
    "a run imported before": "run_of_before(main())",
    "asyncio.Runner": """
with asyncio.Runner() as runner:
    runner.run(main())
""",
}
IN_ORDER = [["main", "background"], ["background", "main"]]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("call", INSTALLED)
def test_after_install_they_end_as_ours_do(scenario, call, signum):
    text = f"""
from asyncio import run as run_of_before
{MAIN}
quiesce.install()
{INSTALLED[call]}
"""
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log in IN_ORDER
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_after_install_what_never_ends_is_forced_and_named(scenario):
    text = """
    import quiesce

    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    quiesce.install()
    asyncio.run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.log == ["main"]
    assert "task 'stuck'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)


ON_OUR_LOOP = f"""
{MAIN}
with asyncio.Runner(loop_factory=quiesce.new_event_loop) as runner:
    runner.run(main())
"""


def test_asyncios_runner_on_our_loop_is_killed_by_sigterm_as_ever(scenario):
    outcome = scenario.interrupted(ON_OUR_LOOP, by=signal.SIGTERM)
    assert outcome.log == []
    assert outcome.status == -signal.SIGTERM


def test_asyncios_runner_on_our_loop_cancels_at_ctrl_c_as_ever(scenario):
    outcome = scenario.interrupted(ON_OUR_LOOP, by=signal.SIGINT)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)
