"""What ``await`` does with a future: wait in it, or take its outcome.

Compiled, ``await`` drives the future itself (`native.await_itself`); `FutureIterator`
is for who asks for an iterator, and for Python's subclasses.
"""

# Fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
from __future__ import annotations

import sys
import types
import warnings
from typing import TYPE_CHECKING, Any

from quiesce.core import native

if TYPE_CHECKING:
    from quiesce.core.future import Future

THREE_ARGUMENT_THROW_WARNS = sys.version_info >= (3, 12)


class FutureIterator:
    """Yields a future once, then gives its outcome: what ``await`` drives."""

    __slots__ = ("future",)

    def __iter__(self) -> FutureIterator:
        return self

    def __next__(self) -> Future:
        future = self.future
        if future is None:
            raise StopIteration
        if begin_to_wait(future):
            return future
        self.future = None
        native.stop_with(outcome(future))
        raise StopIteration

    def send(self, value: object) -> Future:  # noqa: ARG002 - a generator's
        """Resume; a future does not care what is sent to it."""
        return self.__next__()

    def throw(self, typ: Any, val: Any = None, tb: Any = None) -> None:
        """Raise at the ``await``, as `generator.throw` does."""
        self.future = None
        if THREE_ARGUMENT_THROW_WARNS and (val is not None or tb is not None):
            warnings.warn(
                "the (type, exc, tb) signature of throw() is deprecated, use the "
                "single-arg signature instead.",
                DeprecationWarning,
                stacklevel=1 + native.OWN_FRAMES,
            )
        try:
            raise thrown(typ, val, tb)
        finally:
            # An error's traceback keeps this frame: see "Cycles" in `task`.
            typ = val = None

    def close(self) -> None:
        """Give up waiting."""
        self.future = None


def thrown(typ: Any, val: Any, tb: Any) -> BaseException:
    """Return the exception that ``throw(typ, val, tb)`` means."""
    if tb is not None and not isinstance(tb, types.TracebackType):
        raise TypeError("throw() third argument must be a traceback")
    if isinstance(typ, BaseException):
        if val is not None:
            raise TypeError("instance exception may not have a separate value")
        error = typ
    elif isinstance(typ, type) and issubclass(typ, BaseException):
        if isinstance(val, typ):
            error = val
        elif isinstance(val, tuple):
            error = typ(*val)
        else:
            error = typ() if val is None else typ(val)
    else:
        raise TypeError(
            "exceptions must be classes or instances deriving from BaseException"
        )
    return error if tb is None else error.with_traceback(tb)


native.keep_freed(FutureIterator)


def iterate(future: Future) -> FutureIterator:
    """Return a new iterator over `future`."""
    iterator = FutureIterator.__new__(FutureIterator)
    iterator.future = future
    return iterator


def begin_to_wait(thing: object) -> bool:
    """Let the future be awaited; return False if it is done."""
    future = thing
    if future._status != native.PENDING:
        return False
    if future._blocking:
        raise RuntimeError("await wasn't used with future")
    future._blocking = True
    return True


def outcome(thing: object) -> Any:
    """Return the result of a future that is done, or raise its error."""
    future = thing
    if future._status == native.FINISHED and future._exception is None:
        return future._result
    try:
        raise future.failure()
    finally:
        # An error's traceback keeps this frame: see "Cycles" in `task`.
        thing = future = None


def outcome_error(future: Future) -> BaseException | None:
    """Return what awaiting the done `future` raises, or None if it gives a result."""
    if future._status == native.FINISHED and future._exception is None:
        return None
    return future.failure()
