"""What a program can ask about its own end."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

import quiesce
from quiesce import shutdown
from quiesce.shutdown import ending
from tests.combinators.running import in_loop

QUESTIONS = [shutdown.why, shutdown.deadline, shutdown.time_left]


def budget(seconds):
    now = time.monotonic()
    return SimpleNamespace(began_at=now, deadline=now + seconds)


@pytest.mark.parametrize("question", QUESTIONS)
@in_loop
async def test_a_program_that_does_not_end_has_no_answers(question):
    assert question() is None
    assert not shutdown.is_ending()


@in_loop
async def test_a_program_that_ends_knows_why_and_until_when():
    end = budget(5)
    ending.begin(asyncio.get_running_loop(), end, "SIGTERM")
    assert shutdown.is_ending()
    assert shutdown.why() == "SIGTERM"
    assert shutdown.deadline() == end.deadline
    assert 0 < shutdown.time_left() <= 5


@in_loop
async def test_no_less_than_no_time_is_left():
    ending.begin(asyncio.get_running_loop(), budget(-5), "SIGTERM")
    assert shutdown.time_left() == 0


@in_loop
async def test_a_loop_can_go_on():
    loop = asyncio.get_running_loop()
    ending.begin(loop, budget(5), "SIGTERM")
    ending.forget(loop)
    assert not shutdown.is_ending()


@in_loop
async def test_a_thread_without_a_loop_hears_of_the_end_too():
    heard = []
    ending.begin(asyncio.get_running_loop(), budget(5), "SIGTERM")
    thread = threading.Thread(target=lambda: heard.append(shutdown.why()))
    thread.start()
    thread.join()
    assert heard == ["SIGTERM"]


def test_the_end_of_one_loop_is_not_that_of_another(loop):
    async def ask():
        return shutdown.is_ending()

    other = quiesce.new_event_loop()
    ending.begin(other, budget(5), "SIGTERM")
    assert loop.run_until_complete(ask()) is False
    other.close()


def test_the_end_of_a_closed_loop_is_over(loop):
    ending.begin(loop, budget(5), "SIGTERM")
    assert shutdown.is_ending()
    loop.close()
    assert not shutdown.is_ending()
