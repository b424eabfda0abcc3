"""What one runner has against everything that could hold it up: watchdog and guard.

The watchdog is for what blocks the loop, the guard for what blocks all of Python.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.exit_status import LAST_ACTS
from quiesce.shutdown.guard import Guard
from quiesce.shutdown.watchdog import Watchdog, threshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from quiesce.shutdown.budget import Budget


class Oversight:
    """Sees to it that a run ends within its budget.

    `force` is called in another thread if it does not; never if the runner is not in
    the main thread, because a run elsewhere ends nothing but itself.
    """

    def __init__(self, grace: float, force: Callable[[], None]) -> None:
        self.grace = grace
        self.force = force
        self.guard = Guard()
        self.watchdog: Watchdog | None = None
        # The tasks that blocked the loop and were interrupted.
        self.interrupted: set[Any] = set()

    def stand(self, signums: Iterable[int]) -> None:
        """Begin, now that `signums` ask for the end."""
        self.guard.stand(signums, self.grace)

    def watch(self, loop: Any) -> None:
        """Tell from now on of what blocks `loop`."""
        if self.watchdog is None or self.watchdog.loop is not loop:
            self.watchdog = Watchdog(
                loop, threshold=threshold(), interrupted=self.interrupted
            )
        self.watchdog.start()
        self.guard.share(loop)

    def unwatch(self) -> None:
        """Tell no more of what blocks the loop, as long as it does not end."""
        if self.watchdog is not None:
            self.watchdog.stop()

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
        self.guard.hold(budget.deadline + LAST_ACTS, status)

    def stand_down(self) -> None:
        """End: the run is over."""
        if self.watchdog is not None:
            self.watchdog.release()
            self.watchdog = None
        self.guard.stand_down()
        self.interrupted = set()
