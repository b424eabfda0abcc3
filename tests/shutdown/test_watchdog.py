"""What looks at a loop from outside; whole programs are in ``tests/programs/exits``."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import quiesce
from quiesce.shutdown import watchdog
from quiesce.shutdown.blocked import NOT_BLOCKED, Pulse
from quiesce.shutdown.processor_wait import ProcessorWait
from quiesce.shutdown.watch_thread import WatchThread


def looks_of_another_thread(pulse, number):
    """Let another thread ask `pulse`, while this one waits; return the answers."""
    answers = []

    def ask():
        answers.extend(pulse.blocked_for() for _ in range(number))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return answers


def look_until_it_is_blocked(pulse):
    """Let another thread ask `pulse` until the answer is yes, while this one waits."""
    looks = []

    def ask():
        looks.append(pulse.blocked_for())
        while not looks[-1]:
            looks.append(pulse.blocked_for())

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return looks


def test_a_loop_that_waits_for_a_thread_is_blocked():
    async def main():
        return look_until_it_is_blocked(Pulse(quiesce.get_running_loop()))

    looks = quiesce.run(main())
    assert looks[0] == 0
    assert looks[-1] > 0


def notes_of_callbacks(call):
    """Let `call` queue two callbacks in one iteration; return what each finds noted."""
    notes = []

    async def main():
        loop = quiesce.get_running_loop()
        pulse = Pulse(loop)
        done = loop.create_future()

        def note():
            notes.append(pulse.note())
            if len(notes) == 2:
                done.set_result(None)

        await call(loop, note)
        await done

    quiesce.run(main())
    return notes


async def call_soon(loop, note):
    loop.call_soon(note)
    loop.call_soon(note)


async def call_when_readable(loop, note):
    class Noting(asyncio.Protocol):
        def data_received(self, _):
            note()

    peers = []
    for _ in range(2):
        ours, peer = socket.socketpair()
        peers.append(peer)
        await loop.create_connection(Noting, sock=ours)
    for peer in peers:
        peer.send(b"x")
        peer.close()


@pytest.mark.parametrize("call", [call_soon, call_when_readable])
def test_of_callbacks_in_one_iteration_each_is_another_step(call):
    first, second = notes_of_callbacks(call)
    assert first.turn == second.turn
    assert first.step != second.step


def test_a_loop_that_sleeps_is_not_blocked():
    async def main():
        pulse = Pulse(quiesce.get_running_loop())

        def look_until_it_sleeps():
            while pulse.note() != NOT_BLOCKED:
                pass
            return pulse.blocked_for()

        return await quiesce.to_thread(look_until_it_sleeps)

    assert quiesce.run(main()) == 0


def test_a_loop_that_has_turned_is_blocked_anew():
    async def main():
        pulse = Pulse(quiesce.get_running_loop())
        look_until_it_is_blocked(pulse)
        await quiesce.sleep(0.001)
        return looks_of_another_thread(pulse, 1)

    assert quiesce.run(main()) == [0]


@pytest.fixture
def shared_processor():
    """One processor for this thread, and a process that wants it all the time."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(processors)})
    rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield
    rival.kill()
    rival.wait()
    os.sched_setaffinity(0, processors)


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(),
    reason="the system does not say who waits for a processor",
)
def test_the_time_without_a_processor_does_not_count(shared_processor):
    async def main():
        processor = ProcessorWait(threading.get_native_id())
        pulse = Pulse(quiesce.get_running_loop())
        began_at = time.monotonic()
        pulse.blocked_for()
        processor.begin()
        while not (waited := processor.waited(0.0)):
            pass
        held = pulse.step.held_for(pulse.blocked_for())
        return waited, held, time.monotonic() - began_at

    waited, held, passed = quiesce.run(main())
    assert 0 < held <= passed - waited


def test_a_loop_that_does_not_run_is_not_blocked():
    loop = quiesce.new_event_loop()
    try:
        assert looks_of_another_thread(Pulse(loop), 3) == [0, 0, 0]
    finally:
        loop.close()


def test_a_watch_thread_looks_until_it_returns_none():
    ended = threading.Event()
    looks = []

    def look():
        looks.append(len(looks))
        if len(looks) < 3:
            return 0.0
        ended.set()
        return None

    assert WatchThread(look).start()
    assert ended.wait(60)
    assert looks == [0, 1, 2]


def test_a_watch_thread_that_is_woken_looks_at_once():
    looked = threading.Semaphore(0)

    def look():
        looked.release()
        return 3600.0

    thread = WatchThread(look)
    thread.start()
    assert looked.acquire(timeout=60)
    thread.wake()
    assert looked.acquire(timeout=60)
    thread.stop()


@pytest.mark.parametrize(("text", "seconds"), [("250", 0.25), ("0", None), ("", None)])
def test_the_threshold_is_given_in_milliseconds(monkeypatch, text, seconds):
    monkeypatch.setenv("QUIESCE_WATCHDOG_MS", text)
    assert watchdog.threshold() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "inf"])
def test_what_is_no_number_of_milliseconds_is_refused(monkeypatch, text):
    monkeypatch.setenv("QUIESCE_WATCHDOG_MS", text)
    with pytest.raises(ValueError, match="QUIESCE_WATCHDOG_MS"):
        watchdog.threshold()
