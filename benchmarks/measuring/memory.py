"""How many bytes a task costs while it waits."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

TASKS = 100_000
WAITS = {"future": "waiting for a future", "sleep": "in sleep(3600)"}
METHODS = {"resident": "resident set", "traced": "tracemalloc"}
WARM_UP_TASKS = 1_000


def resident_bytes() -> int:
    """Return what this process occupies in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def per_pending_task(
    loop: asyncio.AbstractEventLoop, asyncio: Any, *, memory: str, method: str
) -> float:
    """Return bytes per pending task, coroutine and what it waits for included.

    ``memory`` says what the tasks wait for, ``method`` how bytes are counted:
    ``traced`` sees Python's allocators only, ``resident`` sees everything.
    """

    async def wait_for_a_future() -> None:
        await loop.create_future()

    async def wait_for_a_while() -> None:
        await asyncio.sleep(3600)

    wait = {"future": wait_for_a_future, "sleep": wait_for_a_while}[memory]

    async def measure(count: int) -> float:
        tasks: list[Any] = [None] * count
        gc.collect()
        before = read()
        for index in range(count):
            tasks[index] = loop.create_task(wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gc.collect()
        used = read() - before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return used / count

    def read() -> int:
        if method == "traced":
            return tracemalloc.get_traced_memory()[0]
        return resident_bytes()

    if method == "traced":
        tracemalloc.start()
    loop.run_until_complete(measure(WARM_UP_TASKS))
    return loop.run_until_complete(measure(TASKS))
