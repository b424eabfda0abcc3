"""Ctrl-C that leaves the loop's own state whole.

Python raises KeyboardInterrupt wherever the main thread happens to be. In a program's own code
that is what its author expects. In ours it could fall between taking a callback off the queue
and running it, and something would be lost. So while a loop runs, an interrupt that arrives in
our code is raised by the scheduler a moment later, between two callbacks.

This replaces `signal.default_int_handler` only: a handler that a program or a runner has
installed is theirs.
"""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

OURS = "quiesce."
# Frames of ours through which the program's code is called: what they lead to is not ours.
DOORS = frozenset({("quiesce.core.native", "send_in"), ("quiesce.core.native", "call_in")})
RUN = ("quiesce.loop", "run_forever")


class InterruptGuard:
    """Holds the handler for the time of one `run_forever`."""

    __slots__ = ("loop",)

    def __init__(self, loop: Any) -> None:
        self.loop = loop

    def begin(self) -> None:
        """Take over from Python's own handler, if that is the one in place."""
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self.on_interrupt)

    def end(self) -> None:
        """Hand back, and raise an interrupt that has not been raised yet."""
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) == self.on_interrupt
        ):
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self.loop.interrupted:
            self.loop.interrupted = False
            raise KeyboardInterrupt

    def on_interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt here, or let the scheduler raise it soon."""
        if is_in_our_code(frame):
            self.loop.interrupted = True
            self.loop.poller.wake()
        else:
            signal.default_int_handler(signum, frame)


def is_in_our_code(innermost: FrameType | None) -> bool:
    """Tell whether an interrupt falls into our code, or into what the library calls for us.

    The innermost frame that is not the standard library's decides; the library works for
    whoever called it.
    """
    frame = innermost
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.startswith(OURS):
            place = (module, frame.f_code.co_name)
            leads_out = place in DOORS or place == RUN
            return not leads_out or frame is innermost
        if module.partition(".")[0] not in sys.stdlib_module_names:
            return False
        frame = frame.f_back
    return False
