"""A protocol is paused above the high water mark and resumed at the low one."""

from __future__ import annotations

import pytest

from quiesce.net.flow_control import FlowControl


class Owner:
    """Who does a transport's work, and the protocol of it."""

    def __init__(self, failure=None):
        self.failure = failure
        self.told = []

    def get_protocol(self):
        return self

    def report(self, error, message):
        self.told.append((error, message))

    def pause_writing(self):
        self.hear("pause")

    def resume_writing(self):
        self.hear("resume")

    def hear(self, what):
        if self.failure is not None:
            raise self.failure
        self.told.append(what)


@pytest.fixture
def owner():
    return Owner()


@pytest.fixture
def flow():
    flow = FlowControl(65536)
    flow.set_limits(high=10, low=4)
    return flow


@pytest.mark.parametrize(
    ("given", "marks"),
    [
        ((None, None), (65536, 16384)),
        ((1000, None), (1000, 250)),
        ((None, 1000), (4000, 1000)),
        ((7, 7), (7, 7)),
        ((0, None), (0, 0)),
    ],
)
def test_water_marks_that_are_left_out_follow_from_the_others(given, marks):
    flow = FlowControl(65536)
    flow.set_limits(*given)
    assert (flow.high, flow.low) == marks


@pytest.mark.parametrize("given", [(1, 2), (-1, None), (None, -1)])
def test_water_marks_in_the_wrong_order_are_refused(given):
    with pytest.raises(ValueError, match="must be >= low"):
        FlowControl(65536).set_limits(*given)


def test_a_protocol_is_paused_once_more_waits_than_the_high_mark(flow, owner):
    flow.note_more(owner, 10)
    assert not flow.paused
    flow.note_more(owner, 11)
    flow.note_more(owner, 12)
    assert flow.paused
    assert owner.told == ["pause"]


def test_a_protocol_is_resumed_once_no_more_waits_than_the_low_mark(flow, owner):
    flow.note_more(owner, 11)
    flow.note_less(owner, 5)
    assert flow.paused
    flow.note_less(owner, 4)
    flow.note_less(owner, 3)
    assert not flow.paused
    assert owner.told == ["pause", "resume"]


def test_what_a_protocol_raises_is_reported(flow):
    error = OSError("no")
    owner = Owner(error)
    flow.note_more(owner, 11)
    assert owner.told == [(error, "protocol.pause_writing() failed")]


def test_ctrl_c_in_a_protocol_comes_out(flow):
    with pytest.raises(KeyboardInterrupt):
        flow.note_more(Owner(KeyboardInterrupt()), 11)
