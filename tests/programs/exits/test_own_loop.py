"""A program that drives its loop itself, under ``quiesce run``"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce run", "asyncio.run", "uvloop.run")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
HEAD = """
if WAY == "uvloop.run":
    import uvloop
    uvloop.install()

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    loop.call_later(0.05, say)
    await sleeper("main", 0.05)

"""
CALLS = {
    "run_until_complete": "loop.run_until_complete(main())",
    "run_forever": "task = loop.create_task(main())\nloop.run_forever()",
}


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_a_signal_comes_out_of_the_call(scenario, signum, call):
    text = HEAD + filled(
        """
try:
    {call}
except BaseException as error:
    log(type(error).__name__)
    log(getattr(error, "code", None))
    raise
""",
        call=CALLS[call],
    )
    outcome = scenario.interrupted(text, by=signum)
    if signum == signal.SIGINT:
        assert outcome.log[:2] == ["KeyboardInterrupt", "None"]
    else:
        assert outcome.log[:2] == ["Terminated", str(128 + signum)]
        assert outcome.is_silent
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_what_it_leaves_pending_is_ended_when_the_interpreter_exits(
    scenario, signum, call
):
    outcome = scenario.interrupted(HEAD + CALLS[call], by=signum)
    assert sorted(outcome.log) == ["background", "main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_its_own_end_is_left_to_it(scenario, signum, call):
    text = HEAD + filled(
        """
try:
    {call}
except (KeyboardInterrupt, SystemExit):
    log("caught")
finally:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    log("closed")
""",
        call=CALLS[call],
    )
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log[0] == "caught"
    assert sorted(outcome.log[1:3]) == ["background", "main"]
    assert outcome.log[3:] == ["closed"]
    assert outcome.is_silent


def test_a_handler_that_stops_the_loop_wins(scenario):
    text = (
        HEAD
        + """
loop.add_signal_handler(signal.SIGTERM, loop.stop)
task = loop.create_task(main())
loop.run_forever()
log("stopped")
"""
    )
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log[0] == "stopped"
    assert sorted(outcome.log[1:]) == ["background", "main"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_what_a_finished_call_leaves_pending_is_ended_at_exit(scenario):
    text = (
        HEAD
        + """
async def short():
    start("left", 0.05)
    await asyncio.sleep(0)

loop.run_until_complete(short())
log("returned")
"""
    )
    outcome = scenario.ended(text)
    assert outcome.log == ["returned", "left"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_an_error_ends_what_is_left_and_shows_one_traceback(scenario):
    text = (
        HEAD
        + """
async def fails():
    start("left", 0.05)
    await asyncio.sleep(0)
    raise ValueError("of mine")

loop.run_until_complete(fails())
"""
    )
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (1, ["left"])
    assert outcome.tracebacks == 1


def test_what_is_left_and_never_ends_is_forced_at_exit(scenario):
    text = (
        HEAD
        + """
async def short():
    start("stuck", for_ever)
    await asyncio.sleep(0)

loop.run_until_complete(short())
say()
"""
    )
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)
    assert "stuck" in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_never_ends_after_a_signal_is_forced_at_exit(scenario, signum):
    text = (
        HEAD
        + """
async def never_ends():
    loop.call_later(0.05, say)
    await sleeper("main", for_ever)

loop.run_until_complete(never_ends())
"""
    )
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


def test_a_runner_that_was_never_closed_is_ended_at_exit(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    runner = Runner()
    runner.run(main())
    log("returned")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["returned", "background"]
    assert (outcome.status, outcome.is_silent) == (0, True)
