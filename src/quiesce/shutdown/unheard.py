"""Notices a signal that the main thread does not hear, because it is in a call in C.

Python runs a signal's handler in the main thread only. A call in C that lets the GIL go
but cannot be interrupted (a long query, a key that is derived) keeps it from that,
while other threads can run. So as long as a run goes on a thread of ours sleeps at the
channel in which the loop would read the signal. It costs nothing while no signal comes.
One that lies there unread, and of which nobody has heard, has the same deadline as any
other: the line is named after a second, and the process is ended when the grace is
over.

Where the call ends in time the main thread hears of the signal after all, and the end
goes its usual way, with what is left of the grace. Where it keeps the GIL as well, see
`guard`.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import time
import weakref
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.budget import AT_ONCE
from quiesce.shutdown.triggers import SAME_CTRL_C
from quiesce.shutdown.watch_thread import WatchThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.shutdown.blocked import Announcer

# Seconds between two looks while a signal lies unread; the main thread has heard of it
# by then if it runs Python.
LOOKS = 0.1
# Seconds after which a signal has been heard late: until then it has the whole grace.
PROMPT = 0.2
# Seconds after which the line is named.
NAMED_AFTER = 1.0
# Seconds that are left of a grace at least.
LEAST = 0.1
NOTHING = -1


class Request:
    """A signal that lies unread, with what came after it."""

    def __init__(self, signum: int, grace: float, now: float) -> None:
        self.signum = signum
        self.began_at = now
        self.deadline = now + grace
        self.hurried = False
        # How many Ctrl-C came with the first.
        self.interrupts = 0

    def count(self, interrupts: int, now: float) -> None:
        """Take note of how many Ctrl-C there are: a later one means "now"."""
        if now < self.began_at + SAME_CTRL_C:
            self.interrupts = interrupts
        elif interrupts > self.interrupts and not self.hurried:
            self.hurried = True
            self.deadline = min(self.deadline, now + AT_ONCE)


class Unheard:
    """What a loop has yet to read in its channel of signals.

    `unread` gives the numbers of these; `asks` tells of one whether it asks for the end
    and nobody has heard of any since a moment; `end` is called when the grace is over.
    The line is named by the `announcer`, unless somebody else does.
    """

    def __init__(
        self,
        unread: Callable[[], bytes],
        *,
        grace: float,
        asks: Callable[[int, float], bool],
        end: Callable[[Request], object],
        announcer: Announcer | None = None,
    ) -> None:
        self.unread = unread
        self.grace = grace
        self.asks = asks
        self.end = end
        self.announcer = announcer
        self.request: Request | None = None
        # When there was nothing last: what was heard since then may still lie there.
        self.empty_at = time.monotonic()

    def grace_left(self) -> float:
        """Return what is left of the grace of that which the main thread hears now."""
        request, now = self.request, time.monotonic()
        if request is None or now < request.began_at + PROMPT:
            return self.grace
        return max(request.deadline - now, LEAST)

    def look(self) -> bool:
        """Act on what is unread; tell whether there is anything. In another thread."""
        numbers = self.unread()
        now = time.monotonic()
        if not numbers:
            self.empty_at = now
        asking = (each for each in numbers if self.asks(each, self.empty_at))
        signum = next(asking, None)
        if signum is None:
            self.request = None
        elif self.request is None:
            self.request = Request(signum, self.grace, now)
        else:
            self.request.count(numbers.count(signal.SIGINT), now)
            self.keep(self.request, now)
        return bool(numbers)

    def keep(self, request: Request, now: float) -> None:
        """Name the line that blocks the loop, or end the process."""
        if now >= request.deadline:
            self.end(request)
        elif self.announcer is not None:
            seconds = self.announcer.pulse.blocked_for()
            if seconds >= NAMED_AFTER:
                self.announcer.tell(seconds)


class Sentinel(WatchThread):
    """Sleeps, in a thread, until a signal lies in a channel; looks until it is read.

    Called in the main thread. It stays between two runs, because to start a thread
    takes longer than a short run: what it sleeps at can be changed while it sleeps.
    """

    def __init__(self) -> None:
        begin_again: Any = Sentinel.start_in_next_iteration
        super().__init__(lambda: None, begin_again)
        # It may not be kept alive.
        self.loop: Callable[[], Any] = nothing
        self.unheard: Unheard | None = None
        self.channel = NOTHING
        self.bed: Bed | None = None
        # By turn: a thread that begins late has its own nevertheless.
        self.beds: dict[int, Bed] = {}

    def begin(self, loop: Any, unheard: Unheard) -> None:
        """Look from now on at what `loop` does not hear, unless that is impossible."""
        self.rest()
        self.loop, self.unheard = weakref.ref(loop), unheard
        self.channel = loop.signal_handlers.fileno()
        if self.bed is None:
            self.start()
        else:
            self.bed.add(self.channel)

    def rest(self) -> None:
        """Look at nothing."""
        self.loop, self.unheard = nothing, None
        channel, self.channel = self.channel, NOTHING
        if self.bed is not None and channel != NOTHING:
            self.bed.remove(channel)

    def looks_at(self, loop: Any) -> bool:
        """Tell whether it looks after `loop`, and at the channel that this has now."""
        return (
            self.loop() is loop
            and self.bed is not None
            and self.channel == loop.signal_handlers.fileno()
        )

    def start(self) -> bool:
        """Begin to sleep; return False where there can be no more threads or files."""
        try:
            self.bed = bed = Bed()
        except OSError:
            return False
        bed.add(self.channel)
        self.beds[self.turn + 1] = bed
        if super().start():
            return True
        self.wake()
        self.beds.pop(self.turn).close()
        return False

    def wake(self) -> None:
        """Let it end, which is all that it is woken for."""
        bed, self.bed = self.bed, None
        if bed is not None:
            bed.wake()
        super().wake()

    def start_in_next_iteration(self) -> None:
        """Look again when the fork that goes on is over: see `Watchdog`."""
        loop = self.loop()
        if loop is not None and loop.is_running():
            try:
                loop.call_soon_threadsafe(self.start_again, self.turn)
            except RuntimeError:
                # The loop is closed.
                return

    def start_again(self, turn: int) -> None:
        """Look again, if nobody has stopped or started it meanwhile."""
        if self.turn == turn and self.unheard is not None:
            self.start()

    def run(self, turn: int) -> None:
        """Look, in the thread."""
        self.native_id = _thread.get_native_id()
        bed = self.beds.pop(turn)
        while turn == self.turn:
            unheard = self.unheard
            if unheard is not None and unheard.look():
                self.wakeup.acquire(timeout=LOOKS)
            else:
                bed.sleep()
        bed.close()


def nothing() -> None:
    """Stand in for a reference to a loop."""


class Bed:
    """What the thread sleeps at: a channel, and a pipe whose end is closed to wake it.

    Nothing is written to the pipe. The thread closes the rest by itself, and what it
    has closed may be another file by the time that somebody would write.
    """

    def __init__(self) -> None:
        self.read_fd, self.write_fd = os.pipe()
        try:
            self.epoll = select.epoll()
        except OSError:
            os.close(self.read_fd)
            self.wake()
            raise
        # Everybody is told that the other end is closed.
        self.epoll.register(self.read_fd, 0)

    def add(self, channel: int) -> None:
        """Wake at what comes in `channel`, from now on, also who sleeps already."""
        with contextlib.suppress(OSError):
            self.epoll.register(channel, select.EPOLLIN)

    def remove(self, channel: int) -> None:
        """Do so no more."""
        # Where it was closed the system has forgotten it.
        with contextlib.suppress(OSError):
            self.epoll.unregister(channel)

    def sleep(self) -> None:
        """Sleep until something comes, or for ever."""
        self.epoll.poll()

    def wake(self) -> None:
        """Wake who sleeps, for good."""
        os.close(self.write_fd)

    def close(self) -> None:
        """Let go of it, in the thread, once that was woken."""
        self.epoll.close()
        os.close(self.read_fd)


def can_look(loop: Any) -> bool:
    """Tell whether `loop` has a channel, and the system how to sleep at one."""
    handlers = getattr(loop, "signal_handlers", None)
    return hasattr(select, "epoll") and handlers is not None and handlers.fileno() >= 0
