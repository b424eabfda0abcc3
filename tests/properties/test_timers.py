"""Timers do what a simple model does, whatever sets, cancels or delays them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.properties.timer_model import Deed, ModelLoop
from tests.properties.virtual_time import iterate, virtual_loop

# Quarters of a second have exact sums, so that times can be compared for equality.
TIMES = st.integers(-4, 40).map(lambda quarters: quarters / 4)
PAUSES = st.integers(0, 20).map(lambda quarters: quarters / 4)
DEEDS = st.one_of(
    st.just(Deed("nothing")),
    st.just(Deed("soon")),
    st.builds(Deed, st.just("later"), PAUSES),
    st.builds(Deed, st.just("cancel"), st.integers(0, 100)),
)


class TimerMachine(RuleBasedStateMachine):
    """Every operation is done to a real loop in virtual time and to the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop, self.clock, self.poller = virtual_loop()
        self.model = ModelLoop()
        self.handles: list[Any] = []
        self.log: list[tuple[int, float]] = []

    def add(self, deed: Deed, delay: float | None) -> None:
        number = len(self.handles)
        if delay is None:
            handle = self.loop.call_soon(self.run, number, deed)
        else:
            handle = self.loop.call_later(delay, self.run, number, deed)
        self.handles.append(handle)

    def run(self, number: int, deed: Deed) -> None:
        self.log.append((number, self.loop.time()))
        match deed:
            case Deed("soon"):
                self.add(Deed("nothing"), None)
            case Deed("later", delay):
                self.add(Deed("nothing"), delay)
            case Deed("cancel", which):
                self.handles[int(which) % len(self.handles)].cancel()

    @rule(delay=TIMES, deed=DEEDS)
    def call_later(self, delay: float, deed: Deed) -> None:
        self.add(deed, delay)
        self.model.add(deed, self.model.now + delay)

    @rule(when=TIMES, deed=DEEDS)
    def call_at(self, when: float, deed: Deed) -> None:
        when += self.model.now
        number = len(self.handles)
        self.handles.append(self.loop.call_at(when, self.run, number, deed))
        self.model.add(deed, when)

    @rule(delay=TIMES, number=st.integers(1, 150))
    def set_and_cancel_many(self, delay: float, number: int) -> None:
        for _ in range(number):
            self.call_later(delay, Deed("nothing"))
        for which in range(len(self.handles) - number, len(self.handles)):
            self.cancel(which)

    @rule(deed=DEEDS)
    def call_soon(self, deed: Deed) -> None:
        self.add(deed, None)
        self.model.add(deed, None)

    @precondition(lambda self: self.handles)
    @rule(which=st.integers(0, 1_000))
    def cancel(self, which: int) -> None:
        which %= len(self.handles)
        self.handles[which].cancel()
        self.model.all[which].cancelled = True

    @rule(pause=PAUSES)
    def let_time_pass(self, pause: float) -> None:
        self.clock.time += pause
        self.model.now += pause

    @rule()
    def run_one_iteration(self) -> None:
        iterate(self.loop)
        self.model.iterate()

    @rule()
    def run_until_nothing_waits(self) -> None:
        self.loop.run_forever()
        while self.model.sleep():
            self.model.iterate()

    @invariant()
    def the_same_ran_in_the_same_order_at_the_same_times(self) -> None:
        assert self.log == self.model.log
        assert self.loop.time() == self.model.now

    @invariant()
    def handles_tell_the_truth(self) -> None:
        for handle, planned in zip(self.handles, self.model.all, strict=True):
            assert handle.cancelled() == planned.cancelled
            if planned.when is not None:
                assert handle.when() == planned.when

    def teardown(self) -> None:
        self.run_until_nothing_waits()
        self.the_same_ran_in_the_same_order_at_the_same_times()
        assert all(pause > 0 for pause in self.poller.sleeps)
        self.loop.close()


def test_timers_do_what_the_model_does():
    few = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(TimerMachine, settings=few)


@pytest.mark.stress
def test_timers_do_what_the_model_does_for_long():
    many = settings(max_examples=1_000, stateful_step_count=80, deadline=None)
    run_state_machine_as_test(TimerMachine, settings=many)


def test_the_loop_sleeps_exactly_until_the_next_timer():
    loop, _, poller = virtual_loop()
    for when in (1.0, 1.0, 2.5, 4.0):
        loop.call_at(when, lambda: None)
    loop.call_at(2.0, lambda: None).cancel()
    loop.run_forever()
    assert poller.sleeps == [1.0, 1.5, 1.5]
    loop.close()


def test_timers_due_at_the_same_time_run_in_the_order_they_were_set():
    loop, _, _ = virtual_loop()
    ran: list[int] = []
    handles = [loop.call_later(5, ran.append, number) for number in range(300)]
    for handle in handles[::3]:
        handle.cancel()
    loop.run_forever()
    assert ran == [number for number in range(300) if number % 3]
    loop.close()
