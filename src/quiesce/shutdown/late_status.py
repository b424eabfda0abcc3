"""The status of a program whose exit functions run a loop that is asked to end.

Python shows what an exit function raises, forgets it and exits as it would have: with
status 0, most of the time. What asked for the end, or had to be forced, must not be
lost in this way.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

from quiesce.errors import GraceExceeded, Terminated

# What comes out of runs that say with it how the process shall end.
NOTED = (KeyboardInterrupt, Terminated, GraceExceeded)
# The signals that ended runs in exit functions.
SIGNUMS: list[int] = []


def keep() -> None:
    """Exit with the status that the run says, unless its exit function catches it."""
    # Order matters: the hook that was there is called by this one.
    # So does that nothing is looked up in this module, which may be gone by then.
    hook = sys.unraisablehook
    if getattr(hook, "func", None) is not note:
        sys.unraisablehook = functools.partial(note, hook, NOTED)


def hide(kind: type[BaseException]) -> object:
    """Show nothing of this kind that nobody can catch; return the hook for that."""
    sys.unraisablehook = hook = functools.partial(show_others, sys.unraisablehook, kind)
    return hook


def show_others(show: Any, kind: type[BaseException], unraisable: Any) -> None:
    """Let `show` show what is not of this kind."""
    if not issubclass(unraisable.exc_type, kind):
        show(unraisable)


def note(show: Any, noted: Any, unraisable: Any) -> None:
    """Note how a run ended, if that is what is shown; let `show` show the rest."""
    error = unraisable.exc_value
    if not isinstance(error, noted):
        show(unraisable)
        return
    status = getattr(error, "code", 128 + signal.SIGINT)
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        SIGNUMS.append(getattr(error, "signum", signal.SIGINT))
    exit_with(status)


def exit_with(status: Any) -> None:
    """Let the exit that has begun end with this status."""
    # What `sys` has is what the interpreter takes down last.
    sys.__dict__["_quiesce_late_status"] = LastOfAll(status)


class LastOfAll:
    """Ends the process with a status when it is taken down itself."""

    def __init__(self, status: Any) -> None:
        # By then no module can be relied on.
        self.leave = functools.partial(os._exit, status)

    def __del__(self) -> None:
        self.leave()
