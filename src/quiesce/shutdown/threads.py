"""The threads of the process, when it ends."""

from __future__ import annotations

import threading
from typing import Any


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
