"""Poller on Linux, on epoll(7).

Facts about epoll that shape it: an instance knows *open files*, and drops one by itself
only when its last descriptor is closed, so that a descriptor can come back as another
file without any word from us; an event carries the number of the descriptor and may be
older than the file that now has this number; level-triggered hang-ups cannot be
declined, edge-triggered ones come once.

Each registration therefore has a serial number. One made after a batch was fetched
cannot have caused an event of that batch, and gets none.
"""

from __future__ import annotations

import errno
import os
from functools import partial

from quiesce.core.poller import READABLE, Poller, Watcher
from quiesce.system import native
from quiesce.system.in_use import InUse


class Registration:
    """That one watcher is told about one descriptor."""

    __slots__ = ("serial", "watcher")

    def __init__(self, watcher: Watcher, serial: int) -> None:
        self.watcher = watcher
        self.serial = serial


class EpollPoller(Poller):
    """A `Poller` that can report changes only, and that any thread can wake."""

    __slots__ = (
        "_batch",
        "_batch_serial",
        "_closed",
        "_count",
        "_epoll",
        "_next",
        "_registered",
        "_serial",
        "_wakeup",
        "_wakeup_fd",
        "_woken",
        "sleeping",
    )

    edge_triggered = True

    def __init__(self) -> None:
        self._registered: list[Registration | None] = []
        self._serial = 0
        self._batch = native.new_batch()
        self._batch_serial = 0
        self._next = 0
        self._count = 0
        self.sleeping = False
        self._woken = False
        self._closed = False
        self._wakeup_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._epoll = native.open_epoll()
        except OSError:
            os.close(self._wakeup_fd)
            raise
        # Edge-triggered, each write to an eventfd is one event: it need never be read.
        native.control(self._epoll, native.ADD, self._wakeup_fd, READABLE, True)
        self._wakeup = InUse(partial(os.close, self._wakeup_fd))

    def watch(self, fd: int, events: int, watcher: Watcher, edge: bool = False) -> None:
        """Tell `watcher` about `events` on `fd` from now on; see `Poller.watch`."""
        known = self._find(fd)
        operation = native.ADD if known is None else native.MODIFY
        error = native.control(self._epoll, operation, fd, events, edge)
        if error == errno.ENOENT and known is not None:
            # The descriptor was closed and opened again behind our back.
            known = None
            error = native.control(self._epoll, native.ADD, fd, events, edge)
        if error:
            self.unwatch(fd)
            raise OSError(error, os.strerror(error))
        if known is None or known.watcher is not watcher:
            self._serial += 1
            self._make_room(fd)
            self._registered[fd] = Registration(watcher, self._serial)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`; see `Poller.unwatch`."""
        if self._find(fd) is not None:
            self._registered[fd] = None
            # Fails if the descriptor was closed first; the system has then forgotten
            # it.
            native.control(self._epoll, native.DELETE, fd, 0, False)

    def watcher_of(self, fd: int) -> Watcher | None:
        """Return who is told about `fd`, if anybody is."""
        known = self._find(fd)
        return None if known is None else known.watcher

    def watchers(self) -> list[Watcher]:
        """Return everybody who is told about some descriptor."""
        return [known.watcher for known in self._registered if known is not None]

    def poll(self, timeout: float) -> int:
        """Sleep until something is ready and tell its watchers; see `Poller.poll`."""
        if self._next == self._count:
            # Order matters: a wake-up from here on is either seen by the next line or
            # written to the eventfd, so that none is lost.
            self.sleeping = True
            if self._woken:
                timeout = 0.0
            self._next = self._count = 0
            self._count = native.wait(self._epoll, self._batch, timeout)
            self.sleeping = False
            self._woken = False
            self._batch_serial = self._serial
        return self._deliver()

    def _deliver(self) -> int:
        """Tell the watchers; after one that raised, the next call goes on behind it."""
        delivered = 0
        while self._next < self._count:
            index = self._next
            self._next += 1
            known = self._find(native.ready_fd(self._batch, index))
            if known is not None and known.serial <= self._batch_serial:
                known.watcher.on_ready(native.ready_events(self._batch, index))
                delivered += 1
        return delivered

    def told(self) -> int:
        """Return how many of the events that were fetched last have been looked at."""
        return self._next

    def wake(self) -> None:
        """Make the poll that sleeps now, or else the next one, return at once."""
        if self._woken or self._closed:
            return
        self._woken = True
        if self.sleeping:
            # Often the thread that sleeps wakes by itself just now, and closes this.
            is_open = self._wakeup.begin()
            try:
                if is_open:
                    os.eventfd_write(self._wakeup_fd, 1)
            finally:
                self._wakeup.finish()

    def close(self) -> None:
        """Let go of all watchers and of what the system gave; harmless if repeated."""
        if self._closed:
            return
        self._closed = True
        self._registered = []
        self._next = self._count = 0
        native.close_epoll(self._epoll)
        self._wakeup.end()

    def _find(self, fd: int) -> Registration | None:
        return self._registered[fd] if 0 <= fd < len(self._registered) else None

    def _make_room(self, fd: int) -> None:
        missing = fd + 1 - len(self._registered)
        if missing > 0:
            self._registered.extend([None] * max(missing, 64))
