"""What looks at a loop from outside; whole programs are in ``tests/programs/exits``."""

from __future__ import annotations

import threading

import pytest

import quiesce
from quiesce.shutdown import watchdog
from quiesce.shutdown.blocked import NOT_BLOCKED, Pulse
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


def test_a_loop_that_waits_for_a_thread_is_blocked():
    async def main():
        pulse = Pulse(quiesce.get_running_loop())
        return looks_of_another_thread(pulse, 2)

    first, second = quiesce.run(main())
    assert first == 0
    assert second > 0


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
        looks_of_another_thread(pulse, 2)
        await quiesce.sleep(0.001)
        return looks_of_another_thread(pulse, 1)

    assert quiesce.run(main()) == [0]


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
