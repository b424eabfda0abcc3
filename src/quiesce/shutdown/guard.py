"""Ends the process where Python does not run any more: the last resort.

The watchdog is a thread of Python. While a call in C keeps the GIL it cannot run, and
neither can a signal's handler: only what needs no GIL can still end the process then.
Compiled, on Linux, that is a timer of the system (``quiesce.system.last_resort``);
elsewhere it is a small process of its own (`guardian`). docs/design/watchdog.md says
why.

Both leave one second after the deadline to those who can tell more. A guard stands for
as long as a run goes on, and once more while the interpreter exits within a budget.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.exit_status import LAST_ACTS
from quiesce.system import last_resort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quiesce.shutdown.guardian_process import GuardianProcess

# Seconds after the deadline.
MARGIN = 1.0


class Guard:
    """Guards one run at a time, in the main thread; elsewhere it does nothing.

    One that `yields` makes room for any other; one that is `late` starts no process.
    """

    present: Guard | None = None

    def __init__(self, *, yields: bool = False, late: bool = False) -> None:
        self.yields = yields
        self.late = late
        self.grace = 0.0
        self.guardian: GuardianProcess | None = None

    def stand(self, signums: Iterable[int], grace: float) -> None:
        """End the process if Python does not run for `grace` after one of `signums`.

        To be called when their handlers are installed.
        """
        if threading.get_ident() != threading.main_thread().ident:
            return
        if Guard.present is not None and Guard.present.yields:
            Guard.present.stand_down()
        if Guard.present is not None:
            return
        if not last_resort.begin(signums, grace + MARGIN):
            self.guardian = former_guardian() if self.late else new_guardian()
            if self.guardian is None:
                return
            self.guardian.watch(signums, grace)
        Guard.present = self
        self.grace = grace
        know_forks()

    @property
    def stands(self) -> bool:
        """Whether it guards a run now."""
        return Guard.present is self

    def watch(self, signums: Iterable[int]) -> None:
        """Look for these, which are all that end the program now.

        To be called again when their handlers are installed; not by other threads, in
        which signals have none.
        """
        if (
            Guard.present is not self
            or threading.get_ident() != threading.main_thread().ident
        ):
            return
        if self.guardian is not None:
            self.guardian.watch(signums, self.grace)
            return
        for signum in signums:
            last_resort.begin_at(signum, self.grace + MARGIN)

    def share(self, loop: Any) -> None:
        """Begin with the run of `loop`, which hears of signals now."""
        if Guard.present is self and self.guardian is not None:
            self.guardian.share(loop)

    def hold(self, deadline: float, status: int) -> None:
        """End the process with `status` if it is still there after `deadline`.

        `deadline` is a moment of `time.monotonic`. May be called again, to move it, and
        by a signal's handler.
        """
        if Guard.present is not self:
            return
        if self.guardian is None:
            last_resort.end_in(deadline + MARGIN - time.monotonic(), status)
        else:
            self.guardian.tell(f"hold {deadline + MARGIN}")

    def hold_exit(self, deadline: float, status: int, children: Iterable[int]) -> None:
        """Let the interpreter's exit, which has begun, end as `hold` says.

        It ends `children`, given by their pids, too. A run of an exit function is held
        to the same: nothing makes room for another deadline any more.
        """
        self.stand((), 0.0)
        if Guard.present is self:
            for pid in children:
                last_resort.note_child(pid)
            self.hold(deadline, status)

    def allow_last_acts(self, deadline: float, status: int) -> None:
        """Wait a moment longer: Python runs, and ends the process now."""
        if Guard.present is self and self.guardian is not None:
            self.guardian.tell("here")
        self.hold(deadline + LAST_ACTS, status)

    def let_go(self) -> None:
        """Do not end the process, in which Python runs, unless it is asked to again."""
        if Guard.present is not self:
            return
        if self.guardian is None:
            last_resort.do_not_end()
        else:
            self.guardian.tell("release")

    def stand_down(self) -> None:
        """Guard no longer."""
        if Guard.present is self:
            last_resort.end()
            if self.guardian is not None:
                self.guardian.rest()
                self.guardian = None
            Guard.present = None


def new_guardian() -> GuardianProcess | None:
    """Return this process's guardian, started now if it has none."""
    from quiesce.shutdown.guardian_process import the_guardian

    return the_guardian()


def former_guardian() -> GuardianProcess | None:
    """Return the guardian that a run has started, if one has."""
    guardians = sys.modules.get("quiesce.shutdown.guardian_process")
    return None if guardians is None else guardians.GuardianProcess.present


class AtForks:
    """Whether forks are known of."""

    are_known = False


def know_forks() -> None:
    """From now on, let a forked child begin without a guard."""
    if not AtForks.are_known and hasattr(os, "register_at_fork"):
        AtForks.are_known = True
        os.register_at_fork(after_in_child=forget_in_child)


def forget_in_child() -> None:
    """Let go of what the parent's guard has installed."""
    guardians = sys.modules.get("quiesce.shutdown.guardian_process")
    if guardians is not None:
        guardians.forget_in_child()
    if Guard.present is not None:
        Guard.present.stand_down()
