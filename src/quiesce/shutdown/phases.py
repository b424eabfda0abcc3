"""The phases of an end, in their order, and what happens in each.

One budget serves all of them. Tasks have it but for a reserve; closing and forcing have
the reserve, and whatever the tasks left.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from quiesce.core.failures import failed_at_the_end
from quiesce.shutdown import closing, connections, ending, forcing, service_manager
from quiesce.shutdown.asking import EVERYBODY_AT
from quiesce.shutdown.cancelling import awaited_tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from quiesce.shutdown.budget import Budget
    from quiesce.shutdown.sequence import Sequence

# How long main may unwind alone: so many seconds, or this share of the grace.
MAIN_ALONE = 1.0
MAIN_ALONE_SHARE = 0.25
# Objects that a task makes when it is cancelled, more or less.
OBJECTS_A_TASK = 20
REST = "rest"


class Phase:
    """One step of an end."""

    __slots__ = ("name", "run")

    def __init__(self, name: str, run: Callable[[Sequence], None]) -> None:
        self.name = name
        self.run = run


def drain(sequence: Sequence) -> None:
    """Accept no new connections, and run the steps that the program registered."""
    loop, budget = sequence.loop, sequence.budget
    ending.begin(loop, budget, sequence.reason)
    service_manager.tell(at_once=sequence.reason.ends_process)
    sequence.asking.begin()
    connections.stop_accepting(loop, leave_clients=not sequence.main_only)
    # A program that has registered steps has imported this.
    draining = sys.modules.get("quiesce.shutdown.draining")
    if draining is not None and draining.has_steps(loop):
        sequence.run(draining.run_drain_steps(loop, budget), budget.cut)


def end_main(sequence: Sequence) -> None:
    """Cancel main, so that its own structure cancels what it owns, once and in order.

    It has the loop for itself until it is done, or waits only for connections, which
    later phases end, or its time is over.
    """
    if sequence.main is None or sequence.main.done():
        return
    budget, asking = sequence.budget, sequence.asking
    asking.ask([sequence.main])
    if not sequence.main_only:
        sequence.wait_for(
            [sequence.main],
            end_of_mains_time(budget),
            enough=lambda: is_held_by_connections(sequence),
        )
        report_lost(sequence)
        return
    while not sequence.main.done() and time.monotonic() < budget.cut:
        asking.hurry_if_due([sequence.main])
        asking.insist_if_due({sequence.main})
        sequence.wait_for([sequence.main], asking.next_moment())
    if not sequence.main.done():
        sequence.forced = True


def end_of_mains_time(budget: Budget) -> float:
    """Return until when main may unwind alone, if it begins to now.

    That may be late: after drain steps, or where the loop was blocked. Then the other
    tasks have at least as long until all are asked once more, or, if that time has come
    already, until the wait for tasks ends.
    """
    now = time.monotonic()
    limit = min(MAIN_ALONE, MAIN_ALONE_SHARE * budget.grace)
    end = min(budget.at(EVERYBODY_AT), budget.cut)
    if end <= now:
        end = max(budget.cut, now)
    return min(now + limit, (now + end) / 2)


def is_held_by_connections(sequence: Sequence) -> bool:
    """Tell whether main, and all that it waits for, only wait for connections."""
    if not connections.open_transports(sequence.loop):
        return False
    held = connections.who_waits_for_them(sequence.asking.pending())
    return sequence.main in held and held.issuperset(awaited_tasks(sequence.main))


def end_rest(sequence: Sequence) -> None:
    """Cancel all other tasks, and those born meanwhile, until none is left."""
    asking = sequence.asking
    if sequence.main is not None and not sequence.main.done():
        asking.asked.add(sequence.main)
    while asking.look() and time.monotonic() < sequence.budget.cut:
        if not asking.hurry_if_due(asking.left):
            asking.insist_if_due(asking.left)
            asking.next_round()
        finish_round(sequence)


def finish_round(sequence: Sequence) -> None:
    """Wait until those who were asked are done, or it is time to insist."""
    asking = sequence.asking
    with fewer_collections(len(asking.waited_for)):
        ended = sequence.wait_for(
            asking.waited_for,
            asking.next_moment(),
            enough=closes_idle_connections(sequence),
        )
    if ended:
        report_failures(sequence)


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
        left = {task for task in asking.waited_for if not task.done()}
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

    Each leaves an exception and its traceback when it is cancelled. To look again and
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
    for task in sequence.asking.waited_for:
        if (
            task is not sequence.main
            and not task.cancelled()
            and getattr(task, "_log_traceback", True)
            and task.exception() is not None
        ):
            failed_at_the_end(sequence.loop, task)
    report_lost(sequence)


def report_lost(sequence: Sequence) -> None:
    """Report the failures that a gathering has taken and not passed on."""
    for task in sequence.asking.siblings.lost():
        failed_at_the_end(sequence.loop, task)


def close(sequence: Sequence) -> None:
    """Close what is no task: generators, connections, children, the pool's threads."""
    closing.close_all(sequence)


def force(sequence: Sequence) -> None:
    """Name what is left, and give it up."""
    forcing.give_up(sequence)


PHASES: list[Phase] = [
    Phase("drain", drain),
    Phase("main", end_main),
    Phase(REST, end_rest),
    Phase("close", close),
    Phase("force", force),
]
