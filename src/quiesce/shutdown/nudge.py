"""Lets a signal interrupt the main thread also if it comes just before a wait.

Python looks for signals between two bytecodes and when a wait was interrupted. One that
comes after the last look and before the system call is heard when the wait is over,
which for a thread may be never. A loop has a channel for that, and the interpreter that
waits for threads as it exits has `Nudge`: whoever hears of the signal through the
channel sends it to the main thread once more.

As long as the program itself goes on the channel is its own. So where somebody looks at
a main thread that waits, `interrupt_wait` lets it look for signals.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from quiesce.shutdown.own_thread import start_thread
from quiesce.shutdown.spare_signal import pass_by
from quiesce.system.signal_channel import SignalChannel, poll_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds after which whoever was awake has heard of a signal.
DELAY = 0.1


# Ignored by default: nothing comes of one that arrives when the program has taken it.
NUDGE = getattr(signal, "SIGURG", None)


def allow_interruptions() -> None:
    """Let `interrupt_wait` do so, unless the program uses its signal.

    To be called in the main thread.
    """
    if NUDGE is not None and signal.getsignal(NUDGE) is signal.SIG_DFL:
        signal.signal(NUDGE, pass_by)


def interrupt_wait() -> None:
    """Let the main thread look for signals, and wait on; from another thread."""
    main = threading.main_thread().ident
    if NUDGE is not None and main and signal.getsignal(NUDGE) is pass_by:
        signal.pthread_kill(main, NUDGE)


class Nudge:
    """Repeats a signal to the main thread once if `is_unheard` says so a moment later.

    To be made, started and stopped in the main thread.
    """

    def __init__(self, is_unheard: Callable[[int], bool]) -> None:
        self.is_unheard = is_unheard
        self.channel = SignalChannel()

    def start(self) -> None:
        """Begin, unless the program reads signals itself or there can be no thread."""
        self.channel.claim()
        if self.channel.is_above_a_stranger:
            self.stop()
            return
        try:
            start_thread(self.repeat)
        except RuntimeError:
            self.stop()

    def stop(self) -> None:
        """Repeat no more; the thread stays until the process is gone."""
        self.channel.release()

    def repeat(self) -> None:
        """Send on what is read and was not heard of. In the thread."""
        main = threading.main_thread().ident
        poll = poll_of(self.channel.read_fd)
        while main is not None and poll is not None:
            poll.poll()
            time.sleep(DELAY)
            for signum in self.channel.drain():
                if self.is_unheard(signum):
                    signal.pthread_kill(main, signum)
