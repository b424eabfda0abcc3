"""Plain-Python stand-ins for what `native_frames.h` reads of Python's frames.

See `native`: this file runs only where nothing is compiled.
"""

from __future__ import annotations

import sys
from threading import local
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

__all__ = ["calling_code", "calling_offset"]

# Of each thread: the interpreter may let another run between the two functions.
found = local()


def calling_code(passes_on: Callable[[str], bool]) -> CodeType | None:
    """Return the code of the newest frame whose file does not only pass calls on.

    `calling_offset` is the place in it; ask before anything else can ask for a code.
    """
    frame: Any = sys._getframe(1)
    while frame is not None and passes_on(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return None
    found.offset = frame.f_lasti
    return frame.f_code


def calling_offset() -> int:
    """Return the offset of the instruction that runs in the code found last."""
    return getattr(found, "offset", 0)
