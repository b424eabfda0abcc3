"""A call in C that lets no Python run does not hold the process after the run either"""

from __future__ import annotations

import signal
import sys

import pytest

import quiesce
from tests.programs.exits.scenario import filled

ASKS = [signal.SIGINT, signal.SIGTERM]
# The regular expression is one that takes years.
PROGRAM = """
import re
has_ended = threading.Event()

def block():
    re.match("(a+)+$", "a" * 60 + "b")  # the line

async def main():
    try:
        say()
        await asyncio.sleep(3600)
    finally:
        log("main")
        has_ended.set()

{beside}
run(main())
"""
IN_AN_EXIT_FUNCTION = "atexit.register(block)"
IN_A_THREAD = """
def work():
    has_ended.wait()
    # Until the exit waits for this thread.
    time.sleep(0.7)
    block()

threading.Thread(target=work).start()
"""
IN_A_DAEMON = """
exits = threading.Event()

def work():
    exits.wait()
    block()

def at_exit():
    exits.set()
    time.sleep(3600)

atexit.register(at_exit)
threading.Thread(target=work, daemon=True).start()
"""
PLACES = {
    "an exit function": IN_AN_EXIT_FUNCTION,
    "a thread": IN_A_THREAD,
    "a daemon": IN_A_DAEMON,
}


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize("place", PLACES)
def test_one_during_the_interpreters_exit_ends_the_process(scenario, place, signum):
    text = filled(PROGRAM, beside=PLACES[place])
    with scenario.start(text, grace=2) as started:
        started.wait_for()
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == ["main"]
    assert f'program.py", line {line} in block' in outcome.err
    assert outcome.status != 0
    assert outcome.gone_within(2 + 1.5)


def test_one_in_an_exit_function_does_not_save_the_children(scenario):
    beside = """
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(3600,))
    child.start()
    atexit.register(block)
    """
    text = filled(PROGRAM, beside=beside)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2)
    assert outcome.left_behind == []
    assert outcome.status != 0
    assert outcome.gone_within(2 + 1.5)


def test_the_first_exit_function_has_its_time_and_the_status_stays(scenario):
    beside = """
    def at_exit():
        time.sleep(1)
        log("exit function")

    atexit.register(at_exit)
    """
    text = filled(PROGRAM, beside=beside)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=3)
    assert outcome.log == ["main", "exit function"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_program_that_goes_on_has_nothing_to_fear(scenario):
    text = """
    async def main():
        say()
        await asyncio.sleep(3600)

    def at_exit():
        time.sleep(2.5)
        log("exit function")

    atexit.register(at_exit)
    try:
        run(main())
    except SystemExit:
        time.sleep(3)
        log("went on")
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=0.5)
    assert outcome.log == ["went on", "exit function"]
    assert outcome.status == 0


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="Python 3.12 does not fork as it exits"
)
def test_a_child_forked_in_an_exit_function_outlives_the_deadline(scenario):
    beside = """
    def at_exit():
        if os.fork() == 0:
            # Longer than the parent may be there.
            time.sleep(3)
            say("the child has ended")
            os._exit(0)

    atexit.register(at_exit)
    """
    text = filled(PROGRAM, beside=beside)
    with scenario.start(text, grace=1) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        program.wait_for("the child has ended")
        outcome = program.end()
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stuck_when_python_is_gone_ends_with_the_status_too(scenario, signum):
    text = """
    import codecs, gc

    class Holds:
        pass

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)

    # Dropped when the interpreter is gone, and it writes then: nobody reads.
    gc.disable()
    holds = Holds()
    holds.file = open(writer, "wb")
    holds.file.write(b"more")
    codecs.register(lambda name, holds=holds: None)
    del holds

    async def main():
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.log == ["main"]
    assert outcome.gone_within(1 + 1.5)
    if quiesce.COMPILED:
        assert outcome.tells_force(signum)
    else:
        # The guardian can only kill it.
        assert outcome.status != 0
