"""A million timers wait at once, come out in order, and leave nothing behind."""

from __future__ import annotations

import random

import pytest

from tests.properties.virtual_time import virtual_loop

SPAN = 1_000.0
"""Seconds over which the timers are spread."""


def fire_and_cancel(count: int) -> None:
    chance = random.Random(count)
    loop, _, _ = virtual_loop()
    fired: list[float] = []
    whens = [chance.random() * SPAN for _ in range(count)]
    timers = [loop.call_at(when, fired.append, when) for when in whens]
    assert len(loop.timers) == count
    for timer in timers[: count // 2]:
        timer.cancel()
    loop.run_forever()
    assert fired == sorted(whens[count // 2 :])
    assert len(loop.timers) == 0
    loop.close()


def test_twenty_thousand_pending_timers_fire_in_order():
    fire_and_cancel(20_000)


@pytest.mark.stress
def test_a_million_pending_timers_fire_in_order():
    fire_and_cancel(1_000_000)


def test_cancelled_timers_do_not_pile_up():
    loop, _, _ = virtual_loop()
    for _ in range(50_000):
        loop.call_later(3_600, lambda: None).cancel()
    keep = [loop.call_later(3_600, lambda: None) for _ in range(1_000)]
    for _ in range(50_000):
        loop.call_later(1_800, lambda: None).cancel()
    assert len(loop.timers) < 4 * len(keep)
    loop.close()
