"""Signals that arrive when the program is over and the interpreter exits"""

from __future__ import annotations

import signal
import time

import pytest

pytestmark = pytest.mark.ways("quiesce run")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


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
    assert outcome.tells(signum)
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
    assert "Exception ignored" not in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_that_does_not_interrupt_the_wait_for_threads_ends_it_all_the_same(
    scenario, signum
):
    # One that reaches another thread stands for one that comes just before the wait.
    text = f"""
    main = threading.main_thread().ident

    def work():
        while sys._current_frames()[main].f_code.co_name != "_shutdown":
            time.sleep(0.01)
        time.sleep(0.2)
        signal.pthread_kill(threading.get_ident(), {int(signum)})
        time.sleep(3600)  # here

    threading.Thread(target=work, name="mule").start()
    atexit.register(log, "exit function")
    """
    outcome = scenario.ended(text, grace=1)
    assert "thread 'mule' at program.py:" in outcome.err
    assert outcome.log == ["exit function"]
    assert outcome.tells_force(signum)


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
    assert outcome.tells(signum)
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


@pytest.mark.parametrize("work", ["a thread", "an exit function"])
def test_a_later_ctrl_c_means_now(scenario, work):
    text = """
    def work():
        say()
        time.sleep(3600)  # here

    atexit.register(log, "exit function")
    if {threaded}:
        threading.Thread(target=work, name="mule").start()
    else:
        atexit.register(work)
    """
    text = text.replace("{threaded}", str(work == "a thread"))
    with scenario.start(text) as program:
        program.wait_for()
        program.send(signal.SIGINT)
        time.sleep(1)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log == ["exit function"]
    assert "in work" in outcome.err
    assert outcome.tells_force(signal.SIGINT)
    assert "Exception ignored" not in outcome.err
    assert outcome.gone_within(1.5)


def test_an_error_of_the_program_is_shown_also_if_a_signal_comes_while_it_ends(
    scenario,
):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            say()
            await asyncio.sleep(0.5)
            log("background")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    raise ValueError("of the program")
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["background"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.err.count("ValueError: of the program") == 1
    assert outcome.tracebacks == 1
