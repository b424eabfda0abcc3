"""Failures that nobody has asked for.

asyncio reports a failed task when it is collected, and so do we. But one that is held
somewhere is collected late or never, so each loop also remembers what failed while no
task was waiting for it. A loop that is asked to (`quiesce.run` asks) reports what
nobody has asked for after half a second; every loop does so before it closes, and the
interpreter before it ends. Each failure is reported once; asking for it later still
raises it.
"""

from __future__ import annotations

import atexit
import weakref
from contextvars import Context
from types import BuiltinMethodType
from typing import TYPE_CHECKING, Any

from quiesce.core import failures, running
from quiesce.core.handle import Handle, only_counts

if TYPE_CHECKING:
    from collections.abc import Callable

# So many are remembered before those that were retrieved are let go.
FIRST_LIMIT = 64


# Seconds after which what nobody waits for is reported, where that is asked for.
PROMPTLY = 0.5
# The delay of loops that were not told any; ``quiesce run`` sets it.
default_delay: float | None = None


class Unretrieved:
    """The futures and tasks of one loop that failed, as weak references."""

    def __init__(self, loop: Any) -> None:
        self.loop = weakref.ref(loop)
        self.failed: list[weakref.ref[Any]] = []
        self.limit = FIRST_LIMIT
        # Seconds after which what nobody waits for is reported.
        self.delay = default_delay
        # Those with nobody waiting, and when they failed; a timer runs for the first.
        self.lonely: list[tuple[float, weakref.ref[Any]]] = []
        # Who is told of failures at once, while the loop comes to its end.
        self.at_the_end: Callable[[Any, Any], object] | None = None

    def note(self, future: Any, waiters: Any) -> None:
        """Remember `future`, which fails now; `waiters` are its callbacks, if any."""
        if self.at_the_end is not None and waiters:
            self.at_the_end(future, waiters)
        if len(self.failed) >= self.limit:
            self.forget_retrieved()
        reference = weakref.ref(future)
        self.failed.append(reference)
        if self.delay is not None and not waits(waiters):
            self.note_lonely(reference)

    def forget_retrieved(self) -> None:
        """Let go those that are gone or were asked for."""
        self.failed = [each for each in self.failed if is_unretrieved(each())]
        self.limit = max(FIRST_LIMIT, 2 * len(self.failed))

    def note_lonely(self, reference: weakref.ref[Any]) -> None:
        """Report the future in a while, unless somebody asks for it meanwhile."""
        loop = self.loop()
        if loop is None or loop.is_closed() or self.delay is None:
            return
        if not self.lonely:
            loop.call_later(self.delay, self.report_lonely, context=Context())
        self.lonely.append((loop.time() + self.delay, reference))

    def report_lonely(self) -> None:
        """Report those whose time is over and whom nobody has asked for."""
        loop = self.loop()
        if loop is None or loop.is_closed():
            return
        now = loop.time()
        due = [each for when, each in self.lonely if when <= now]
        self.lonely = [entry for entry in self.lonely if entry[0] > now]
        if self.lonely:
            wait = self.lonely[0][0] - now
            loop.call_later(wait, self.report_lonely, context=Context())
        for reference in due:
            report(reference(), failures.exception_not_retrieved_so_far)

    def report(self) -> None:
        """Report all that nobody has asked for until now."""
        failed = self.failed
        self.failed, self.lonely = [], []
        for reference in failed:
            report(reference(), failures.exception_never_retrieved)


def waits(waiters: Any) -> bool:
    """Tell whether one of these callbacks may ask for the outcome.

    ``set.discard``, with which programs hold their background tasks, does not, nor does
    what waits for the last of many at the end.
    """
    return any(
        type(callback) is not BuiltinMethodType and not is_countdown(callback)
        for callback, _ in waiters or ()
    )


def is_countdown(callback: Any) -> bool:
    """Tell whether `callback` only counts those that are done, as the end does."""
    return isinstance(callback, Handle) and only_counts(callback)


def is_unretrieved(future: Any) -> bool:
    """Tell whether nobody has asked for the outcome of `future`, if it still exists."""
    return future is not None and future._log_traceback


def report(future: Any, how: Any) -> None:
    """Report `future` if nobody has asked for its outcome; not a second time."""
    if is_unretrieved(future):
        future._log_traceback = False
        how(future)


def report_all() -> None:
    """Report what no loop has reported: the interpreter ends."""
    for loop in running.all_of(running.loops):
        loop.report_unretrieved()


# Functions that the program registers are called before this one, and may fail too.
atexit.register(report_all)
