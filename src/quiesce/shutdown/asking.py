"""Who is asked to end, when, and how often.

Tasks are asked in rounds. A round is over when all who were asked in it are done; tasks
that were born meanwhile are asked in the next one, because most of them belong to a
cleanup that waits for them. A task that was told to end, by us or by the program, is
not asked while it unwinds, nor is who waits for it and would hand the request on. Both
are asked as soon as that is over and they have gone on: a timeout or task group takes
its request back. One that was asked is not asked again but by insisting:

- at half of the grace those that have gone on as if nothing had been asked;
- at three quarters of it everybody, also those that are shielded.

Until then a shielded job is spared, with all that it waits for; and so is whatever a
cleanup waits for: what it awaits or gathers, and what was begun since the end began, by
whatever means it waits. A task that is older and that a cleanup only watches, as by
``wait``, is asked like any other. The children of a task group are left to the task
that has the group: it cancels them itself, once, when it is told.

The tasks are kept here and in no variable of the functions that run the loop: a task
may hold the exception that ended it, and that, by its traceback, the frames of
those functions. Thousands of tasks would be left to the garbage collector.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quiesce.core.cancel_request import CancelRequest, requesting
from quiesce.core.cancellation import cancel_each, solitary
from quiesce.core.running import pending_tasks
from quiesce.core.shielding import is_shielded, say_nothing_if_cancelled
from quiesce.core.task import Task
from quiesce.loop import Loop
from quiesce.shutdown.cancelling import cancel, outermost_first
from quiesce.shutdown.siblings import Siblings
from quiesce.shutdown.swallowing import has_gone_on, swallowers
from quiesce.shutdown.task_state import (
    group_owner,
    is_cleanup,
    requests_of,
    was_asked,
)
from quiesce.shutdown.unwinding import waiting_for_cleanups
from quiesce.shutdown.wait_graph import WaitGraph

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable

    from quiesce.shutdown.sequence import Sequence

# Shares of the grace at which tasks are asked again.
SWALLOWERS_AT = 0.5
EVERYBODY_AT = 0.75


class Asking:
    """Which tasks of one sequence were asked, and which are to be."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        # Tasks that do our own work.
        self.ours: set[Any] = set()
        self.asked: set[Any] = set()
        self.shielded: set[Any] = set()
        # Those whom the program had told before, and who have not taken that back.
        self.told_by_others: set[Any] = set()
        # Those who wait for the cleanup of another.
        self.held_back: set[Any] = set()
        self.siblings = Siblings()
        # The last request to tasks that cannot keep it themselves, those of asyncio.
        self.requests: dict[Any, CancelRequest] = {}
        self.insisted = 0
        # The tasks that were pending at the last look.
        self.left: set[Any] = set()
        # Those of them that are older than the end.
        self.before: set[Any] = set()

    def forget(self) -> None:
        """Hold no task any longer."""
        self.left = set()
        self.before = set()
        self.ours.clear()
        self.asked.clear()
        self.shielded.clear()
        self.told_by_others.clear()
        self.held_back.clear()
        self.siblings = Siblings()
        self.requests.clear()
        self.hear_of_failures(None)

    def hear_of_failures(self, note: Callable[[Any, Any], object] | None) -> None:
        """Have `note` called at each failure from now on; None for nobody."""
        loop = self.sequence.loop
        if isinstance(loop, Loop):
            loop.unretrieved.at_the_end = note

    def forget_done(self) -> None:
        """Hold nobody who is done."""
        pending = self.pending()
        self.left &= pending
        self.before &= pending
        self.asked &= pending
        self.shielded &= pending
        self.told_by_others &= pending
        self.held_back &= pending
        self.siblings.forget_done()
        for task in self.requests.keys() - pending:
            del self.requests[task]

    def look(self) -> bool:
        """Look who is left now; tell whether anybody is."""
        self.left = self.pending()
        self.before &= self.left
        return bool(self.left)

    def waited_for(self) -> set[Any]:
        """Return who was asked of those that were left; all, if nobody: all are spared.

        Dear, where there are many.
        """
        if self.left <= self.asked:
            return self.left
        return self.left & self.asked or self.left

    def begin(self) -> None:
        """Remember who is there and who is shielded, before the first is asked."""
        self.before = self.pending()
        others = self.before.difference(solitary(self.before))
        self.shielded.update(filter(is_shielded, others))
        graph = WaitGraph(others)
        self.shielded |= graph.shielded()
        self.siblings.note(graph)
        self.hear_of_failures(self.siblings.note_failed)

    def pending(self) -> set[Any]:
        """Return the tasks that are not done."""
        pending = pending_tasks(self.sequence.loop)
        pending -= self.ours
        return pending

    # -- one after the other

    def ask(self, tasks: Collection[Any]) -> None:
        """Cancel `tasks`, as far as nobody has and no cleanup is cut by it."""
        asked = self.asked
        self.told_by_others.update(
            task for task in tasks if task not in asked and requests_of(task)
        )
        waiting = waiting_for_cleanups(tasks)
        with self.requesting("", tasks):
            for task in outermost_first(tasks):
                if not (task in asked or requests_of(task) or is_cleanup(task)):
                    if task in waiting:
                        self.held_back.add(task)
                    elif others := cancel(task):
                        asked.update(others)
                asked.add(task)

    @property
    def is_holding_back(self) -> bool:
        """Whether somebody may be asked before the next round."""
        return not all(task.done() for task in self.told_by_others | self.held_back)

    def ask_held_back(self) -> None:
        """Ask those who have left the cleanup that kept them from being asked."""
        # Not `was_asked`: their own request is what they have taken back.
        ready = {task for task in self.told_by_others if not requests_of(task)}
        self.told_by_others -= ready
        self.held_back |= ready & (waiting := waiting_for_cleanups(ready))
        ready -= waiting
        gone_on = {
            task for task in self.held_back if not task.done() and has_gone_on(task)
        }
        ready |= gone_on - waiting_for_cleanups(gone_on)
        self.held_back -= ready
        with self.requesting("", ready):
            for task in outermost_first(ready):
                # To cancel who is done is to say that its error was seen.
                if not (task.done() or requests_of(task)):
                    self.asked.update(cancel(task))

    def ask_again(self, tasks: Iterable[Any]) -> None:
        """Cancel `tasks`, whoever has done so before.

        A request that went down a chain of waits has reached all that are in it.
        """
        before = {task: requests_of(task) for task in outermost_first(list(tasks))}
        for gathering in WaitGraph(before).shielded_gatherings():
            say_nothing_if_cancelled(gathering)
        told: set[Any] = set()
        with self.requesting("once more", before):
            for task, requests in before.items():
                if task not in told and requests_of(task) == requests:
                    told.update(cancel(task))
                self.asked.add(task)

    def was_told(self, task: Any) -> bool:
        """Tell whether `task` was asked to end, by us or by the program."""
        return task in self.asked or was_asked(task)

    def has_ended(self, main: Any) -> bool:
        """Tell whether `main` ended for us alone: cancelled, or before it was asked.

        Whether a task that cannot say so was cancelled by others, nobody knows: as in
        asyncio.
        """
        if main in self.held_back:
            return main.cancelled() or main.exception() is None
        is_ours = hasattr(main, "uncancel") and main not in self.told_by_others
        return is_ours and main.cancelled()

    @contextmanager
    def requesting(self, how: str, tasks: Iterable[Any]) -> Generator[None]:
        """Let all that the block cancels carry one request; note whom it has reached.

        Tasks of ours keep it themselves.
        """
        others = {task: requests_of(task) for task in tasks if type(task) is not Task}
        with requesting(self.request(how)) as request:
            yield
        for task, requests in others.items():
            if requests_of(task) != requests:
                self.requests[task] = request

    def request(self, how: str) -> CancelRequest:
        """Return what all who are asked now are told: why the program ends."""
        return CancelRequest(f"the end ({self.sequence.reason})", how or None)

    def next_round(self) -> None:
        """Ask everybody who is left and not spared."""
        # Most tasks, where there are many: no need to look at each from all sides.
        alone = solitary(self.left - self.asked)
        others = self.new(self.left.difference(alone))
        cancel_each(alone, self.request(""))
        self.asked.update(alone)
        self.ask(others)

    def is_somebody_new(self) -> bool:
        """Tell whether a round that begins now would ask anybody."""
        return bool(self.new(self.left))

    def new(self, left: set[Any]) -> list[Any]:
        """Return whom of `left` to ask: not who has a task group to tell them."""
        # No sets of our own in between: there may be 100,000 tasks.
        asked = self.asked
        if left <= asked:
            return []
        spared = self.spared(left)
        return [
            task
            for task in left
            if task not in asked
            and task not in spared
            and group_owner(task) not in self.left
        ]

    def spared(self, left: set[Any]) -> set[Any]:
        """Return who of `left` is shielded, and what they and cleanups wait for."""
        asked = self.asked
        graph = WaitGraph(left - asked)
        self.siblings.note(graph)
        told = {task for task in left if self.was_told(task) or is_cleanup(task)}
        shielded: set[Any] = set()
        if self.insisted < len(INSISTENCE):
            self.shielded.update(filter(is_shielded, left))
            self.shielded |= graph.shielded()
            shielded = (self.shielded & left) - asked
        by_shielded = graph.awaited_by(shielded)
        return shielded | by_shielded | graph.awaited_by(told, but=self.before)

    # -- insisting

    def next_moment(self) -> float:
        """Return when to insist next, or when to give up."""
        budget = self.sequence.budget
        if self.insisted < len(INSISTENCE):
            share, _ = INSISTENCE[self.insisted]
            return min(budget.at(share), budget.cut)
        return budget.cut

    def hurry_if_due(self, tasks: Iterable[Any]) -> bool:
        """Ask `tasks` again and name them once there is a hurry; tell if it is new."""
        sequence = self.sequence
        if not sequence.hurried or sequence.said_hurried:
            return False
        sequence.say_hurried(sequence.survivors())
        self.ask_again(tasks)
        return True

    def insist_if_due(self, pending: set[Any]) -> bool:
        """Ask again those whose time has come; tell whether it had."""
        due = False
        while self.insisted < len(INSISTENCE):
            share, insist = INSISTENCE[self.insisted]
            if time.monotonic() < self.sequence.budget.at(share):
                break
            self.insisted += 1
            insist(self, pending)
            due = True
        return due

    def insist_on_swallowers(self, pending: set[Any]) -> None:
        """Ask again those that show no sign of a cleanup."""
        told = filter(self.was_told, pending)
        self.ask_again(swallowers(pending & self.asked, told))

    def insist_on_everybody(self, pending: set[Any]) -> None:
        """Ask everybody again."""
        self.ask_again(pending)


# When to ask again, as shares of the grace, and whom.
INSISTENCE: list[tuple[float, Callable[[Asking, set[Any]], None]]] = [
    (SWALLOWERS_AT, Asking.insist_on_swallowers),
    (EVERYBODY_AT, Asking.insist_on_everybody),
]
