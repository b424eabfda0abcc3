"""The phases of an end, in their order, and what happens in each.

One budget serves all of them. Tasks have it but for a reserve; closing and forcing have
the reserve, and whatever the tasks left.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.asking import wait_for_connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.shutdown.sequence import Sequence

# How long main may unwind alone: so many seconds, or this share of the grace.
MAIN_ALONE = 1.0
MAIN_ALONE_SHARE = 0.25
REST = "rest"


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of an end."""

    name: str
    run: Callable[[Sequence], None]


def drain(sequence: Sequence) -> None:
    """Accept no new connections, and run the steps that the program registered."""
    from quiesce.shutdown import ending, service_manager
    from quiesce.shutdown.connections import stop_accepting

    loop, budget = sequence.loop, sequence.budget
    ending.begin(loop, budget, sequence.reason)
    service_manager.tell(at_once=sequence.reason.ends_process)
    sequence.asking.note_shielded()
    stop_accepting(loop)
    # A program that has registered steps has imported this.
    draining = sys.modules.get("quiesce.shutdown.draining")
    if draining is not None and draining.has_steps(loop):
        sequence.run(draining.run_drain_steps(loop, budget), budget.cut)


def end_main(sequence: Sequence) -> None:
    """Cancel main, so that its own structure cancels what it owns, once and in order.

    It has the loop for itself until it is done, or waits only for connections, which
    later phases end, or its time is over.
    """
    main, budget = sequence.main, sequence.budget
    if main is None or main.done():
        return
    asking = sequence.asking
    asking.ask([main])
    if not sequence.main_only:
        limit = min(MAIN_ALONE, MAIN_ALONE_SHARE * budget.grace)
        sequence.wait_for(
            [main],
            min(budget.began_at + limit, budget.cut),
            enough=lambda: wait_for_connections({main}),
        )
        return
    while not main.done() and time.monotonic() < budget.cut:
        if sequence.hurried and not sequence.said_hurried:
            sequence.say_hurried()
            asking.ask_again({main})
        asking.insist_if_due({main})
        sequence.wait_for([main], asking.next_moment())
    if not main.done():
        sequence.forced = True


def end_rest(sequence: Sequence) -> None:
    """Cancel all other tasks, and those born meanwhile, until none is left."""
    asking = sequence.asking
    if sequence.main is not None and not sequence.main.done():
        asking.asked.add(sequence.main)
    while (pending := asking.pending()) and time.monotonic() < sequence.budget.cut:
        if sequence.hurried and not sequence.said_hurried:
            sequence.say_hurried()
            asking.ask_again(pending)
        elif not asking.insist_if_due(pending):
            asking.next_round(pending)
        finish_round(sequence, pending)


def finish_round(sequence: Sequence, pending: set[Any]) -> None:
    """Wait until those who were asked are done, or it is time to insist."""
    asking = sequence.asking
    until = asking.next_moment()
    waited_for = pending & asking.asked or pending
    if sequence.wait_for(
        waited_for, until, enough=lambda: hold_only_servers(sequence, waited_for)
    ):
        report_failures(sequence, waited_for)


def hold_only_servers(sequence: Sequence, tasks: set[Any]) -> bool:
    """Close the connections once tasks wait for nothing but their end."""
    from quiesce.shutdown.connections import close_connections

    if wait_for_connections({task for task in tasks if not task.done()}):
        close_connections(sequence.loop)
    return False


def report_failures(sequence: Sequence, tasks: set[Any]) -> None:
    """Report what went wrong in the cleanups of `tasks`, unless somebody has asked."""
    from quiesce.shutdown.sequence import report_failure

    for task in tasks:
        if (
            task is not sequence.main
            and not task.cancelled()
            and getattr(task, "_log_traceback", True)
            and task.exception() is not None
        ):
            report_failure(sequence.loop, task)


def close(sequence: Sequence) -> None:
    """Close what is no task: generators, connections, children, the pool's threads."""
    from quiesce.shutdown.closing import close_all

    close_all(sequence)


def force(sequence: Sequence) -> None:
    """Name what is left, and give it up."""
    from quiesce.shutdown.forcing import give_up

    give_up(sequence)


PHASES: list[Phase] = [
    Phase("drain", drain),
    Phase("main", end_main),
    Phase(REST, end_rest),
    Phase("close", close),
    Phase("force", force),
]
