"""What all tests share: the proof of which quiesce they test, and a loop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import quiesce


def mode() -> str:
    return "compiled" if quiesce.COMPILED else "interpreted"


def pytest_configure() -> None:
    """Refuse to test another mode than the one that was asked for."""
    expected = os.environ.get("QUIESCE_EXPECT", mode())
    if expected != mode():
        raise pytest.UsageError(f"quiesce is {mode()} but should be {expected}")


def pytest_report_header() -> str:
    return f"quiesce: {mode()}, from {Path(quiesce.__file__).parent}"


@pytest.fixture
def loop():
    """A new loop of ours, closed after the test."""
    with_loop = quiesce.new_event_loop()
    yield with_loop
    with_loop.close()
