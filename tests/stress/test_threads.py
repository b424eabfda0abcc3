"""Other threads hand work to a loop that starts and stops; nothing is lost or late."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

import pytest

import quiesce

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 4
PATIENCE = 60.0
"""Seconds after which a call that did not arrive is taken for lost."""


@pytest.fixture
def loop():
    loop = quiesce.new_event_loop()
    yield loop
    loop.close()


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "a call from a thread was lost"


def hammer(loop: asyncio.AbstractEventLoop, calls: int) -> None:
    """Post from several threads while the loop stops and starts at their command."""
    received: deque[tuple[int, int]] = deque()

    def post(thread: int) -> None:
        for number in range(calls):
            loop.call_soon_threadsafe(received.append, (thread, number))
            if number % 10 == 0:
                loop.call_soon_threadsafe(loop.stop)

    threads = [threading.Thread(target=post, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        loop.call_soon(loop.stop)
        loop.run_forever()
    join(threads)
    loop.call_soon(loop.stop)
    loop.run_forever()
    for thread in range(THREADS):
        numbers = [number for sender, number in received if sender == thread]
        assert numbers == list(range(calls)), "lost, doubled or out of order"


def wait_for_answers(loop: asyncio.AbstractEventLoop, calls: int) -> None:
    """Let threads wait for each answer, so that a wake-up lost once hangs for ever."""

    def ask() -> None:
        for _ in range(calls):
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            assert answered.wait(PATIENCE), "the loop slept through a call"

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]

    def end() -> None:
        join(threads)
        loop.call_soon_threadsafe(loop.stop)

    for thread in threads:
        thread.start()
    ending = threading.Thread(target=end)
    ending.start()
    loop.run_forever()
    join([ending])


def restart_while_asked(loop: asyncio.AbstractEventLoop, rounds: int) -> None:
    """End each run by a call from a thread, which may come before the run begins."""
    for _ in range(rounds):
        stopper = threading.Thread(
            target=loop.call_soon_threadsafe, args=(loop.stop,), daemon=True
        )
        stopper.start()
        loop.run_forever()
        stopper.join()


def test_calls_from_threads_arrive_in_order_while_the_loop_starts_and_stops(loop):
    hammer(loop, 2_000)


def close_while_called(rounds: int, directory: Path) -> None:
    """Close loops while a thread calls them, and open files in place of what they had.

    What the thread writes to wake a loop must not reach a file.
    """

    async def wakes_by_itself() -> None:
        await asyncio.sleep(0.001)

    def call(
        loop: asyncio.AbstractEventLoop, begun: threading.Event, later: float
    ) -> None:
        begun.wait()
        until = time.perf_counter() + later
        while time.perf_counter() < until:
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(int)

    moments = random.Random(0)
    for _ in range(rounds):
        loop = quiesce.new_event_loop()
        begun = threading.Event()
        later = moments.uniform(0.001, 0.00135)
        caller = threading.Thread(target=call, args=(loop, begun, later))
        caller.start()
        loop.call_soon(begun.set)
        loop.run_until_complete(wakes_by_itself())
        loop.close()
        files = [(directory / str(number)).open("w+b") for number in range(4)]
        join([caller])
        for file in files:
            with file:
                assert file.read() == b""


def test_a_call_that_comes_while_the_loop_closes_writes_to_nothing_else(tmp_path):
    close_while_called(200, tmp_path)


def test_a_sleeping_loop_is_woken_by_every_call(loop):
    wait_for_answers(loop, 500)


def test_a_call_that_comes_before_the_run_is_not_forgotten(loop):
    restart_while_asked(loop, 300)


def test_coroutines_from_threads_give_their_results(loop):
    async def double(number: int) -> int:
        await quiesce.sleep(0)
        return 2 * number

    results: list[int] = []

    def ask() -> None:
        for number in range(200):
            future = quiesce.run_coroutine_threadsafe(double(number), loop)
            results.append(future.result(PATIENCE))
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=ask)
    thread.start()
    loop.run_forever()
    join([thread])
    assert results == [2 * number for number in range(200)]


@pytest.mark.stress
def test_many_calls_from_threads_arrive_in_order(loop):
    hammer(loop, 200_000)


@pytest.mark.stress
def test_a_sleeping_loop_is_woken_by_very_many_calls(loop):
    wait_for_answers(loop, 50_000)


@pytest.mark.stress
def test_very_many_calls_that_come_before_the_run_are_not_forgotten(loop):
    restart_while_asked(loop, 20_000)


@pytest.mark.stress
def test_very_many_calls_that_come_while_the_loop_closes_write_to_nothing_else(
    tmp_path,
):
    close_while_called(10_000, tmp_path)
