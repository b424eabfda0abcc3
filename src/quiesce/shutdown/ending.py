"""What a program can ask about its own end while that goes on.

Each loop has its own end. In a thread without a running loop the answers are about
whichever loop is ending.
"""

from __future__ import annotations

import time
from asyncio import events
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from quiesce.core.running import all_of

if TYPE_CHECKING:
    from typing import Protocol

    class BudgetLike(Protocol):
        """What is asked of the budget of an end."""

        @property
        def began_at(self) -> float: ...  # noqa: D102
        @property
        def deadline(self) -> float: ...  # noqa: D102


class End:
    """The end of what runs on one loop."""

    __slots__ = ("budget", "why")

    def __init__(self, budget: BudgetLike, why: str) -> None:
        self.budget = budget
        self.why = why


ENDS: WeakKeyDictionary[Any, End] = WeakKeyDictionary()


def begin(loop: Any, budget: BudgetLike, reason: object) -> None:
    """Note that the end of what runs on `loop` has begun."""
    # Not the reason itself: its exception's traceback may hold the loop.
    ENDS[loop] = End(budget, str(reason))


def forget(loop: Any) -> None:
    """Note that `loop` goes on: what ended was one run of several."""
    ENDS.pop(loop, None)


def has_begun(loop: Any) -> bool:
    """Tell whether `loop` is being ended, or was."""
    return loop in ENDS


def end_of(loop: Any) -> End | None:
    """Return the end of `loop`, if it has begun; of any open one, if that is None."""
    if loop is not None:
        return ENDS.get(loop)
    open_ones = (each for each in all_of(ENDS) if not each.is_closed())
    return next((ENDS[each] for each in open_ones if each in ENDS), None)


def current() -> End | None:
    """Return the end that concerns the code that runs now, if one has begun."""
    return end_of(events._get_running_loop())


def is_ending() -> bool:
    """Tell whether the program has been asked to end, or is ending by itself."""
    return current() is not None


def why() -> str | None:
    """Say why the program ends, "SIGTERM" or "main returned"; None if it does not."""
    end = current()
    return None if end is None else end.why


def deadline() -> float | None:
    """Return when the grace is used up, as `time.monotonic` tells the time.

    None if the program does not end. A second Ctrl-C moves the deadline nearer.
    """
    end = current()
    return None if end is None else end.budget.deadline


def time_left() -> float | None:
    """Return how many seconds of the grace are left; None if nothing ends."""
    until = deadline()
    return None if until is None else max(0.0, until - time.monotonic())
