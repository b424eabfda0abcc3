"""The end of a child as an event of the poller: a descriptor stands for a process.

Linux has had pidfd_open(2) since 5.3. Where it is missing or forbidden, `wait_thread`
does the same with a thread for each child.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def call_at_exit(loop: Any, pid: int, callback: Callable[[], None]) -> None:
    """Call `callback` in `loop` once the child `pid` has ended; to reap it is left.

    Raises OSError where the system or the loop's poller has no such descriptors, or no
    more of them. Nothing is called once the loop is closed.
    """
    ExitDescriptor(loop, open_pidfd(pid), callback)


def open_pidfd(pid: int) -> int:
    """Return a new descriptor that can be read once the child `pid` has ended."""
    if not hasattr(os, "pidfd_open"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return os.pidfd_open(pid)


class ExitDescriptor:
    """Owns one descriptor, and calls back once.

    The loop's poller is the only one who holds it: when the loop is closed first, it
    goes and so does the descriptor.
    """

    __slots__ = ("_callback", "_fd", "_loop")

    def __init__(self, loop: Any, fd: int, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._callback = callback
        loop.add_reader(fd, self._ended)

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _ended(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._callback()
