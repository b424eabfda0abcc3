"""Saying something on stderr at the end of a program, whatever state that is in.

Thread-safe: the lock of `sys.stderr` may be held by a thread that never ends, its pipe
be full, its reader gone, its descriptor closed. Nothing here waits for any of them, and
nothing is raised.
"""

from __future__ import annotations

import os
import select
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

# Seconds that a reader of stderr is given to make room for one report.
PATIENCE = 0.2
# A pipe that is said to have room takes so many bytes without blocking (POSIX).
PIECE = 512


def say(lines: Iterable[str]) -> None:
    """Write `lines` to stderr, as far as it takes them."""
    text = "".join(f"{line}\n" for line in lines)
    stream: Any = sys.stderr
    if stream is None or not text:
        # Descriptor 2 was closed when Python started: by now it may be any file.
        return
    try:
        fd = stream.fileno()
    except Exception:  # noqa: BLE001 - a stand-in for stderr may raise anything
        write_to(stream, text)
    else:
        write_to_fd(fd, text.encode(errors="backslashreplace"))


def write_to(stream: Any, text: str) -> None:
    """Write to what stands in for stderr and has no descriptor."""
    try:
        stream.write(text)
    except Exception:  # noqa: BLE001, S110 - there is nowhere left to say it
        pass


def write_to_fd(fd: int, data: bytes) -> None:
    """Write `data` as long as `fd` takes it without blocking."""
    deadline = time.monotonic() + PATIENCE
    try:
        while data and has_room(fd, deadline):
            data = data[os.write(fd, data[:PIECE]) :]
    except OSError:
        # Closed, or a pipe without a reader: there is nowhere left to say it.
        pass


def has_room(fd: int, deadline: float) -> bool:
    """Wait until `fd` can be written to; False if it cannot at that time or ever."""
    poller = select.poll()
    poller.register(fd, select.POLLOUT)
    left = max(0.0, deadline - time.monotonic())
    for _, events in poller.poll(left * 1000):
        # A pipe without a reader counts as writable, and would raise SIGPIPE.
        return events == select.POLLOUT
    return False
