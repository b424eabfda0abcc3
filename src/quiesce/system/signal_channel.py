"""Where the numbers of signals are written, so that they wake a loop.

Python's own C handler writes the number of each signal into one channel
(`set_wakeup_fd`), for the whole process. A loop claims it for its own channel and lets
go of it again. The claims lie one above the other: what the topmost hears and has no
use for it passes on to the one below, and when it lets go, that one hears again.
"""

from __future__ import annotations

import os
import signal

from quiesce.system.wakeup import Wakeup

NOBODY = -1

# The channels that are claimed, by where signals are written to, each with where they
# were written before. Signals are the process's own, so there can be only one record.
claims: dict[int, int] = {}


class SignalChannel(Wakeup):
    """The channel of one loop. Only Python's main thread can claim it or let it go."""

    __slots__ = ("process",)

    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether this is a forked child, which shares the channel with its parent."""
        return self.process != os.getpid()

    @property
    def is_claimed(self) -> bool:
        """Whether signals are written here, or will be when one above lets go."""
        return self.write_fd in claims

    @property
    def is_above_a_stranger(self) -> bool:
        """Whether signals were written elsewhere before, and not to a loop of ours."""
        before = claims.get(self.write_fd, NOBODY)
        return before != NOBODY and before not in claims

    def claim(self) -> None:
        """Let signals be written here from now on.

        Raises ValueError outside the main thread.
        """
        found = signal.set_wakeup_fd(self.write_fd, warn_on_full_buffer=False)
        if found != self.write_fd:
            forget(self.write_fd)
            claims[self.write_fd] = found

    def release(self) -> None:
        """Let signals be written where they were before; pass on what is left here.

        Harmless if it is not claimed, also outside the main thread; if it is, raises
        ValueError there.
        """
        if not self.is_claimed:
            return
        found = signal.set_wakeup_fd(NOBODY)
        before = forget(self.write_fd)
        heir = before if found == self.write_fd else found
        try:
            signal.set_wakeup_fd(heir)
        except (ValueError, OSError):
            # Whoever had it before has closed it without a word.
            return
        hand_over(self.drain(), heir)

    def pass_on(self, numbers: bytes) -> None:
        """Hand signals to the loop of ours that is below this one, if there is one."""
        before = claims.get(self.write_fd, NOBODY)
        if before in claims:
            hand_over(numbers, before)


def hand_over(numbers: bytes, fd: int) -> None:
    """Write what Python's handler would have written there, as far as there is room."""
    if numbers and fd != NOBODY:
        try:
            os.write(fd, numbers)
        except OSError:
            return


def forget(fd: int) -> int:
    """Drop a claim from among the others; return what came before it."""
    before = claims.pop(fd, NOBODY)
    for other, found in claims.items():
        if found == fd:
            claims[other] = before
    return before


def let_go_in_child() -> None:
    """Let no signal of a forked child wake its parent, which shares the channel."""
    claims.clear()
    signal.set_wakeup_fd(NOBODY)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=let_go_in_child)
