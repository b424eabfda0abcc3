"""Whether a suspended coroutine is in a cleanup: an exception is in flight in it.

Python does not say so, but the code does. Its exception table (CPython's
InternalDocs/exception_handling.md) has the innermost handler of each instruction. What
runs while an exception is handled, in an ``except``, a ``finally`` or a ``with`` that
was left by one, has one that puts the former exception back and raises again. So the
place where a coroutine waits tells whether it is on its way out, or has gone on as if
nothing had been asked of it.
"""

# The table is parsed by an inner function of `dis`, which has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import dis
import functools
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.await_chain import PREFIXES, WRAPPERS, await_chain, frame_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType


def is_cleaning_up(coroutine: Any) -> bool | None:
    """Tell whether an exception is in flight where `coroutine` waits; None: unknown."""
    links, last = await_chain(coroutine)
    is_known = bool(links) and type(last).__name__ not in WRAPPERS
    for link in links:
        frame = frame_of(link)
        if frame is None or type(link) not in PREFIXES:
            # Compiled code has no such table.
            is_known = False
        elif is_in_handler(frame.f_code, frame.f_lasti):
            return True
    return False if is_known else None


# Thousands of tasks often wait at one line.
@functools.lru_cache
def is_in_handler(code: CodeType, offset: int) -> bool:
    """Tell whether an exception is being handled at `offset` of `code`."""
    return any(True for _ in handlers_begun(code, offset))


@functools.lru_cache
def is_caught(code: CodeType, offset: int) -> bool:
    """Tell whether it is an ``except`` that has what is in flight at `offset`."""
    return any(is_except(code, begin) for begin in handlers_begun(code, offset))


def handlers_begun(code: CodeType, offset: int) -> Generator[int]:
    """Yield where each handler begins that `offset` of `code` is in, innermost first.

    One that guards it, but has nothing to handle, is none of them.
    """
    table: list[Any] = dis._parse_exception_table(code)  # pyright: ignore[reportAttributeAccessIssue]
    operations = code.co_code
    handler = handler_of(table, offset)
    while handler is not None:
        operation = operations[handler]
        if operation == COPY and operations[handler + 2] == POP_EXCEPT:
            # The end of one that has begun, which covers it from its beginning.
            yield min(entry.start for entry in table if entry.target == handler)
        elif operation == PUSH_EXC_INFO:
            # The beginning of a handler that has not begun. It is covered by the end of
            # that same handler; what covers the end is what surrounds both.
            handler = handler_of(table, handler) or handler
        handler = handler_of(table, handler)


def is_except(code: CodeType, begin: int) -> bool:
    """Tell whether the handler that begins there is an ``except`` of the source.

    Such a one begins by a look at the type, or else by dropping the exception.
    """
    names = [each.opname for each in dis.get_instructions(code) if each.offset > begin]
    if names[0] == "POP_TOP":
        return True
    first = next((name for name in names if not name.startswith(FOR_A_TYPE)), "")
    return first in ("CHECK_EXC_MATCH", "CHECK_EG_MATCH")


def handler_of(table: list[Any], offset: int) -> int | None:
    """Return where the innermost handler of the instruction at `offset` begins."""
    for entry in table:
        if entry.start <= offset < entry.end:
            return entry.target
    return None


COPY = dis.opmap["COPY"]
POP_EXCEPT = dis.opmap["POP_EXCEPT"]
# What finds the type, or several, that an ``except`` names.
FOR_A_TYPE = ("LOAD_", "BUILD_", "COPY", "SWAP", "PUSH_NULL", "NOP")
PUSH_EXC_INFO = dis.opmap["PUSH_EXC_INFO"]
