"""What happens once the tasks are done: everything else that the loop has is closed.

Generators come first, because their cleanup may need the rest. Connections, children
and the threads of the default executor then end side by side, and beside generators
that take long; what is not over shortly before the deadline is aborted and killed.
Tasks that are born meanwhile are ended as they come.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from quiesce.loop import Loop
from quiesce.shutdown import children, connections, processes, rounds, threads
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.task_state import is_cleanup

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from quiesce.shutdown.sequence import Sequence

# The share of what is left that generators have before the rest is closed beside them.
GENERATORS_SHARE = 0.5
# Seconds for aborted connections and killed children to be over.
LAST_MOMENTS = 0.15
# How often the loop turns at most before it is closed, if there is always something.
LAST_TURNS = 10
# Seconds for tasks that are asked only when the time for tasks is over.
MOMENT = 0.005


def close_all(sequence: Sequence) -> None:
    """Close what `sequence.loop` has beside tasks."""
    close_generators(sequence)
    # Order matters: what tasks have held may need a loop that is open.
    sequence.forget_done()
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
    end_late_tasks(sequence)


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
    children.drop_output(loop)
    connections.close_connections(loop)
    children.terminate(loop, sequence.terminated)
    if isinstance(loop, Loop) and sequence.reason.ends_process:
        all_runs.ask_those_of(loop.executor.pool)


def run_out(sequence: Sequence) -> None:
    """Tell those who wait for what has just ended, and run what threads handed over.

    A loop that is closed calls nothing any more.
    """
    if sequence.has_given_up and not isinstance(sequence.loop, Loop):
        # One of another make would report every step that comes too late.
        return
    is_late = sequence.hurried or sequence.forced
    until = time.monotonic() + (MOMENT if is_late else LAST_MOMENTS)
    for _ in range(LAST_TURNS):
        sequence.turn(time.monotonic())
        end_late_tasks(sequence)
        if time.monotonic() >= until or not has_queued(sequence.loop):
            return


def has_queued(loop: Any) -> bool:
    """Tell whether something is to be called in the next iteration."""
    if isinstance(loop, Loop):
        return loop.has_queued()
    # Of another make, which may not show it: then it is told once.
    return bool(getattr(loop, "_ready", False))


def late_tasks(sequence: Sequence) -> set[Any]:
    """Return the tasks that were born when all others had ended, or had had their time.

    But not what closes generators: that is waited for by itself.
    """
    late = sequence.asking.pending() - sequence.asking.asked
    return {task for task in late if not is_cleanup(task)}


def end_late_tasks(sequence: Sequence) -> None:
    """End the tasks that cleanups of generators have begun, callbacks and protocols."""
    if late_tasks(sequence):
        rounds.end_all(sequence)
    if late := late_tasks(sequence):
        # The time for tasks is over.
        sequence.asking.ask(late)
        sequence.wait_for(late, time.monotonic() + MOMENT)


def end_pool(sequence: Sequence, until: float) -> None:
    """Wait until the threads of the default executor have ended."""
    loop = sequence.loop
    if not isinstance(loop, Loop):
        sequence.run(loop.shutdown_default_executor(), until)
        return
    ending = sequence.start_task(loop.executor.end())
    now = time.monotonic()
    wait_until(sequence, ending.done, now + processes.ASK_AT * (until - now), [ending])
    if not ending.done():
        ask_awaited_children(sequence)
        wait_until(sequence, ending.done, until, [ending])
    sequence.end_task(ending)
    if busy := loop.executor.busy():
        loop.executor.give_up()
        threads.give_up(worker.ident for worker in busy)


def ask_awaited_children(sequence: Sequence) -> None:
    """Ask children of `multiprocessing` to end, for which threads may be waiting."""
    is_main_thread = threading.current_thread() is threading.main_thread()
    if sequence.reason.ends_process and is_main_thread:
        processes.terminate(processes.children_without_jobs())


def has_ended(loop: Any) -> bool:
    """Tell whether all children have ended, and all that was written is sent."""
    return not children.to_end(loop) and not connections.unsent(loop)


def is_clear(loop: Any) -> bool:
    """Tell whether nothing of `loop` is open any more."""
    return not children.to_end(loop) and not connections.open_transports(loop)


def wait_until(
    sequence: Sequence,
    enough: Callable[[], bool],
    until: float,
    futures: Collection[Any] = (),
) -> None:
    """Run the loop until there is `enough`, or the moment `until` has come, or a hurry.

    If given, `futures` are done when there is enough.
    """
    hurried = sequence.hurried
    while not enough() and time.monotonic() < until and hurried == sequence.hurried:
        sequence.wait_for(
            futures or [sequence.loop.create_future()],
            until,
            enough=lambda: enough() or bool(late_tasks(sequence)),
        )
        end_late_tasks(sequence)
