"""A clock that stands still, and a poller that moves it instead of sleeping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quiesce.core.poller import Poller
from quiesce.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable


class VirtualClock:
    """The time, as the test says it is."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


class VirtualPoller(Poller):
    """Watches nothing; a sleep takes no time, but afterwards it is later."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.when_idle: Callable[[], None] | None = None
        self.sleeps: list[float] = []

    def poll(self, timeout: float) -> int:
        if timeout < 0:
            assert self.when_idle is not None
            self.when_idle()
        elif timeout > 0:
            self.sleeps.append(timeout)
            self.clock.time += timeout
        return 0

    def watch(self, *_: object) -> None:
        """Accept the loop's own wake-up descriptor, should it have one."""

    def unwatch(self, fd: int) -> None:
        pass

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass


def virtual_loop() -> tuple[Loop, VirtualClock, VirtualPoller]:
    """Return a loop in virtual time; one that has nothing left to wait for stops."""
    clock = VirtualClock()
    poller = VirtualPoller(clock)
    loop = Loop(clock=clock, poller=poller)
    poller.when_idle = loop.stop
    return loop, clock, poller


def iterate(loop: Loop) -> None:
    """Run one iteration: what is ready now, and nothing that becomes ready in it."""
    loop.stop()
    loop.run_forever()
