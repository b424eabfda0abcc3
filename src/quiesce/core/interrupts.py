"""Ctrl-C while a loop runs: it may end user code anywhere, but not the loop's own code.

Python raises KeyboardInterrupt between any two bytecodes of the main thread. Between
two of ours a task could be taken from the queue and never run, or a heap left half in
order. So while a loop runs in the main thread and Python's own handler is the one
installed, ours stands in for it: user code is interrupted at once, as always, and an
interrupt that finds us at work is held until the loop looks outside next, at most 64
callbacks later. One that comes half a second later is not held: then it is user code in
C that takes the time.

Compiled code has no bytecodes; what this protects there are the modules left
interpreted.
"""

from __future__ import annotations

import os
import threading
import time
from signal import SIGINT, default_int_handler
from typing import TYPE_CHECKING, Any

from quiesce.core import native

if TYPE_CHECKING:
    import signal as signals
    from collections.abc import Callable
    from types import CodeType, FrameType

    from quiesce.core.hooks import SignalWakeup
else:
    # `signal` makes an Enum of all that this gives, which would be a good part of the
    # price of a short run.
    import _signal as signals

# The handlers for which ours may stand in.
USUAL: list[Any] = [default_int_handler]
# Seconds for which an interrupt is held at most, if another one comes.
PATIENCE = 0.5

# No import of pathlib before: programs that need none start sooner.
OURS = os.path.dirname(os.path.dirname(__file__))  # noqa: PTH120

# Frames in which nothing of ours happens but the call of somebody else's code.
HANDING_OVER: frozenset[CodeType] = frozenset(
    function.__code__ for function in (native.send_in, native.throw_in, native.call_in)
)


class Interrupts:
    """What Ctrl-C does to one loop."""

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.held_since = 0.0
        # The handler for which ours stands in.
        self.former: Any = default_int_handler
        # What comes out of the loop's run as soon as that cuts nothing of ours in half.
        self.error: BaseException | None = None
        # What lets a signal wake a loop that sleeps; the loop that has it sets it.
        self.wakeup: SignalWakeup | None = None
        # Called when Python has heard of an interrupt; says whether to ignore it.
        self.on_heard: Callable[[], bool] | None = None

    def begin_run(self) -> None:
        """See to it that no signal of this run finds the loop asleep."""
        if self.wakeup is not None:
            self.wakeup.begin_run()

    def end_run(self) -> None:
        """Leave signals to others again."""
        if self.wakeup is not None:
            self.wakeup.end_run()

    def hold(self) -> bool:
        """Hold from now on what finds us at work, if nobody does; return whether so."""
        former = signals.getsignal(SIGINT)
        if (
            threading.current_thread() is not threading.main_thread()
            or former not in USUAL
        ):
            return False
        self.former = former
        self.loop.interrupted = False
        try:
            signals.signal(SIGINT, self.heard)
        except ValueError:
            # An embedded interpreter may have a main thread without signals.
            return False
        HOLDING.append(self)
        return True

    def release(self) -> None:
        """Hold nothing any more; raise what is still held."""
        HOLDING.clear()
        if signals.getsignal(SIGINT) == self.heard:
            signals.signal(SIGINT, self.former)
        self.raise_error()
        self.raise_held()

    def raise_held(self) -> None:
        """Raise the interrupt that was held, if there is one."""
        if self.loop.interrupted:
            self.loop.interrupted = False
            raise KeyboardInterrupt

    def raise_soon(self, error: BaseException) -> None:
        """Let `error` come out of the loop's run, or of its `close`; thread-safe.

        Of several the first does. Raises `RuntimeError` if the loop is closed.
        """
        self.loop.check_closed()
        if self.error is None:
            self.error = error
        self.loop.call_soon_threadsafe(self.raise_error)

    def raise_error(self) -> None:
        """Raise what `hold_error` or `raise_soon` was given, if there is something."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def heard(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Raise KeyboardInterrupt in user code; elsewhere, have it raised soon."""
        if self.on_heard is not None and self.on_heard():
            return
        if not is_ours(frame) or self.is_stuck():
            self.loop.interrupted = False
            raise KeyboardInterrupt
        if not self.loop.interrupted:
            self.held_since = time.monotonic()
            self.loop.interrupted = True
        self.loop.poller.wake()

    def is_stuck(self) -> bool:
        """Tell whether an interrupt is held so long that it cannot be us who work."""
        return self.loop.interrupted and time.monotonic() - self.held_since > PATIENCE


# The one that holds interrupts now, if there is one.
HOLDING: list[Interrupts] = []


def hold_error(error: BaseException, frame: FrameType | None) -> bool:
    """Let `error` come out of the loop's run if ours is at work on that in `frame`.

    To be called by a signal's handler as the loop begins to run or has run. Returns
    whether it will.
    """
    if not HOLDING or not is_ours(frame):
        return False
    HOLDING[0].error = error
    return True


def is_ours(frame: FrameType | None) -> bool:
    """Tell whether our code, or what it called for itself, runs in `frame`."""
    innermost = frame
    while frame is not None:
        code = frame.f_code
        if code in HANDING_OVER:
            return frame is innermost
        if code.co_filename.startswith(OURS):
            return True
        if not is_standard_library(code):
            return False
        frame = frame.f_back
    return False


def is_standard_library(code: CodeType) -> bool:
    """Tell whether `code` may be a helper that we called."""
    name = code.co_filename
    return name.startswith(STANDARD_LIBRARY) and "site-packages" not in name


STANDARD_LIBRARY = (os.path.dirname(threading.__file__), "<frozen ")  # noqa: PTH120
