"""What one thread closes while others may be in the middle of using it"""

from __future__ import annotations

from quiesce.system.in_use import InUse


def closing():
    """Return a thing in use, and the list of how often it was closed."""
    closed = []
    return InUse(lambda: closed.append(True)), closed


def test_what_nobody_uses_is_closed_at_once():
    thing, closed = closing()
    thing.end()
    assert closed == [True]


def test_what_is_in_use_is_closed_when_the_last_use_is_finished():
    thing, closed = closing()
    assert thing.begin()
    assert thing.begin()
    thing.end()
    thing.finish()
    assert closed == []
    thing.finish()
    assert closed == [True]


def test_it_is_closed_once_however_often_it_ends():
    thing, closed = closing()
    assert thing.begin()
    thing.end()
    thing.end()
    thing.finish()
    thing.end()
    assert closed == [True]


def test_after_its_end_there_is_no_use_of_it():
    thing, closed = closing()
    thing.end()
    assert not thing.begin()
    thing.finish()
    assert closed == [True]
