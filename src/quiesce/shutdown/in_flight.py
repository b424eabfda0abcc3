"""Whether a suspended coroutine is in a cleanup: an exception is in flight in it.

Python does not say so, but the code does. Its exception table (PEP 626's successor, in
CPython's InternalDocs/exception_handling.md) has the innermost handler of each
instruction. What runs while an exception is handled, in an ``except``, a ``finally`` or
a ``with`` that was left by one, has one that puts the former exception back and raises
again. So the place where a coroutine waits tells whether it is on its way out, or has
gone on as if nothing had been asked of it.
"""

# Frames of coroutines, generators and what wraps them go by many names.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import dis
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

# By which names a suspended thing shows its frame and what it awaits.
FRAMES = ("cr_frame", "gi_frame", "ag_frame")
AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")


def is_cleaning_up(task: Any) -> bool | None:
    """Tell whether an exception is in flight where `task` waits; None: unknown."""
    known = None
    for frame in frames_of(task.get_coro()):
        known = False
        if is_in_handler(frame.f_code, frame.f_lasti):
            return True
    return known


def frames_of(coroutine: Any) -> Iterator[Any]:
    """Yield the frames of a suspended coroutine and of those it awaits."""
    while coroutine is not None:
        frame = first_of(coroutine, FRAMES)
        if frame is not None:
            yield frame
        coroutine = first_of(coroutine, AWAITED)


def first_of(thing: Any, names: tuple[str, ...]) -> Any:
    """Return the first of the attributes `names` that `thing` has, or None."""
    for name in names:
        found = getattr(thing, name, None)
        if found is not None:
            return found
    return None


def is_in_handler(code: CodeType, offset: int) -> bool:
    """Tell whether an exception is being handled at `offset` of `code`."""
    table: list[Any] = dis._parse_exception_table(code)  # pyright: ignore[reportAttributeAccessIssue]
    operations = code.co_code
    handler = handler_of(table, offset)
    while handler is not None:
        operation = operations[handler]
        if operation == COPY and operations[handler + 2] == POP_EXCEPT:
            return True
        if operation == PUSH_EXC_INFO:
            # The beginning of a handler that has not begun. It is covered by the end of
            # that same handler; what covers the end is what surrounds both.
            end = handler_of(table, handler)
            handler = end if end is None else handler_of(table, end)
        else:
            handler = handler_of(table, handler)
    return False


def handler_of(table: list[Any], offset: int) -> int | None:
    """Return where the innermost handler of the instruction at `offset` begins."""
    for entry in table:
        if entry.start <= offset < entry.end:
            return entry.target
    return None


COPY = dis.opmap["COPY"]
POP_EXCEPT = dis.opmap["POP_EXCEPT"]
PUSH_EXC_INFO = dis.opmap["PUSH_EXC_INFO"]
