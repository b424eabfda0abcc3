"""How a loop learns that a child has ended, and with which status.

There is no SIGCHLD handler: signals merge when many children end at once, and a process
has only one handler for all. Each child has its own descriptor or thread instead.

Invariant: the status of a child is taken from the system once, under the lock of its
`Popen`, and kept there. Whoever asks that object, from whatever thread, gets the same
answer, and no signal goes to a number that belongs to another process by now.
"""

from __future__ import annotations

import os
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

from quiesce.system import pidfd, wait_thread

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

# What is reported for a child whose status went to somebody else; so does asyncio.
UNKNOWN_STATUS = 255


def call_at_exit(
    loop: Any, process: subprocess.Popen[bytes], callback: Callable[[], None]
) -> None:
    """Call `callback` in `loop`, once, when `process` has ended and can be reaped.

    Raises RuntimeError where there is neither a descriptor nor a thread left for that.
    """
    try:
        pidfd.call_at_exit(loop, process.pid, callback)
    except OSError:
        wait_thread.call_at_exit(loop, process, callback)


def exit_status(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status of `process`, which has ended; negative for a signal.

    It is 255, and logged, if somebody reaped the child behind the back of its `Popen`.
    """
    holder: Any = process
    with holder._waitpid_lock:
        if holder.returncode is None:
            holder.returncode = reap(process.pid)
        return holder.returncode


def reap(pid: int) -> int:
    """Take the status of the ended child `pid` from the system, which forgets it."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        logger.warning(
            "child process pid %d exit status already read:  will report returncode %d",
            pid,
            UNKNOWN_STATUS,
        )
        return UNKNOWN_STATUS
    return os.waitstatus_to_exitcode(status)
