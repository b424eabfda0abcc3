"""The threads of the process, when it ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable

# Seconds between two looks at a thread that cannot be joined.
PAUSE = 0.005

GIVEN_UP: WeakSet[threading.Thread] = WeakSet()


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
        if not thread.daemon and thread is not own and thread not in GIVEN_UP
    ]


def threads_given_up() -> list[threading.Thread]:
    """Return the threads of loops that their end has named and given up."""
    return [thread for thread in threading.enumerate() if thread in GIVEN_UP]


def daemons() -> list[threading.Thread]:
    """Return the threads for which nobody waits."""
    return [thread for thread in threading.enumerate() if thread.daemon]


def give_up(idents: Iterable[int]) -> None:
    """Note that the end of a loop does not wait for these threads any longer."""
    given_up = set(idents)
    GIVEN_UP.update(each for each in threading.enumerate() if each.ident in given_up)
