"""The end of what runs on one loop: the phases, one after the other, within a budget.

A `Sequence` is handed a loop that has stopped. It runs it again, in turns, each until
what it waits for is there, or a moment has come, or somebody is in a hurry. What is
done in which order is in `phases`; who is asked to end, and when again, in `asking`.

Whatever a cleanup raises, also KeyboardInterrupt and SystemExit, ends a turn at most
and never the sequence.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from quiesce.core.countdown import count_down
from quiesce.core.failures import failed_at_the_end, running_while_handled
from quiesce.core.task_factory import task_in_spite_of_it
from quiesce.loop import Loop
from quiesce.shutdown import children, connections, ending, rounds, survivors
from quiesce.shutdown.asking import Asking
from quiesce.shutdown.budget import AT_ONCE, SLOW
from quiesce.shutdown.phases import MAIN, PHASES, REST
from quiesce.shutdown.reason import EXITED, RETURNED, Reason
from quiesce.shutdown.remains import remains_of, unclosed_generators
from quiesce.shutdown.task_state import is_cleanup

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from quiesce.shutdown.budget import Budget
    from quiesce.shutdown.phases import Phase
    from quiesce.shutdown.report import Report
    from quiesce.shutdown.survivor import Survivor

# Seconds between two looks at what no callback tells of: at first, and at most.
FIRST_LOOK = 0.005
LONGEST_LOOK = 0.1


class Sequence:
    """One end, from its reason to the last survivor.

    `main` is the task that the run was for, if it is not done. With `main_only` it is
    ended first, and has all the time that there is; the other phases come after that,
    if the loop is closed.
    """

    def __init__(
        self, loop: Any, reason: Reason, budget: Budget, report: Report
    ) -> None:
        self.loop = loop
        self.reason = reason
        self.budget = budget
        self.report = report
        self.main: Any = None
        self.main_only = False
        self.hurried = False
        self.said_slow = False
        self.said_hurried = False
        self.said_forced = False
        # Everything is being closed, so that connections are waited for.
        self.is_closing = False
        # Children that were asked to end.
        self.terminated: set[Any] = set()
        self.forced = False
        # Whether tasks have had their coroutines closed.
        self.has_given_up = False
        # What was ended by force although it could have had more to do or to send.
        self.cut_off: list[Survivor] = []
        # What a cleanup raised to end the program, as sys.exit() does.
        self.interruption: BaseException | None = None
        # Whether main has failed, be it by that: it says more than a signal then.
        self.main_failed = False
        self.asking = Asking(self)
        self.phases_left: list[Phase] = list(PHASES)
        self.has_begun = False

    # -- the phases

    def begin(self) -> None:
        """Note, before the first phase, that the loop ends and what there is on it."""
        if not self.has_begun:
            self.has_begun = True
            ending.begin(self.loop, self.budget, self.reason)
            self.asking.begin()

    def advance(self, last: str) -> None:
        """Go through the phases that are left, up to the one called `last`."""
        self.begin()
        while self.phases_left:
            phase = self.phases_left.pop(0)
            self.go_through(phase)
            if phase.name == last:
                return

    def go_through(self, phase: Phase) -> None:
        """Do what is done in one phase."""
        self.report.phase(phase.name)
        try:
            with running_while_handled():
                phase.run(self)
                rounds.report_lost(self)
        except Exception as error:  # noqa: BLE001 - the other phases still come
            self.loop.call_exception_handler(
                {
                    "message": f"Error in the phase {phase.name!r} of the end",
                    "exception": error,
                }
            )

    def end_main(self, main: Any, *, main_only: bool) -> None:
        """Let `main` unwind; where it must not wait alone, beside the other tasks."""
        self.main, self.main_only = main, main_only
        main.add_done_callback(take_outcome)
        # A task's traceback holds this frame: see `asking`.
        del main
        if main_only:
            self.end_main_only()
            return
        self.advance(MAIN)
        if not self.main.done():
            self.advance(REST)

    def end_main_only(self) -> None:
        """Let main unwind, before all other phases: the program may go on then."""
        self.begin()
        for phase in self.phases_left.copy():
            if phase.name == MAIN:
                self.phases_left.remove(phase)
                self.go_through(phase)

    def finish(self) -> None:
        """Go through all phases that are left, and give the account of them."""
        self.advance(self.phases_left[-1].name if self.phases_left else "")
        self.report_untaken()
        self.report.write(self.status())

    def status(self) -> int | None:
        """Return the exit status that is to be expected, None if nobody knows."""
        if self.forced:
            return self.reason.forced_status
        if self.interruption is None or self.reason.error is not None:
            # Where main has returned the hurry is a Ctrl-C's that came behind that.
            overruled = self.hurried and self.reason.kind == RETURNED
            return None if overruled else self.reason.status
        if self.reason.signum is not None and not self.main_failed:
            # The signal has the last word, whatever other tasks say.
            return self.reason.status
        return Reason(EXITED, error=self.interruption).status

    def forget_done(self) -> None:
        """Hold no task that is done, and nothing that those have held."""
        self.report_untaken()
        if self.main is not None and self.main.done():
            self.main = None
        self.asking.forget_done()

    def report_untaken(self) -> None:
        """Report the failures of gatherings that nobody has taken from them."""
        for gathering in self.asking.siblings.untaken():
            failed_at_the_end(self.loop, gathering)

    def forget(self) -> None:
        """Hold no task any longer: whoever is left may go."""
        self.main = None
        self.asking.forget()

    def hurry(self, seconds: float = AT_ONCE) -> None:
        """Give everything so many seconds; called by a signal handler at any time."""
        if not self.hurried:
            self.hurried = True
            self.budget.hurry(seconds)
            self.wake()

    def say_hurried(self, left: list[Survivor]) -> None:
        """Name what is not waited for any longer."""
        self.said_slow = self.said_hurried = True
        self.report.hurried(left)

    def say_forced(self, left: list[Survivor]) -> None:
        """Name, once, what is given up when the grace is used up.

        Whoever ends the loop and whoever watches it may come to it at the same time.
        """
        if not self.said_forced:
            self.said_forced = True
            self.report.forced(left)

    def wake(self) -> None:
        """End the present turn of the loop, from whatever thread."""
        try:
            self.loop.call_soon_threadsafe(self.loop.stop)
        except RuntimeError:
            # The loop is closed: there are no more turns.
            pass

    # -- turns of the loop

    def wait_for(
        self,
        futures: Collection[Any],
        until: float,
        *,
        enough: Callable[[], bool] | None = None,
    ) -> bool:
        """Run the loop until all `futures` are done; tell whether they are.

        It ends before that at the moment `until`, at a hurry, or when `enough()`, which
        is asked from time to time, says so.
        """
        countdown = count_down(self.loop, futures)
        # A task's traceback holds this frame: see `asking`.
        del futures
        try:
            return self.wait_for_last(countdown.all_done, until, enough)
        finally:
            # Some may be done so late that it would end a turn of somebody else's.
            countdown.cancel()

    def wait_for_last(
        self, all_done: Any, until: float, enough: Callable[[], bool] | None
    ) -> bool:
        """Run the loop until `all_done` is done; else as `wait_for`."""
        hurried = self.hurried
        look = FIRST_LOOK
        while not all_done.done():
            if time.monotonic() >= until or hurried != self.hurried:
                return False
            if enough is not None and enough():
                return False
            if enough is None and not self.asking.is_holding_back:
                self.turn(until)
                continue
            self.asking.ask_held_back()
            self.turn(min(until, time.monotonic() + look))
            look = min(2 * look, LONGEST_LOOK)
        return True

    def turn(self, until: float) -> None:
        """Run the loop until somebody stops it, or the moment `until` has come."""
        if not self.said_slow:
            until = min(until, self.budget.began_at + SLOW)
        seconds = max(0.0, until - time.monotonic())
        timer = self.loop.call_later(seconds, self.loop.stop)
        if getattr(self.loop, "unfinished", None) is not None:
            # Not what an interrupted run was waiting for: it is in our hands now.
            self.loop.unfinished = None
        try:
            self.loop.run_forever()
        except (KeyboardInterrupt, SystemExit) as error:
            self.interruption = self.interruption or error
        except BaseException as error:  # noqa: BLE001 - reported, and the end goes on
            self.loop.call_exception_handler(
                {"message": "Error in the event loop", "exception": error}
            )
        finally:
            timer.cancel()
        if not self.said_slow and self.budget.elapsed() >= SLOW:
            self.said_slow = True
            self.report.slow(self.survivors())

    def run(self, coroutine: Any, until: float) -> None:
        """Run `coroutine` as a task of ours; cancel it at the moment `until`."""
        task = self.start_task(coroutine)
        self.wait_for([task], until)
        self.end_task(task)

    def start_task(self, coroutine: Any) -> Any:
        """Return a task of ours for `coroutine`, which `end_task` ends."""
        task = task_in_spite_of_it(self.loop, coroutine)
        self.asking.ours.add(task)
        return task

    def end_task(self, task: Any) -> None:
        """Cancel a task of ours if it is not done, and report its failure."""
        if not task.done():
            task.cancel()
            self.wait_for([task], time.monotonic() + FIRST_LOOK)
            task._log_destroy_pending = False
        if task.done() and not task.cancelled() and task.exception() is not None:
            failed_at_the_end(self.loop, task)

    # -- what is left

    def has_survivors(self) -> bool:
        """Tell whether anything may still be there, at no great price."""
        loop = self.loop
        return bool(self.asking.pending()) or (
            isinstance(loop, Loop)
            and bool(
                loop.async_generators.closing
                or loop.children
                or loop.executor.busy()
                or (self.is_closing and connections.open_transports(loop))
            )
        )

    def note_unclosed(self) -> None:
        """Describe the generators that are about to be cut while they are closed."""
        if isinstance(self.loop, Loop):
            self.cut_off += unclosed_generators(self.loop)
            return
        # Of another make's generators only the tasks that close them are known.
        closing = filter(is_cleanup, self.asking.pending())
        self.cut_off += survivors.of_tasks(closing)

    def note_cut_off(self) -> None:
        """Describe the children that do not end and the connections that do not empty.

        They are gone when the end is forced.
        """
        stubborn = children.to_end(self.loop)
        unsent = connections.unsent(self.loop)
        if stubborn or unsent:
            self.cut_off += map(survivors.of_child, stubborn)
            self.cut_off += map(survivors.of_connection, unsent)

    def survivors(self) -> list[Any]:
        """Describe everything that is still there."""
        asking = self.asking
        return remains_of(
            self.loop, asking.ours, asking.requests, connected=self.is_closing
        )


def take_outcome(main: Any) -> None:
    """Stand, among those who wait for `main`, for the run that ends with its outcome.

    To main a `Countdown` alone is nobody who will ask how it ended.
    """
