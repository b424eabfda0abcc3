"""Starts threads of quiesce itself, which are in nobody's way.

They are no `threading.Thread`: the program sees none that it has not started. And they
take no signal: the kernel hands one to any thread that does not block it, while the
program may wait for it in another with `sigwait`, or in a call that it is to interrupt.
"""

from __future__ import annotations

import _thread
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# What programs wait for with `sigwait`, blocked in all of the threads they know of, and
# what is to interrupt their main thread.
OF_THE_PROGRAM = [
    getattr(signal, f"SIG{name}")
    for name in ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "ALRM", "CHLD")
    if hasattr(signal, f"SIG{name}")
]


def start_thread(function: Callable[..., None], *args: object) -> int:
    """Call `function` in a new thread and return its number.

    Raises RuntimeError where there can be no more threads, and what the program's
    handlers of signals raise. A handler may call this too.
    """
    if not hasattr(signal, "pthread_sigmask"):
        return _thread.start_new_thread(function, args)
    # The new thread has the mask of this one from its beginning; could it set its own,
    # it would do so late, when it first has its turn. Asked for before it is changed:
    # a handler that raises out of the change leaves it undone.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, OF_THE_PROGRAM)
        return _thread.start_new_thread(function, args)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
