"""One iteration of a loop: look outside, then run what is ready.

`run_once` is one iteration: look outside (sleep until something is ready, queue what
became ready, queue the timers that are due), then run what was ready *before* this
point. What callbacks add meanwhile waits for the next iteration, after another chance
to look outside.

While there is work the system is not asked on every iteration, but at the latest after
`BATCH_LIMIT` callbacks or 100 microseconds, whichever comes first: asking costs as much
as several steps of a task, and within that bound neither I/O, nor timers, nor Ctrl-C
can be starved. The order among callbacks is exactly asyncio's.
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.core import current_task, native
from quiesce.core.task import Task

if TYPE_CHECKING:
    from quiesce.core.handle import Handle
    from quiesce.core.scheduler import Scheduler

BATCH_LIMIT = 64
# Seconds; epoll(7) cannot wait much longer in one call.
LONGEST_SLEEP = 86400.0
# Seconds; a timer this close is due, because waking for less is not possible.
CLOCK_RESOLUTION = 1e-9


def run_iterations(loop: Scheduler) -> None:
    """Run iterations until somebody calls ``loop.stop``."""
    if loop.ready.items and not loop.polls_always:
        # A run counts as begun with a look outside, however long that took: nothing
        # that the system has to tell comes before what is ready.
        run_batch(loop)
    else:
        run_once(loop)
    while not loop.stopping:
        run_once(loop)


def run_once(loop: Scheduler) -> None:
    """Run one iteration."""
    if loop.has_incoming:
        queue_incoming(loop)
    if poll_is_due(loop):
        look_outside(loop)
    run_batch(loop)


def run_batch(loop: Scheduler) -> None:
    """Run what is ready, and end the iteration."""
    run_ready(loop)
    if loop.ending:
        end_iteration(loop)


def poll_is_due(loop: Scheduler) -> bool:
    """Tell whether to look outside before what is ready runs."""
    if not loop.ready.items or loop.polls_always or loop.unpolled >= BATCH_LIMIT:
        return True
    return native.ticks() - loop.polled_at > native.TICKS_PER_100_US


def look_outside(loop: Scheduler) -> None:
    """Sleep until something is ready, and queue it and the timers that are due."""
    current_task.clear_current(loop)
    native.check_signals()
    if loop.interrupted:
        loop.interrupted = False
        raise KeyboardInterrupt
    # So another thread can tell that the loop is no longer where it was.
    loop.polled_at = -loop.polled_at
    loop.poller.poll(sleep_limit(loop))
    loop.unpolled = 0
    queue_due_timers(loop)
    loop.polled_at = native.ticks()
    if loop.has_incoming:
        queue_incoming(loop)


def sleep_limit(loop: Scheduler) -> float:
    """Return how many seconds the system may let us sleep; negative, for ever."""
    if loop.ready.items or loop.stopping or loop.has_incoming:
        return 0.0
    first = loop.timers.first()
    if first is None:
        return -1.0
    return min(max(0.0, first._when - loop.now()), LONGEST_SLEEP)


def queue_due_timers(loop: Scheduler) -> None:
    """Queue the timers whose time has come, in the order of their deadlines."""
    if loop.timers.heap:
        now = loop.now() + CLOCK_RESOLUTION
        timer = loop.timers.pop_due(now)
        while timer is not None:
            loop.ready.push(timer)
            timer = loop.timers.pop_due(now)


def queue_incoming(loop: Scheduler) -> None:
    """Queue what other threads have handed over."""
    # Order matters: who hands over after this line raises the flag again.
    loop.has_incoming = False
    while loop.incoming:
        loop.ready.push(loop.incoming.popleft())


def run_ready(loop: Scheduler) -> None:
    """Run what was ready before this point; what it queues runs next time."""
    ready = loop.ready
    batch = ready.items
    count = native.size(batch)
    if count != 1:
        ready.items = ready.spare
        # So another thread can tell how far the batch has come (`ReadyQueue.taken`).
        ready.spare = batch
    taken = 0
    try:
        while taken < count:
            if count == 1:
                # So often that it pays not to swap the lists.
                item = native.take_last(batch)
            else:
                item = batch[taken]
                batch[taken] = None
            taken += 1
            if loop.observer is not None:
                run_observed(loop, item)
            elif isinstance(item, Task):
                loop.current = item
                resume_current(loop)
            else:
                run_handle(loop, item)
            # An error's traceback keeps this frame: see "Cycles" in `task`.
            item = None
    finally:
        loop.unpolled += taken
        if count != 1:
            if taken == count:
                native.truncate(batch)
            else:
                ready.put_back(batch, taken)


def run_observed(loop: Scheduler, item: Any) -> None:
    """Run an item and let the observer know when it begins and ends."""
    observer: Any = loop.observer
    observer.begins(item)
    try:
        if isinstance(item, Task):
            loop.current = item
            resume_current(loop)
        else:
            run_handle(loop, item)
    finally:
        observer.ended(item)
        # See "Cycles" in `task`.
        item = None


def resume_current(loop: Scheduler) -> None:
    """Run the next step of the current task."""
    if current_task.PUBLISHES_EAGERLY:
        current_task.publish(loop)
    # Not through a variable: an error's traceback keeps this frame.
    loop.current.step(loop.current.awaited_error())


def run_handle(loop: Scheduler, handle: Handle) -> None:
    """Run a callback, outside any task."""
    loop.current = None
    if current_task.PUBLISHES_EAGERLY:
        current_task.publish(loop)
    if not handle._cancelled:
        handle.run()
    handle = None  # pyright: ignore[reportAssignmentType]


def end_iteration(loop: Scheduler) -> None:
    """Tell those who asked for it that the iteration ends."""
    ending = loop.ending
    loop.ending = []
    told = 0
    try:
        while told < len(ending):
            watcher = ending[told]
            told += 1
            watcher.on_iteration_end()
    finally:
        # Those behind one that raised.
        loop.ending += ending[told:]
