"""What timers and soon-callbacks ought to do, said as simply as can be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Deed:
    """What a callback does when it runs, besides writing down that it ran."""

    kind: str
    """``nothing``, ``soon``, ``later`` or ``cancel``."""
    amount: float = 0
    """The delay of ``later``; for ``cancel``, which of all callbacks so far."""


@dataclass
class Planned:
    """One callback: a timer that is due at ``when``, or None for a soon-callback."""

    number: int
    deed: Deed
    when: float | None
    cancelled: bool = False


@dataclass
class ModelLoop:
    """All callbacks that ever were, by number, and those that have not run yet."""

    now: float = 0.0
    all: list[Planned] = field(default_factory=list)
    timers: list[Planned] = field(default_factory=list)
    ready: list[Planned] = field(default_factory=list)
    log: list[tuple[int, float]] = field(default_factory=list)

    def add(self, deed: Deed, when: float | None) -> None:
        planned = Planned(len(self.all), deed, when)
        self.all.append(planned)
        (self.ready if when is None else self.timers).append(planned)

    def iterate(self) -> None:
        """Queue the timers that are due, then run what was ready before this point."""
        due = [timer for timer in self.timers if timer.when <= self.now]
        self.timers = [timer for timer in self.timers if timer.when > self.now]
        # Sorting keeps the order of what is due at the same time.
        self.ready += sorted(due, key=lambda timer: timer.when)
        batch, self.ready = self.ready, []
        for planned in batch:
            if not planned.cancelled:
                self.run(planned)

    def run(self, planned: Planned) -> None:
        self.log.append((planned.number, self.now))
        match planned.deed:
            case Deed("soon"):
                self.add(Deed("nothing"), None)
            case Deed("later", delay):
                self.add(Deed("nothing"), self.now + delay)
            case Deed("cancel", which):
                self.all[int(which) % len(self.all)].cancelled = True

    def sleep(self) -> bool:
        """Let the time come at which the next timer is due; False if none ever is."""
        live = [timer.when for timer in self.timers if not timer.cancelled]
        if self.ready:
            return True
        if not live:
            return False
        self.now = max(self.now, min(live))
        return True
