"""A program's exception, shown as Python would have shown it.

Frames of quiesce are left out, as those of an event loop written in C would be, unless
there is no other frame.
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType


def show(error: BaseException) -> None:
    """Hand `error`, freed of our frames, to the program's ``sys.excepthook``."""
    for each in with_connected(error):
        each.__traceback__ = without_ours(each.__traceback__)
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit:
        raise
    except BaseException as failed:  # noqa: BLE001 - shown as Python shows it
        print("Error in sys.excepthook:", file=sys.stderr)
        failed.__traceback__ = without_ours(failed.__traceback__)
        sys.__excepthook__(type(failed), failed, failed.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)
        sys.__excepthook__(type(error), error, error.__traceback__)


def with_connected(error: BaseException) -> list[BaseException]:
    """Return `error` and every exception that is shown with it."""
    found: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or any(each is known for known in found):
            continue
        found.append(each)
        left += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions  # pyright: ignore[reportUnknownMemberType]
    return found


def without_ours(traceback: TracebackType | None) -> TracebackType | None:
    """Return a copy of `traceback` with the program's frames only, if it has any."""
    entries: list[TracebackType] = []
    entry = traceback
    while entry is not None:
        if not is_ours(entry.tb_frame):
            entries.append(entry)
        entry = entry.tb_next
    copy: TracebackType | None = None
    for kept in reversed(entries):
        copy = TracebackType(copy, kept.tb_frame, kept.tb_lasti, kept.tb_lineno)
    return copy


def is_ours(frame: FrameType) -> bool:
    """Tell whether `frame` runs code of quiesce, compiled or not."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "quiesce"
