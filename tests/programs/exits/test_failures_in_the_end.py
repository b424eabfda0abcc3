"""What fails while the program ends is reported once, whatever made it fail unheard"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

GRACE = 1.0
HEAD = """
class Own(BaseException):
    pass

async def fails(number):
    try:
        await asyncio.sleep(3600)
    finally:
        raise ValueError(f"part {number}")

async def both():
    await asyncio.gather(fails(1), fails(2))

"""
ENDS = {"return": "pass", "SIGTERM": "await asyncio.sleep(3600)"}


def ended(scenario, text, end, **options):
    """Run a program whose main ends in that way."""
    text = HEAD + filled(text, end=f"say()\n{ENDS[end]}")
    if end == "return":
        return scenario.ended(text, **options)
    return scenario.interrupted(text, by=signal.Signals[end], **options)


def times(outcome, error):
    """Return how often the error was printed."""
    lines = [line.strip(" |") for line in outcome.err.splitlines()]
    return lines.count(error)


@pytest.mark.parametrize("end", ENDS)
def test_each_part_of_a_gathering_is_reported_where_the_end_is_forced(scenario, end):
    text = """
async def main():
    tasks = [asyncio.create_task(each) for each in (both(), never_ends())]
    await asyncio.sleep(0)
    {end}

run(main())
"""
    outcome = ended(scenario, text, end, grace=GRACE)
    assert "forced to end" in outcome.err
    assert times(outcome, "ValueError: part 1") == 1
    assert times(outcome, "ValueError: part 2") == 1


@pytest.mark.ways("quiesce.run")
def test_so_is_each_part_that_the_main_of_a_runner_gathers(scenario):
    text = """
async def main():
    asyncio.get_running_loop().call_soon(say)
    await both()

with Runner() as runner:
    runner.run(main())
"""
    outcome = scenario.interrupted(HEAD + text, by=signal.SIGTERM)
    assert times(outcome, "ValueError: part 1") == 1
    assert times(outcome, "ValueError: part 2") == 1
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("end", ENDS)
def test_so_is_each_part_of_a_gathering_that_a_cleanup_makes(scenario, end):
    text = """
async def fails_at_once(number):
    raise ValueError(f"part {number}")

async def works():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.gather(fails_at_once(1), fails_at_once(2))

async def main():
    task = asyncio.create_task(works())
    await asyncio.sleep(0)
    {end}

run(main())
"""
    outcome = ended(scenario, text, end)
    assert times(outcome, "ValueError: part 1") == 1
    assert times(outcome, "ValueError: part 2") == 1


GENERATOR = """
async def numbers():
    try:
        yield 1
    finally:
        {cleanup}

async def main():
    global held
    held = numbers()
    await anext(held)
    {end}

run(main())
"""


def test_so_is_what_the_cleanup_of_a_generator_raises_when_it_is_cut(scenario):
    cleanup = """
    try:
        await asyncio.sleep(3600)
    finally:
        raise ValueError("boom")
    """
    outcome = ended(scenario, filled(GENERATOR, cleanup=cleanup), "return", grace=GRACE)
    assert times(outcome, "ValueError: boom") == 1
    assert "; left: 1 async generator\n" in outcome.err


# Where an exception of the program's own, that is no `Exception`, may be raised.
PLACES = {
    "a generator": filled(GENERATOR, cleanup='raise Own("boom")'),
    "a drain step": """
import quiesce

async def step():
    raise BaseExceptionGroup("group", [Own("boom")])

async def main():
    quiesce.shutdown.drain(step)
    {end}

run(main())
""",
    "a cleanup that is cut": """
async def stuck():
    try:
        await never_ends()
    finally:
        raise Own("boom")

async def main():
    task = asyncio.create_task(stuck())
    await asyncio.sleep(0)
    {end}

run(main())
""",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("place", PLACES)
def test_so_is_what_is_no_ordinary_exception(scenario, place, end):
    outcome = ended(scenario, PLACES[place], end, grace=GRACE)
    assert outcome.err.count("Own: boom\n") == 1


def test_after_a_sigterm_a_main_that_raises_such_a_one_changes_nothing(scenario):
    text = """
async def main():
    try:
        say()
        await asyncio.sleep(3600)
    finally:
        raise Own("boom")

run(main())
"""
    outcome = scenario.interrupted(HEAD + text, by=signal.SIGTERM)
    assert outcome.err.count("Own: boom\n") == 1
    assert outcome.tells(signal.SIGTERM)


EXITS = {
    "a part that is held": """
async def exits():
    try:
        await asyncio.sleep(3600)
    finally:
        sys.exit(5)

async def main():
    global held
    held = asyncio.gather(exits(), asyncio.sleep(3600))
    await asyncio.sleep(0)

run(main())
""",
    "a task, and main after it": """
async def exits():
    await asyncio.sleep(0)
    sys.exit(5)

async def main():
    task = asyncio.create_task(exits())
    try:
        await asyncio.sleep(3600)
    finally:
        sys.exit(9)

run(main())
""",
}


@pytest.mark.parametrize("exits", EXITS)
def test_what_ends_the_program_is_no_failure(scenario, exits):
    outcome = scenario.ended(EXITS[exits])
    assert outcome.status == 5
    assert outcome.is_silent


def test_an_exception_handler_that_fails_does_not_show_what_main_raised(scenario):
    text = """
async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: 1 / 0)
    task = asyncio.create_task(fails(1))
    await asyncio.sleep(0)
    raise OSError("of main")

run(main())
"""
    outcome = scenario.ended(HEAD + text)
    assert times(outcome, "OSError: of main") == 1
    assert "ValueError('part 1')" in outcome.err
    assert times(outcome, "ZeroDivisionError: division by zero") == 1
    assert outcome.status == 1


@pytest.mark.ways("quiesce.run")
def test_a_function_that_gets_the_report_and_fails_is_shown_with_its_line(scenario):
    text = """
def fails(report):
    raise ValueError("boom")

async def main():
    pass

run(main(), report=fails)
"""
    outcome = scenario.ended(text)
    assert "in fails\n" in outcome.err
    assert outcome.status == 0


ANSWERED = """
async def main():
    task = asyncio.create_task(never_ends())
    try:
        say()
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        say("answered")

run(main())
"""


def test_a_grace_used_up_after_main_answered_a_ctrl_c_is_not_without_it(scenario):
    outcome = scenario.interrupted(ANSWERED, by=signal.SIGINT, grace=GRACE)
    assert outcome.status == 130
    assert "in never_ends" in outcome.err


def test_a_later_ctrl_c_after_main_answered_the_first_is_in_the_status(scenario):
    with scenario.start(ANSWERED, grace=20) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.wait_for("answered")
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.tells(signal.SIGINT)
    assert "in never_ends" in outcome.err
