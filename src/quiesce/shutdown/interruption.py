"""Ends a line that blocks the loop: CancelledError is raised there, from outside.

Python raises in the main thread what a signal's handler raises, also in the middle of
`time.sleep`, of the wait for a lock, or of a system call. While the end of a program
goes on, a signal that nothing uses is held for that: SIGURG, which the system sends for
sockets that asked for it and which everybody ignores by default, or else one of the
real-time signals.
"""

from __future__ import annotations

import signal
import threading
import time
from asyncio.exceptions import CancelledError
from typing import TYPE_CHECKING, Any

from quiesce.core.interrupts import HANDING_OVER, is_ours
from quiesce.core.scheduler import COMPILED
from quiesce.shutdown.blocked import RUN_LOOPS, task_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from quiesce.shutdown.blocked import Note, Pulse

# Ours that run a loop: compiled, there is no frame between them and a callback. Others
# of ours are callbacks themselves, as what closes the tasks that are given up.
RUNNING = frozenset({"Sequence.turn", "Runner._run_main"})


class Interruption:
    """The power to interrupt what blocks one loop of the main thread."""

    def __init__(self, pulse: Pulse, interrupted: set[Any]) -> None:
        self.pulse = pulse
        # The tasks in which something was raised.
        self.interrupted = interrupted
        self.signum: int | None = None
        # Where the loop was, by its pulse, when the blocker was to be interrupted.
        self.wanted: Note | None = None
        self.message = ""
        # When something was raised last, on the monotonic clock.
        self.raised_at = 0.0

    def prepare(self) -> None:
        """Hold a signal that nobody uses; call this in the main thread."""
        if threading.get_ident() != threading.main_thread().ident:
            return
        for signum in candidates():
            if signal.getsignal(signum) is signal.SIG_DFL:
                try:
                    signal.signal(signum, self.heard)
                except (OSError, ValueError):
                    # An embedded interpreter may have a main thread without signals.
                    continue
                self.signum = signum
                return

    def give_up(self) -> None:
        """Give the signal back; call this in the main thread."""
        self.wanted = None
        if self.signum is not None and signal.getsignal(self.signum) == self.heard:
            signal.signal(self.signum, signal.SIG_DFL)
        self.signum = None

    def interrupt(self, thread_id: int, message: str) -> None:
        """Raise CancelledError where `thread_id` is, if the loop is still there then.

        "There" is where the pulse has seen it last. Nothing is raised in code of ours;
        ask again as long as the loop is blocked.
        """
        if self.signum is not None:
            self.message = message
            self.wanted = self.pulse.seen
            signal.pthread_kill(thread_id, self.signum)

    def heard(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Raise, in the main thread, if it is still there and not with us."""
        wanted, self.wanted = self.wanted, None
        if (
            wanted is not None
            and wanted == self.pulse.note()
            and may_raise(frame, wanted)
        ):
            self.raised_at = time.monotonic()
            task = task_of(self.pulse.loop)
            if task is not None:
                self.interrupted.add(task)
            raise CancelledError(self.message)


def may_raise(frame: FrameType | None, note: Note) -> bool:
    """Tell whether what is raised in `frame` ends a step or callback of the program.

    A function in C that is itself the callback has no frame: the innermost one is ours,
    but hands over to it and does nothing else.
    """
    if not is_ours(frame):
        return True
    assert frame is not None
    during_a_look = note.turn < 0
    if COMPILED:
        code = frame.f_code
        runs_the_loop = code.co_qualname in RUNNING and code.co_filename.startswith(
            RUN_LOOPS
        )
        return runs_the_loop and not during_a_look
    return frame.f_code in HANDING_OVER


def candidates() -> Iterator[Any]:
    """Give the signals that a program hardly uses, the best first."""
    if hasattr(signal, "SIGURG"):
        yield signal.SIGURG
    if hasattr(signal, "SIGRTMAX"):
        yield from range(signal.SIGRTMAX, signal.SIGRTMIN, -1)
