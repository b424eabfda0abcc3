"""A run of a loop, from its beginning to `stop`, or until a future is done."""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

import asyncio
import threading
from asyncio import base_events, events
from typing import TYPE_CHECKING, Any

from quiesce.core import current_task, iteration, native, places
from quiesce.core.unfinished import unfinished_wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.core.scheduler import Scheduler

# Called with each loop that begins to run, and when it runs no more: then also with
# whether nothing comes out of that run so far. ``quiesce run`` sets them.
on_run: Callable[[Scheduler], object] | None = None
on_run_end: Callable[[Scheduler, bool], object] | None = None
# Called with each open loop that is to be closed, which it may do itself.
on_close: Callable[[Scheduler], object] | None = None


def run_until_stopped(loop: Scheduler) -> None:
    """Do what `run_forever` does."""
    unfinished = loop.unfinished
    loop.unfinished = None
    is_regular = False
    try:
        begin_run(loop)
        if on_run is not None:
            on_run(loop)
        began_at = loop.polled_at
        if unfinished is not None:
            unfinished.stop_when_done(loop.stop)
        iteration.run_iterations(loop)
        if loop.polled_at == began_at:
            # Many short runs must not starve I/O.
            iteration.look_outside(loop)
            if loop.ending:
                iteration.end_iteration(loop)
        is_regular = True
    finally:
        end_run(loop)
        if unfinished is not None:
            loop.unfinished = unfinished.withdraw()
        if on_run_end is not None:
            on_run_end(loop, is_regular)


def run_until_done(loop: Scheduler, future: Any) -> Any:
    """Do what `run_until_complete` does."""
    loop.unfinished = None
    is_new = not asyncio.isfuture(future)
    future = asyncio.ensure_future(future, loop=loop)  # pyright: ignore[reportCallIssue]
    if is_new:
        future._log_destroy_pending = False
    future.add_done_callback(base_events._run_until_complete_cb)
    try:
        loop.run_forever()
        loop.interrupts.raise_held()
    except BaseException as error:
        if is_new and future.done() and not future.cancelled():
            # Nobody else can ask for its exception, be it what comes out here or not.
            report_if_other(loop, future, error)
        loop.unfinished = unfinished_wait(loop, future)
        raise
    finally:
        future.remove_done_callback(base_events._run_until_complete_cb)
    if not future.done():
        raise RuntimeError("Event loop stopped before Future completed.")
    return future.result()


def report_if_other(loop: Scheduler, future: Any, error: BaseException) -> None:
    """Report the exception of `future`, unless it is `error`."""
    failure = future.exception()
    if failure is not None and failure is not error:
        loop.call_exception_handler(
            {
                "message": "Exception in a task as its run was ended by another one",
                "exception": failure,
                "task": future,
            }
        )


def begin_run(loop: Scheduler) -> None:
    """Make this the running loop of this thread.

    What is ready or due already comes before anything that the system has to tell:
    a run counts as begun with a look outside.
    """
    loop._thread_id = threading.get_ident()
    loop.run_from = places.place_here()
    loop.async_generators.install_hooks()
    loop.origins.set(loop.debug)
    events._set_running_loop(loop)
    if loop.has_incoming:
        iteration.queue_incoming(loop)
    iteration.queue_due_timers(loop)
    loop.unpolled = 0
    loop.interrupts.begin_run()
    loop.polled_at = native.ticks()


def end_run(loop: Scheduler) -> None:
    """Be no thread's running loop any more."""
    current_task.clear_current(loop)
    loop.stopping = False
    loop._thread_id = None
    loop.run_from = None
    events._set_running_loop(None)
    loop.origins.set(False)
    loop.async_generators.restore_hooks()
    # Order matters: this is Python also where the rest is compiled, and what a signal's
    # handler raises comes out here.
    loop.interrupts.end_run()


def check_not_running(loop: Scheduler) -> None:
    """Refuse to run where a loop runs already."""
    if loop.is_running():
        raise RuntimeError("This event loop is already running")
    if events._get_running_loop() is not None:
        raise RuntimeError("Cannot run the event loop while another loop is running")
