"""A task that waits somewhere, described."""

from __future__ import annotations

import asyncio
import contextlib

from quiesce.shutdown import survivors


async def described(coroutine, make=asyncio.create_task):
    """Run a coroutine until it waits, and return what is told of its task."""
    task = make(coroutine)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        return survivors.of_task(task)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
