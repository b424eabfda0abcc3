"""Which tasks are shielded: the inner job of a `shield`, ours or asyncio's.

Ours says so itself (``_is_shielded``). asyncio's leaves its callback with the job, by
which it is known, and takes it back when the one who waits is cancelled: our futures
notice that and remember.
"""

from __future__ import annotations

import asyncio
from types import CodeType
from typing import Any


def inner_functions(function: Any) -> frozenset[CodeType]:
    """Return the code of the functions that are defined in `function`."""
    constants = function.__code__.co_consts
    return frozenset(each for each in constants if isinstance(each, CodeType))


SHIELD_CALLBACKS = inner_functions(asyncio.tasks.shield)
# What newer versions of asyncio leave with a job whose shield was cancelled.
LOGS_FAILURE = getattr(asyncio.tasks, "_log_on_exception", None)


def is_shielded(task: Any) -> bool:
    """Tell whether `task`, of whatever make, is or was the inner job of a shield."""
    return bool(getattr(task, "_is_shielded", False)) or has_shield_callback(
        getattr(task, "_callbacks", None)
    )


def has_shield_callback(pairs: Any) -> bool:
    """Tell whether one of these callbacks is that of a shield of asyncio's."""
    # Most tasks have none, and thousands are asked.
    return bool(pairs) and any(is_shield_callback(callback) for callback, _ in pairs)


def is_shield_callback(callback: Any) -> bool:
    """Tell whether asyncio's shield made `callback`."""
    return getattr(callback, "__code__", None) in SHIELD_CALLBACKS or (
        LOGS_FAILURE is not None and callback is LOGS_FAILURE
    )
