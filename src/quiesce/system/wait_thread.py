"""The end of a child noticed by a thread of its own, for systems without `pidfd`.

A thread for each child costs more than a descriptor, but needs no signal handler and
loses no child, however many end at once.
"""

from __future__ import annotations

import contextvars
import os
import threading
from asyncio.log import logger
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

# Whether a thread can wait for a child and still leave it to the loop to reap, so that
# nobody sends a signal to a number that is another's by then.
WAITS_ONLY = hasattr(os, "waitid")


def call_at_exit(
    loop: Any, process: subprocess.Popen[bytes], callback: Callable[[], None]
) -> None:
    """Call `callback` in `loop` once `process` has ended.

    The thread does not hold the interpreter back. Raises RuntimeError where no thread
    can be started. If the loop is closed by then, the thread reaps the child itself.
    """
    context = contextvars.copy_context()
    threading.Thread(
        target=wait,
        args=(loop, process, callback, context),
        name=f"quiesce-wait-{process.pid}",
        daemon=True,
    ).start()


def wait(
    loop: Any,
    process: subprocess.Popen[bytes],
    callback: Callable[[], None],
    context: contextvars.Context,
) -> None:
    """Sleep until `process` has ended and tell the loop; runs in its own thread."""
    wait_for_end(process)
    try:
        loop.call_soon_threadsafe(callback, context=context)
    except RuntimeError:
        process.wait()
        logger.warning("Loop %r that handles pid %r is closed", loop, process.pid)


def wait_for_end(process: subprocess.Popen[bytes]) -> None:
    """Return once `process` has ended, and do not reap it where that can be avoided."""
    if not WAITS_ONLY:
        process.wait()
        return
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        # Somebody else has reaped it: it has ended, too.
        pass
