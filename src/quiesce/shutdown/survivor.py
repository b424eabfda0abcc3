"""One thing that has not ended, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quiesce.shutdown.await_chain import Place


# In the order in which a report tells them.
FIELDS = (
    "kind",
    "name",
    "runs",
    "where",
    "frames",
    "waits_for",
    "created",
    "defined",
    "asked",
    "held",
    "swallowed",
    "asked_by",
    "asked_ago",
    "pid",
    "queued",
    "more",
)


class Survivor:
    """One thing that has not ended: only text and numbers.

    `kind` is "task", "thread", "child", "async generator", "connection" or "drain
    step"; `runs` is the coroutine, function or command.
    """

    # No dataclass: to make one takes longer than a short program's end.
    __slots__ = (*FIELDS, "ident")

    def __init__(
        self,
        kind: str,
        name: str,
        runs: str = "",
        where: Place | None = None,
        frames: tuple[Place, ...] = (),
        *,
        waits_for: str = "",
        created: Place | None = None,
        defined: Place | None = None,
        asked: int = 0,
        held: int = 0,
        swallowed: int = 0,
        asked_by: str = "",
        asked_ago: float | None = None,
        pid: int | None = None,
        ident: int | None = None,
        queued: int | None = None,
        more: int = 0,
    ) -> None:
        self.kind = kind
        self.name = name
        self.runs = runs
        # The innermost line of the program's own code.
        self.where = where
        # All that it is in the middle of, the outermost first.
        self.frames = frames
        self.waits_for = waits_for
        self.created = created
        # Where its coroutine is defined, for one of which nobody knows who created it.
        self.defined = defined
        # How many requests to cancel it are open.
        self.asked = asked
        # How many more wait until a shielded block is left.
        self.held = held
        # How many of them it caught without ending.
        self.swallowed = swallowed
        # Who made the last request, and from which line; how many seconds ago.
        self.asked_by = asked_by
        self.asked_ago = asked_ago
        self.pid = pid
        # A thread's, as `threading.get_ident` gives it.
        self.ident = ident
        # Bytes that were written and have not been sent.
        self.queued = queued
        # How many more there are like it, which are not described.
        self.more = more

    @property
    def number(self) -> tuple[str, int] | None:
        """What tells a process or thread from all others; None for other things."""
        if self.pid is not None:
            return "pid", self.pid
        return None if self.ident is None else ("ident", self.ident)

    def fields(self) -> dict[str, Any]:
        """Return all that is known of it."""
        return {name: getattr(self, name) for name in FIELDS}


def not_among(named: Iterable[Survivor], others: Iterable[Survivor]) -> list[Survivor]:
    """Return those of `others` that are no process or thread that `named` has."""
    known = {each.number for each in named} - {None}
    return [each for each in others if each.number not in known]
