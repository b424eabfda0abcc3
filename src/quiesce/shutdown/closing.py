"""What happens once the tasks are done: everything else that the loop has is closed.

Generators come first, because their cleanup may need the rest. Connections, children
and the threads of the default executor then end side by side, and beside generators
that take long; what is not over shortly before the deadline is aborted and killed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quiesce.loop import Loop
from quiesce.shutdown import children, connections
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.task_state import is_cleanup

if TYPE_CHECKING:
    from collections.abc import Callable

    from quiesce.shutdown.sequence import Sequence

# The share of what is left that generators have before the rest is closed beside them.
GENERATORS_SHARE = 0.5
# Seconds for aborted connections and killed children to be over.
LAST_MOMENTS = 0.15
# Seconds for tasks that are asked only when the time for tasks is over.
MOMENT = 0.005


def close_all(sequence: Sequence) -> None:
    """Close what `sequence.loop` has beside tasks."""
    close_generators(sequence)
    end_late_tasks(sequence)
    begin_to_close(sequence)
    loop = sequence.loop
    until = max(sequence.budget.deadline - LAST_MOMENTS, time.monotonic())
    end_pool(sequence, until)
    wait_until(sequence, lambda: has_ended(loop), until)
    sequence.note_cut_off()
    # All that is left to wait for is a peer's answer, which not every peer gives.
    answered = time.monotonic() + connections.PEERS_ANSWER
    wait_until(sequence, lambda: is_clear(loop), min(until, answered))
    if connections.open_transports(loop):
        connections.abort_connections(loop)
        # Protocols are told in the next iteration.
        sequence.turn(time.monotonic())
    children.kill(loop)
    wait_until(sequence, lambda: is_clear(loop), time.monotonic() + LAST_MOMENTS)


def close_generators(sequence: Sequence) -> None:
    """Close the suspended asynchronous generators, awaits included.

    They have as long as tasks have. After their share the rest begins to end too.
    """
    closing = sequence.start_task(sequence.loop.shutdown_asyncgens())
    share = GENERATORS_SHARE * sequence.budget.left()
    if not sequence.wait_for([closing], time.monotonic() + share):
        begin_to_close(sequence)
        if not sequence.wait_for([closing], end_of_generators(sequence)):
            sequence.note_unclosed()
    sequence.end_task(closing)


def end_of_generators(sequence: Sequence) -> float:
    """Return when generators are cut that are not closed: in a hurry, at once."""
    return time.monotonic() if sequence.hurried else sequence.budget.cut


def begin_to_close(sequence: Sequence) -> None:
    """Let connections, children and runs in the loop's threads begin to end.

    The threads still take work, which a generator may need. Harmless if repeated.
    """
    loop = sequence.loop
    sequence.is_closing = True
    connections.close_connections(loop)
    children.terminate(loop, sequence.terminated)
    if isinstance(loop, Loop) and sequence.reason.ends_process:
        all_runs.ask_those_of(loop.executor.pool)


def end_late_tasks(sequence: Sequence) -> None:
    """End the tasks that cleanups of generators have begun."""
    asking = sequence.asking
    late = asking.pending() - asking.asked
    # But not what closes them: that had its time.
    asking.left = {task for task in late if not is_cleanup(task)}
    if asking.left:
        asking.ask(asking.left)
        until = max(sequence.budget.cut, time.monotonic() + MOMENT)
        sequence.wait_for(asking.left, until)


def end_pool(sequence: Sequence, until: float) -> None:
    """Wait until the threads of the default executor have ended."""
    loop = sequence.loop
    if not isinstance(loop, Loop):
        sequence.run(loop.shutdown_default_executor(), until)
        return
    sequence.run(loop.executor.end(), until)
    if loop.executor.busy():
        loop.executor.give_up()


def has_ended(loop: Any) -> bool:
    """Tell whether all children have ended, and all that was written is sent."""
    return not children.to_end(loop) and not connections.unsent(loop)


def is_clear(loop: Any) -> bool:
    """Tell whether nothing of `loop` is open any more."""
    return not children.to_end(loop) and not connections.open_transports(loop)


def wait_until(sequence: Sequence, enough: Callable[[], bool], until: float) -> None:
    """Run the loop until there is `enough`, or the moment `until` has come."""
    if not enough():
        never = sequence.loop.create_future()
        sequence.wait_for([never], until, enough=enough)
