"""A call in C that lets other threads run, but not the main thread hear of a signal."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from pathlib import Path

import pytest

ASKS = [signal.SIGINT, signal.SIGTERM]
# Each takes years, lets the GIL go and is not interrupted by any signal.
CALLS = {
    "a lock of C": "lock(mutex)",
    "a key": "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "a query": (
        "sqlite3.connect(':memory:').execute('WITH RECURSIVE each(n) AS "
        "(SELECT 1 UNION ALL SELECT n + 1 FROM each) SELECT max(n) FROM each')"
    ),
}
PROGRAM = """
import ctypes, hashlib, sqlite3

lock = ctypes.CDLL(None).pthread_mutex_lock
mutex = ctypes.create_string_buffer(64)
lock(mutex)

def block():
    {call}  # the line

async def main():
    atexit.register(log, "at exit")
    print("printed before")
    start("other", 0.05)
    await asyncio.sleep(0)
    say()
    block()

{runs}
"""
RUN = "run(main())"
# Such a call that ends after a while.
ENDS = """
import ctypes

library = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)

def block():
    until = time.time() + SECONDS
    until = (ctypes.c_long * 2)(int(until), int(until % 1 * 10**9))
    library.pthread_mutex_timedlock(mutex, until)  # the line
    log("ended")

async def main():
    start("other", 0.05)
    await asyncio.sleep(0)
    say()
    block()
    await asyncio.sleep(3600)

run(main())
"""
OWN_LOOP = """
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
"""


def program(call="a lock of C", runs=RUN):
    return PROGRAM.format(call=CALLS[call], runs=runs)


def ask_during_the_call(started, signum):
    started.wait_for()
    # Else it would be heard before.
    time.sleep(0.5)
    started.send(signum)


def check(outcome, line, signum, grace):
    assert outcome.log == ["at exit"]
    assert "printed before" in outcome.out
    assert f"program.py:{line} in block" in outcome.err
    assert "task 'other'" in outcome.err
    assert "a call in C" not in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(grace + 1)


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize("call", CALLS)
def test_one_is_named_with_all_that_is_left_when_the_process_ends(
    scenario, call, signum
):
    with scenario.start(program(call), grace=2) as started:
        ask_during_the_call(started, signum)
        outcome = started.end()
        line = started.line_of("# the line")
    check(outcome, line, signum, 2)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", ASKS)
def test_one_in_a_loop_of_the_programs_own_is_named_too(scenario, signum):
    with scenario.start(program(runs=OWN_LOOP), grace=2) as started:
        ask_during_the_call(started, signum)
        outcome = started.end()
        line = started.line_of("# the line")
    check(outcome, line, signum, 2)


def test_one_that_ends_in_time_is_named_and_the_cleanups_run(scenario):
    with scenario.start(ENDS.replace("SECONDS", "3"), grace=8) as started:
        ask_during_the_call(started, signal.SIGTERM)
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == ["ended", "other"]
    assert f"program.py:{line} in block" in outcome.err
    assert "forced" not in outcome.err
    assert outcome.tells(signal.SIGTERM)


def test_one_does_not_keep_the_report_from_being_written(scenario):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        environment = {"QUIESCE_REPORT": str(path)}
        with scenario.start(program(), grace=1, environment=environment) as started:
            ask_during_the_call(started, signal.SIGTERM)
            outcome = started.end()
        report = json.loads(path.read_text())
    names = {each["name"] for each in report["survivors"]}
    assert "other" in names
    assert outcome.gone_within(1 + 1)


def test_a_later_ctrl_c_in_one_means_now(scenario):
    with scenario.start(program(), grace=8) as started:
        ask_during_the_call(started, signal.SIGTERM)
        time.sleep(1)
        started.send(signal.SIGINT)
        outcome = started.end()
        line = started.line_of("# the line")
    check(outcome, line, signal.SIGTERM, 0.5)


def test_one_that_ends_in_time_leaves_the_rest_of_the_grace(scenario):
    text = ENDS.replace("say()", 'start("never", for_ever)\n    say()')
    with scenario.start(text.replace("SECONDS", "4.5"), grace=5) as started:
        ask_during_the_call(started, signal.SIGTERM)
        outcome = started.end()
    assert outcome.log == ["ended", "other"]
    assert "task 'never'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    # With the whole grace it would be 4 + 5.
    assert outcome.gone_within(5 + 1)


def test_a_program_under_watch_for_it_forks_without_a_warning(scenario):
    text = """
    import warnings
    warnings.simplefilter("always")

    async def main():
        for _ in range(10):
            await asyncio.sleep(0.01)
            if (pid := os.fork()) == 0:
                os._exit(0)
            os.waitpid(pid, 0)

    run(main())
    """
    assert scenario.ended(text).is_silent
