"""Threads that go on calling a loop which the program's end has closed.

The call raises RuntimeError in the thread, as ever, which may catch it. Where nobody
does, Python would show a traceback for a thread that only came too late.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quiesce.shutdown.budget import Budget

# What a loop says of itself then, ours or another.
CLOSED = "Event loop is closed"


class LateCalls:
    """A hook for what comes out of threads: shows all but these, in the time given."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.show: Any = threading.excepthook

    def __call__(self, args: Any) -> None:
        """Show what ended a thread, unless it came too late."""
        is_late = args.exc_type is RuntimeError and str(args.exc_value) == CLOSED
        if not (is_late and self.budget.is_recent()):
            self.show(args)


def keep_quiet(budget: Budget) -> None:
    """Show no late call of a thread while the process ends within `budget`."""
    hook: Any = threading.excepthook
    if isinstance(hook, LateCalls):
        hook.budget = budget
    else:
        threading.excepthook = LateCalls(budget)
