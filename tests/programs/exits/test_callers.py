"""What called the run, in its `with` and `finally`, while the end is on its way out"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

GRACE = 1.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
PROGRAM = """
import multiprocessing, subprocess
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

def works(seconds):
    time.sleep(seconds)
    log("worked")

def starts(kind, *arguments):
    worker = kind(target=works, args=arguments)
    worker.start()
    return worker

async def main():
    {begin}
    say()
    {end}

if __name__ == "__main__":
    atexit.register(log, "atexit")
    {call}
"""
SLEEPS = "await sleeper('main')"
# How a caller waits for what runs for so many seconds, and what that is called.
WAITS = {
    "a pool of threads": (
        "",
        """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(works, SECONDS)
        run(main())
        """,
        "thread 'ThreadPoolExecutor-0_0'",
    ),
    "a pool of processes": (
        "",
        """
    with ProcessPoolExecutor(1) as pool:
        pool.submit(works, SECONDS)
        run(main())
        """,
        "child",
    ),
    "a thread": (
        "",
        """
    thread = starts(threading.Thread, SECONDS)
    try:
        run(main())
    finally:
        thread.join()
        """,
        "thread 'Thread-1 (works)'",
    ),
    "a thread, for an event": (
        "",
        """
    done = threading.Event()
    thread = threading.Thread(target=lambda: (works(SECONDS), done.set()), name="sets")
    thread.start()
    try:
        run(main())
    finally:
        done.wait()
        """,
        "thread 'sets'",
    ),
    "a child": (
        "",
        """
    child = subprocess.Popen(["sleep", "SECONDS"])
    try:
        run(main())
    finally:
        child.wait()
        """,
        "child",
    ),
}


def program(waits, seconds, end=SLEEPS):
    begin, call, _ = WAITS[waits]
    call = call.replace("SECONDS", str(seconds))
    return filled(PROGRAM, begin=begin, end=end, call=call)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("waits", WAITS)
def test_what_one_waits_for_does_not_hold_the_end_past_the_grace(
    scenario, waits, signum
):
    text = program(waits, 3600)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main", "atexit"]
    assert WAITS[waits][2] in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.parametrize("waits", ["a pool of threads", "a thread"])
def test_it_does_not_hold_the_end_that_sys_exit_asked_for(scenario, waits):
    text = program(waits, 3600, end="sys.exit(3)")
    outcome = scenario.ended(text, grace=GRACE)
    assert outcome.log == ["atexit"]
    assert WAITS[waits][2] in outcome.err
    assert outcome.status == 70


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("waits", ["a pool of threads", "a pool of processes"])
def test_what_one_waits_for_has_the_grace(scenario, waits, signum):
    outcome = scenario.interrupted(program(waits, 0.5), by=signum)
    assert sorted(outcome.log) == ["atexit", "main", "worked"]
    assert outcome.tells(signum)
    assert "forced" not in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_process_that_one_joins_is_asked_to_end(scenario, signum):
    call = """
    process = starts(multiprocessing.get_context("spawn").Process, 3600)
    try:
        run(main())
    finally:
        process.join()
        log(process.exitcode)
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=call)
    outcome = scenario.interrupted(text, by=signum, grace=3)
    assert outcome.log == ["main", "-15", "atexit"]
    assert outcome.tells(signum)
    assert "forced" not in outcome.err
    assert outcome.left_behind == []


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_run_in_a_thread_that_one_joins_is_asked_to_end(scenario, signum):
    call = """
    thread = threading.Thread(target=lambda: run(sleeper("in a thread")))
    thread.start()
    try:
        run(main())
    finally:
        thread.join()
        log("joined")
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=call)
    outcome = scenario.interrupted(text, by=signum, grace=3)
    assert outcome.log == ["main", "in a thread", "joined", "atexit"]
    assert outcome.tells(signum)
    assert "forced" not in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_one_that_cleans_up_beyond_the_grace_leaves_a_thread_no_more_time(
    scenario, signum
):
    call = """
    thread = starts(threading.Thread, 3600)
    try:
        run(main())
    finally:
        time.sleep(3)
        log("cleaned up")
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=call)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main", "cleaned up", "atexit"]
    assert "thread 'Thread-1 (works)'" in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(3 + 1)


def test_who_would_catch_something_else_has_not_caught_the_end(scenario):
    call = """
    thread = starts(threading.Thread, 3600)

    def cleans_up():
        try:
            run(main())
        finally:
            time.sleep(3)
            log("cleaned up")

    try:
        cleans_up()
    except ValueError:
        log("caught")
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=call)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "cleaned up", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(3 + 1)


@pytest.mark.parametrize("wait", ["thread.join()", "time.sleep(3600)"])
def test_a_later_ctrl_c_means_now(scenario, wait):
    call = """
    thread = starts(threading.Thread, 3600)
    try:
        run(main())
    finally:
        say("cleaning")
        {wait}
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=filled(call, wait=wait))
    with scenario.start(text) as running:
        running.wait_for("ready")
        running.send(signal.SIGINT)
        running.wait_for("cleaning")
        # Long enough after the first one to be another request.
        time.sleep(0.7)
        running.send(signal.SIGINT)
        outcome = running.end()
    assert outcome.log == ["main", "atexit"]
    assert "thread 'Thread-1 (works)'" in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.gone_within(1.5)


@pytest.mark.parametrize("signum", SIGNALS)
def test_one_that_caught_the_end_and_goes_on_is_left_alone(scenario, signum):
    call = """
    thread = starts(threading.Thread, 4)
    try:
        run(main())
    except (KeyboardInterrupt, SystemExit):
        log("goes on")
    thread.join()
    log("joined")
    """
    text = filled(PROGRAM, begin="", end=SLEEPS, call=call)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main", "goes on", "worked", "joined", "atexit"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("runs", ["run(main())", "loop.run_until_complete(main())"])
def test_a_caller_that_waits_in_vain_in_an_except_does_not_hold_the_process(
    scenario, runs, signum
):
    if scenario.way == "quiesce.run" and runs != "run(main())":
        pytest.skip("a loop that a program runs by itself is Python's business")
    text = """
    thread = threading.Thread(target=sleep_in_pieces, name="stuck")
    thread.start()
    loop = asyncio.new_event_loop()

    async def main():
        say()
        await asyncio.sleep(3600)

    try:
        RUNS
    except (KeyboardInterrupt, SystemExit):
        thread.join()
    """.replace("RUNS", runs)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)
    assert "thread 'stuck'" in outcome.err


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_a_run_after_one_whose_end_was_caught_lifts_the_bound_of_the_exit(scenario):
    text = """
    thread = threading.Thread(target=lambda: (time.sleep(2.5), log("worked")))
    thread.start()

    async def ends():
        sys.exit(7)

    async def main():
        log("went on")

    try:
        run(ends())
    except SystemExit:
        log("caught")
    run(main())
    """
    outcome = scenario.ended(text, grace=GRACE)
    assert outcome.log == ["caught", "went on", "worked"]
    assert outcome.status == 0


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_a_thread_for_which_a_caller_waits_in_vain_is_named_once(scenario):
    text = """
    thread = threading.Thread(target=sleep_in_pieces, name="stuck")
    thread.start()

    async def main():
        say()
        await asyncio.sleep(3600)

    try:
        run(main())
    finally:
        thread.join()
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.err.count("quiesce:   thread 'stuck'") == 1
