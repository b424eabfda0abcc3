"""Where an exception goes when nobody awaits it.

All of it goes through the loop's exception handler, in the wording that asyncio's users
know and filter on, under the logger ``asyncio``.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import sys
import traceback
from asyncio import format_helpers
from asyncio.exceptions import CancelledError, InvalidStateError
from asyncio.log import logger
from threading import get_ident
from typing import Any
from weakref import WeakSet

# The keys of a context that the log line does not repeat.
SAID_ALREADY = frozenset({"message", "exception"})
# What is said of an object that is dropped, by asyncio's own too.
NEVER_RETRIEVED = "exception was never retrieved"
DESTROYED = "Task was destroyed but it is pending!"
OF_FINALIZERS = (NEVER_RETRIEVED, DESTROYED)
# Up to 3.12.2 a stream asks its handler for an exception also if that was cancelled.
ASKS_THE_CANCELLED = "StreamReaderProtocol.connection_made.<locals>.callback"

# What a stream says of its handler, also if that has called ``sys.exit()``.
OF_A_HANDLER = "Unhandled exception in client_connected_cb"

# The tasks whose coroutine the end has closed: what they waited for may still come.
given_up: WeakSet[Any] = WeakSet()


def is_failure(error: BaseException | None) -> bool:
    """Tell whether `error` says that something failed, not that it is to end."""
    return error is not None and not isinstance(
        error, (SystemExit, KeyboardInterrupt, CancelledError)
    )


def callback_failed(handle: Any, error: BaseException) -> None:
    """Report that the callback of `handle` raised."""
    if is_none(handle, error):
        return
    source = format_helpers._format_callback_source(handle._callback, handle._args)
    context = {
        "message": f"Exception in callback {source}",
        "exception": error,
        "handle": handle,
    }
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    handle._loop.call_exception_handler(context)


def is_none(handle: Any, error: BaseException) -> bool:
    """Tell whether the callback of `handle`, which raised, has failed in nothing."""
    callback = handle._callback
    if isinstance(error, CancelledError):
        return getattr(callback, "__qualname__", "") == ASKS_THE_CANCELLED
    if isinstance(error, InvalidStateError) and given_up:
        # A step of asyncio's own task.
        task = getattr(callback, "__self__", None)
        return hasattr(type(task), "get_coro") and task in given_up
    return False


def sibling_failed(child: Any, error: BaseException) -> None:
    """Report that a gathered task failed after another one had."""
    get_loop = getattr(child, "get_loop", None)
    loop = child._loop if get_loop is None else get_loop()
    loop.call_exception_handler(
        {
            "message": "Exception in a gathered task after another one had failed",
            "exception": error,
            "future": child,
        }
    )


def failed_at_the_end(loop: Any, task: Any) -> None:
    """Report that a task failed that nobody can await any more."""
    loop.call_exception_handler(
        {
            "message": "unhandled exception during asyncio.run() shutdown",
            "exception": task.exception(),
            "task": task,
        }
    )


def exception_never_retrieved(future: Any) -> None:
    """Report that a failed future was dropped before anybody asked for its outcome."""
    report_future(future, NEVER_RETRIEVED)


def exception_not_retrieved_so_far(future: Any) -> None:
    """Report that a future failed and nobody waits for it; somebody still may."""
    report_future(future, "exception was not retrieved so far")


def report_future(future: Any, what: str) -> None:
    """Report the exception of `future`, about which `what` is to be said."""
    context = {
        "message": f"{future.__class__.__name__} {what}",
        "exception": future._exception,
        "future": future,
    }
    if future._source_traceback:
        context["source_traceback"] = future._source_traceback
    future._loop.call_exception_handler(context)


def step_too_late(task: Any, error: BaseException | None) -> None:
    """Report that a task was to run on although somebody had set its outcome."""
    if task in given_up:
        return
    problem = InvalidStateError(f"__step(): already done: {task!r}, {error!r}")
    task._loop.call_exception_handler(
        {"message": "Exception in a step of a task", "exception": problem, "task": task}
    )


def task_destroyed(task: Any) -> None:
    """Report that a task was dropped before it was done."""
    context = {"task": task, "message": DESTROYED}
    if task._source_traceback:
        context["source_traceback"] = task._source_traceback
    task._loop.call_exception_handler(context)


class running_while_handled:  # noqa: N801 - a context manager, used as a function
    """Let what fails in the block not seem to come of the exception handled around it.

    Python gives an exception the one that is being handled as its context, however far
    up the stack; and a program that ends runs its loop while main's error comes out.
    """

    __slots__ = ("before",)

    def __init__(self) -> None:
        self.before: BaseException | None = None

    def __enter__(self) -> None:
        self.before = handled.get(get_ident())
        handled[get_ident()] = sys.exception()

    def __exit__(self, *_: object) -> None:
        if self.before is None:
            handled.pop(get_ident(), None)
        else:
            handled[get_ident()] = self.before


# By thread, what is handled around a block of `running_while_handled`.
handled: dict[int, BaseException | None] = {}


def part_from_handled(error: Any) -> None:
    """Take what is only handled around the loop out of the contexts of `error`."""
    around = handled.get(get_ident())
    if around is None:
        return
    left = [error]
    seen: set[int] = set()
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if each.__context__ is around:
            each.__context__ = None
        left += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def handle_exception(loop: Any, handler: Any, context: dict[str, Any]) -> None:
    """Give `context` to the user's `handler`, or to the loop's default one.

    What it raises to end the program comes out of here, or else of the loop's run:
    nobody can catch what comes out of the finalizer of an object that is dropped.
    """
    if is_raised_already(context) or adds_nothing(
        context.get("exception"), handled.get(get_ident())
    ):
        return
    if handled:
        part_from_handled(context.get("exception"))
    try:
        call_handler(loop, handler, context)
    except (SystemExit, KeyboardInterrupt) as error:
        if not is_of_finalizer(context):
            raise
        raise_in_run(loop, error, context)


def is_raised_already(context: dict[str, Any]) -> bool:
    """Tell whether a task is dropped that ended the run of its loop, or is to do so.

    asyncio's own say so nevertheless. One that is started eagerly is dropped by its
    constructor, which raises what ended it, before anybody has seen it.
    """
    return (
        isinstance(context.get("exception"), (SystemExit, KeyboardInterrupt))
        and isinstance(context.get("future"), asyncio.Task)
        and str(context.get("message")).endswith(NEVER_RETRIEVED)
    )


def adds_nothing(error: Any, ended_by: BaseException | None) -> bool:
    """Tell whether `error` is but what ended the run, alone or in groups.

    A group may also hold that its tasks were cancelled. `ended_by` is what comes out of
    the run, if that is known.
    """
    if not isinstance(ended_by, (SystemExit, KeyboardInterrupt)):
        return False
    left = [error]
    while left:
        each = left.pop()
        if isinstance(each, BaseExceptionGroup):
            left += each.exceptions
        elif each is not ended_by and (
            each is error or not isinstance(each, CancelledError)
        ):
            return False
    return True


def is_of_finalizer(context: dict[str, Any]) -> bool:
    """Tell whether this is said of a future or task, asyncio's too, that is dropped."""
    return str(context.get("message")).endswith(OF_FINALIZERS)


def raise_in_run(loop: Any, error: BaseException, context: dict[str, Any]) -> None:
    """Let `error` come out of the run of `loop`, as if a callback had raised it."""
    try:
        loop.interrupts.raise_soon(error)
    except RuntimeError:
        # The loop is closed.
        handler_failed(loop, error, context)


def call_handler(loop: Any, handler: Any, context: dict[str, Any]) -> None:
    """Give `context` to a handler, whose errors are reported too."""
    if handler is None:
        default_handler_guarded(loop, context)
        return
    try:
        run_handler(loop, handler, context)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a handler must not end the loop
        handler_failed(loop, error, context)


def default_handler_guarded(loop: Any, context: dict[str, Any]) -> None:
    """Call the default handler, which a subclass may have replaced and broken."""
    try:
        loop.default_exception_handler(context)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001 - logged with its traceback
        logger.error("Exception in default exception handler", exc_info=True)


def run_handler(loop: Any, handler: Any, context: dict[str, Any]) -> None:
    """Call the user's handler in the context of what failed, where that has one."""
    thing = context.get("task") or context.get("future") or context.get("handle")
    get_context = getattr(thing, "get_context", None)
    place = None if get_context is None else get_context()
    if place is not None and hasattr(place, "run"):
        place.run(handler, loop, context)
    else:
        handler(loop, context)


def handler_failed(loop: Any, error: BaseException, context: dict[str, Any]) -> None:
    """Report that the user's exception handler itself raised."""
    part_from_handled(error)
    try:
        loop.default_exception_handler(
            {
                "message": "Unhandled error in exception handler",
                "exception": error,
                "context": context,
            }
        )
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException:  # noqa: BLE001 - logged with its traceback
        logger.error(
            "Exception in default exception handler while handling an unexpected "
            "error in custom exception handler",
            exc_info=True,
        )


def log_failure(context: dict[str, Any], running: Any) -> None:
    """Log `context` as one error; `running` is what debug mode sees running."""
    exception = context.get("exception")
    if (
        isinstance(exception, (SystemExit, KeyboardInterrupt))
        and context.get("message") == OF_A_HANDLER
    ):
        # It is not lost: the call that runs the loop raises it.
        return
    exc_info = (
        (type(exception), exception, exception.__traceback__)
        if exception is not None
        else False
    )
    created = getattr(running, "_source_traceback", None)
    if "source_traceback" not in context and created:
        context["handle_traceback"] = created
    lines = [context.get("message") or "Unhandled exception in event loop"]
    lines += [
        f"{key}: {describe(key, context[key])}"
        for key in sorted(context)
        if key not in SAID_ALREADY
    ]
    logger.error("\n".join(lines), exc_info=exc_info)


def repr_of(value: Any) -> str:
    """Return what `value` says it is; an error must not be lost where that raises."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - of the program's own classes
        return object.__repr__(value)


def describe(key: str, value: Any) -> str:
    """Say what stands under one key of a context."""
    if key not in ("source_traceback", "handle_traceback"):
        return repr_of(value)
    what = "Object" if key == "source_traceback" else "Handle"
    stack = "".join(traceback.format_list(value)).rstrip()
    return f"{what} created at (most recent call last):\n{stack}"
