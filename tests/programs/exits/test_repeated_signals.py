"""Signals that come again while the program is ending"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

WAITING = """
async def main():
    start("background", {seconds})
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning")
        await sleeper_s_cleanup()

async def sleeper_s_cleanup():
    await asyncio.sleep({seconds})
    log("main")

run(main())
""".replace("{seconds}", "0.6")

# Whose cleanups never end; two of them beside main's.
STUCK = """
async def main():
    start("stuck-1", for_ever)
    start("stuck-2", for_ever)
    asyncio.current_task().set_name("stuck-0")
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning")
        await sleeper("main", for_ever)

try:
    run(main())
finally:
    log("finally")
"""


def test_two_interrupts_at_once_are_one(scenario):
    with scenario.start(WAITING) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_two_interrupts_that_are_heard_shortly_after_another_are_one(scenario):
    text = """
    async def main():
        start("background", 0.6)
        await asyncio.sleep(0)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        await sleeper("main", 0.6)

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_a_ctrl_c_that_a_wrapper_passes_on_once_more_is_one(scenario):
    with scenario.start(WAITING, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def later_ctrl_c(program):
    """Send SIGINT long enough after the first signal to be another request."""
    program.wait_for("cleaning")
    time.sleep(0.7)
    program.send(signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_means_now(scenario, first):
    with scenario.start(STUCK, grace=60) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.log == ["finally"]
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


def test_a_later_ctrl_c_names_each_survivor_in_one_line_without_noise(scenario):
    text = STUCK.replace(
        '        say("cleaning")\n',
        # Sent by the program, because only it knows when the first one was heard.
        "        threading.Timer(0.6, signal.raise_signal, [2]).start()\n",
    )
    outcome = scenario.interrupted(text, grace=60)
    for name in "stuck-0", "stuck-1", "stuck-2":
        # One more where a second had gone by and it was said what is waited for.
        assert outcome.err.count(name) in {1, 2}
    assert outcome.tracebacks <= 1
    assert "During handling" not in outcome.err
    assert "ignored" not in outcome.err


def test_a_later_ctrl_c_at_a_terminal_means_now(scenario):
    with scenario.start(STUCK, grace=60, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        program.wait_for("cleaning")
        time.sleep(0.7)
        program.press("\x03")
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)


def test_ctrl_c_pressed_over_and_over_is_no_noise(scenario):
    with scenario.start(STUCK, grace=60) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.wait_for("cleaning")
        for _ in range(10):
            time.sleep(0.15)
            if program.process.poll() is None:
                program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)
    assert outcome.tracebacks <= 1
    assert "ignored" not in outcome.err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_repeated_termination_does_not_shorten_a_cleanup(scenario, first, again):
    with scenario.start(WAITING) as program:
        program.wait_for("ready")
        program.send(first)
        program.wait_for("cleaning")
        for _ in range(3):
            program.send(again)
            time.sleep(0.1)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(first)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("end", ["return", "raise ValueError"])
def test_a_first_signal_while_the_runner_is_ending_cuts_no_cleanup(
    scenario, signum, end
):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(0.5)
            log("background")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = scenario.interrupted(filled(text, end=end), by=signum, at="cleaning")
    assert outcome.log == ["background"]
    assert outcome.tells(signum) or (outcome.status == 1 and "ValueError" in end)


def test_a_first_ctrl_c_after_sys_exit_in_a_task_cuts_no_cleanup(scenario):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(0.5)
            log("background")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)
        sys.exit(3)

    run(main())
    """
    outcome = scenario.interrupted(text, at="cleaning")
    assert outcome.log == ["background"]
    assert outcome.status in {3, 130, -signal.SIGINT}


def test_a_ctrl_c_that_was_caught_is_over_before_the_next_run(scenario):
    text = """
    async def main(name):
        start(f"background of {name}", 0.6)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await sleeper(name)

    for name in "first", "second":
        try:
            run(main(name))
        except KeyboardInterrupt:
            log("interrupted")
    """
    outcome = scenario.ended(text)
    assert outcome.log == [
        *("first", "background of first", "interrupted"),
        *("second", "background of second", "interrupted"),
    ]
    assert (outcome.status, outcome.is_silent) == (0, True)
