"""The pools of `concurrent.futures` when the interpreter exits.

The functions with which they hear of it join their threads without limit. What is said
to them here is the same, without the waiting, so that the wait can have an end.
"""

from __future__ import annotations

import sys
from typing import Any


def tell_pools() -> None:
    """Let every pool finish what it was given, take no more and end its threads."""
    tell_thread_pools(sys.modules.get("concurrent.futures.thread"))
    tell_process_pools(sys.modules.get("concurrent.futures.process"))
    ours: Any = sys.modules.get("quiesce.offload.thread_pool")
    if ours is not None:
        ours.all_pools.shut_down()


def tell_thread_pools(module: Any) -> None:
    """Tell every ThreadPoolExecutor, and what is derived from it."""
    try:
        with module._global_shutdown_lock:
            module._shutdown = True
        queues = list(module._threads_queues.values())
    except AttributeError:
        # Not imported, or another Python's: then its own function will tell it.
        return
    for queue in queues:
        queue.put(None)


def tell_process_pools(module: Any) -> None:
    """Tell every ProcessPoolExecutor."""
    try:
        module._global_shutdown = True
        wakeups = list(module._threads_wakeups.values())
    except AttributeError:
        return
    for wakeup in wakeups:
        try:
            wakeup.wakeup()
        except OSError:
            # Its thread has just ended.
            continue


def workers_of_pools() -> set[Any]:
    """Return the processes of every ProcessPoolExecutor, also those that have ended."""
    return {worker for manager in managers() for worker in workers_of(manager)}


def waits_for_workers(thread: Any) -> bool:
    """Tell whether `thread` does nothing but wait for living workers of its pool."""
    return thread in managers() and any(
        worker.is_alive() for worker in workers_of(thread)
    )


def managers() -> list[Any]:
    """Return the threads that hand every ProcessPoolExecutor's workers their jobs."""
    module: Any = sys.modules.get("concurrent.futures.process")
    return list(getattr(module, "_threads_wakeups", ()))


def workers_of(manager: Any) -> list[Any]:
    """Return the processes to which this thread hands jobs."""
    return list(getattr(manager, "processes", {}).values())
