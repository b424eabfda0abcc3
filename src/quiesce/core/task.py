"""One coroutine, driven to its end.

A task is queued once when it begins and once whenever what it waits for is there. Each
time the loop resumes it for one step: the coroutine runs until it yields, returns or
raises.

- It yields None (``sleep(0)``): the task is queued again.
- It yields a future: the task waits, stored in that future as itself.
- It returns or raises: the task is done and leaves its loop's `PendingTasks`.

Invariants:

- A pending task is either on the ready queue, or waits in ``_fut_waiter``, or runs.
- The loop holds every pending task by a strong reference, so that none vanishes in the
  garbage collector before it is done.

The names with an underscore are those that asyncio's own code and libraries touch. How
a task begins is in `starting`, how it is cancelled in `cancellation`, and what it does
where future or loop are not ours in `step_callbacks`. Read `scheduler` next.

Cycles: in interpreted runs the traceback of a failed coroutine leads to our frames, and
they to the task that holds the exception. Each of them forgets the task when it is
left, so that a failed task that is dropped is gone, and reported, at once.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
from asyncio import base_tasks
from asyncio.exceptions import CancelledError
from typing import TYPE_CHECKING, Any

from quiesce.core import (
    cancel_request,
    cancellation,
    failures,
    native,
    native_frames,
    places,
    starting,
    step_callbacks,
)
from quiesce.core.awaiting import outcome_error
from quiesce.core.future import Future, note_unretrieved
from quiesce.core.step_callbacks import TaskStep, TaskWakeup

if TYPE_CHECKING:
    import types
    from contextvars import Context

    from quiesce.core.pending import PendingTasks
    from quiesce.core.ready import ReadyQueue

unnamed_count = 0


class Task(Future):
    """A coroutine that runs by itself, and the future of what it returns.

    Behaves as `asyncio.Task` does, on quiesce's loops and on others, and
    ``isinstance(task, asyncio.Task)`` holds. Not thread-safe, as with all of asyncio.

    `coro` is the coroutine; it begins in the next iteration of `loop` (without it, the
    running loop), or at once if `eager_start` and the loop runs. It runs in `context`,
    or else in a copy of the context of this call.
    """

    def __init__(
        self,
        coro: Any,
        *,
        loop: Any = None,
        name: object = None,
        context: Context | None = None,
        eager_start: bool = False,
    ) -> None:
        Future.__init__(self, loop=loop)
        if self._source_traceback:
            del self._source_traceback[
                len(self._source_traceback) - native.OWN_FRAMES :
            ]
        self.ended()
        starting.check_coroutine(coro)
        starting.check_context(context)
        self.begin(coro, name, context)
        if eager_start and self._loop.is_running():
            starting.start_eagerly(self)
            self = None  # noqa: PLW0642 - see "Cycles" above
        else:
            starting.start_soon(self)

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The type that libraries test for."""
        return asyncio.Task if type(self) is Task else type(self)

    def __repr__(self) -> str:
        return base_tasks._task_repr(self)

    def __del__(self) -> None:
        if self._status == native.PENDING and self._reports_loss:
            failures.task_destroyed(self)
        if self._unretrieved:
            self._unretrieved = False
            failures.exception_never_retrieved(self)

    @property
    def _log_destroy_pending(self) -> bool:
        """Whether to report the task if it is dropped before it is done."""
        return self._reports_loss

    @_log_destroy_pending.setter
    def _log_destroy_pending(self, value: bool) -> None:
        self._reports_loss = bool(value)

    @_log_destroy_pending.deleter
    def _log_destroy_pending(self) -> None:
        raise AttributeError("_log_destroy_pending cannot be deleted")

    # -- what users call

    @classmethod
    def all_tasks(cls, loop: Any = None) -> set[Any]:
        """Return the tasks of `loop` that are not done, as `asyncio.all_tasks` does.

        Without `loop`, outside a running loop, the loop is the one that is set.
        """
        return asyncio.all_tasks(
            asyncio.events.get_event_loop() if loop is None else loop
        )

    @classmethod
    def current_task(cls, loop: Any = None) -> Any:
        """Return the task that runs in `loop`: `asyncio.current_task`, as once spelled.

        Without `loop`, outside a running loop, the loop is the one that is set.
        """
        return asyncio.current_task(
            asyncio.events.get_event_loop() if loop is None else loop
        )

    def get_coro(self) -> Any:
        """Return the coroutine."""
        return self._coro

    def get_context(self) -> Context:
        """Return the context in which the coroutine runs."""
        return self._context

    def get_name(self) -> str:
        """Return the name: the one that was given, or ``Task-`` and a number."""
        if self._name is None:  # pyright: ignore[reportUnnecessaryComparison]
            self._name = f"Task-{self._number}"
        return self._name

    def set_name(self, value: object) -> None:
        """Give the task a name; ``str(value)`` is what it will show."""
        self._name = str(value)

    def set_result(self, result: object) -> None:  # noqa: ARG002 - Future's
        """Refuse: the coroutine's return value is the result."""
        raise RuntimeError("Task does not support set_result operation")

    def set_exception(self, exception: object) -> None:  # noqa: ARG002 - Future's
        """Refuse: what the coroutine raises is the exception."""
        raise RuntimeError("Task does not support set_exception operation")

    def get_stack(self, *, limit: int | None = None) -> list[types.FrameType]:
        """Return the coroutine's frames, oldest first, at most `limit` of the newest.

        A suspended coroutine has one; one that failed has those of its traceback.
        """
        return base_tasks._task_get_stack(self, limit)

    def print_stack(self, *, limit: int | None = None, file: Any = None) -> None:
        """Print what `get_stack` gives to `file`, or else to stderr."""
        base_tasks._task_print_stack(self, limit, file)

    def cancel(self, msg: object = None) -> bool:
        """Ask the coroutine to end: throw `CancelledError` into it, where it waits.

        Returns False if the task is done. The coroutine may clean up, and may refuse by
        catching the error; `cancelling` counts the requests, and `uncancel` takes one
        back. What the task waits for is cancelled with it.
        """
        return cancellation.cancel_task(self, msg, None)

    def cancelling(self) -> int:
        """Return how many requests to cancel are open."""
        return self._num_cancels_requested

    def uncancel(self) -> int:
        """Take one request to cancel back, and return how many are left.

        For who asked for the cancellation and has now dealt with it.
        """
        if self._num_cancels_requested > 0:
            self._num_cancels_requested -= 1
            if self._num_cancels_requested == 0:
                self._must_cancel = False
        return self._num_cancels_requested

    @property
    def _wakeup(self) -> TaskWakeup:
        return TaskWakeup(self)

    # -- how it works

    def begin(self, coro: Any, name: object, context: Context | None) -> None:
        """Take the coroutine, its name and its context, and note who makes the task."""
        global unnamed_count  # noqa: PLW0603 - it counts over all loops
        self._coro = coro
        self._origin = native_frames.calling_code(places.only_passes_on)
        self._origin_offset = native_frames.calling_offset()
        self._context = native.copy_context() if context is None else context
        if name is None:
            unnamed_count += 1
            self._number = unnamed_count
        else:
            self._name = str(name)
        self._reports_loss = True

    def awaited_error(self) -> BaseException | None:
        """Return the error with which what the task waited for ended, if any."""
        if self._fut_waiter is None or self.passes_over(self._fut_waiter):
            return None
        return outcome_error(self._fut_waiter)

    def passes_over(self, future: Any) -> bool:
        """Leave the error of `future`, which was awaited, to be reported, if need be.

        For a task that was cancelled before it could be told: it gets a CancelledError
        in its place. Plain futures are passed over in silence, as in asyncio: a
        protocol fails them and cancels who waits at once.
        """
        if not (
            self._must_cancel and isinstance(future, WORK) and future._log_traceback
        ):
            return False
        if isinstance(future._exception, CancelledError):
            # What a gathering ends with whose parts were cancelled.
            return False
        note_unretrieved(future)
        return True

    def step(self, error: BaseException | None) -> int:
        """Run the coroutine until it yields, returns or raises; throw `error` if any.

        Lets nothing out but `KeyboardInterrupt` and `SystemExit`, which end the loop's
        run.
        """
        if self._status != native.PENDING:
            failures.step_too_late(self, error)
            return 0
        if error is None and not self._must_cancel:
            self._fut_waiter = None
            came = native.send_in(self._context, self._coro)
        else:
            came = self.throw_in(error)
        if native.has_yielded(came):
            if came is None and self._ready is not None:
                native.append(self._ready.items, self)
            else:
                self.came_to_yield(came)
        elif native.has_returned(came):
            self.came_to_return(native.content(came))
        else:
            self.came_to_raise(native.content(came))
        # The frame below this one is in the error's traceback: see "Cycles" above.
        self = came = error = None  # noqa: PLW0642
        return 0

    def throw_in(self, error: BaseException | None) -> Any:
        """Resume the coroutine with `error`, or else with the request to cancel."""
        if self._must_cancel:
            if not isinstance(error, CancelledError):
                error = self.cancelled_error()
            self._must_cancel = False
        if self._cancel_request is not None and isinstance(error, CancelledError):
            self._cancels_thrown += 1
            cancel_request.note_once(error, self._cancel_request)
        self._fut_waiter = None
        try:
            return native.throw_in(self._context, self._coro, error)
        finally:
            self = error = None  # noqa: PLW0642 - see "Cycles" above

    def ended(self) -> None:
        """Leave the loop's pending tasks."""
        if self._among is not None:
            self._among.forget(self)

    def came_to_return(self, value: object) -> None:
        """Be done: the coroutine returned."""
        if self._among is not None:
            self._among.forget(self)
        if self._must_cancel:
            # It returned without waiting once more, so the request never reached it.
            self._must_cancel = False
            self.mark_cancelled(self._message)
        elif self._status == native.PENDING:
            self.finish(value)
        else:
            failures.step_too_late(self, None)

    def came_to_raise(self, error: BaseException) -> None:
        """Be done: the coroutine raised."""
        if self._among is not None:
            self._among.forget(self)
        if isinstance(error, CancelledError):
            if not (self.is_only_counted() and says_no_more(error, self._message)):
                # Else with it go the frames of its traceback, and all that these hold.
                self._cancelled_exc = error
            self.mark_cancelled(self._message)
        else:
            if self._status == native.PENDING:
                self.fail(error)
            else:
                failures.step_too_late(self, error)
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                # It ends the loop's run, where it cannot be overlooked.
                self._unretrieved = False
                raise error

    def came_to_yield(self, yielded: Any) -> None:
        """Wait for what the coroutine yielded."""
        if yielded is None:
            if self._ready is not None:
                self._ready.push(self)
            else:
                self.again(None)
        elif type(yielded) is Future or type(yielded) is Task:
            if not self.wait_for_ours(yielded):
                self.wait_for_other(yielded)
        else:
            self.wait_for_other(yielded)

    def wait_for_ours(self, future: Future) -> bool:
        """Wait in a future of ours and of the same loop; return False for others."""
        if not future._blocking:
            return False
        if future._loop is not self._loop or future is self:
            return False
        future._blocking = False
        self._fut_waiter = future
        future.wait_for_it(self, None)
        if self._must_cancel and future.cancel(msg=self._message):
            self._must_cancel = False
        return True

    def wait_for_other(self, yielded: Any) -> None:
        """Wait in a future of any make, or throw back what is wrong with it."""
        blocking = getattr(yielded, "_asyncio_future_blocking", None)
        problem = step_callbacks.wrong_to_yield(self, yielded, blocking)
        if problem is None:
            yielded._asyncio_future_blocking = False
            yielded.add_done_callback(TaskWakeup(self), context=native.copy_context())
            self._fut_waiter = yielded
            if self._must_cancel and yielded.cancel(msg=self._message):
                self._must_cancel = False
        else:
            self.again(RuntimeError(problem))

    def again(self, error: BaseException | None) -> None:
        """Queue another step as a callback."""
        self._loop.call_soon(TaskStep(self, error), context=native.copy_context())


def has_last_words(thing: object) -> bool:
    """Tell whether there is something to report when the task is dropped."""
    task = thing
    return task._unretrieved or (task._reports_loss and task._status == native.PENDING)


# What does the work of a program, so that its failure is to be seen by somebody.
WORK = (Task, asyncio.Task, asyncio.tasks._GatheringFuture)

native.inherit_attributes(Task, Future)
native.finalize_only_if(Task, has_last_words)
native.keep_freed(Task)

native.give_defaults(
    Task,
    {
        "_among": None,
        "_cancels_thrown": 0,
        "_context": None,
        "_coro": None,
        "_fut_waiter": None,
        "_gate": None,
        "_must_cancel": False,
        "_name": None,
        "_num_cancels_requested": 0,
        "_number": 0,
        "_origin": None,
        "_origin_offset": 0,
        "_place": 0,
        "_reports_loss": False,
    },
)


def says_no_more(error: CancelledError, message: object) -> bool:
    """Tell whether a new CancelledError with `message` says what `error` does."""
    if type(error) is not CancelledError or error.__cause__ is not None:
        return False
    # Interpreted, what is handled around the whole run counts as its context.
    if error.__context__ is not None and error.__context__ is not sys.exception():
        return False
    said = error.args
    is_same = not said if message is None else len(said) == 1 and said[0] is message
    return is_same and cancel_request.has_no_other_note(error)


def new_task(
    loop: Any,
    ready: ReadyQueue,
    pending: PendingTasks,
    coro: Any,
    name: object,
    context: Context | None,
) -> Task:
    """Make a task of one of our loops without the constructor's questions."""
    task = Task.__new__(Task)
    task._loop = loop
    task._ready = ready
    task.begin(coro, name, context)
    pending.add(task)
    ready.push(task)
    return task
