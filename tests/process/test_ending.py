"""Signals to children, `close`, and a start that is cancelled."""

from __future__ import annotations

import asyncio
import gc
import os
import signal

import pytest

from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller
from tests.process.recording import (
    PATIENT,
    has_gone,
    is_pidfd,
    leaver,
    open_descriptors,
    python,
    spawn,
    spawn_dead,
)


@pytest.mark.parametrize(
    ("end", "by"),
    [
        (lambda child: child.terminate(), signal.SIGTERM),
        (lambda child: child.kill(), signal.SIGKILL),
        (lambda child: child.send_signal(signal.SIGHUP), signal.SIGHUP),
        (lambda child: child.close(), signal.SIGKILL),
    ],
    ids=["terminate", "kill", "send_signal", "close"],
)
def test_a_running_child_can_be_ended(run, end, by):
    async def main():
        ready = "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        code = ready + "os.write(1, b'x'); signal.pause()"
        child, heard = await spawn(*python(code))
        await heard.hears(("data", 1))
        end(child)
        await heard.over.wait()
        return child.get_returncode(), heard.calls.count("exited")

    assert run(main()) == (-by, 1)


def test_a_signal_to_a_child_that_has_ended_does_nothing(run):
    async def main():
        keeper, held = os.pipe()
        child, heard = await spawn(*leaver(3), stdin=keeper)
        os.close(keeper)
        await heard.exited.wait()
        child.kill()
        os.close(held)
        await heard.over.wait()
        return child.get_returncode()

    assert run(main()) == 3


def test_a_signal_sent_before_the_end_is_noticed_leaves_the_status(run):
    async def main():
        child, heard = await spawn_dead(5)
        child.terminate()
        await heard.over.wait()
        return child.get_returncode()

    assert run(main()) == 5


def test_a_signal_to_a_child_that_is_over_raises(run):
    async def main():
        child, heard = await spawn("true")
        await heard.over.wait()
        for send in (child.kill, child.terminate, lambda: child.send_signal(0)):
            with pytest.raises(ProcessLookupError):
                send()

    run(main())


def test_close_closes_the_pipes_and_may_be_repeated(run):
    async def main():
        child, heard = await spawn(*PATIENT)
        pipes = [child.get_pipe_transport(fd) for fd in range(3)]
        child.close()
        child.close()
        closing = [pipe.is_closing() for pipe in pipes]
        await heard.over.wait()
        child.close()
        return child.is_closing(), closing

    assert run(main()) == (True, [True] * 3)


def test_a_child_that_is_over_can_be_closed(run):
    async def main():
        child, heard = await spawn("true")
        await heard.over.wait()
        calls = list(heard.calls)
        child.close()
        await asyncio.sleep(0)
        return child.is_closing(), heard.calls == calls

    assert run(main()) == (True, True)


def test_close_leaves_the_status_of_a_child_that_has_ended(run):
    async def main():
        child, heard = await spawn_dead(5)
        child.close()
        await heard.over.wait()
        return child.get_returncode()

    assert run(main()) == 5


@pytest.mark.parametrize("steps", range(1, 7))
def test_a_cancelled_start_leaves_no_child_behind(run, loop, tmp_path, steps):
    path = tmp_path / "pid"
    # A loop's first run opens what all its runs use.
    run(asyncio.sleep(0))
    descriptors = open_descriptors()

    def say_pid():
        path.write_text(str(os.getpid()))

    async def main():
        start = asyncio.ensure_future(spawn(*PATIENT, preexec_fn=say_pid))
        for _ in range(steps):
            await asyncio.sleep(0)
        cancelled = start.cancel()
        await asyncio.wait([start])
        if not start.cancelled():
            start.result()[0].close()
            await start.result()[1].over.wait()
        return cancelled, start.cancelled()

    cancelled, was_cancelled = run(main())
    assert cancelled is was_cancelled
    assert has_gone(int(path.read_text()))
    assert not loop.children
    run(asyncio.sleep(0))
    assert open_descriptors() == descriptors


class Broken(SelectorPoller):
    """A poller that fails where it should wait for a child."""

    def watch(self, fd, events, watcher, edge=False):
        if is_pidfd(fd):
            raise ZeroDivisionError
        super().watch(fd, events, watcher, edge)


def test_a_child_that_cannot_be_waited_for_is_ended_at_once(tmp_path):
    path = tmp_path / "pid"
    descriptors = open_descriptors()
    with asyncio.Runner(loop_factory=lambda: Loop(poller=Broken())) as runner:
        start = spawn(*PATIENT, preexec_fn=lambda: path.write_text(str(os.getpid())))
        with pytest.raises(ZeroDivisionError):
            runner.run(start)
    assert has_gone(int(path.read_text()))
    gc.collect()
    assert open_descriptors() == descriptors


def test_a_loop_knows_its_running_children(run, loop):
    async def main():
        child, heard = await spawn(*PATIENT)
        before = list(loop.children)
        child.get_pipe_transport(0).close()
        await heard.over.wait()
        return before == [child], list(loop.children)

    assert run(main()) == (True, [])
