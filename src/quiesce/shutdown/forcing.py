"""What happens to that which has not ended in time: it is named and given up."""

# asyncio's inner names have no types.
# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import sys
import threading
import time
from asyncio import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from quiesce.core.cancel_request import requesting
from quiesce.core.failures import given_up, is_failure
from quiesce.core.future import Future
from quiesce.core.running import swap_current_task
from quiesce.loop import Loop
from quiesce.offload.threads import EXECUTOR_HAS_ENDED
from quiesce.shutdown import children, exit_status, processes, survivors
from quiesce.shutdown.await_chain import await_chain, frame_of, frames_down_to
from quiesce.shutdown.blocked import called_by_us, task_of
from quiesce.shutdown.survivor import not_among
from quiesce.shutdown.task_state import coroutine_of
from quiesce.shutdown.wait_graph import WaitGraph, is_gathering

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from quiesce.shutdown.sequence import Sequence
    from quiesce.shutdown.survivor import Survivor

# The kinds of what was ended before, and noted then.
CUT_OFF = frozenset({"child", "connection", "async generator"})
# Coroutines that refuse to be closed: to drop one is to be told so again, so they stay.
UNCLOSED: list[Any] = []
# Every make of futures: none of them knows the others.
FUTURES: Any = (Future, futures.Future, futures._PyFuture)
# What is said of those that await something else instead, and of those that would have,
# for a thread.
REFUSALS = ("ignored GeneratorExit", EXECUTOR_HAS_ENDED)


def give_up(sequence: Sequence) -> None:
    """Name what is left, and close its coroutines: nothing is dropped pending."""
    if left := what_is_left(sequence):
        if not sequence.hurried:
            sequence.forced = True
            sequence.say_forced(left)
        elif not sequence.said_hurried:
            sequence.say_hurried(left)
        else:
            named = set(map(identity, sequence.report.survivors))
            cut_off = [each for each in sequence.cut_off if identity(each) not in named]
            sequence.say_hurried(cut_off)
    if sequence.asking.look():
        sequence.has_given_up = True
        closed: set[Any] = set()
        # In the running loop, as the task that is closed: code that misses one of these
        # may take that for one more reason to try again, for ever.
        sequence.loop.call_soon(close_coroutines, sequence, closed)
        sequence.turn(sequence.budget.deadline)
        # Order matters: a step that is still queued would miss its task's coroutine.
        given_up.update(closed)
        with requesting(sequence.asking.request("given up")):
            for future in (*closed, *gatherings_of(closed)):
                mark_cancelled(future)
    children.let_go(sequence.loop)


def close_coroutines(sequence: Sequence, closed: set[Any]) -> None:
    """Close the coroutine of every task that is left, and of those born by that.

    Those are closed before they have begun, so that they bear no more. All are added to
    `closed`.
    """
    with generators_given_up(sequence.loop):
        while left := sequence.asking.pending() - closed:
            for task in left:
                close_coroutine(task)
            closed |= left
    sequence.loop.stop()


def end_process(sequence: Sequence) -> NoReturn:
    """Name what is left, unless that was done, and end the process.

    Called outside the loop, in any thread.
    """
    stuck = what_holds_the_end(sequence.loop)
    if not sequence.said_forced:
        # The loop's own thread has not come to that.
        left = sequence.survivors() + stuck
        left += not_among(left, processes.described_others())
        sequence.say_forced(left)
    elif stuck:
        sequence.say_hurried(stuck)
    status = sequence.reason.forced_status
    sequence.report.write(status)
    children.terminate(sequence.loop, set())
    time.sleep(processes.BETWEEN_SIGNALS)
    children.kill(sequence.loop)
    exit_status.leave(status, sequence.reason.signum)


def what_holds_the_end(loop: Any) -> list[Survivor]:
    """Describe the main thread, if it is in code of the program that is no task's.

    That may be a callback, or what is called when the loop does not run: an exception
    handler, the function that gets the report. Tasks are described by themselves.
    """
    thread = threading.main_thread()
    if threading.current_thread() is thread or task_of(loop) is not None:
        return []
    innermost = sys._current_frames().get(thread.ident or 0)
    if not called_by_us(frames_down_to(innermost)):
        return []
    return [survivors.of_thread(thread, innermost)]


def what_is_left(sequence: Sequence) -> list[Survivor]:
    """Describe what was or is to be ended by force.

    A child that is meant to outlive the program is none of that, but named beside it.
    """
    left = list(sequence.cut_off)
    if sequence.has_survivors():
        noted = set(map(identity, left))
        left += [
            each
            for each in sequence.survivors()
            if each.kind not in CUT_OFF and identity(each) not in noted
        ]
    if left:
        left += not_among(
            left, map(survivors.of_child, children.running(sequence.loop))
        )
        if threading.current_thread() is threading.main_thread():
            # With a run in another one the process does not end.
            left += not_among(left, processes.described_others())
    return left


def identity(survivor: Survivor) -> tuple[object, ...]:
    """Return what is the same of two descriptions of one thing."""
    return survivor.kind, survivor.name, survivor.pid


def close_coroutine(task: Any) -> None:
    """Let the coroutine of `task` end where it waits, as far as it does."""
    task._log_destroy_pending = False
    coroutine = coroutine_of(task)
    if coroutine is None:
        return
    loop = task.get_loop()
    links, _ = await_chain(coroutine)
    before = swap_current_task(loop, task)
    try:
        coroutine.close()
    except BaseException as error:  # noqa: BLE001 - nobody is there to be told
        if is_failure(error) and not is_refusal(error):
            loop.call_exception_handler(
                {
                    "message": "Error in a cleanup that was cut short",
                    "exception": error,
                    "task": task,
                }
            )
    finally:
        swap_current_task(loop, before)
    for link in links:
        if frame_of(link) is not None:
            # It goes on, and is named already.
            keep_for_ever(link)


def is_refusal(error: Any) -> bool:
    """Tell whether what was closed goes on or would, or what it awaited.

    That is named already, by itself or as what a task was in the middle of. A task
    group also hands on that it was closed.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_refusal, error.exceptions))
    return isinstance(error, GeneratorExit) or (
        isinstance(error, RuntimeError) and str(error).endswith(REFUSALS)
    )


@contextmanager
def generators_given_up(loop: Any) -> Generator[None]:
    """Let no generator be closed by being dropped, in the block or afterwards.

    Nobody would run what that awaits, and one that refuses would never let go.
    """
    if not isinstance(loop, Loop):
        yield
        return
    loop.async_generators.given_up = True
    awaiting: list[Any] = loop.async_generators.awaiting()
    yield
    for each in awaiting:
        if each.ag_await is not None:
            keep_for_ever(each)


def gatherings_of(tasks: Collection[Any]) -> list[Any]:
    """Return the gatherings that have some of `tasks` as their parts.

    With those cancelled they would fail, and who waited for them cannot be told.
    """
    return [told for told in WaitGraph(tasks).tellers if is_gathering(told)]


def mark_cancelled(future: Any) -> None:
    """Let `future` be cancelled for whoever still asks; of a task nothing runs on."""
    for kind in FUTURES:
        if isinstance(future, kind):
            # What a task does beyond this needs its coroutine, a gathering its parts.
            kind.cancel(future)
            return


def keep_for_ever(coroutine: Any) -> None:
    """Keep an object beyond the end of the interpreter."""
    import ctypes

    UNCLOSED.append(coroutine)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))
