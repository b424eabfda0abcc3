"""How much time the end of a program has, as one budget for all of it."""

from __future__ import annotations

import os
import time

# Seconds; fits inside the ten that containers usually get.
DEFAULT_GRACE = 8.0
# What the command line says; it is for every run that asks for nothing else.
default_grace: float | None = None
# An end that takes longer than so many seconds says what it waits for.
SLOW = 1.0
# An end that begins so many seconds after the deadline is the program's own business.
LATEST = 1.0
# Seconds that everything has once a second Ctrl-C came.
AT_ONCE = 1.0
# What closing and forcing keep for themselves: a share, and at least so many seconds.
RESERVED_SHARE = 0.1
LEAST_RESERVE = 0.2


class Budget:
    """A grace period that has begun; all moments are seconds of `time.monotonic`.

    `deadline` is when it is used up, `cut` when the wait for tasks ends, so that a
    reserve is left for what comes after them.
    """

    __slots__ = ("began_at", "cut", "deadline", "grace")

    def __init__(self, grace: float, now: float | None = None) -> None:
        self.grace = grace
        self.began_at = time.monotonic() if now is None else now
        self.deadline = self.began_at + grace
        self.cut = self.deadline - self.reserve

    @property
    def reserve(self) -> float:
        """Seconds kept for closing and forcing: never more than half of the grace."""
        return min(max(RESERVED_SHARE * self.grace, LEAST_RESERVE), self.grace / 2)

    def at(self, share: float) -> float:
        """Return the moment at which that share of the grace is used up."""
        return min(self.began_at + share * self.grace, self.deadline)

    def left(self, until: float | None = None) -> float:
        """Return the seconds until then, or else until the deadline; 0 if past."""
        return max(0.0, (self.deadline if until is None else until) - time.monotonic())

    def elapsed(self) -> float:
        """Return how many seconds ago the end began."""
        return time.monotonic() - self.began_at

    def is_recent(self) -> bool:
        """Tell whether what ends now is part of what was asked for."""
        return time.monotonic() <= self.deadline + LATEST

    def hurry(self, seconds: float) -> None:
        """Let the deadline be in `seconds` at the latest, and all waiting end at it."""
        self.deadline = min(self.deadline, time.monotonic() + seconds)
        self.cut = min(self.cut, self.deadline - seconds / 5)


def grace_of(asked: float | None) -> float:
    """Return the grace in seconds: as asked for, or else as the command line says.

    Without these ``QUIESCE_GRACE`` decides, and then the default. Raises ValueError for
    what is not a number of seconds above zero.
    """
    if asked is None and default_grace is not None:
        return default_grace
    if asked is None:
        text = os.environ.get("QUIESCE_GRACE", "").strip()
        if not text:
            return DEFAULT_GRACE
        return seconds_of(text, "QUIESCE_GRACE")
    return seconds_of(asked, "grace")


def seconds_of(value: float | str, name: str) -> float:
    """Return `value` as a number of seconds; `name` is what an error calls it."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not seconds > 0:
        raise ValueError(f"{name} must be a number of seconds above 0, not {value!r}")
    return min(seconds, threading_limit())


def threading_limit() -> float:
    """Return the longest time that a lock can be waited for, in seconds."""
    import threading

    return threading.TIMEOUT_MAX / 2
