"""Which tasks are shielded: the inner job of a `shield`, ours or asyncio's.

Ours says so itself (``_is_shielded``). asyncio's leaves its callback with the job, by
which it is known, and takes it back when the one who waits is cancelled. A job of ours
notices that and remembers; to one of another make it is said when the future that
stands for the wait is cancelled, which is always the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    known: bool | None = getattr(task, "_is_shielded", None)
    if known is None:
        # It is not ours, and nobody has marked it.
        return has_shield_callback(getattr(task, "_callbacks", None))
    return known


def has_shield_callback(pairs: Any) -> bool:
    """Tell whether one of these callbacks is that of a shield of asyncio's."""
    # Most tasks have none, and thousands are asked.
    return bool(pairs) and any(is_shield_callback(callback) for callback, _ in pairs)


def is_shield_callback(callback: Any) -> bool:
    """Tell whether asyncio's shield made `callback`."""
    return getattr(callback, "__code__", None) in SHIELD_CALLBACKS or (
        LOGS_FAILURE is not None and callback is LOGS_FAILURE
    )


def note_cancelled_shield(callback: Any) -> None:
    """Mark the job as shielded if `callback` is of a shield: who waits is cancelled."""
    if not is_shield_callback(callback):
        return
    code, cells = callback.__code__, callback.__closure__ or ()
    inner = dict(zip(code.co_freevars, cells, strict=True)).get("inner")
    if inner is not None:
        mark_shielded(inner.cell_contents)


def mark_shielded(inner: Any) -> None:
    """Let `inner` be known as shielded, for who ends the program."""
    # A future of another make may refuse attributes.
    with contextlib.suppress(AttributeError):
        inner._is_shielded = True


def say_nothing_if_cancelled(gathering: Any) -> None:
    """Let its shield not report that the parts of a `gathering` were cancelled."""
    log = LOGS_FAILURE
    if log is None or not gathering.remove_done_callback(log):
        return

    def done(_: Any) -> None:
        if not isinstance(gathering._exception, asyncio.CancelledError):
            log(gathering)

    gathering.add_done_callback(done)
