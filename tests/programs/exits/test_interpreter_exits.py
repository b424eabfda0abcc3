"""Signals that arrive when the program is over and the interpreter exits"""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.ways("quiesce run")

SIGNALS = [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("signum", SIGNALS)
def test_threads_finish_and_exit_functions_run_before_the_process_dies(
    scenario, signum
):
    text = """
    def work():
        time.sleep(0.5)
        log("thread")

    async def main():
        pass

    atexit.register(log, "exit function")
    run(main())
    threading.Thread(target=work).start()
    say()
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["thread", "exit function"]
    assert outcome.status == -signum
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_thread_that_never_ends_is_named_when_the_grace_is_over(scenario, signum):
    text = """
    def work():
        time.sleep(3600)  # here

    threading.Thread(target=work, name="mule").start()
    atexit.register(log, "exit function")
    say()
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for()
        program.send(signum)
        outcome = program.end()
        line = program.line_of("# here")
    assert f"thread 'mule' at program.py:{line} in work" in outcome.err
    assert outcome.log == ["exit function"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)
    assert outcome.tracebacks == 0


def test_jobs_of_a_pool_are_finished(scenario):
    text = """
    from concurrent.futures import ThreadPoolExecutor

    def work():
        time.sleep(0.5)
        log("job")

    ThreadPoolExecutor().submit(work)
    say()
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert (outcome.log, outcome.status) == (["job"], -signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_an_exit_function_that_is_at_work_is_not_cut_short(scenario, signum):
    text = """
    def cleans_up():
        say()
        time.sleep(0.5)
        log("cleaned up")

    atexit.register(log, "the next one")
    atexit.register(cleans_up)
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["cleaned up", "the next one"]
    assert outcome.status == -signum
    assert outcome.is_silent


def test_an_exit_function_that_never_ends_is_named(scenario):
    text = """
    def stuck():
        say()
        time.sleep(3600)  # here

    atexit.register(stuck)
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# here")
    assert f"program.py:{line} in stuck" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)
