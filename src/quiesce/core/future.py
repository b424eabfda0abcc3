"""A result that will come.

States (`native.PENDING`, `CANCELLED`, `FINISHED`): a future begins pending and leaves
that state once, through `set_result`, `set_exception` or `cancel`; then its callbacks
are put on the loop's ready queue, in the order in which they were added.

Invariants:

- The first callback stands in the future itself, so that the usual single waiter costs
  no allocation. A waiting task is stored as itself, with no context: it is queued as
  itself. So is a handle that wants to be told which future is done (`Handle.told`);
  `TELL` stands in the place of its context.
- ``_ready`` is the ready queue of the future's loop if callbacks may go straight to it,
  and None on a foreign loop or one whose class overrides ``call_soon``: then they go
  that way.

What ``await`` does is in `awaiting`. Read `task` next.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
import types
from asyncio import base_futures, events
from asyncio.exceptions import CancelledError, InvalidStateError
from asyncio.format_helpers import extract_stack
from types import FunctionType
from typing import TYPE_CHECKING, Any

from quiesce.core import (
    awaited_by,
    awaiting,
    cancel_request,
    failures,
    native,
    shielding,
)
from quiesce.core.handle import Handle, make_handle, only_counts, tell
from quiesce.core.other_tasks import WOKEN_STEP
from quiesce.core.ready import ReadyQueue
from quiesce.core.unretrieved import Unretrieved

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from quiesce.core.awaiting import FutureIterator

STATE_NAMES = ("PENDING", "CANCELLED", "FINISHED")
# CPython 112182: earlier ones refused it, so that the task that awaited hung.
STOP_ITERATION_IS_WRAPPED = (3, 11, 8) <= sys.version_info < (3, 12) or (
    sys.version_info >= (3, 12, 2)
)
STOP_ITERATION_PROBLEM = (
    "StopIteration interacts badly with generators and cannot be raised into a Future"
)
INITIALIZED_ONCE = sys.version_info >= (3, 15)


# Stands where the context of a callback would, for a handle that is queued as itself.
TELL = object()


class Future:
    """A result that will come: awaited by coroutines, set once by whoever produces it.

    Behaves as `asyncio.Future` does, on quiesce's loops and on others, and
    ``isinstance(future, asyncio.Future)`` holds. Not thread-safe: hand results over
    from other threads with ``loop.call_soon_threadsafe(future.set_result, value)``.

    `loop` is the loop whose thread runs the callbacks; without it, the running loop.
    """

    __class_getitem__ = classmethod(types.GenericAlias)

    def __init__(self, *, loop: Any = None) -> None:
        if INITIALIZED_ONCE and self._loop is not None:
            raise RuntimeError(f"{type(self).__name__} object is already initialized")
        if loop is None:
            loop = events.get_event_loop()
        self.attach(loop)
        if loop.get_debug():
            self._source_traceback = extract_stack(sys._getframe(native.OWN_FRAMES))

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type that libraries test for."""
        return asyncio.Future if type(self) is Future else type(self)

    def __repr__(self) -> str:
        return base_futures._future_repr(self)

    def __dealloc__(self) -> None:
        # Only an extension type calls this, to let go what is not Python's to count.
        native.release(self._attributes)

    def __del__(self) -> None:
        if self._unretrieved:
            self._unretrieved = False
            failures.exception_never_retrieved(self)

    def __await__(self) -> FutureIterator:
        return awaiting.iterate(self)

    def __iter__(self) -> FutureIterator:
        return awaiting.iterate(self)

    # -- what users call

    def get_loop(self) -> Any:
        """Return the loop the future belongs to."""
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        return self._loop

    def done(self) -> bool:
        """Tell whether there is a result, an exception or a cancellation."""
        return self._status != native.PENDING

    def cancelled(self) -> bool:
        """Tell whether the future was cancelled."""
        return self._status == native.CANCELLED

    def result(self) -> Any:
        """Return the result, or raise the exception or `CancelledError` instead.

        Raises `InvalidStateError` as long as the future is pending.
        """
        if self._status == native.PENDING:
            raise InvalidStateError("Result is not ready.")
        return awaiting.outcome(self)

    def exception(self) -> BaseException | None:
        """Return the exception that was set, or None if there is a result.

        Raises `CancelledError` if the future was cancelled, and `InvalidStateError` as
        long as it is pending.
        """
        if self._status == native.CANCELLED:
            raise self.cancelled_error()
        if self._status == native.PENDING:
            raise InvalidStateError("Exception is not set.")
        self._unretrieved = False
        return self._exception

    def set_result(self, result: object) -> None:
        """Finish with `result`; raise `InvalidStateError` if there is an outcome."""
        self.finish(result)

    def set_exception(self, exception: BaseException | type[BaseException]) -> None:
        """Finish with `exception`, a class or an instance.

        Raises `InvalidStateError` if there is an outcome already. If nobody asks for
        the outcome, the exception is reported when the future is dropped.
        """
        self.fail(exception)

    def cancel(self, msg: object = None) -> bool:
        """Cancel; return False if there is an outcome already.

        Whoever awaits the future gets a `CancelledError` with `msg`.
        """
        if self._status == native.PENDING and self._loop is not None:
            self._cancel_request = cancel_request.request_from_here(self._loop, msg)
        return self.mark_cancelled(msg)

    def add_done_callback(
        self, fn: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Call ``fn(future)`` in an iteration of the loop after there is an outcome.

        It runs in `context`, or else in a copy of the context of this call.
        """
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        if type(fn) is WOKEN_STEP and self._ready is not None:  # pyright: ignore[reportUnnecessaryComparison]
            # It may be a task of asyncio's, of which nobody has heard: an eager one.
            self._loop.other_tasks.note_waiter(fn, self._loop)
        self.wait_for_it(fn, native.copy_context() if context is None else context)

    def remove_done_callback(self, fn: Callable[[Any], object]) -> int:
        """Remove every callback equal to `fn` and return how many there were."""
        if self._loop is None:
            raise RuntimeError("Future object is not initialized.")
        kept = []
        removed = 0
        for pair in self.callback_pairs():
            # What waits as itself (a task, say) is not to be had under any name.
            if is_context(pair[1]) and pair[0] == fn:
                removed += 1
            else:
                kept.append(pair)
        if removed and shielding.is_shield_callback(fn):
            self._shielded = True
        if removed and self._first_callback is not None:
            self._first_callback, self._first_context = None, None
            self._more_callbacks = None
            for pair in kept:
                self.wait_for_it(pair[0], pair[1])
        return removed

    # -- what asyncio and libraries look at

    @property
    def _state(self) -> str:
        return STATE_NAMES[self._status]

    @property
    def _asyncio_future_blocking(self) -> bool:
        return self._blocking

    @_asyncio_future_blocking.setter
    def _asyncio_future_blocking(self, value: bool) -> None:
        self._blocking = bool(value)

    @_asyncio_future_blocking.deleter
    def _asyncio_future_blocking(self) -> None:
        raise AttributeError("_asyncio_future_blocking cannot be deleted")

    @property
    def _callbacks(self) -> list[tuple[Any, Any]] | None:
        pairs = self.callback_pairs()
        if not pairs:
            return None
        return [
            (callback, context)
            if is_context(context)
            else (callback._wakeup, callback.get_context())
            for callback, context in pairs
        ]

    @property
    def _asyncio_awaited_by(self) -> set[Any] | None:
        return awaited_by.waiters(self.callback_pairs())

    @property
    def _is_shielded(self) -> bool:
        return self._shielded or (
            self._first_callback is not None
            and shielding.has_shield_callback(self._callbacks)
        )

    @_is_shielded.setter
    def _is_shielded(self, value: bool) -> None:
        self._shielded = bool(value)

    @_is_shielded.deleter
    def _is_shielded(self) -> None:
        raise AttributeError("_is_shielded cannot be deleted")

    @property
    def _log_traceback(self) -> bool:
        return self._unretrieved

    @_log_traceback.setter
    def _log_traceback(self, value: bool) -> None:
        if value:
            raise ValueError("_log_traceback can only be set to False")
        self._unretrieved = False

    @_log_traceback.deleter
    def _log_traceback(self) -> None:
        raise AttributeError("_log_traceback cannot be deleted")

    @property
    def _cancel_message(self) -> Any:
        return self._message

    @_cancel_message.setter
    def _cancel_message(self, value: Any) -> None:
        self._message = value

    @_cancel_message.deleter
    def _cancel_message(self) -> None:
        raise AttributeError("_cancel_message cannot be deleted")

    def _make_cancelled_error(self) -> CancelledError:
        return self.cancelled_error()

    # -- how it works

    def attach(self, loop: Any) -> None:
        """Bind the new future to `loop`, and to its ready queue if the loop is ours."""
        self._loop = loop
        ready = getattr(loop, "direct_ready", None)
        if type(ready) is ReadyQueue:
            self._ready = ready

    def wait_for_it(self, waiter: Any, context: Any) -> None:
        """Queue `waiter` once there is an outcome: as itself if without a context."""
        if self._status != native.PENDING:
            self.schedule(waiter, context)
        elif self._first_callback is None:
            self._first_callback = waiter
            self._first_context = context
        elif self._more_callbacks is None:
            self._more_callbacks = [(waiter, context)]
        else:
            self._more_callbacks.append((waiter, context))

    def tell_when_done(self, handle: Handle) -> bool:
        """Queue `handle` as itself once there is an outcome, and tell it whose.

        Returns False, and keeps nothing, if the future's loop is not ours.
        """
        if self._ready is None:  # pyright: ignore[reportUnnecessaryComparison]
            return False
        self.wait_for_it(handle, TELL)
        return True

    def schedule_callbacks(self) -> None:
        """Queue everybody who waits, in the order in which they came."""
        waiter = self._first_callback
        if waiter is not None:
            context = self._first_context
            more = self._more_callbacks
            self._first_callback = None
            direct = self._ready is not None  # pyright: ignore[reportUnnecessaryComparison]
            if direct and context is None:
                # The usual single waiter: a task.
                self._ready.push(waiter)
            else:
                self._first_context = None
                self.schedule(waiter, context)
            if more is not None:
                self._more_callbacks = None
                for pair in more:
                    self.schedule(pair[0], pair[1])

    def schedule(self, waiter: Any, context: Any) -> None:
        """Queue one waiter."""
        if self._ready is None:  # pyright: ignore[reportUnnecessaryComparison]
            if context is None or context is TELL:
                waiter, context = waiter._wakeup, native.copy_context()
            self._loop.call_soon(waiter, self, context=context)
        elif context is None:
            self._ready.push(waiter)
        elif context is TELL:
            tell(waiter, self)
            self._ready.push(waiter)
        else:
            if type(waiter) is WOKEN_STEP:
                waiter = self._loop.other_tasks.watched(waiter)
            self._ready.push(make_handle(waiter, (self,), self._loop, context))

    def finish(self, result: object) -> None:
        """Go from pending to finished with a result."""
        if self._status != native.PENDING or self._loop is None:
            raise self.not_pending()
        self._result = result
        self._status = native.FINISHED
        self.schedule_callbacks()

    def fail(self, exception: Any) -> None:
        """Go from pending to finished with an exception."""
        if self._status != native.PENDING or self._loop is None:
            raise self.not_pending()
        if isinstance(exception, type):
            exception = exception()
        if not isinstance(exception, BaseException):
            raise TypeError("invalid exception object")
        if isinstance(exception, StopIteration):
            if not STOP_ITERATION_IS_WRAPPED:
                raise TypeError(STOP_ITERATION_PROBLEM)
            cause = exception
            exception = RuntimeError(STOP_ITERATION_PROBLEM)
            exception.__cause__ = cause
            exception.__context__ = cause
        self._exception = exception
        self._exception_tb = exception.__traceback__
        self._status = native.FINISHED
        self._unretrieved = True
        if not self.has_taker():
            note_unretrieved(self)
        self.schedule_callbacks()

    def has_parts(self) -> bool:
        """Tell whether others are cancelled in place of this future."""
        return False

    def hand_out_parts(self, rest: list[Any]) -> bool:  # noqa: ARG002 - Gathering's
        """Put the pending ones of these on `rest`; return whether there are any."""
        return False

    def has_taker(self) -> bool:
        """Tell whether the first who waits asks for an error: a task or a gathering.

        Ordinary callbacks may, or may not.
        """
        if self._first_callback is None or self._first_context is None:
            return self._first_callback is not None
        return self._first_context is TELL and not only_counts(self._first_callback)

    def is_only_counted(self) -> bool:
        """Tell whether somebody waits, and never looks at how the future ends."""
        return (
            self._more_callbacks is None
            and self._first_context is TELL
            and only_counts(self._first_callback)
        )

    def mark_cancelled(self, msg: object) -> bool:
        """Go from pending to cancelled."""
        self._unretrieved = False
        if self._status != native.PENDING:
            return False
        if self._loop is None:
            raise self.not_pending()
        self._message = msg
        self._status = native.CANCELLED
        if type(self._first_callback) is FunctionType:
            shielding.note_cancelled_shield(self._first_callback)
        self.schedule_callbacks()
        return True

    def not_pending(self) -> Exception:
        """Return the error for an outcome that comes too late, or to nothing."""
        if self._loop is None:
            return RuntimeError("Future object is not initialized.")
        return InvalidStateError(f"{self._state}: {self!r}")

    def failure(self) -> BaseException:
        """Return what to raise for a future that is done without a result."""
        if self._status == native.CANCELLED:
            return self.cancelled_error()
        if self._exception is None:
            # Whoever asks was woken by somebody else, and is to hear of it.
            return InvalidStateError("Result is not ready.")
        self._unretrieved = False
        return self._exception.with_traceback(self._exception_tb)

    def cancelled_error(self) -> CancelledError:
        """Return the error of a cancelled future: the one its task ended with, once."""
        error = self._cancelled_exc
        if error is not None:
            self._cancelled_exc = None
            return error
        if self._message is None:
            error = CancelledError()
        else:
            error = CancelledError(self._message)
        if self._cancel_request is not None:  # pyright: ignore[reportUnnecessaryComparison]
            cancel_request.note_on(error, self._cancel_request)
        return error

    def give_up_waiting(self, task: Any) -> None:
        """Do not queue `task`, which waits as itself, when there is an outcome."""
        pairs = self.callback_pairs()
        self._first_callback, self._first_context = None, None
        self._more_callbacks = None
        for pair in pairs:
            if pair[0] is not task or pair[1] is not None:
                self.wait_for_it(pair[0], pair[1])

    def callback_pairs(self) -> list[tuple[Any, Any]]:
        """Return a new list of all who wait, as (callback or task, context or None)."""
        if self._first_callback is None:
            return []
        pairs = [(self._first_callback, self._first_context)]
        if self._more_callbacks is not None:
            pairs.extend(self._more_callbacks)
        return pairs


# Invariant: these equal what a compiled object's memory begins as.
native.give_defaults(
    Future,
    {
        "_attributes": None,
        "_blocking": False,
        "_cancel_request": None,
        "_cancelled_exc": None,
        "_exception": None,
        "_exception_tb": None,
        "_first_callback": None,
        "_first_context": None,
        "_loop": None,
        "_message": None,
        "_more_callbacks": None,
        "_ready": None,
        "_result": None,
        "_shielded": False,
        "_source_traceback": None,
        "_status": native.PENDING,
        "_unretrieved": False,
    },
)


def allow_attributes(example: Future) -> None:
    """Let users set any attribute on futures, as asyncio does."""
    native.lazy_attributes(Future, example, example._attributes)


def is_context(context: object) -> bool:
    """Tell whether a waiter with this context is an ordinary callback."""
    return context is not None and context is not TELL


def note_unretrieved(future: Any) -> None:
    """Let the loop of `future`, which has failed, see that somebody hears of it."""
    unretrieved = getattr(future._loop, "unretrieved", None)
    if type(unretrieved) is Unretrieved:
        unretrieved.note(future, future._callbacks)


def has_last_words(thing: object) -> bool:
    """Tell whether there is something to report when the future is dropped."""
    future = thing
    return future._unretrieved


allow_attributes(Future.__new__(Future))
native.await_itself(Future, awaiting.begin_to_wait, awaiting.outcome)
native.finalize_only_if(Future, has_last_words)
native.keep_freed(Future)


def new_future(loop: Any, ready: ReadyQueue | None) -> Future:
    """Make a future of one of our loops without the constructor's questions."""
    future = Future.__new__(Future)
    future._loop = loop
    future._ready = ready
    return future
