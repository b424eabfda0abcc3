"""What asks a program to end, and what its parent then hears"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

WAITING = """
async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    say()
    await sleeper("main", 0.05)

run(main())
"""


def test_what_main_returns_is_the_result_and_the_status_is_0(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        return "result"

    log(run(main()))
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, ["background", "result"])
    assert outcome.is_silent


def test_when_main_returns_background_tasks_are_not_awaited_to_completion(scenario):
    text = """
    async def background():
        await asyncio.sleep(0.3)
        log("completed")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, [])
    assert outcome.is_silent


def test_an_error_of_main_ends_the_rest_and_shows_one_traceback(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        raise ValueError("of main")

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (1, ["background"])
    assert outcome.tracebacks == 1
    assert outcome.err.endswith("ValueError: of main\n")


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_main_and_then_the_rest(scenario, signum):
    outcome = scenario.interrupted(WAITING, by=signum)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signum)
    assert outcome.gone_within(0.1)


def test_ctrl_c_raises_keyboard_interrupt_and_quiesce_adds_no_line(scenario):
    outcome = scenario.interrupted(WAITING)
    assert outcome.err.startswith("Traceback (most recent call last):\n")
    assert outcome.err.endswith("\nKeyboardInterrupt\n")
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_says_nothing(scenario, signum):
    assert scenario.interrupted(WAITING, by=signum).is_silent


def test_ctrl_c_at_a_terminal_ends_the_program_as_sigint_does(scenario):
    with scenario.start(WAITING, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_a_hang_up_of_the_terminal_ends_the_program_as_sighup_does(scenario):
    with scenario.start(WAITING, terminal=True) as program:
        program.wait_for("ready")
        program.hang_up()
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGHUP)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_callers_finally_and_with_and_exit_functions_run(scenario, signum):
    text = """
    @contextlib.contextmanager
    def resource():
        try:
            yield
        finally:
            log("with")

    async def main():
        say()
        await sleeper("main", 0.05)

    atexit.register(log, "exit function")
    try:
        with resource():
            run(main())
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "with", "finally", "exit function"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_termination_reaches_the_caller_as_system_exit(scenario, signum):
    text = """
    async def main():
        say()
        await sleeper("main")

    try:
        run(main())
    except SystemExit as error:
        log(type(error).__name__)
        log(error.code)
        raise
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "Terminated", str(128 + signum)]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_a_caller_that_catches_keyboard_interrupt_chooses_the_status(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    try:
        run(main())
    except KeyboardInterrupt:
        sys.exit(4)
    """
    outcome = scenario.interrupted(text)
    assert (outcome.status, outcome.log) == (4, ["background"])
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_main_that_catches_its_end_and_returns_cannot_hide_the_signal(
    scenario, signum
):
    text = """
    async def main():
        say()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log("caught")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["caught"]
    assert outcome.tells(signum)


def test_an_error_in_mains_cleanup_after_sigterm_is_shown_once(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("in the cleanup")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["background"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.err.count("ValueError: in the cleanup") == 1


# Where an exception can be raised that ends the program.
PLACES = {
    "main": "await sleeper_that_raises()",
    "a background task": """
        asyncio.create_task(sleeper_that_raises())
        await sleeper("main", 0.05)
    """,
    "a task that main awaits": "await asyncio.create_task(sleeper_that_raises())",
    "a task group": """
        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("child", 0.05))
            group.create_task(sleeper_that_raises())
    """,
    "a callback": """
        asyncio.get_running_loop().call_later(0.01, raises)
        await sleeper("main", 0.05)
    """,
    "a reader": """
        receiver, sender = os.pipe()
        def readable():
            os.read(receiver, 1)
            raises()

        asyncio.get_running_loop().add_reader(receiver, readable)
        os.write(sender, b"x")
        await sleeper("main", 0.05)
    """,
}
LOGGED = {
    "a background task": ["main"],
    "a task group": ["child"],
    "a callback": ["main"],
    "a reader": ["main"],
}
RAISES = """
def raises():
    {statement}

async def sleeper_that_raises():
    await asyncio.sleep(0.01)
    raises()

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    {place}

try:
    run(main())
finally:
    log("finally")
"""


@pytest.mark.parametrize("place", PLACES)
def test_sys_exit_ends_the_whole_program_in_order(scenario, place):
    text = filled(RAISES, statement="sys.exit(3)", place=PLACES[place])
    outcome = scenario.ended(text)
    assert outcome.log == [*LOGGED.get(place, []), "background", "finally"]
    assert outcome.status == 3
    assert outcome.is_silent


@pytest.mark.parametrize("place", PLACES)
def test_a_raised_keyboard_interrupt_ends_the_whole_program_in_order(scenario, place):
    text = filled(RAISES, statement="raise KeyboardInterrupt", place=PLACES[place])
    outcome = scenario.ended(text)
    assert outcome.log == [*LOGGED.get(place, []), "background", "finally"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.err.endswith("KeyboardInterrupt\n")
    assert "never retrieved" not in outcome.err


def test_sys_exit_with_words_prints_them_and_ends_with_1(scenario):
    text = """
    async def ends():
        sys.exit("no such file")

    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        asyncio.create_task(ends())
        await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (1, ["background"])
    assert outcome.err == "no such file\n"


def test_sys_exit_0_in_a_background_task_ends_with_0(scenario):
    text = filled(RAISES, statement="sys.exit()", place=PLACES["a background task"])
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log[:2]) == (0, ["main", "background"])
    assert outcome.is_silent


def test_sys_exit_in_a_cleanup_ends_the_others_cleanups_in_order(scenario):
    text = """
    async def exits():
        try:
            await asyncio.sleep(3600)
        finally:
            sys.exit(5)

    async def main():
        asyncio.create_task(exits())
        start("background", 0.05)
        await asyncio.sleep(0)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (5, ["background"])
    assert outcome.is_silent


def test_sys_exit_that_is_called_over_and_over_cuts_no_cleanup_short(scenario):
    text = """
    def exits():
        asyncio.get_running_loop().call_later(0.01, exits)
        sys.exit(3)

    async def main():
        start("background", 0.2)
        asyncio.get_running_loop().call_later(0.01, exits)
        await sleeper("main", 0.2)

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (3, ["main", "background"])
    assert outcome.is_silent
