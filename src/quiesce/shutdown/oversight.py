"""What one runner has against everything that could hold it up.

The watchdog is for what blocks the loop, the guard for what blocks all of Python, and
the sentinel for what keeps the main thread from hearing of a signal.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.blocked import Announcer, pulse_of
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.unheard import NAMED_AFTER, Sentinel, Unheard, can_look
from quiesce.shutdown.watchdog import Watchdog, threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quiesce.shutdown.budget import Budget
    from quiesce.shutdown.unheard import Request


class Oversight:
    """Sees to it that a run ends within its budget.

    `force` is called in another thread if it does not; never if the runner is not in
    the main thread, because a run elsewhere ends nothing but itself. So is
    `force_unheard`, where the main thread did not hear of the signal that asks for the
    end, as `asks` tells.
    """

    def __init__(
        self,
        grace: float,
        force: Callable[[], None],
        asks: Callable[[int, float], bool],
        force_unheard: Callable[[Request], None],
    ) -> None:
        self.grace = grace
        self.force = force
        self.asks = asks
        self.force_unheard = force_unheard
        self.guard = Guard()
        self.watchdog: Watchdog | None = None
        self.sentinel: Sentinel | None = None
        # The tasks that blocked the loop and were interrupted.
        self.interrupted: set[Any] = set()

    def stand(self, signums: Iterable[int]) -> None:
        """Begin, now that `signums` ask for the end."""
        self.guard.stand(signums, self.grace)

    def watch(self, loop: Any) -> None:
        """Tell from now on of what blocks `loop`, and hear what it cannot."""
        if self.watchdog is None or self.watchdog.loop is not loop:
            self.watchdog = Watchdog(
                loop, threshold=threshold(), interrupted=self.interrupted
            )
        self.watchdog.start()
        self.guard.share(loop)
        if self.guard.stands and can_look(loop):
            self.sentinel = sentinel = self.sentinel or Sentinel()
            if not sentinel.looks_at(loop):
                sentinel.begin(loop, self.unheard_by(loop, self.watchdog))

    def unheard_by(self, loop: Any, watchdog: Watchdog) -> Unheard:
        """Return what knows of the signals that `loop` does not hear."""
        announcer = None
        if watchdog.threshold is None or watchdog.threshold > NAMED_AFTER:
            announcer = Announcer(pulse_of(loop), watchdog.thread_id)
        return Unheard(
            loop.signal_handlers.unread,
            grace=self.grace,
            asks=self.asks,
            end=self.force_unheard,
            announcer=announcer,
        )

    def unwatch(self) -> None:
        """Tell no more of what blocks the loop, as long as it does not end."""
        if self.watchdog is not None:
            self.watchdog.stop()

    def grace_left(self) -> float:
        """Return the grace for the signal that was heard now: it may be an old one.

        That is a grace of its own, so that cleanups have their shares of it.
        """
        unheard = None if self.sentinel is None else self.sentinel.unheard
        return self.grace if unheard is None else unheard.grace_left()

    def close(self) -> None:
        """Have no thread any more: there are no more runs."""
        sentinel, self.sentinel = self.sentinel, None
        if sentinel is not None:
            sentinel.stop()

    def hold(self, loop: Any, budget: Budget, status: int) -> None:
        """Keep the end of `loop` to `budget`; called by a signal handler at any time.

        Where nobody else can end the process it ends with `status`. To be called again
        when the budget gets less.
        """
        self.guard.hold(budget.deadline, status)
        if self.watchdog is None or self.watchdog.loop is not loop:
            self.watchdog = Watchdog(loop, threshold=None, interrupted=self.interrupted)
        in_main_thread = threading.get_ident() == threading.main_thread().ident
        self.watchdog.hold(budget, on_deadline=self.force if in_main_thread else None)

    def allow_last_acts(self, budget: Budget, status: int) -> None:
        """Let the guard wait a moment longer: Python runs, and ends the process now."""
        self.guard.allow_last_acts(budget.deadline, status)

    def stand_down(self) -> None:
        """End: the run is over."""
        if self.watchdog is not None:
            self.watchdog.release()
            self.watchdog = None
        self.guard.stand_down()
        self.interrupted = set()
