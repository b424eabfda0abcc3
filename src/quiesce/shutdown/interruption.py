"""Ends a line that blocks the loop: CancelledError is raised there, from outside.

While the end of a program goes on, a signal that nothing uses is held for that: SIGURG,
which the system sends for sockets that asked for it and which everybody ignores by
default, or else one of the real-time signals (`spare_signal`).
"""

from __future__ import annotations

import threading
import time
from asyncio.exceptions import CancelledError
from typing import TYPE_CHECKING, Any

from quiesce.core.interrupts import HANDING_OVER, is_ours
from quiesce.core.scheduler import COMPILED
from quiesce.shutdown.blocked import RUN_LOOPS, task_of
from quiesce.shutdown.spare_signal import SpareSignal, candidates

if TYPE_CHECKING:
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
        self.signal = SpareSignal(self.heard)
        # Where the loop was, by its pulse, when the blocker was to be interrupted.
        self.wanted: Note | None = None
        self.message = ""
        # When something was raised last, on the monotonic clock.
        self.raised_at = 0.0

    def prepare(self) -> None:
        """Hold a signal that nobody uses; call this in the main thread."""
        if threading.get_ident() == threading.main_thread().ident:
            self.signal.hold(candidates())

    def give_up(self) -> None:
        """Give the signal back; call this in the main thread."""
        self.wanted = None
        self.signal.give_back()

    def interrupt(self, thread_id: int, message: str) -> None:
        """Raise CancelledError where `thread_id` is, if the loop is still there then.

        "There" is where the pulse has seen it last. Nothing is raised in code of ours;
        ask again as long as the loop is blocked.
        """
        self.message = message
        self.wanted = self.pulse.seen
        self.signal.send(thread_id)

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
