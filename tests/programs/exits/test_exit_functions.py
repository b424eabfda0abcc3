"""Runs in the program's exit functions, when the interpreter exits already"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
ENDS = {
    "return": "pass",
    "sys.exit": "sys.exit(3)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)\nawait asyncio.sleep(3600)",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT)\nawait asyncio.sleep(3600)",
}
PROGRAM = """
async def last():
    {last}

async def main():
    {end}

atexit.register(lambda: run(last()))
{run}
"""
LAST = """
    start("background of the last", 0.05)
    await asyncio.sleep(0.01)
    log("last")
"""


@pytest.mark.parametrize("watchdog", [True, False])
@pytest.mark.parametrize("end", ENDS)
def test_one_ends_in_order_however_the_run_before_it_ended(scenario, end, watchdog):
    text = filled(PROGRAM, last=LAST, end=ENDS[end], run="run(main())")
    off = {"QUIESCE_WATCHDOG_MS": "0"}
    outcome = scenario.ended(text, environment=None if watchdog else off)
    assert outcome.log == ["last", "background of the last"]
    if end.startswith("SIG"):
        assert outcome.tells(signal.Signals[end])
    else:
        assert outcome.status == {"return": 0, "sys.exit": 3}[end]
    assert outcome.is_silent


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT"])
def test_one_may_run_a_loop_by_itself_after_a_signal(scenario, end):
    text = f"""
    async def last():
        await asyncio.sleep(0.05)
        log("last")

    def run_last():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(last())
        loop.close()

    async def main():
        os.kill(os.getpid(), signal.{end})
        await asyncio.sleep(3600)

    atexit.register(run_last)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["last"]
    assert outcome.tells(signal.Signals[end])
    assert outcome.is_silent


def test_one_may_be_the_first_of_the_program(scenario):
    text = filled(PROGRAM, last=LAST, end="pass", run="pass")
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, ["last", "background of the last"])
    assert outcome.is_silent


@pytest.mark.parametrize("run", ["run(main())", "pass"])
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_in_one_runs_its_cleanups_and_ends_the_program(scenario, signum, run):
    last = """
    start("background of the last", 0.05)
    await asyncio.sleep(0)
    say()
    await sleeper("last", 0.05)
    """
    text = filled(PROGRAM, last=last, end="pass", run=run)
    text = text.replace("atexit.", 'atexit.register(log, "exit function")\natexit.', 1)
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["last", "background of the last", "exit function"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_an_exit_function_may_catch_what_ended_its_run(scenario):
    text = """
    async def last():
        say()
        await sleeper("last", 0.05)

    def run_the_last():
        try:
            run(last())
        except SystemExit as error:
            log(error.code)

    atexit.register(run_the_last)
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert (outcome.status, outcome.log) == (0, ["last", "143"])
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_one_that_cannot_end_is_forced_and_the_status_tells_the_signal(
    scenario, signum
):
    last = """
    start("stuck", for_ever)
    await asyncio.sleep(0)
    say()
    await sleeper("last", 0.05)
    """
    text = filled(PROGRAM, last=last, end="pass", run="run(main())")
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.log == ["last"]
    assert "stuck" in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.tracebacks == 0
    assert outcome.gone_within(1 + 1)


def test_one_that_cannot_end_by_itself_is_forced_with_status_70(scenario):
    last = """
    start("stuck", for_ever)
    await asyncio.sleep(0)
    say()
    """
    text = filled(PROGRAM, last=last, end="pass", run="run(main())")
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert "stuck" in outcome.err
    assert outcome.gone_within(1 + 1)


def test_what_one_makes_after_a_ctrl_c_does_not_change_the_status(scenario):
    text = """
    def makes():
        import dataclasses

        @dataclasses.dataclass
        class Point:
            x: int

        log(Point(1).x)

    async def main():
        say()
        await sleeper("main")

    atexit.register(makes)
    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log == ["main", "1"]
    assert outcome.status == -signal.SIGINT
