"""At a terminal: Ctrl-C and the hang-up reach all that is there"""

from __future__ import annotations

import os
import signal

import pytest

from tests.programs.exits.scenario import state_of

# Where stderr is the terminal too, as it is for people.
HEAD = "os.dup2(1, 2)\n"
WITH_CHILDREN = """
import subprocess

async def main():
    child = await asyncio.create_subprocess_exec("sleep", "3600")
    shell = await asyncio.create_subprocess_shell("sleep 3600; true")
    own = subprocess.Popen(["sleep", "3600"])
    start("background", 0.05)
    await asyncio.sleep(0)
    say()
    try:
        await child.wait()
        log("child ended first")
        await sleeper("main", 0.05)
    finally:
        log("main")

run(main())
"""
ENDS = {
    "Ctrl-C": (signal.SIGINT, lambda program: program.press("\x03")),
    "hang-up": (signal.SIGHUP, lambda program: program.hang_up()),
    "kill of the group": (
        signal.SIGTERM,
        lambda program: os.killpg(program.pid, signal.SIGTERM),
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_programs_children_end_with_it(scenario, end):
    signum, ask = ENDS[end]
    with scenario.start(WITH_CHILDREN, terminal=True) as program:
        program.wait_for("ready")
        ask(program)
        outcome = program.end()
    assert outcome.log[-1] == "background"
    assert "main" in outcome.log
    assert outcome.tells(signum)
    assert outcome.left_behind == []
    assert outcome.is_silent
    assert outcome.gone_within(1)


CLEANS_UP_ALOUD = (
    HEAD
    + """
async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        log("background")
        print("printed by the background")
        log("not reached after a hang-up")

async def main():
    start("quiet", 0.1)
    asyncio.create_task(background())
    await asyncio.sleep(0)
    say()
    await sleeper("main", 0.05)

atexit.register(log, "exit function")
run(main())
"""
)


def test_a_cleanup_that_prints_to_a_lost_terminal_keeps_no_other_from_its_own(scenario):
    with scenario.start(CLEANS_UP_ALOUD, terminal=True) as program:
        program.wait_for("ready")
        program.hang_up()
        outcome = program.end()
    assert outcome.log[:2] == ["main", "background"]
    assert outcome.log[-2:] == ["quiet", "exit function"]
    assert outcome.tells(signal.SIGHUP)
    assert outcome.gone_within(1)


STUCK = (
    HEAD
    + """
async def main():
    start("stuck", for_ever)
    threading.Thread(target=time.sleep, args=[3600], daemon={daemon}).start()
    await asyncio.sleep(0)
    say()
    await sleeper("main", 0.05)

atexit.register(log, "exit function")
run(main())
"""
)


@pytest.mark.parametrize("daemon", [True, False])
def test_a_forced_end_needs_no_terminal_to_tell_of_it(scenario, daemon):
    text = STUCK.replace("{daemon}", str(daemon))
    with scenario.start(text, grace=1, terminal=True) as program:
        program.wait_for("ready")
        program.hang_up()
        outcome = program.end()
    assert outcome.log == ["main", "exit function"]
    assert outcome.tells_force(signal.SIGHUP)
    assert outcome.gone_within(1 + 1)


def test_ctrl_c_and_then_a_hang_up_is_one_end(scenario):
    text = """
    os.dup2(1, 2)

    async def main():
        start("background", 0.5)
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(0.3)
            log("main")

    run(main())
    """
    with scenario.start(text, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        program.wait_for("cleaning")
        program.hang_up()
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_a_program_that_was_stopped_and_continued_ends_as_ever(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    with scenario.start(text, grace=1, terminal=True) as program:
        program.wait_for("ready")
        program.send(signal.SIGSTOP)
        while state_of(program.pid) != "T":
            pass
        program.send(signal.SIGCONT)
        program.press("\x03")
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent
