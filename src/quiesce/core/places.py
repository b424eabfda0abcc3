"""Lines of code, each as a code object and an offset in it.

That is cheap to keep, and what it means is looked up when somebody asks. A frame would
keep every local variable alive. Which frame counts: the newest one that is the
program's, or a library's, and not asyncio's or ours.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from quiesce.core import native_frames

if TYPE_CHECKING:
    from types import CodeType

# Whose code only passes calls on: asyncio's and ours.
PASSING_ON = tuple(
    os.path.dirname(file) + "/"  # noqa: PTH120 - no import of pathlib for this
    for file in (asyncio.__file__, os.path.dirname(__file__))  # noqa: PTH120
)
# Whether a file is one of those, for the files met so far.
passes_on: dict[str, bool] = {}


def only_passes_on(file: str) -> bool:
    """Tell whether `file` is asyncio's or ours."""
    known = passes_on.get(file)
    if known is None:
        known = file.startswith(PASSING_ON)
        passes_on[file] = known
    return known


def place_here() -> tuple[CodeType, int] | None:
    """Return the line from which we are called, as code and offset."""
    code = native_frames.calling_code(only_passes_on)
    return None if code is None else (code, native_frames.calling_offset())


def line_at(code: CodeType, offset: int) -> int | None:
    """Return the line of `code` to which the instruction at `offset` belongs."""
    for begin, end, line in code.co_lines():
        if begin <= offset < end:
            return line
    return None
