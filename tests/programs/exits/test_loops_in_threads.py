"""Loops that a thread of the program runs by itself, under ``quiesce run``"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce run")

SERVING = """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon={daemon}).start()
asyncio.run_coroutine_threadsafe(sleeper("background", {cleanup}), loop)
asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
"""


@pytest.mark.parametrize("end", ["", "sys.exit(3)"])
def test_the_tasks_on_a_daemon_threads_loop_are_unwound_at_the_end(scenario, end):
    outcome = scenario.ended(SERVING.format(daemon=True, cleanup=0.05) + end)
    assert outcome.log == ["background"]
    assert outcome.status == (3 if end else 0)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("daemon", [True, False])
def test_a_signal_ends_them_in_whatever_thread(scenario, signum, daemon):
    text = SERVING.format(daemon=daemon, cleanup=0.05) + "say()\nsleep_in_pieces()\n"
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_one_that_never_ends_is_named_and_given_up(scenario):
    outcome = scenario.ended(SERVING.format(daemon=True, cleanup="for_ever"), grace=1)
    assert "swallowed its cancellation" in outcome.err
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)


def test_other_threads_may_use_the_loop_until_they_end(scenario):
    text = (
        SERVING.format(daemon=True, cleanup=0.05)
        + """
def work():
    time.sleep(0.3)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    log("worked")

threading.Thread(target=work).start()
"""
    )
    outcome = scenario.ended(text)
    assert (outcome.log, outcome.status) == (["worked", "background"], 0)
    assert outcome.is_silent


def test_a_thread_that_cleans_up_by_itself_is_let_to(scenario):
    text = """
    loop = asyncio.new_event_loop()

    def serve():
        try:
            loop.run_forever()
        finally:
            for task in asyncio.all_tasks(loop):
                task.cancel()
                loop.run_until_complete(asyncio.wait([task]))
            loop.close()
            log("closed")

    threading.Thread(target=serve, daemon=True).start()
    asyncio.run_coroutine_threadsafe(sleeper("background", 0.05), loop)
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
    """
    outcome = scenario.ended(text)
    assert (outcome.log, outcome.status) == (["background", "closed"], 0)
    assert outcome.is_silent


def test_a_daemon_thread_whose_loop_is_blocked_holds_nobody(scenario):
    text = (
        SERVING.format(daemon=True, cleanup=0)
        + "loop.call_soon_threadsafe(time.sleep, 3600)\n"
    )
    outcome = scenario.ended(text)
    assert outcome.status == 0
    assert outcome.gone_within(1 + 1)


LATE = """
is_ending = threading.Event()

def serve():
    is_ending.wait()
    time.sleep(0.5)
    {served}

async def main():
    try:
        say()
        await asyncio.sleep(3600)
    finally:
        is_ending.set()

threading.Thread(target=serve).start()
run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_loop_that_a_thread_runs_only_then_is_ended_too(scenario, signum):
    served = 'asyncio.new_event_loop().run_until_complete(sleeper("served", 0.05))'
    outcome = scenario.interrupted(filled(LATE, served=served), by=signum)
    assert outcome.log == ["served"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_a_thread_begins_only_then_is_ended_too(scenario, signum):
    text = filled(
        LATE,
        served="""
        try:
            run(sleeper("never begun"))
        finally:
            log("served")
        """,
    )
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["served"]
    assert outcome.tells(signum)
    assert outcome.is_silent
