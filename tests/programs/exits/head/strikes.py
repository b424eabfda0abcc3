"""Raises a signal at one line of quiesce's own Python code: ``strikes.begin()``.

Or at one line of what the interpreter calls first as it exits. Which signal and where
is in ``QUIESCE_EXITS_STRIKE``, as ``signal:file:line``; "struck" is logged then.
Without that the lines to which the program comes are written to the file that
``QUIESCE_EXITS_LINES`` names.
"""

from __future__ import annotations

import linecache
import os
import signal
import sys
import threading
from pathlib import Path

from program_head import log

import quiesce

OURS = str(Path(quiesce.__file__).parent) + os.sep
SIGNUM, _, STRIKE = os.environ.get("QUIESCE_EXITS_STRIKE", "").partition(":")


class Tracer:
    """Sees each line of ours that the main thread comes to, the first time."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        path = os.environ.get("QUIESCE_EXITS_LINES")
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self.fd = None if path is None else os.open(path, flags, 0o600)

    def begin_frame(self, frame, _event, _argument):
        return self.see if is_of_interest(frame.f_code) else None

    def see(self, frame, event, _argument):
        # Nobody hears of signals when the interpreter takes itself down. What comes out
        # of the line that begins a block is not yet inside of it; what comes out of a
        # finalizer is lost in any program.
        if event != "line" or sys.is_finalizing() or frame.f_code.co_name == "__del__":
            return self.see
        place = f"{frame.f_code.co_filename.removeprefix(OURS)}:{frame.f_lineno}"
        if place not in self.seen and line_of(frame).strip() != "try:":
            self.seen.add(place)
            if self.fd is not None:
                os.write(self.fd, f"{place}\n".encode())
            if place == STRIKE:
                log("struck")
                signal.raise_signal(int(SIGNUM))
        return self.see


# So that Ctrl-C is heard in a frame of ours, as it would be without a tracer.
Tracer.see.__code__ = Tracer.see.__code__.replace(co_filename=OURS + "strikes.py")


def is_of_interest(code) -> bool:
    return code.co_filename.startswith(OURS) or code is threading._shutdown.__code__


def line_of(frame) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno)


def begin() -> None:
    """Begin, also with those frames of ours that are being executed."""
    tracer = Tracer()
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            frame.f_trace = tracer.see
        frame = frame.f_back
    sys.settrace(tracer.begin_frame)
