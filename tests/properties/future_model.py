"""What futures and tasks ought to do, said as simply as can be.

`ModelLoop.ready` is a queue of plain functions; everything else is a list.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Outcome = tuple[str, object]
CANCELLED: Outcome = ("cancelled", None)


class ModelLoop:
    """What is ready, in order, and what has happened."""

    def __init__(self) -> None:
        self.ready: deque[Callable[[], None]] = deque()
        self.log: list[tuple[object, ...]] = []

    def iterate(self) -> None:
        for _ in range(len(self.ready)):
            self.ready.popleft()()


class ModelFuture:
    """An outcome that is set once, and those who want to hear of it, in order."""

    def __init__(self, loop: ModelLoop, number: int) -> None:
        self.loop = loop
        self.number = number
        self.outcome: Outcome | None = None
        self.waiting: list[object] = []

    def finish(self, outcome: Outcome) -> bool:
        """Return whether this was the first outcome."""
        if self.outcome is not None:
            return False
        self.outcome = outcome
        for waiter in self.waiting:
            self.tell(waiter)
        self.waiting = []
        return True

    def cancel(self) -> bool:
        return self.finish(CANCELLED)

    def listen(self, waiter: object) -> None:
        if self.outcome is None:
            self.waiting.append(waiter)
        else:
            self.tell(waiter)

    def ignore(self, waiter: object) -> int:
        before = len(self.waiting)
        self.waiting = [other for other in self.waiting if other != waiter]
        return before - len(self.waiting)

    def tell(self, waiter: object) -> None:
        if isinstance(waiter, ModelTask):
            self.loop.ready.append(waiter.wake)
        else:
            entry = ("callback", waiter, self.number)
            self.loop.ready.append(functools.partial(self.loop.log.append, entry))


class ModelTask(ModelFuture):
    """Awaits its targets one after the other; a stubborn one goes on when cancelled."""

    def __init__(
        self, loop: ModelLoop, number: int, targets: list[ModelFuture], stubborn: bool
    ) -> None:
        super().__init__(loop, number)
        self.targets = deque(targets)
        self.stubborn = stubborn
        self.started = False
        self.awaited: ModelFuture | None = None
        self.must_cancel = False
        self.requests = 0
        loop.ready.append(self.wake)

    def cancel(self) -> bool:
        if self.outcome is not None:
            return False
        self.requests += 1
        if self.awaited is None or not self.awaited.cancel():
            self.must_cancel = True
        return True

    def wake(self) -> None:
        """Resume: with a cancellation, with what was awaited, or for the first time."""
        awaited, self.awaited = self.awaited, None
        if self.must_cancel:
            self.must_cancel = False
            if not self.started:
                self.finish(CANCELLED)
            else:
                self.receive(CANCELLED)
        elif awaited is None:
            self.started = True
            self.go_on()
        else:
            assert awaited.outcome is not None
            self.receive(awaited.outcome)

    def receive(self, outcome: Outcome) -> None:
        """Take in what an await gave."""
        self.loop.log.append(("awaited", self.number, outcome))
        if outcome[0] == "result" or (outcome == CANCELLED and self.stubborn):
            self.go_on()
        else:
            self.finish(outcome)

    def go_on(self) -> None:
        """Await the next target, which takes no time if it is done."""
        if not self.targets:
            self.finish(("result", self.number))
            return
        target = self.targets.popleft()
        if target.outcome is None:
            self.awaited = target
            target.waiting.append(self)
        else:
            self.receive(target.outcome)
