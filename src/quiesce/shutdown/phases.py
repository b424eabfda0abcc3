"""The phases of an end, in their order, and what happens in each.

One budget serves all of them. Tasks have it but for a reserve; closing and forcing have
the reserve, and whatever the tasks left.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from quiesce.shutdown import (
    closing,
    connections,
    forcing,
    rounds,
    service_manager,
)
from quiesce.shutdown.asking import EVERYBODY_AT
from quiesce.shutdown.cancelling import awaited_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.shutdown.budget import Budget
    from quiesce.shutdown.sequence import Sequence

# How long main may unwind alone: so many seconds, or this share of the grace.
MAIN_ALONE = 1.0
MAIN_ALONE_SHARE = 0.25
MAIN = "main"
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
    is_main_thread = threading.current_thread() is threading.main_thread()
    service_manager.tell(at_once=sequence.reason.ends_process and is_main_thread)
    connections.stop_accepting(loop)
    # A program that has registered steps has imported this.
    draining = sys.modules.get("quiesce.shutdown.draining")
    if draining is None or not draining.has_steps(loop):
        return
    if time.monotonic() < budget.cut:
        sequence.run(draining.run_drain_steps(loop, budget), budget.cut)
    draining.drop_steps(loop)


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
    if sequence.main is not None and not sequence.main.done():
        sequence.asking.asked.add(sequence.main)
    rounds.end_all(sequence)


def close(sequence: Sequence) -> None:
    """Close what is no task: generators, connections, children, the pool's threads."""
    closing.close_all(sequence)


def force(sequence: Sequence) -> None:
    """Name what is left, and give it up; then come the last turns of the loop."""
    forcing.give_up(sequence)
    closing.run_out(sequence)
    if sequence.asking.look():
        # Born in these.
        forcing.give_up(sequence)


PHASES: list[Phase] = [
    Phase("drain", drain),
    Phase(MAIN, end_main),
    Phase(REST, end_rest),
    Phase("close", close),
    Phase("force", force),
]
