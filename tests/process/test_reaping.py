"""One exit status for each child, whoever else is interested in it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import threading
import warnings
from asyncio.subprocess import PIPE

from quiesce.loop import Loop
from tests.process.conftest import PATIENCE, WithoutPidfds
from tests.process.recording import (
    PATIENT,
    Recorder,
    has_gone,
    open_descriptors,
    spawn,
    spawn_dead,
)

MANY = 60


def test_no_child_is_lost_when_many_end_at_once(run):
    async def main():
        starter, held = os.pipe()
        children = [
            await asyncio.create_subprocess_shell(
                f"read line; exit {number}", stdin=starter
            )
            for number in range(MANY)
        ]
        os.close(starter)
        os.close(held)
        return await asyncio.gather(*(child.wait() for child in children))

    assert run(main()) == list(range(MANY))


def test_nothing_is_left_of_children_that_have_ended(run):
    async def main():
        before = open_descriptors()
        children = [await spawn("true") for _ in range(10)]
        for _, heard in children:
            await heard.over.wait()
        pids = [child.get_pid() for child, _ in children]
        return pids, open_descriptors() - before

    pids, descriptors = run(main())
    assert all(map(has_gone, pids))
    assert descriptors == 0


def test_a_child_of_somebody_else_is_left_alone(run):
    async def main():
        other = subprocess.Popen(["sh", "-c", "exit 4"])  # noqa: ASYNC220 - the other
        child = await asyncio.create_subprocess_shell("exit 5")
        return await child.wait(), other.wait()

    assert run(main()) == (5, 4)


def test_the_signal_for_ended_children_stays_as_it_was(run):
    before = signal.getsignal(signal.SIGCHLD)

    async def main():
        child, heard = await spawn(*PATIENT)
        during = signal.getsignal(signal.SIGCHLD)
        child.close()
        await heard.over.wait()
        return during

    assert run(main()) is before
    assert signal.getsignal(signal.SIGCHLD) is before


def test_who_polls_the_popen_object_does_not_take_the_status_away(run):
    async def main():
        child, heard = await spawn_dead(6)
        status = child.get_extra_info("subprocess").wait()
        await heard.over.wait()
        return status, child.get_returncode()

    assert run(main()) == (6, 6)


def test_a_thread_may_wait_for_the_popen_object(run, loop):
    async def main():
        child, heard = await spawn("sh", "-c", "cat; exit 6")
        process = child.get_extra_info("subprocess")
        waiting = loop.run_in_executor(None, process.wait)
        child.get_pipe_transport(0).close()
        status = await waiting
        await heard.over.wait()
        return status, child.get_returncode()

    assert run(main()) == (6, 6)
    run(loop.shutdown_default_executor())


def test_a_status_that_somebody_took_is_reported_as_255(run, caplog):
    async def main():
        child, heard = await spawn_dead(6)
        os.waitpid(child.get_pid(), 0)  # noqa: ASYNC222 - it has ended
        await heard.over.wait()
        return child.get_pid(), child.get_returncode()

    pid, status = run(main())
    assert status == 255
    assert f"child process pid {pid} exit status already read" in caplog.text


def test_an_end_is_noticed_where_the_program_wants_no_statuses(run, caplog):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:

        async def main():
            child = await asyncio.create_subprocess_exec(*PATIENT, stdin=PIPE)
            child.stdin.close()
            return await child.wait()

        assert run(main()) == 255
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_loop_of_another_thread_reaps_its_children():
    statuses = []

    async def main():
        child = await asyncio.create_subprocess_shell("exit 7")
        statuses.append(await child.wait())

    def run_loop():
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(asyncio.wait_for(main(), PATIENCE))

    thread = threading.Thread(target=run_loop)
    thread.start()
    thread.join()
    assert statuses == [7]


def test_a_child_that_outlives_its_loop_is_killed_when_it_is_dropped():
    descriptors = open_descriptors()
    loop = Loop()
    child, _ = loop.run_until_complete(loop.subprocess_exec(Recorder, *PATIENT))
    process = child.get_extra_info("subprocess")
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del child, loop
        gc.collect()
    assert any("unclosed transport <ChildTransport" in str(w.message) for w in caught)
    assert process.wait() == -signal.SIGKILL
    del process
    gc.collect()
    assert open_descriptors() == descriptors


def test_a_thread_reaps_a_child_that_outlives_its_loop(caplog):
    loop = Loop(poller=WithoutPidfds())
    readable, writable = os.pipe()
    start = loop.subprocess_exec(
        Recorder, *PATIENT, stdin=readable, stdout=None, stderr=None
    )
    child, _ = loop.run_until_complete(start)
    loop.close()
    process, pid = child.get_extra_info("subprocess"), child.get_pid()
    [waiting] = [thread for thread in threading.enumerate() if str(pid) in thread.name]
    child.close()
    waiting.join(PATIENCE)
    os.close(readable)
    os.close(writable)
    assert process.returncode == -signal.SIGKILL
    assert f"that handles pid {pid} is closed" in caplog.text
