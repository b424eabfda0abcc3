"""Ends the process where Python cannot: no thread, only signals and a timer.

A call in C that keeps the GIL lets no Python run, neither a signal's handler nor
another thread. The system still runs signal handlers in C. One of ours stands before
Python's own for the signals that ask for the end: it starts a timer, and calls
Python's. If nobody has stopped or moved that timer when its time has come, its handler
writes the stacks to stderr (with `faulthandler`, which needs no GIL), ends the
children, and then the process.

All that there is of it is in ``native_last_resort.h``. It exists compiled, on Linux.
"""

from __future__ import annotations

import faulthandler
from typing import TYPE_CHECKING

from quiesce.system import native

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STDERR = 2
# A terminal and the tools between it and the program each pass on the same Ctrl-C.
SAME_CTRL_C = 0.5
# Seconds that are left after another one.
AT_ONCE = 1.4


class LastResort:
    """The timer's signal, as long as there is a timer, and who else hears of children.

    The signal is 0 otherwise.
    """

    signum = 0
    listener: Callable[[str, int], None] | None = None


def begin(signums: Iterable[int], seconds: float) -> bool:
    """Let each of `signums` start the timer from now on; return whether that works.

    It ends the process after `seconds` with status 128 + the number of the signal. A
    later Ctrl-C leaves little time. Only signals that Python handles now are meant:
    whoever installs another handler puts it in the place of this. Call it in the main
    thread.
    """
    end()
    signum: int = native.free_signal()
    if not signum:
        return False
    # Order matters: Python takes its function back before it has ended, and the timer
    # may still run then.
    native.take_signal(signum)
    faulthandler.register(signum, file=STDERR, all_threads=True, chain=False)
    if not native.prepare_end(signum, SAME_CTRL_C, AT_ONCE):
        faulthandler.unregister(signum)
        native.give_signal_back(signum)
        return False
    LastResort.signum = signum
    for each in signums:
        native.start_at(each, seconds)
    return True


def begin_at(signum: int, seconds: float) -> None:
    """Let `signum` start the timer too, after `begin` or a change of its handler."""
    if LastResort.signum:
        native.start_at(signum, seconds)


def end_in(seconds: float, status: int) -> None:
    """Start the timer, or move it; at its end the process ends with `status`."""
    if LastResort.signum:
        native.end_in(seconds, status)


def do_not_end() -> None:
    """Stop the timer; the next signal starts it anew."""
    if LastResort.signum:
        native.do_not_end()


def end() -> None:
    """Undo `begin`; harmless if repeated, and in a forked child."""
    if LastResort.signum:
        native.forget_end()
        faulthandler.unregister(LastResort.signum)
        native.give_signal_back(LastResort.signum)
        LastResort.signum = 0


def note_child(pid: int) -> None:
    """Let the timer end the child `pid` too, unless it is in a session of its own."""
    native.note_child(pid)
    if LastResort.listener is not None:
        LastResort.listener("child", pid)


def forget_child(pid: int) -> None:
    """Note that the child `pid` is to be reaped now."""
    native.forget_child(pid)
    if LastResort.listener is not None:
        LastResort.listener("gone", pid)
