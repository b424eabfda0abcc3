"""The end of the process in the last moment of the interpreter, to say why it ended.

By a signal, when modules are taken down and files are closed. Or with the status of a
loop that an exit function ran: Python shows what an exit function raises, forgets it
and exits as it would have, with status 0 most of the time. What asked for the end, or
had to be forced, must not be lost in this way.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from typing import Any

from quiesce.errors import GraceExceeded, Terminated
from quiesce.shutdown.threads import daemons

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
    last_of_all().status = status


def die_of(signum: int) -> None:
    """Let the exit that has begun end by this signal, as if nobody had caught it."""
    last = last_of_all()
    last.signum, last.status = signum, 128 + signum


class LastOfAll:
    """Ends the process when it is taken down itself."""

    def __init__(self) -> None:
        # By then no module can be relied on.
        self.kill = signal.raise_signal
        self.leave = os._exit
        # What finalizers print is written out only after that. Not where a daemon may
        # have been stopped in the middle of printing: it holds a lock.
        self.streams: list[Any] = [] if daemons() else [sys.__stdout__, sys.__stderr__]
        self.signum = 0
        self.status: Any = 0

    def __del__(self) -> None:
        for stream in self.streams:
            try:
                stream.flush()
            except Exception:  # noqa: BLE001, S112 - none, closed, nobody reads
                continue
        if self.signum:
            # Python has given all signals their usual effect again.
            self.kill(self.signum)
        # Blocked, it does nothing: then the status says at least what it was.
        self.leave(self.status)


def last_of_all() -> LastOfAll:
    """Return what ends the process in the end, made now if there is none."""
    # What `sys` has is what the interpreter takes down last.
    names = sys.__dict__
    if "_quiesce_last_of_all" not in names:
        names["_quiesce_last_of_all"] = LastOfAll()
    last: LastOfAll = names["_quiesce_last_of_all"]
    return last
