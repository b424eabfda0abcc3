"""Signals that the program, or who started it, wants for something else"""

from __future__ import annotations

import signal

import pytest

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
WAITING = """
async def main():
    say()
    await sleeper("main")

run(main())
"""


@pytest.mark.parametrize(
    ("ignored", "other"),
    [
        (signal.SIGHUP, signal.SIGINT),
        (signal.SIGINT, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGHUP),
    ],
)
def test_a_signal_that_was_ignored_at_start_stays_ignored(scenario, ignored, other):
    with scenario.start(WAITING, ignoring=[ignored]) as program:
        program.wait_for("ready")
        program.send(ignored)
        program.send(other)
        outcome = program.end()
    assert outcome.log == ["main"]
    assert outcome.tells(other)


def test_nohup_keeps_the_program_through_a_hang_up(scenario):
    text = """
    async def main():
        say()
        while os.getpgrp() == os.tcgetpgrp(0):
            await asyncio.sleep(0.01)

    try:
        run(main())
    except OSError:
        log("hung up")
    """
    with scenario.start(text, ignoring=[signal.SIGHUP], terminal=True) as program:
        program.wait_for("ready")
        program.hang_up()
        outcome = program.end()
    assert (outcome.status, outcome.log) == (0, ["hung up"])


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_handler_that_the_program_added_to_the_loop_wins(scenario, signum):
    text = f"""
    async def main():
        heard = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler({int(signum)}, heard.set)
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await heard.wait()
        await asyncio.sleep(0.05)
        log("heard")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert (outcome.status, outcome.log) == (0, ["heard", "background"])
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_whose_handler_the_program_has_removed_ends_it(scenario, signum):
    text = f"""
    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler({int(signum)}, log, "heard")
        loop.remove_signal_handler({int(signum)})
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", SIGNALS)
def test_so_it_does_in_a_loop_that_the_program_runs_itself(scenario, signum):
    text = f"""
    async def main():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler({int(signum)}, log, "heard")
        loop.remove_signal_handler({int(signum)})
        loop.call_soon(say)
        await sleeper("main", 0.05)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_handler_that_the_program_set_wins(scenario, signum, when):
    sets = f"signal.signal({int(signum)}, lambda *_: log('heard'))"
    text = f"""
    {sets if when == "before" else ""}

    async def main():
        {sets if when == "during" else ""}
        say()
        while not heard():
            await asyncio.sleep(0.01)
        log("went on")

    def heard():
        with open(os.environ["QUIESCE_EXITS_LOG"]) as file:
            return "heard" in file.read()

    run(main())
    log(signal.getsignal({int(signum)}).__name__)
    """
    outcome = scenario.interrupted(text, by=signum)
    assert (outcome.status, outcome.log) == (0, ["heard", "went on", "<lambda>"])
    assert outcome.is_silent


def test_sys_exit_in_a_handler_of_the_program_ends_it_in_order(scenario):
    text = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))

    async def main():
        start("background", 0.05)
        asyncio.get_running_loop().call_later(0.05, say)
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert (outcome.status, outcome.log) == (5, ["main", "background"])
    assert outcome.is_silent


@pytest.mark.parametrize("end", ["a return", "an error", "Ctrl-C", "SIGTERM"])
def test_the_handlers_are_restored_afterwards(scenario, end):
    statement = {
        "a return": "pass",
        "an error": "raise ValueError",
        "Ctrl-C": "os.kill(os.getpid(), signal.SIGINT)",
        "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)",
    }[end]
    text = f"""
    def handlers():
        numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
        return [signal.getsignal(number) for number in numbers]

    async def main():
        {statement}
        await asyncio.sleep(0 if {end in {"a return", "an error"}} else 3600)

    before = handlers()
    try:
        run(main())
    except BaseException as error:
        log(type(error).__name__)
    log(handlers() == before)
    log(signal.set_wakeup_fd(-1))
    os._exit(0)
    """
    outcome = scenario.ended(text)
    raised = {
        "a return": [],
        "an error": ["ValueError"],
        "Ctrl-C": ["KeyboardInterrupt"],
        "SIGTERM": ["Terminated"],
    }[end]
    assert outcome.log == [*raised, "True", "-1"]
