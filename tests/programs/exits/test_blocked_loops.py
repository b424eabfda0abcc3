"""A loop that cannot turn is named, and does not hold the end past the grace."""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import WATCHED

ASKS = [signal.SIGINT, signal.SIGTERM]
BLOCKERS = {
    "a sleep": "time.sleep(3600)",
    "a busy loop": "while True: pass",
    "a lock": "held = threading.Lock(); held.acquire(); held.acquire()",
    "a child": "subprocess.run(['sleep', '3600'])",
    "a socket": "ends = socket.socketpair(); ends[0].recv(1)",
    "a queue": "queue.Queue().get()",
    "a thread": (
        "thread = threading.Thread(target=time.sleep, args=(3600,), daemon=True); "
        "thread.start(); thread.join()"
    ),
}
# Calls in C that let no other Python run meanwhile.
KEEPS_THE_GIL = {
    "a sum": "sum(range(10**13))",
    "a regular expression": "re.match('(a+)+$', 'a' * 60 + 'b')",
    "a lock of C": (
        "lock = ctypes.PyDLL(None).pthread_mutex_lock; "
        "mutex = ctypes.create_string_buffer(64); lock(mutex); lock(mutex)"
    ),
}
HEAD = """
import ctypes, queue, re, socket, subprocess

def block():
    {blocker}  # the line
"""
IN_A_TASK = """
async def blocked():
    await asyncio.sleep(0)
    say()
    block()

async def main():
    start("other", 0.05)
    await asyncio.sleep(0)
    await asyncio.create_task(blocked(), name="blocked")

run(main())
"""
IN_A_CALLBACK = """
async def main():
    start("other", 0.05)
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(block)
    asyncio.get_running_loop().call_soon(say)
    say()
    await sleeper("main", 0.05)

run(main())
"""
IN_MAIN = """
async def main():
    start("other", 0.05)
    await asyncio.sleep(0)
    say()
    try:
        block()
    finally:
        await asyncio.sleep(0.05)
        log("main")

run(main())
"""
IN_A_CLEANUP = """
async def main():
    start("other", 0.05)
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        block()

run(main())
"""
PLACES = {
    "a callback": (IN_A_CALLBACK, ["main", "other"]),
    "main": (IN_MAIN, ["main", "other"]),
    "a cleanup": (IN_A_CLEANUP, ["other"]),
}
UNTIL_THE_DEADLINE = """
async def main():
    atexit.register(log, "at exit")
    print("printed before")
    start("other", 0.05)
    await asyncio.sleep(0)
    say()
    while True:
        try:
            block()
        except BaseException:
            log("interrupted")

run(main())
"""


def program(text, blocker):
    return HEAD.format(blocker=blocker) + text


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize("blocker", BLOCKERS)
def test_what_blocks_a_task_is_named_and_cut_and_the_others_clean_up(
    scenario, blocker, signum
):
    with scenario.start(program(IN_A_TASK, BLOCKERS[blocker]), grace=3) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == ["other"]
    assert f"program.py:{line} in block" in outcome.err
    assert "(task blocked)" in outcome.err
    assert outcome.tells(signum)
    assert outcome.gone_within(3)


@pytest.mark.whole
@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize("blocker", ["a sleep", "a busy loop", "a lock"])
@pytest.mark.parametrize("place", PLACES)
def test_what_blocks_elsewhere_is_cut_too(scenario, place, blocker, signum):
    text, cleanups = PLACES[place]
    with scenario.start(program(text, BLOCKERS[blocker]), grace=3) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == cleanups
    assert f"program.py:{line} in block" in outcome.err
    assert outcome.tells(signum)
    assert outcome.gone_within(3)


@pytest.mark.parametrize("signum", ASKS)
def test_what_cannot_be_cut_is_ended_at_the_deadline(scenario, signum):
    text = program(UNTIL_THE_DEADLINE, BLOCKERS["a sleep"])
    with scenario.start(text, grace=2) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert set(outcome.log) == {"interrupted", "at exit"}
    assert "printed before" in outcome.out
    assert f"program.py:{line} in block" in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(3)


@pytest.mark.parametrize("signum", ASKS)
def test_a_callback_that_is_itself_a_function_in_c_is_cut_too(scenario, signum):
    text = """
    async def main():
        start("other", 0.05)
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(say)
        asyncio.get_running_loop().call_soon(time.sleep, 3600)
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=3)
    assert outcome.log == ["main", "other"]
    assert outcome.tells(signum)
    assert outcome.gone_within(3)


AFTER_MAINS_RETURN = """
async def blocks():
    try:
        await asyncio.sleep(3600)
    finally:
        block()

async def main():
    asyncio.create_task(blocks(), name="blocked")
    start("other", 0.05)
    await asyncio.sleep(0)
    say()

run(main())
"""


def test_what_blocks_a_cleanup_after_mains_return_is_cut_too(scenario):
    text = program(AFTER_MAINS_RETURN, BLOCKERS["a sleep"])
    with scenario.start(text, grace=3) as started:
        started.wait_for("ready")
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == ["other"]
    assert f"program.py:{line} in block" in outcome.err
    assert "(task blocked)" in outcome.err
    assert outcome.status == 0
    assert outcome.gone_within(3)


def test_a_block_that_ends_by_itself_is_not_cut(scenario):
    text = program(IN_A_CALLBACK, "time.sleep(1.5); log('slept')")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=8)
    assert outcome.log == ["slept", "main", "other"]
    assert "Traceback" not in outcome.err
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.whole
@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize("blocker", KEEPS_THE_GIL)
@pytest.mark.parametrize("place", ["main", "a cleanup"])
def test_a_call_that_lets_no_python_run_ends_the_process(
    scenario, place, blocker, signum
):
    text = program(PLACES[place][0], KEEPS_THE_GIL[blocker])
    with scenario.start(text, grace=1) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert "quiesce: " in outcome.err
    assert f'program.py", line {line} in block' in outcome.err
    assert outcome.status != 0
    assert outcome.gone_within(1 + 1.5)


def test_a_call_that_lets_no_python_run_after_mains_return_ends_the_process(scenario):
    text = program(AFTER_MAINS_RETURN, KEEPS_THE_GIL["a sum"])
    with scenario.start(text, grace=1) as started:
        started.wait_for("ready")
        outcome = started.end()
        line = started.line_of("# the line")
    assert f'program.py", line {line} in block' in outcome.err
    assert outcome.status != 0
    assert outcome.gone_within(1 + 1.5)


def test_a_call_that_lets_no_python_run_does_not_save_the_children(scenario):
    text = """
    async def main():
        await asyncio.create_subprocess_exec("sleep", "3600")
        say()
        sum(range(10**13))

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.left_behind == []
    assert outcome.status != 0
    assert outcome.gone_within(1 + 1.5)


BLOCKED_FOR_A_WHILE = """
async def main():
    await asyncio.sleep(0.01)
    block()
    say("went on")

run(main())
"""


@pytest.mark.ways("quiesce run")
def test_a_blocked_loop_is_reported_while_it_is_blocked(scenario):
    # The block ends when the report is there.
    text = program(BLOCKED_FOR_A_WHILE, "while not os.fstat(2).st_size: pass")
    with scenario.start(text, environment=WATCHED) as started:
        outcome = started.end()
        line = started.line_of("# the line")
    assert "quiesce: the loop is blocked" in outcome.err
    assert f"program.py:{line} in block" in outcome.err
    assert outcome.status == 0


@pytest.mark.ways("quiesce.run")
def test_the_library_reports_a_blocked_loop_only_if_asked(scenario):
    text = program(BLOCKED_FOR_A_WHILE, "time.sleep(0.5)")
    assert scenario.ended(text, environment=WATCHED).is_silent
    asked = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "100"})
    assert asked.err.count("quiesce: the loop is blocked") == 1


@pytest.mark.ways("quiesce run")
def test_zero_turns_the_report_off(scenario):
    text = program(BLOCKED_FOR_A_WHILE, "time.sleep(2)")
    outcome = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "0"})
    assert outcome.is_silent


def test_a_program_under_watch_forks_without_a_warning(scenario):
    text = """
    import warnings
    warnings.simplefilter("always")

    async def main():
        for _ in range(10):
            await asyncio.sleep(0.01)
            if (pid := os.fork()) == 0:
                os._exit(0)
            os.waitpid(pid, 0)
        await asyncio.sleep(0.01)
        time.sleep(0.5)

    run(main())
    """
    outcome = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "100"})
    assert "DeprecationWarning" not in outcome.err
    assert "quiesce: the loop is blocked" in outcome.err
    assert outcome.status == 0


def test_the_program_sees_no_thread_of_the_watchdog(scenario):
    text = """
    async def main():
        say(f"{threading.active_count()} thread")

    run(main())
    """
    outcome = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "100"})
    assert outcome.out == ["1 thread"]


def test_what_blocks_the_end_outside_of_the_loop_is_named(scenario):
    text = """
    def handle(loop, context):
        time.sleep(3600)  # the line

    async def fails():
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("a cleanup failed")

    async def main():
        asyncio.get_running_loop().set_exception_handler(handle)
        task = asyncio.create_task(fails())
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# the line")
    assert f"thread 'MainThread' at program.py:{line} in handle" in outcome.err
    assert "a call in C" not in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)


@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize("cleanup", [0.05, "for_ever"])
def test_a_function_that_blocks_with_the_report_is_named_and_called_once(
    scenario, cleanup
):
    text = f"""
    def report(_):
        log("report")
        time.sleep(3600)  # the line

    async def main():
        start("other", {cleanup})
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main(), report=report)
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# the line")
    assert outcome.log.count("report") == 1
    assert f"thread 'MainThread' at program.py:{line} in report" in outcome.err
    assert ("task 'other'" in outcome.err) == (cleanup == "for_ever")
    assert "a call in C" not in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)
