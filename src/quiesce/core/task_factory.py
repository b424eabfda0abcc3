"""Tasks that somebody else makes: calling the factory a program has set on its loop."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

# Since then asyncio hands the name over; before, it named what it got back.
TAKES_NAME = sys.version_info >= (3, 13, 3)


def is_eager_factory(factory: Any) -> bool:
    """Tell whether `factory` is asyncio's eager one, which our tasks replace."""
    return factory is not None and factory is getattr(
        asyncio, "eager_task_factory", None
    )


def call_task_factory(
    factory: Any, loop: Any, coro: Any, name: Any, context: Any, eager_start: Any
) -> Any:
    """Let `factory` make the task, called as this version's asyncio would."""
    arguments: dict[str, Any] = {}
    if context is not None:
        arguments["context"] = context
    if eager_start is not None:
        arguments["eager_start"] = eager_start
    if TAKES_NAME and name is not None:
        arguments["name"] = name
    task = factory(loop, coro, **arguments)
    if not TAKES_NAME and name is not None:
        task.set_name(name)
    return task


def task_in_spite_of_it(loop: Any, coro: Any) -> Any:
    """Make a task that the end of the loop needs, also where the factory raises."""
    try:
        return loop.create_task(coro)
    except Exception:  # noqa: BLE001 - of the program's own factory
        return asyncio.Task(coro, loop=loop)
