"""The end of loops that a program runs by itself, with no runner.

Under ``quiesce run`` a signal that asks for the end comes out of the call that runs the
loop: SIGTERM and SIGHUP as `Terminated`, between two callbacks. As long as a blocked
loop keeps it from that a watchdog holds the deadline, and the guard where a call in C
keeps the GIL. What the program leaves pending is ended when it closes the loop, or when
it is over.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
import weakref
from asyncio import events
from typing import TYPE_CHECKING, Any

from quiesce.core import runs
from quiesce.core.running import all_tasks
from quiesce.core.scheduler import Scheduler
from quiesce.errors import Terminated
from quiesce.loop import Loop
from quiesce.shutdown import connections, ending, triggers
from quiesce.shutdown.budget import Budget, grace_of
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.reason import SIGNALLED, Reason, signum_of
from quiesce.shutdown.unheard import Request as UnheardRequest
from quiesce.shutdown.unheard import Sentinel, Unheard, can_look
from quiesce.shutdown.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# It ends the process where a call in C keeps the GIL while such a loop runs.
guard = Guard(yields=True)
# It hears of a signal where another call in C keeps the main thread from that.
sentinel = Sentinel()


class Request:
    """The last signal that asked the program to end, where no runner heard it."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.heard_at = 0.0
        self.budget = Budget(0.0, 0.0)
        # Who is told of the grace that one begins, by its handler.
        self.on_begin: Callable[[Budget], object] | None = None

    def begin(self, signum: int) -> bool:
        """Take note of a signal; return False if it only repeats the last one.

        A program that caught that one and goes on is asked anew when its grace is over.
        """
        self.heard_at = now = time.monotonic()
        if signum == signal.SIGINT:
            repeats = self.signum == signum and (
                now - self.budget.began_at < triggers.SAME_CTRL_C
            )
        else:
            repeats = self.is_fresh() and self.signum != signal.SIGINT
        if not repeats:
            self.signum, self.budget = signum, Budget(grace_of(None), now)
            if self.on_begin is not None:
                self.on_begin(self.budget)
        return not repeats

    def is_fresh(self) -> bool:
        """Tell whether the grace that it began is not over."""
        return self.signum is not None and time.monotonic() < self.budget.deadline

    def budget_of(self, signum: int | None) -> Budget:
        """Return what is left of the grace that `signum` began, or else a new one."""
        if self.signum == signum and self.budget.is_recent():
            return self.budget
        return Budget(grace_of(None))

    def join(self, signum: int | None, budget: Budget) -> None:
        """Take note of a signal that was heard in an end with this budget."""
        if signum is not None and not self.is_fresh():
            self.signum, self.budget = signum, budget

    def error(self) -> BaseException | None:
        """Return what it raised in the program; None if there is none, or no more."""
        if self.signum is None or not self.is_fresh():
            return None
        return error_of(self.signum)


request = Request()


class Asked:
    """A run that was asked to end, and what holds the deadline until it does."""

    def __init__(self, loop: Any, signum: int) -> None:
        self.loop = loop
        self.signum = signum
        self.watchdog = Watchdog(loop, threshold=None, interrupted=set())
        self.handle = loop.call_soon_threadsafe(self.come_out)

    def hold(self, budget: Budget) -> None:
        """See to it that it is over within `budget`."""
        reason = Reason(SIGNALLED, self.signum)
        if isinstance(self.loop, Scheduler):
            # Nobody says when the run of another make is over.
            guard.hold(budget.deadline, reason.forced_status)
        self.watchdog.hold(
            budget,
            on_deadline=functools.partial(end_process, self.loop, reason, budget),
        )

    def come_out(self) -> None:
        """Raise `Terminated` in the run."""
        self.settle()
        raise Terminated(self.signum)

    def settle(self) -> None:
        """Note that the run is over."""
        ASKED.pop(self.loop, None)
        self.handle.cancel()
        self.watchdog.release()
        guard.let_go()


# The runs that were asked and are not over, by their loops.
ASKED: dict[Any, Asked] = {}
# The open loops that were left with tasks. The program may have dropped them, and then
# the tasks are to be ended nevertheless.
LEFT: set[Any] = set()
# The loops that were ended and stay open for exit functions.
KEPT: set[Any] = set()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LEFT.clear)
    os.register_at_fork(after_in_child=KEPT.clear)


def terminate(loop: Any, signum: int) -> None:
    """Let `Terminated` come out of the run of `loop`; called by a signal's handler."""
    ASKED[loop] = asked = Asked(loop, signum)
    asked.hold(request.budget)


def settle_run(loop: Any, is_regular: bool) -> None:
    """Raise, after a run that was asked in its last moment, what it has not."""
    if loop.pending_tasks or loop.other_tasks.pending:
        LEFT.add(loop)
    else:
        LEFT.discard(loop)
    asked = ASKED.get(loop)
    if asked is not None and threading.get_ident() == threading.main_thread().ident:
        asked.settle()
        if is_regular:
            raise Terminated(asked.signum)


def end_process(loop: Any, reason: Reason, budget: Budget) -> None:
    """End the process, whose loop is blocked; called in another thread."""
    from quiesce.shutdown import forcing
    from quiesce.shutdown.report import Report
    from quiesce.shutdown.sequence import Sequence

    if loop.is_running():
        forcing.end_process(Sequence(loop, reason, budget, Report(reason, budget)))


def look_after(loop: Any) -> None:
    """Hear of the signals that `loop`, which the main thread runs, does not hear."""
    if not can_look(loop) or sentinel.looks_at(loop):
        return
    # Whoever looks may not keep the loop alive.
    reference = weakref.ref(loop)
    unheard = Unheard(
        functools.partial(unread_by, reference),
        grace=grace_of(None),
        asks=functools.partial(asks_unheard, reference),
        end=functools.partial(end_unheard, reference),
    )
    sentinel.begin(loop, unheard)


def unread_by(loop: Callable[[], Any]) -> bytes:
    """Return the signals that a loop, if it is not gone, has yet to read."""
    handlers = getattr(loop(), "signal_handlers", None)
    return b"" if handlers is None else handlers.unread()


def asks_unheard(loop: Callable[[], Any], signum: int, since: float) -> bool:
    """Tell whether `signum` is to end a run, and none was heard `since` then."""
    present = loop()
    if present is None or not present.is_running():
        return False
    if signum not in triggers.SIGNALS or request.heard_at >= since:
        return False
    return ends_program(signum, present)


def end_unheard(loop: Callable[[], Any], unheard: UnheardRequest) -> None:
    """End the process for a signal of which nobody has heard in the grace."""
    reason = Reason(SIGNALLED, unheard.signum)
    budget = Budget(grace_of(None), unheard.began_at)
    guard.allow_last_acts(budget.deadline, reason.forced_status)
    end_process(loop(), reason, budget)


def guard_run(loop: Any) -> None:
    """Guard the run of `loop`, unless a runner does.

    A signal that the program handles itself does not end it.
    """
    signums = [each for each in triggers.SIGNALS if ends_program(each, loop)]
    if Guard.present is None:
        guard.stand(signums, grace_of(None))
    else:
        guard.watch(signums)
    if Guard.present is guard and isinstance(loop, Scheduler):
        loop.interrupts.on_heard = hear_ctrl_c
    guard.share(loop)
    if guard.stands and threading.get_ident() == threading.main_thread().ident:
        look_after(loop)
    if isinstance(loop, Scheduler):
        loop.interrupts.raise_error()


def ends_program(signum: int, loop: Any) -> bool:
    """Tell whether `signum` ends the program, where `loop` runs."""
    handler = signal.getsignal(signum)
    if handler in triggers.STAND_INS:
        return True
    # It holds Ctrl-C anew in each run.
    return isinstance(loop, Scheduler) and handler == loop.interrupts.heard


def hear_ctrl_c() -> bool:
    """Take note of a Ctrl-C in a run; tell whether it is the last one once more."""
    guard.let_go()
    return not request.begin(signal.SIGINT)


def end_before_close(loop: Any) -> None:
    """End what is pending on a loop that the program closes."""
    LEFT.discard(loop)
    if (
        ending.has_begun(loop)
        or events._get_running_loop() is not None
        or sys.is_finalizing()
        or not has_left(loop)
    ):
        return
    end_loops([loop], request.error())


def has_left(loop: Any) -> bool:
    """Tell whether anything on `loop`, which nobody runs, is to be ended."""
    if all_tasks(loop):
        return True
    if not isinstance(loop, Loop):
        return False
    return bool(loop.async_generators.suspended() or connections.unsent(loop))


def end_loops(
    loops: Collection[Any], error: BaseException | None, *, keep_open: bool = False
) -> None:
    """Unwind the tasks on `loops`, which nobody runs, and close these or `keep_open`.

    `error` is what is on its way out of the program meanwhile. All share one grace,
    that of the signal which asked for the end if there is one.
    """
    signum = signum_of(error)
    budget = request.budget_of(signum)
    if keep_open:
        KEPT.update(loops)
    raised: BaseException | None = None
    for number, loop in enumerate(loops):
        share = budget
        if number < len(loops) - 1:
            # So that one which never ends leaves something to the others. Most need
            # much less.
            share = Budget(budget.left() / 2)
        try:
            Ends.end_loop(
                loop, error, share, signum, budget.began_at, keep_open=keep_open
            )
        except BaseException as raised_now:  # noqa: BLE001 - the others come first
            request.join(signum_of(raised_now), budget)
            raised = raised or raised_now
    if raised is not None:
        raise raised


def close_kept() -> None:
    """Close the loops that were kept open, but for those that somebody runs."""
    while KEPT:
        loop = KEPT.pop()
        if not loop.is_running():
            loop.close()


class Ends:
    """How a loop is ended: `quiesce.runner` is not to be imported here."""

    end_loop: Callable[..., object]


def error_of(signum: int) -> BaseException:
    """Return what comes out of a program that `signum` asks to end."""
    return KeyboardInterrupt() if signum == signal.SIGINT else Terminated(signum)


def take_care(end_loop: Callable[..., object]) -> None:
    """From now on, guard each loop that nobody else runs, and end what it leaves.

    `end_loop` is that of `quiesce.runner`.
    """
    # Order matters: nothing is to be loaded when a signal has come.
    from quiesce.shutdown.waiting_main import waiting_main

    request.on_begin = waiting_main.follow
    Ends.end_loop = end_loop
    runs.on_run_end = settle_run
    runs.on_close = end_before_close
