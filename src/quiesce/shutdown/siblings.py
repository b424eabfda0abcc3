"""What fails in the end as part of one of asyncio's gatherings, and would be lost.

That of asyncio passes the first failure on and drops all that come after it. While a
program runs it is left to that; when it ends, everything that fails is reported.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.core.failures import is_failure
from quiesce.shutdown.task_state import is_cleanup
from quiesce.shutdown.wait_graph import Gathering, WaitGraph, is_task

if TYPE_CHECKING:
    from collections.abc import Iterable

# What a future has as long as nobody has asked for its exception.
UNTAKEN = "_log_traceback"


class Siblings:
    """The tasks that were parts of a gathering of asyncio's when somebody looked."""

    def __init__(self) -> None:
        self.gathering_of: dict[Any, Any] = {}
        self.gatherings: set[Any] = set()

    def note(self, graph: WaitGraph) -> None:
        """Remember which of the tasks in `graph` are parts of what."""
        for told, tellers in graph.tellers.items():
            # Ours reports by itself.
            if type(told) is Gathering:
                self.gatherings.add(told)
                self.gathering_of.update((each, told) for each in tellers)

    def note_failed(self, task: Any, callbacks: Iterable[Any]) -> None:
        """Remember of what `task` is a part, which fails now and has these callbacks.

        Its gathering may be younger than the last look.
        """
        graph = WaitGraph(())
        for callback, _ in callbacks:
            for told in graph.told_by(callback):
                if type(told) is Gathering:
                    self.gatherings.add(told)
                    self.gathering_of[task] = told

    def lost(self) -> list[Any]:
        """Return the tasks whose failure has been dropped since the last call."""
        done = [
            (task, gathering)
            for task, gathering in self.gathering_of.items()
            if task.done() and gathering.done()
        ]
        for task, _ in done:
            del self.gathering_of[task]
        return [task for task, gathering in done if is_dropped(task, gathering)]

    def forget_done(self) -> None:
        """Hold nothing that is done."""
        self.gatherings = {each for each in self.gatherings if not each.done()}
        self.gathering_of = {
            task: gathering
            for task, gathering in self.gathering_of.items()
            if not gathering.done()
        }

    def untaken(self) -> list[Any]:
        """Return the gatherings whose failure nobody has taken; to them it is taken.

        One that was cancelled by the end has not failed, although it looks like that,
        and what ends the program is seen by itself.
        """
        untaken = [each for each in self.gatherings if getattr(each, UNTAKEN, False)]
        for each in untaken:
            setattr(each, UNTAKEN, False)
        return [each for each in untaken if is_failure(each._exception)]


def is_dropped(task: Any, gathering: Any) -> bool:
    """Tell whether the failure of `task` was taken from it and not passed on."""
    if not is_task(task) or task.cancelled() or getattr(task, UNTAKEN, True):
        return False
    if is_cleanup(task):
        # Who has it closed reports it.
        return False
    error = task.exception()
    if not is_failure(error) or gathering._exception is error:
        return False
    return gathering.cancelled() or not any(
        each is error for each in gathering._result or ()
    )
