"""The rounds in which the tasks of a loop are asked to end, until none is left.

Who is asked in which is in `asking`. A round is over when all whom it asked are done,
or it is time to insist; then those who were born meanwhile are asked.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quiesce.core.failures import failed_at_the_end
from quiesce.shutdown import connections

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from quiesce.shutdown.sequence import Sequence

# Objects that a task makes when it is cancelled, more or less.
OBJECTS_A_TASK = 20


def end_all(sequence: Sequence) -> None:
    """End every task, as long as there is time for tasks."""
    asking = sequence.asking
    while asking.look() and time.monotonic() < sequence.budget.cut:
        if not asking.hurry_if_due(asking.left):
            asking.insist_if_due(asking.left)
            asking.next_round()
        finish_round(sequence)


def finish_round(sequence: Sequence) -> None:
    """Wait until those who were asked are done, or it is time to insist."""
    asking = sequence.asking
    with fewer_collections(len(asking.left)):
        ended = sequence.wait_for(
            asking.waited_for(),
            asking.next_moment(),
            enough=closes_idle_connections(sequence),
        )
    if ended:
        report_failures(sequence)
    report_lost(sequence)


def closes_idle_connections(sequence: Sequence) -> Callable[[], bool] | None:
    """Return what closes the connections once tasks wait for nothing but their end.

    None where there are none. A connection may be what a task needs that was not asked
    to end: one that is spared has time, others are asked in the round that then begins.
    """
    asking = sequence.asking
    if not connections.open_transports(sequence.loop):
        return None
    goodbyes = connections.Goodbyes(sequence.loop)

    def look() -> bool:
        goodbyes.end()
        left = {task for task in asking.waited_for() if not task.done()}
        pending = asking.pending()
        held = connections.who_waits_for_them(pending)
        if not (held and left <= held):
            return False
        if pending <= held:
            connections.close_connections(sequence.loop)
            return False
        asking.look()
        return asking.is_somebody_new()

    return look


@contextmanager
def fewer_collections(tasks: int) -> Generator[None]:
    """Let the garbage collector wait until more was made than so many tasks need.

    Each makes an exception and its traceback when it is cancelled. To look again and
    again for cycles among thousands of them takes longer than all the rest.
    """
    before = gc.get_threshold()
    if before[0] and gc.isenabled():
        gc.set_threshold(max(before[0], OBJECTS_A_TASK * tasks), *before[1:])
    try:
        yield
    finally:
        if gc.get_threshold() != before:
            gc.set_threshold(*before)


def report_failures(sequence: Sequence) -> None:
    """Report what went wrong in the cleanups of a round, unless somebody has asked."""
    for task in sequence.asking.waited_for():
        if (
            task is not sequence.main
            and not task.cancelled()
            and getattr(task, "_log_traceback", True)
            and task.exception() is not None
        ):
            failed_at_the_end(sequence.loop, task)


def report_lost(sequence: Sequence) -> None:
    """Report the failures that a gathering has taken and not passed on."""
    for task in sequence.asking.siblings.lost():
        failed_at_the_end(sequence.loop, task)
