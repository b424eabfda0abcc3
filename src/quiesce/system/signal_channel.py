"""Where the numbers of signals are written, so that they wake a loop.

Python's own C handler writes the number of each signal into one channel
(`set_wakeup_fd`), for the whole process. A loop claims it for its own channel and lets
go of it again. The claims lie one above the other: what the topmost hears and has no
use for it passes on to the one below, and when it lets go, that one hears again.
"""

from __future__ import annotations

import os
import select
import signal

from quiesce.system.wakeup import Wakeup

NOBODY = -1

# The channels that are claimed, by where signals are written to, each with where they
# were written before. Signals are the process's own, so there can be only one record.
claims: dict[int, int] = {}


class SignalChannel(Wakeup):
    """The channel of one loop. Only Python's main thread can claim it or let it go."""

    __slots__ = ("forks_before", "poll")

    def __init__(self) -> None:
        super().__init__()
        self.forks_before = AtForks.count
        self.poll = poll_of(self.read_fd)

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child, which shares the channel with its parent."""
        return self.forks_before != AtForks.count

    @property
    def is_claimed(self) -> bool:
        """Whether signals are written here, or will be when one above lets go."""
        return self.write_fd in claims

    @property
    def is_above_a_stranger(self) -> bool:
        """Whether signals were written elsewhere before, and not to a loop of ours."""
        before = claims.get(self.write_fd, NOBODY)
        return before != NOBODY and before not in claims

    def may_hold_any(self) -> bool:
        """Tell whether to look for signals: not if there are none for sure.

        An error for each look in vain would cost a short run a quarter of its time.
        """
        return self.poll is None or bool(self.poll.poll(0))

    def claim(self) -> None:
        """Let signals be written here from now on.

        Raises ValueError outside the main thread.
        """
        fd = self.write_fd
        found = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
        if found != fd:
            forget(fd)
            claims[fd] = found

    def release(self) -> None:
        """Let signals be written where they were before; pass on what is left here.

        Harmless if it is not claimed, also outside the main thread; if it is, raises
        ValueError there.
        """
        fd = self.write_fd
        if fd not in claims:
            return
        heir = claims[fd]
        found = hand_to(heir)
        forget(fd)
        if found != fd:
            # Somebody is above, and stays there.
            heir = found
            hand_to(heir)
        # Also without an heir: the next run would take for new what is left here.
        left = self.drain() if self.may_hold_any() else b""
        if heir != NOBODY:
            hand_over(left, heir)

    def pass_on(self, numbers: bytes) -> None:
        """Hand signals to the loop of ours that is below this one, if there is one."""
        before = claims.get(self.write_fd, NOBODY)
        if before in claims:
            hand_over(numbers, before)


def poll_of(fd: int) -> select.poll | None:
    """Return what tells whether `fd` can be read; None where the system has no poll."""
    if not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return poll


def hand_to(fd: int) -> int:
    """Let signals be written to `fd`; return where they were written before.

    Raises ValueError outside the main thread.
    """
    try:
        return signal.set_wakeup_fd(fd)
    except (ValueError, OSError):
        # Whoever had it has closed it without a word.
        return signal.set_wakeup_fd(NOBODY)


def hand_over(numbers: bytes, fd: int) -> None:
    """Write what Python's handler would have written there, as far as there is room."""
    if numbers:
        try:
            os.write(fd, numbers)
        except OSError:
            return


class AtForks:
    """How many forks are between this process and the first that had this module."""

    count = 0


def forget(fd: int) -> int:
    """Drop a claim from among the others; return what came before it."""
    before = claims.pop(fd, NOBODY)
    for other, found in claims.items():
        if found == fd:
            claims[other] = before
    return before


def let_go_in_child() -> None:
    """Let no signal of a forked child wake its parent, which shares the channel."""
    AtForks.count += 1
    claims.clear()
    signal.set_wakeup_fd(NOBODY)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=let_go_in_child)
