"""Poller on the standard library's selectors, for systems without epoll(7).

It reports states, not changes: a watcher hears again of what it leaves undone.
"""

from __future__ import annotations

import math
import selectors
from collections import deque

from quiesce.core.poller import READABLE, WRITABLE, Poller, Watcher
from quiesce.system.wakeup import Wakeup

# Selectors wait in whole milliseconds; to wake early would only mean to sleep again.
MILLISECOND = 1e-3


class WakeupWatcher(Watcher):
    """Empties the channel that woke the poller."""

    __slots__ = ("_wakeup",)

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - it can only be readable
        """Forget the wake-ups so far: the poller is awake."""
        self._wakeup.drain()


class SelectorPoller(Poller):
    """A `Poller` on any selector; `watch` ignores `edge`."""

    __slots__ = ("_closed", "_due", "_selector", "_wakeup", "_watchers", "sleeping")

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        self._selector = selector or selectors.DefaultSelector()
        # By descriptor, also of those that ask for nothing now: selectors refuse these.
        self._watchers: dict[int, Watcher] = {}
        # What the last wait brought and nobody was told yet.
        self._due: deque[tuple[int, int, Watcher]] = deque()
        self._closed = False
        self.sleeping = False
        self._wakeup = Wakeup()
        self.watch(self._wakeup.read_fd, READABLE, WakeupWatcher(self._wakeup))

    def watch(
        self,
        fd: int,
        events: int,
        watcher: Watcher,
        edge: bool = False,  # noqa: ARG002 - selectors report states only
    ) -> None:
        """Tell `watcher` about `events` on `fd` from now on; see `Poller.watch`."""
        wanted = 0
        if events & READABLE:
            wanted |= selectors.EVENT_READ
        if events & WRITABLE:
            wanted |= selectors.EVENT_WRITE
        known = fd in self._selector.get_map()
        try:
            if known and wanted:
                self._selector.modify(fd, wanted)
            elif wanted:
                self._selector.register(fd, wanted)
            elif known:
                self._selector.unregister(fd)
        except OSError:
            self._watchers.pop(fd, None)
            raise
        self._watchers[fd] = watcher

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; see `Poller.unwatch`."""
        if self._watchers.pop(fd, None) is not None and fd in self._selector.get_map():
            self._selector.unregister(fd)

    def watcher_of(self, fd: int) -> Watcher | None:
        """Return who is told about `fd`, if anybody is."""
        return self._watchers.get(fd)

    def watchers(self) -> list[Watcher]:
        """Return everybody who is told about some descriptor."""
        return list(self._watchers.values())

    def poll(self, timeout: float) -> int:
        """Sleep until something is ready and tell its watchers; see `Poller.poll`."""
        if not self._due:
            limit = None if timeout < 0 else math.ceil(timeout * 1e3) * MILLISECOND
            self.sleeping = True
            selected = self._selector.select(limit)
            self.sleeping = False
            for key, ready in selected:
                watcher = self._watchers.get(key.fd)
                if watcher is not None:
                    self._due.append((key.fd, as_events(ready), watcher))
        delivered = 0
        while self._due:
            fd, events, watcher = self._due.popleft()
            if self._watchers.get(fd) is watcher:
                watcher.on_ready(events)
                delivered += 1
        return delivered

    def told(self) -> int:
        """Return how many watchers are still to be told of what was found last."""
        return len(self._due)

    def wake(self) -> None:
        """Make the poll that sleeps now, or else the next one, return at once."""
        self._wakeup.notify()

    def close(self) -> None:
        """Let go of all watchers and of what the system gave; harmless if repeated."""
        if self._closed:
            return
        self._closed = True
        self._watchers.clear()
        self._due.clear()
        self._selector.close()
        self._wakeup.close()


def as_events(ready: int) -> int:
    """Translate a selector's answer, which does not tell trouble from readiness."""
    events = 0
    if ready & selectors.EVENT_READ:
        events |= READABLE
    if ready & selectors.EVENT_WRITE:
        events |= WRITABLE
    return events
