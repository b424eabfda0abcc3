"""What is left on a loop, described for people: see `survivors` for each kind."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from quiesce.core.running import listed_pending
from quiesce.loop import Loop
from quiesce.shutdown import children, connections, survivors
from quiesce.shutdown.survivors import swallowed_by
from quiesce.shutdown.swallowing import certain_swallowers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quiesce.shutdown.survivor import Survivor


def remains_of(
    loop: Any, ours: set[Any], requests: Mapping[Any, Any], *, connected: bool
) -> list[Survivor]:
    """Describe what `loop` still has: tasks, generators, children, busy threads.

    Connections count where they are waited for, if `connected`. `ours` are tasks that
    do the work of the end; `requests` has the last ones made to tasks that do not keep
    them. During a drain step everything else still runs, and only the step is told of.
    """
    # A program that has registered steps has imported this.
    draining = sys.modules.get("quiesce.shutdown.draining")
    if draining is not None and (step := draining.step_of(loop)) is not None:
        return [survivors.of_drain_step(*step)]
    tasks = [task for task in listed_pending(loop) if task not in ours]
    if isinstance(loop, Loop):
        # They are told of as the generators that they close.
        closers = loop.async_generators.closers
        tasks = [task for task in tasks if task not in closers]
    gone_on = who_has_gone_on(tasks)
    left = survivors.of_tasks(
        tasks,
        swallowed=lambda task: swallowed_by(task, also_the_last=task in gone_on),
        requests=requests,
    )
    if isinstance(loop, Loop):
        left += unclosed_generators(loop)
        left += map(survivors.of_child, children.running(loop))
        left += busy_threads(loop)
        if connected:
            left += map(survivors.of_connection, connections.open_transports(loop))
    return left


def who_has_gone_on(tasks: list[Any]) -> set[Any]:
    """Return the tasks that have certainly swallowed all that they were asked."""
    if len(tasks) > survivors.LOOKED_AT:
        # To tell takes longer than all of the report.
        return set()
    try:
        return certain_swallowers(tasks)
    except Exception:  # noqa: BLE001 - of the program's own classes
        return set()


def unclosed_generators(loop: Loop) -> list[Survivor]:
    """Describe the generators that have been closed in vain so far."""
    generators = loop.async_generators
    return survivors.of_generators(
        generators.unclosed(), asked_at=generators.closing_since
    )


def busy_threads(loop: Loop) -> list[Survivor]:
    """Describe the threads of the loop's own pool that have something to do."""
    functions = {worker.ident: worker.function for worker in loop.executor.busy()}
    return [
        survivors.of_thread(thread, function=functions[thread.ident])
        for thread in threading.enumerate()
        if thread.ident in functions
    ]
