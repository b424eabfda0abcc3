"""What time is to a loop.

A loop reads the system's monotonic clock unless it is given another one. With `poller`
and the ready queue the clock is one of the three sources of chance in a loop: replace
them and a program repeats exactly.
"""

from __future__ import annotations

import weakref
from typing import Any, Protocol


class Clock(Protocol):
    """A source of time that never goes backwards."""

    def now(self) -> float:
        """Return the time in seconds since a moment that stays the same."""
        ...


class TimeMethod:
    """The clock of a loop whose class overrides ``time``."""

    def __init__(self, loop: Any) -> None:
        self.loop = weakref.proxy(loop)

    def now(self) -> float:
        """Ask the loop."""
        return self.loop.time()
