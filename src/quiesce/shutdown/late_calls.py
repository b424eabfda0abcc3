"""What comes out of threads and is no failure.

A thread that goes on calling a loop which the program's end has closed gets a
RuntimeError, as ever, which it may catch. Where it does not, Python would show a
traceback for a thread that only came too late.

A run in a thread raises `GraceExceeded`, which its caller may catch too. Python is
silent about what is exactly a SystemExit, and would show a traceback of this one, after
all has been said. So Python's hook is replaced; one that the program has installed
hears of it as it does of any SystemExit.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quiesce.errors import GraceExceeded

if TYPE_CHECKING:
    from quiesce.shutdown.budget import Budget

# What a loop says of itself then, ours or another.
CLOSED = "Event loop is closed"


class LateCalls:
    """A hook for what comes out of threads: shows all but these, in the time given."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.show: Any = without_forced(threading.excepthook)

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


def keep_forced_quiet() -> None:
    """Show no traceback where a thread ends because its run's grace was used up."""
    threading.excepthook = without_forced(threading.excepthook)


def without_forced(hook: Any) -> Any:
    """Return what is silent about that in place of Python's own `hook`."""
    return show_failure if hook is threading.__excepthook__ else hook


def show_failure(args: Any) -> None:
    """Show what ended a thread, as Python does, unless that was `GraceExceeded`."""
    if not issubclass(args.exc_type, GraceExceeded):
        threading.__excepthook__(args)
