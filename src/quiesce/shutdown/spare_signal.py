"""Signals that a program hardly uses, with which its main thread is interrupted.

Python raises in the main thread what a signal's handler raises, also in the middle of
`time.sleep`, of the wait for a lock, or of a system call.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def pass_by(signum: int, frame: object) -> None:
    """Answer one that only interrupts: see `nudge`."""


# What stands where nobody uses a signal.
UNUSED = (signal.SIG_DFL, pass_by)


class SpareSignal:
    """One that nobody uses, answered by `handler` as long as it is held.

    All but `send` is to be called in the main thread.
    """

    def __init__(self, handler: Callable[..., object]) -> None:
        self.handler = handler
        self.number: int | None = None
        self.former: Any = signal.SIG_DFL

    def hold(self, numbers: Iterable[Any]) -> None:
        """Take the first of `numbers` that nobody uses, if there is one."""
        for number in numbers:
            former = signal.getsignal(number)
            if former in UNUSED:
                try:
                    signal.signal(number, self.handler)
                except (OSError, ValueError):
                    # An embedded interpreter may have a main thread without signals.
                    continue
                self.number, self.former = number, former
                return

    def give_back(self) -> None:
        """Leave it to others again."""
        number, self.number = self.number, None
        if number is not None and signal.getsignal(number) == self.handler:
            signal.signal(number, self.former)

    def send(self, thread_id: int) -> None:
        """Have the handler called in the main thread, which has that number."""
        if self.number is not None:
            signal.pthread_kill(thread_id, self.number)


def candidates() -> Iterator[Any]:
    """Give the signals that a program hardly uses, the best first."""
    if hasattr(signal, "SIGURG"):
        yield signal.SIGURG
    if hasattr(signal, "SIGRTMAX"):
        yield from range(signal.SIGRTMAX, signal.SIGRTMIN, -1)
