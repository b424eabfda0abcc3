"""Signals that come at an awkward moment: before the loop, as main ends, after it"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
TERMINATIONS = [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.ways("quiesce run", "asyncio.run", "uvloop.run")
@pytest.mark.parametrize("signum", SIGNALS)
def test_one_before_the_first_run_unwinds_the_program(scenario, signum):
    text = """
    async def main():
        log("main")

    atexit.register(log, "exit function")
    try:
        say()
        sleep_in_pieces()
        run(main())
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["finally", "exit function"]
    assert outcome.tells(signum)
    assert outcome.is_silent


PROGRAM = """
def strike():
    os.kill(os.getpid(), {signum})

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    {moment}

try:
    run(main())
finally:
    log("finally")
"""
MOMENTS = {
    "the last step": "strike()",
    "the last cleanup": """
    try:
        return
    finally:
        strike()
    """,
    "a callback in the turn in which it returns": """
    loop = asyncio.get_running_loop()
    loop.call_soon(strike)
    loop.call_soon(loop.call_soon, strike)
    await asyncio.sleep(0)
    """,
    "its done callback": "asyncio.current_task().add_done_callback(lambda _: strike())",
    "a thread": """
    threading.Thread(target=strike).start()
    for _ in range(3):
        await asyncio.sleep(0)
    """,
}


@pytest.mark.parametrize("signum", TERMINATIONS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_termination_as_main_returns_is_not_lost(scenario, moment, signum):
    text = filled(PROGRAM, moment=MOMENTS[moment])
    outcome = scenario.ended(text.replace("{signum}", str(int(signum))))
    assert outcome.log == ["background", "finally"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_as_main_returns_cuts_nothing_short(scenario, moment):
    text = filled(PROGRAM, moment=MOMENTS[moment])
    outcome = scenario.ended(text.replace("{signum}", str(int(signal.SIGINT))))
    assert outcome.log == ["background", "finally"]
    # As from asyncio, a main that returns all the same has dealt with it.
    assert outcome.status == 0 or outcome.tells(signal.SIGINT)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_one_as_main_fails_loses_neither_cleanup_nor_error(scenario, signum):
    moment = 'strike()\nraise ValueError("of main")'
    text = filled(PROGRAM, moment=moment)
    outcome = scenario.ended(text.replace("{signum}", str(int(signum))))
    assert outcome.log == ["background", "finally"]
    assert outcome.tells(signum) or outcome.status == 1
    assert outcome.err.count("ValueError: of main") == 1


@pytest.mark.ways("quiesce run", "asyncio.run", "uvloop.run")
@pytest.mark.parametrize("signum", TERMINATIONS)
def test_one_after_the_last_run_unwinds_the_program(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    atexit.register(log, "exit function")
    try:
        run(main())
        say()
        sleep_in_pieces()
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["background", "finally", "exit function"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_at_any_moment_after_main_began_loses_no_cleanup(scenario, signum):
    if signum == signal.SIGTERM and scenario.way != "quiesce run":
        pytest.skip("between two runs it would be the end of the program")
    text = f"""
    begun = ended = 0

    async def background():
        global begun, ended
        begun += 1
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended += 1

    async def main():
        began.set()
        for _ in range(3):
            asyncio.create_task(background())
            await asyncio.sleep(0)

    def strike(delay, began, struck):
        began.wait()
        time.sleep(delay)
        os.kill(os.getpid(), {int(signum)})
        struck.set()

    for number in range(100):
        began, struck = threading.Event(), threading.Event()
        threading.Thread(target=strike, args=[number * 2e-5, began, struck]).start()
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            run(main())
            # After the run it comes out here.
            struck.wait()
    log(begun == ended > 0)
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["True"]
    assert (outcome.status, outcome.is_silent) == (0, True)
