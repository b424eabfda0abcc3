"""stdout and stderr, where daemon threads may be writing while the interpreter ends.

CPython stops daemon threads wherever they are. One that was writing keeps the lock of
its stream's buffer, and the interpreter, which writes out the buffers at last, aborts
the process ("could not acquire lock ... at interpreter shutdown"). So the buffered
streams are put aside, and what is printed from then on is written at once.
"""

from __future__ import annotations

import io
import sys
from typing import Any


def put_aside_buffers() -> list[object]:
    """Give ``sys.stdout`` and ``sys.stderr`` no buffer; return what they were.

    What is returned must never be dropped: that would write its buffer out.
    """
    aside: list[object] = []
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            # Closed, or the program's own.
            continue
        try:
            stream.flush()
            unbuffered = without_buffer(stream)
        except (OSError, ValueError):
            # Its reader has gone, or it was closed: nobody will write to it.
            continue
        aside += [stream, getattr(sys, f"__{name}__")]
        setattr(sys, name, unbuffered)
        setattr(sys, f"__{name}__", unbuffered)
    return aside


def without_buffer(stream: Any) -> io.TextIOWrapper:
    """Return a stream to the same file that keeps nothing back."""
    return io.TextIOWrapper(
        # It has all that is asked of a buffer.
        io.FileIO(stream.fileno(), "wb", closefd=False),
        encoding=stream.encoding,
        errors=stream.errors,
        write_through=True,
    )
