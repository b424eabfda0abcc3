"""What a program under ``quiesce run`` does last: die of the signal that ended it.

That may come while the program runs, in a run of an exit function, or when the program
is over and the interpreter exits: what a signal's handler raises there would be shown
and forgotten, and the process end with status 0.
"""

from __future__ import annotations

import atexit
import signal
import threading
from asyncio import events
from typing import TYPE_CHECKING

from quiesce.core import interrupts
from quiesce.errors import Terminated
from quiesce.shutdown import late_status, process_wide
from quiesce.shutdown.exit_status import flush_files, flush_output, strike
from quiesce.shutdown.exit_supervisor import NO_THREADS_AT_EXIT
from quiesce.shutdown.forks import put_off
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.nudge import Nudge
from quiesce.shutdown.own_ends import request
from quiesce.shutdown.reason import SIGNALLED, Reason, signum_of
from quiesce.shutdown.threads import threads_left
from quiesce.shutdown.triggers import (
    SIGNALS,
    STAND_INS,
    HeldSignals,
    ignore,
    terminate,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from quiesce.shutdown import budget


class LastAct:
    """An exit function that is called after all others; `before` comes before it.

    `end_loops` is called when a signal ends the interpreter's exit.
    """

    def __init__(
        self, before: Callable[[], object], end_loops: Callable[[], object]
    ) -> None:
        self.before = before
        self.end_loops = end_loops
        self.signum: int | None = None
        # Whether the program's own code is over, and what it left is next.
        self.program_is_over = False
        # Whether the interpreter exits: until then a signal is noted, and no more.
        self.exits = False
        self.noted: int | None = None
        # Whether the process ends within a grace for another reason.
        self.is_bound = False
        # Whether the interpreter has begun to join threads, and a signal came then.
        self.joins = self.is_cut = False
        # Whether the exit functions are being called.
        self.has_begun = False
        # What wakes the interpreter as it waits for threads.
        self.nudge: Nudge | None = None
        # What bounds the exit once a signal has come.
        self.bound = process_wide.ExitBound(*asked_by(signal.SIGTERM))

    def __call__(self) -> None:
        """End by the signal, if there was one, be it in a run of an exit function."""
        try:
            self.before()
        except (KeyboardInterrupt, Terminated) as error:
            self.signum = self.signum or signum_of(error)
        process_wide.report_children()
        self.die_if_asked()
        # What is printed is lost to a signal from here on, and nothing hears of it.
        flush_output()
        if threading.current_thread() is not threading.main_thread():
            # That one is stuck, and the process is left without it.
            return
        for signum in SIGNALS:
            if signal.getsignal(signum) == self.answer:
                signal.signal(signum, signal.SIG_DFL)
        self.die_if_asked()

    def die_if_asked(self) -> None:
        """End by the signal, if there was one, as the very last act."""
        signum = self.signum or next(iter(late_status.SIGNUMS), None)
        if signum is None:
            return
        if Guard.present is None:
            # Nobody would end a finalizer that hangs.
            flush_output()
            flush_files()
            strike(signum)
        late_status.die_of(signum)

    def die_of(self, signum: int) -> None:
        """Choose the signal; from now on its repetition changes nothing."""
        self.signum = signum
        if signum != signal.SIGINT:
            ignore(signum)

    def hear_signals(self) -> None:
        """Answer SIGTERM and SIGHUP from now on, where nobody else does."""
        STAND_INS.append(self.answer)
        interrupts.USUAL.append(self.answer)
        hears = {each: self.answer for each in SIGNALS if each != signal.SIGINT}
        HeldSignals(hears).hold()

    def take_over(self) -> None:
        """Answer all signals from now on: the program's own code is over."""
        self.program_is_over = True
        HeldSignals({signal.SIGINT: self.answer}).hold()

    def answer(self, signum: int, frame: FrameType | None) -> None:
        """End the program, or the exit of the interpreter if the program is over."""
        if put_off(signum, frame):
            return
        if not self.program_is_over:
            terminate(signum, frame)
        elif events._get_running_loop() is not None:
            # An exit function runs a loop by itself. Who dies of it notes it.
            late_status.keep()
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            terminate(signum, frame)
        elif not self.exits:
            if request.begin(signum):
                self.noted = signum
        elif self.signum is not None or self.is_bound:
            if signum == signal.SIGINT:
                process_wide.hurry(self.bound)
        else:
            self.end_exit(signum, frame)

    def come_closer(self) -> None:
        """Take note that the interpreter exits next."""
        self.is_bound = process_wide.is_bound()
        # The last that is registered is called first.
        atexit.register(self.begin)
        if not self.is_bound:
            self.watch_joining()
        self.exits = True
        if self.noted is not None and not self.is_bound:
            self.end_exit(self.noted, None)

    def watch_joining(self) -> None:
        """See to it that a signal is heard while the interpreter joins threads."""
        threading._register_atexit(self.note_joining)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        late_status.hide(JoiningCut)
        if threads_left() and hasattr(signal, "pthread_kill"):
            self.nudge = Nudge(self.is_unheard)
            self.nudge.start()
        if NO_THREADS_AT_EXIT:
            self.bound.supervisor.start()
            self.bound.supervisor.start_second()

    def is_unheard(self, signum: int) -> bool:
        """Tell whether `signum` would be answered here, and none was."""
        return self.signum is None and signal.getsignal(signum) == self.answer

    def note_joining(self) -> None:
        """Note that the interpreter joins threads from now on."""
        self.joins = True

    def begin(self) -> None:
        """Note that the exit functions are called now; do what comes before them."""
        if self.has_begun:
            return
        self.has_begun = True
        late_status.keep()
        if self.nudge is not None:
            self.nudge.stop()
        if self.is_cut:
            self.end_loops()
            self.bound.later_ctrl_c.hear()
            self.bound.wait()
            self.bound.runs_exit_functions = True

    def end_exit(self, signum: int, frame: FrameType | None) -> None:
        """End the exit that goes on within the grace, and die of the signal then.

        Called in the main thread, which is at `frame`: before the exit, in the middle
        of a wait for threads or of an exit function.
        """
        self.die_of(signum)
        request.begin(signum)
        if self.has_begun:
            # This one has its time, and so have those that follow.
            self.bound.begin(*asked_by(signum))
            self.bound.take_over_late()
        elif (is_joining := joins_threads(frame)) or self.joins:
            # Not here: whoever joins may hold a lock that joining needs.
            self.bound.begin(*asked_by(signum))
            self.is_cut = True
            if is_joining:
                raise JoiningCut
        else:
            self.end_loops()
            process_wide.bound_exit(*asked_by(signum))


class JoiningCut(BaseException):
    """Raised in the interpreter's wait for threads, which is gone through once more."""


def joins_threads(frame: FrameType | None) -> bool:
    """Tell whether `frame` is part of the interpreter's wait for threads.

    From its very first instruction: nothing can be registered for that wait then, and
    on 3.12 no thread be made.
    """
    # A debugger may have put its own in the place of that.
    joining = getattr(threading._shutdown, "__code__", None)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType]
    while frame is not None and frame.f_code is not joining:
        frame = frame.f_back
    return frame is not None


def asked_by(signum: int) -> tuple[budget.Budget, Reason]:
    """Return the budget and the reason of the end that `signum` asks for."""
    return request.budget_of(signum), Reason(SIGNALLED, signum)
