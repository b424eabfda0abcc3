"""The threads of the process, when it ends."""

from __future__ import annotations

import threading
import time
from typing import Any

# Seconds between two looks at a thread that cannot be joined.
PAUSE = 0.005


def join_until(thread: threading.Thread, moment: float) -> None:
    """Wait until `thread` has ended, or until that `moment` of `time.monotonic`.

    Up to Python 3.12 `join` takes a thread for ended once a Ctrl-C has interrupted one
    who was joining it.
    """
    thread.join(max(0.0, moment - time.monotonic()))
    while thread in threading.enumerate() and time.monotonic() < moment:
        time.sleep(PAUSE)


def threads_left() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits before it exits."""
    own = threading.main_thread()
    return [
        thread
        for thread in threading.enumerate()
        if not thread.daemon and thread is not own and not is_given_up(thread)
    ]


def threads_given_up() -> list[threading.Thread]:
    """Return the threads of loops that their end has named and given up."""
    return [thread for thread in threading.enumerate() if is_given_up(thread)]


def daemons() -> list[threading.Thread]:
    """Return the threads for which nobody waits."""
    return [thread for thread in threading.enumerate() if thread.daemon]


def is_given_up(thread: Any) -> bool:
    """Tell whether a thread is a loop's, whose end has given it up."""
    return getattr(getattr(thread, "pool", None), "given_up", False) is True
