"""What one thread closes while others may be in the middle of using it.

A system call lets other threads run before it begins. If one of them closes the
descriptor then, its number is soon that of another file, and the call goes to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class InUse:
    """Has `close` called, once, when `end` was called and nobody is in a use of it.

    Each use is between `begin` and `finish`. Thread-safe, and no lock: a signal handler
    may use it in the middle of anything. In a forked child what other threads of the
    parent were using stays open.
    """

    __slots__ = ("closers", "has_ended", "uses")

    def __init__(self, close: Callable[[], object]) -> None:
        self.closers = [close]
        # As lists, since these have what is one step for all threads.
        self.uses: list[None] = []
        self.has_ended = False

    def begin(self) -> bool:
        """Begin a use, to be finished in any case; return False if there is none."""
        self.uses.append(None)
        return not self.has_ended

    def finish(self) -> None:
        """Finish a use."""
        self.uses.pop()
        if self.has_ended:
            self.close_unless_used()

    def end(self) -> None:
        """Allow no more uses, and close as soon as the last is finished."""
        self.has_ended = True
        self.close_unless_used()

    def close_unless_used(self) -> None:
        """Close if nobody uses it, and nobody has closed it."""
        if self.uses:
            return
        try:
            close = self.closers.pop()
        except IndexError:
            return
        close()
