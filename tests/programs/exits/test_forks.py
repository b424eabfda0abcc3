"""Signals that come while a process forks."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

CHILDREN = 20


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_child_ends_that_is_asked_to_as_soon_as_it_is_forked(scenario, signum):
    text = f"""
    async def main():
        for _ in range({CHILDREN}):
            child = os.fork()
            if child == 0:
                sleep_in_pieces()
                os._exit(1)
            os.kill(child, {int(signum)})
            log(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == [str(-signum)] * CHILDREN
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_none_is_lost_that_comes_from_the_child(scenario):
    text = f"""
    import quiesce

    async def main():
        pass

    with quiesce.Runner() as runner:
        runner.run(main())
        for _ in range({CHILDREN}):
            try:
                child = os.fork()
                if child == 0:
                    os.kill(os.getppid(), signal.SIGTERM)
                    os._exit(0)
                sleep_in_pieces()
            except quiesce.Terminated:
                log("heard")
            # Another one is new when the grace of this one is over.
            time.sleep(0.05)
    """
    outcome = scenario.ended(text, grace=0.01)
    assert outcome.log == ["heard"] * CHILDREN
    assert (outcome.status, outcome.is_silent) == (0, True)


# What it does at forks is done before what quiesce does, which it imports later.
SENDS_AT_FORKS = """
import os, signal, time
os.register_at_fork(after_in_parent=lambda: os.kill(os.getpid(), signal.SIGTERM))
import quiesce

async def main():
    pass

with quiesce.Runner() as runner:
    runner.run(main())
    try:
        if os.fork() == 0:
            os._exit(0)
        time.sleep(20)
    except quiesce.Terminated:
        print("heard")
"""


def test_one_that_comes_before_the_fork_is_over_is_heard_after_it():
    ended = subprocess.run(
        [sys.executable, "-c", SENDS_AT_FORKS],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ended.stdout, ended.stderr, ended.returncode) == ("heard\n", "", 0)
