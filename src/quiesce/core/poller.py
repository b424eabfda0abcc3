"""What a loop asks of the operating system: sleep until something is ready.

A `Poller` watches file descriptors and tells one `Watcher` about each. The
implementations live in `quiesce.system`, a test may hand the loop another one. With the
clock and the ready queue the poller is one of the three sources of chance in a loop.

Invariant: a watcher hears only of what happened to *its* file. One that was taken off
while a batch of events was being delivered gets none of the rest, and neither does one
put on meanwhile whose file happens to have got the same number.
"""

from __future__ import annotations

# The values of epoll(7), so that on Linux nothing is translated.
READABLE = 0x001
# TCP's urgent data, at which a receive stops; as HALF_CLOSED.
URGENT = 0x002
WRITABLE = 0x004
# The peer will send no more; reported to who asks for it, and only by some pollers.
HALF_CLOSED = 0x2000
# Error or hang-up: reported to everybody, asked for or not.
FAILED = 0x018


class Watcher:
    """Whoever is told about one file descriptor; subclasses say what happens then."""

    __slots__ = ("__weakref__",)

    def on_ready(self, events: int) -> None:
        """Act on `events`; called by the poller in the loop's thread, outside any task.

        What this raises ends `Scheduler.run_forever`; the events that follow in the
        same batch are delivered by the next poll.
        """
        raise NotImplementedError

    def owner(self) -> object:
        """Return what users know of this: a transport, a server; None if nothing."""
        return None

    def on_iteration_end(self) -> None:
        """Act at the end of an iteration; see `Scheduler.at_iteration_end`.

        Called by the loop in its own thread, outside any task. What this raises ends
        `Scheduler.run_forever`.
        """
        raise NotImplementedError

    def on_loop_close(self) -> None:
        """Let go of what nobody will be able to end; no callback is called any more."""


class Poller:
    """Tells watchers of descriptors; only `wake` and `told` may be called anywhere."""

    __slots__ = ("__weakref__",)

    # Whether `watch` can be told to report only changes. Where it cannot, a watcher
    # hears again and again of what it leaves undone, and must ask for less to have
    # peace.
    edge_triggered = False

    def watch(self, fd: int, events: int, watcher: Watcher, edge: bool = False) -> None:
        """Tell `watcher` about `events` on `fd` from now on, instead of what was asked.

        With `edge` only changes are reported, where `edge_triggered` says that this
        works. Raises the system's OSError where the descriptor is bad or of a kind that
        cannot be waited for.
        """
        raise NotImplementedError

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, before it is closed; harmless if nobody watches it."""
        raise NotImplementedError

    def watcher_of(self, fd: int) -> Watcher | None:
        """Return who is told about `fd`, if anybody is."""
        raise NotImplementedError

    def watchers(self) -> list[Watcher]:
        """Return everybody who is told about some descriptor."""
        return []

    def poll(self, timeout: float) -> int:
        """Sleep until something is ready, tell its watchers, return how many were told.

        `timeout` is in seconds, negative for ever, 0 to only look. Returns early, and
        perhaps without any event, after `wake` or after a signal; what a signal's
        Python handler raises passes through.
        """
        raise NotImplementedError

    def told(self) -> int:
        """Return what changes with each watcher that the present poll tells.

        Thread-safe. A poller that always gives 0 lets them pass for one.
        """
        return 0

    def wake(self) -> None:
        """Make the poll that sleeps now, or else the next one, return at once.

        Thread-safe: may be called by any thread and by a signal's Python handler, also
        after `close`.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of all watchers and of what the system gave; harmless if repeated."""
        raise NotImplementedError
