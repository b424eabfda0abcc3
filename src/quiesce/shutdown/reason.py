"""Why the end of a program began, and the exit status that follows from it."""

from __future__ import annotations

import signal

from quiesce.errors import Terminated

# What a program that had to be forced ends with, where no signal asked for the end: the
# status for an internal software error in sysexits(3).
FORCED_STATUS = 70

RETURNED = "main returned"
RAISED = "main raised"
SIGNALLED = "signal"
EXITED = "exit"
CLOSED = "closed"
PROGRAM_ENDS = "the program ends"


class Reason:
    """What asked for the end.

    `kind` is one of the constants above: main came to its end by itself, a signal
    arrived, something raised SystemExit or KeyboardInterrupt, a runner was closed, or
    the program ends and with it this run, in a thread that is not the main one. A
    signal that `asked_by` names may have come before, with which main has dealt.
    """

    # No dataclass: to make one takes longer than a short program's end.
    __slots__ = ("asked_by", "error", "kind", "signum")

    def __init__(
        self,
        kind: str,
        signum: int | None = None,
        error: BaseException | None = None,
        asked_by: int | None = None,
    ) -> None:
        self.kind = kind
        self.signum = signum
        self.error = error
        self.asked_by = asked_by

    def __str__(self) -> str:
        if self.signum is not None:
            return name_of(self.signum)
        if self.error is None or self.kind == PROGRAM_ENDS:
            return self.kind
        if isinstance(self.error, SystemExit):
            return f"sys.exit({self.error.code!r})"
        name = type(self.error).__name__
        return f"{self.kind} {name}" if self.kind == RAISED else name

    @property
    def ends_process(self) -> bool:
        """Whether the process is to end, and not only this run."""
        return self.kind in (SIGNALLED, EXITED)

    @property
    def status(self) -> int | None:
        """The exit status if nothing has to be forced; None if nobody knows.

        Nobody does after a Ctrl-C: main may have dealt with it, or raised an error of
        its own, and many programs catch KeyboardInterrupt and end with 0. That they
        catch another exception, which is then known here, is not expected.
        """
        if self.is_ctrl_c:
            return None
        if self.signum is not None:
            return 128 + self.signum
        if self.error is not None:
            return status_of(self.error)
        return 0 if self.kind == RETURNED else None

    @property
    def is_ctrl_c(self) -> bool:
        """Whether it comes out as KeyboardInterrupt."""
        return self.signum == signal.SIGINT or isinstance(self.error, KeyboardInterrupt)

    @property
    def forced_status(self) -> int:
        """The exit status if the grace is used up; never 0."""
        if self.is_ctrl_c:
            return 128 + signal.SIGINT
        signum = self.signum or self.asked_by
        return FORCED_STATUS if signum is None else 128 + signum


def name_of(signum: int) -> str:
    """Return the name of a signal."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        # Most real-time signals have none.
        return f"signal {signum}"


def status_of(error: BaseException) -> int:
    """Return the exit status of a program out of which `error` comes, no Ctrl-C."""
    if not isinstance(error, SystemExit):
        return 1
    if isinstance(error.code, int):
        # As much as the system passes on to who waits for the process.
        return error.code & 0xFF
    return 0 if error.code is None else 1


def signum_of(error: BaseException | None) -> int | None:
    """Return the signal that raised `error`, if one does."""
    if isinstance(error, Terminated):
        return error.signum
    return signal.SIGINT if isinstance(error, KeyboardInterrupt) else None
