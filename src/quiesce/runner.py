"""The way in: `run` and `Runner`.

They do what asyncio's do and end the program rightly: what asks for the
end is in `shutdown.triggers`, what happens then in `shutdown.sequence`. All that an end
needs is imported before it: a program may end because it has no descriptor left, or its
files are gone, with which nothing can be imported.
"""

from __future__ import annotations

import contextvars
import signal
import sys
import threading
from asyncio import events, exceptions
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from quiesce.core import unretrieved
from quiesce.core.failures import (
    adds_nothing,
    failed_at_the_end,
    is_failure,
    running_while_handled,
)
from quiesce.errors import GraceExceeded, Terminated
from quiesce.given_main import (
    as_coroutine,
    check_main,
    drop_unbegun,
    refuse_running_loop,
)
from quiesce.loop import Loop
from quiesce.policy import default_loop
from quiesce.shutdown import ending, forcing, late_calls, process_wide
from quiesce.shutdown import reason as why
from quiesce.shutdown.budget import AT_ONCE, Budget, grace_of
from quiesce.shutdown.exit_status import keep_quiet
from quiesce.shutdown.oversight import Oversight
from quiesce.shutdown.reason import Reason
from quiesce.shutdown.report import Report
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.sequence import Sequence
from quiesce.shutdown.triggers import SIGNALS, HeldSignals, Triggers, terminate

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Awaitable, Callable, Generator, Iterable
    from contextvars import Context

    from quiesce.shutdown.report import Target
    from quiesce.shutdown.unheard import Request

T = TypeVar("T")


def run(
    main: Awaitable[T],
    *,
    grace: float | None = None,
    debug: bool | None = None,
    signals: Iterable[int] = SIGNALS,
    report: Target | None = None,
    loop_factory: Callable[[], AbstractEventLoop] | None = None,
) -> T:
    """Return the result of `main`, run on a loop that is made and closed for it.

    Whether `main` returned, raised or was interrupted, every other task is cancelled
    then and its cleanup awaited; async generators, connections and child processes are
    closed and the executor's threads joined. All of that takes at most `grace` seconds
    (else ``QUIESCE_GRACE``, or 8), and at most one more to give up what is left: that
    is named on stderr, and `GraceExceeded` is raised, but after SIGTERM and SIGHUP
    `Terminated` as ever, and after a second Ctrl-C KeyboardInterrupt.

    The `signals`, where the program does not handle them itself, cancel `main` first
    and the other tasks once it is done, or after a second, or a quarter of the grace if
    that is shorter. SIGINT raises KeyboardInterrupt in the end, unless `main` caught
    its cancellation and returned or raised; any other one raises `Terminated`. A second
    Ctrl-C ends the wait for cleanups.

    In a thread that is not the main one no signal is heard. There the run ends with the
    main thread, and never ends the process.

    `debug` sets the loop's debug mode. `report` is the path of a file, or a function,
    that gets an account of the end; ``QUIESCE_REPORT`` names a file where none is
    given. `loop_factory` makes the loop, which may be of another make than ours.

    Raises RuntimeError where a loop is running in this thread, TypeError or, up to
    Python 3.13, ValueError if `main` cannot be run, and ValueError if `grace` or a
    variable of the environment is no number that it can be.
    """
    try:
        refuse_running_loop("asyncio.run()", main)
        runner = Runner(
            grace=grace,
            debug=debug,
            signals=signals,
            report=report,
            loop_factory=loop_factory,
        )
        runner._is_whole_program = True
        with runner._triggers:
            runner.get_loop()
            with runner._known_to_the_process(), runner:
                return runner.run(main)
    except (ValueError, KeyboardInterrupt, SystemExit):
        drop_unbegun(main)
        raise


class Runner:
    """A loop for several calls of `run`, closed at the end of a ``with`` block.

    Each `run` unwinds its own main task only; tasks in the background live on from one
    to the next, with one context for all, until `close` ends them as `run` does. The
    grace is for one end: what a signal leaves of it in `run`, `close` has.

    The loop is made by `loop_factory`, or else by the event loop policy if the program
    has set one of its own, or else it is quiesce's. The other arguments are those of
    `quiesce.run`.
    """

    def __init__(
        self,
        *,
        grace: float | None = None,
        debug: bool | None = None,
        signals: Iterable[int] = SIGNALS,
        report: Target | None = None,
        loop_factory: Callable[[], AbstractEventLoop] | None = None,
    ) -> None:
        self._grace = grace_of(grace)
        self._debug = debug
        self._report = report
        self._loop_factory = loop_factory
        self._loop: Any = None
        self._context: Context | None = None
        self._closed = False
        signals = tuple(signals)
        self._triggers = triggers = Triggers(self._ask, self._hurry, signals)
        triggers.oversight = self._oversight = Oversight(
            self._grace, self._force, triggers.asks, self._force_unheard
        )
        # Between two runs a signal comes out where the program happens to be.
        self._between_runs = HeldSignals(
            {each: terminate for each in signals if each != signal.SIGINT}
        )
        # Set by the function `run`: then a signal ends the background tasks too.
        self._is_whole_program = False
        # Set for a loop that the program ran by itself, when a signal came.
        self._ends_for_signal = False
        # Set in a thread when the process ends, of which no signal tells it.
        self._program_ends = False
        self._given_budget: Budget | None = None
        self._main: Any = None
        # Whether a loop that somebody else may still run is left open.
        self._keeps_loop_open = False
        # Whether the error of the run that was last has been reported.
        self._failure_told = False
        self._budget: Budget | None = None
        self._sequence: Sequence | None = None

    def __enter__(self) -> Self:
        self.get_loop()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            self._end(error)
        except (KeyboardInterrupt, Terminated) as interrupt:
            self._end_although(interrupt)
            raise
        finally:
            self._between_runs.release()

    def get_loop(self) -> AbstractEventLoop:
        """Return the loop, made now if this is its first use.

        Raises RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError("Runner is closed")
        if self._loop is None:
            self._loop = self._new_loop()
            self._context = contextvars.copy_context()
            if not self._is_whole_program:
                # Order matters: nothing is to be loaded when a signal has come.
                from quiesce.shutdown import own_ends  # noqa: F401  # pyright: ignore[reportUnusedImport]

                self._between_runs.hold(below=self._triggers.signals)
        loop: AbstractEventLoop = self._loop
        return loop

    def _new_loop(self) -> Any:
        """Make the loop, and set it for this thread unless a factory was given."""
        if self._loop_factory is None:
            loop = default_loop()
            events.set_event_loop(loop)
        else:
            loop = self._loop_factory()
        if self._debug is not None:
            loop.set_debug(self._debug)
        if isinstance(loop, Loop):
            all_runs.note_loop(loop)
            loop.report_unretrieved_after(unretrieved.PROMPTLY)
            # A request to stop must not find the loop asleep.
            loop.signal_handlers.listen()
        return loop

    # -- one run

    def run(self, coro: Awaitable[T], *, context: Context | None = None) -> T:
        """Return the result of `coro`, run as a task in `context` or the runner's own.

        Signals are treated as `quiesce.run` says, but only `coro` is ended.
        """
        try:
            check_main(coro)
            # Before there is a task, which a signal could cut in half.
            with self._triggers:
                return self._run_as_main(coro, context)
        except (KeyboardInterrupt, SystemExit):
            drop_unbegun(coro)
            raise

    def _run_as_main(self, coro: Awaitable[Any], context: Context | None) -> Any:
        """Run `coro` as main, in which signals are heard already."""
        try:
            self._main = self._task_of(coro, context)
            with self._known_to_the_process():
                self._oversight.watch(self._loop)
                return self._run_main()
        finally:
            self._main = None
            self._oversight.unwatch()

    def _task_of(self, coro: Awaitable[Any], context: Context | None) -> Any:
        """Make the task that is main in the run that begins now."""
        loop: Any = self.get_loop()
        coroutine = as_coroutine(coro)
        self._go_on(loop)
        if context is None:
            context = self._context
        return loop.create_task(coroutine, context=context)

    def _go_on(self, loop: Any) -> None:
        """Forget what ended the run before this one: the program goes on."""
        if self._sequence is not None:
            ending.forget(loop)
            self._sequence.forget()
        self._budget = self._sequence = None
        self._failure_told = False

    def _run_main(self) -> Any:
        """Run the loop until main is done, and say what its outcome means.

        Main is in no variable here or below: it holds the exception it was cancelled
        with, whose traceback leads to these frames, and would hold itself.
        """
        if self._triggers.signum is not None:
            self._ask()
        try:
            return self._loop.run_until_complete(self._main)
        except BaseException as error:
            if self._main.done():
                self._note_failure(error)
                if self._was_cut():
                    # What comes out is only how the signal is answered.
                    self._begin(Reason(why.SIGNALLED, signum=self._triggers.signum))
                    raise self._triggers.answer() from None
                raise
            if self._triggers.signum is None:
                self._interrupted(error)
                raise
        # Order matters: how the loop was stopped is no part of what is raised here.
        return self._end_main()

    def _end_main(self) -> Any:
        """Unwind a main that a signal asked to end; give or raise what comes of it."""
        triggers = self._triggers
        sequence = self._begin(Reason(why.SIGNALLED, signum=triggers.signum))
        sequence.end_main(self._main, main_only=not self._is_whole_program)
        if not self._main.done():
            raise triggers.answer()
        sequence.main_failed = has_failed(self._main)
        if triggers.signum == signal.SIGINT and not triggers.hurried:
            if sequence.asking.has_ended(self._main):
                raise triggers.answer()
            # As asyncio lets it.
            triggers.main_has_answered()
            return self._main.result()
        if has_failed(self._main):
            self._note_failure(self._main.exception())
            raise triggers.answer() from self._main.exception()
        raise triggers.answer()

    def _was_cut(self) -> bool:
        """Tell whether a signal's request reached main as an interruption only."""
        return (
            self._triggers.signum is not None
            and self._main.cancelled()
            and bool(self._oversight.interrupted)
        )

    def _interrupted(self, error: BaseException) -> None:
        """Unwind a main that was still waiting when something ended the loop's run."""
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            # Somebody stopped the loop. Main is one of its tasks now.
            return
        kind = why.PROGRAM_ENDS if self._program_ends else why.EXITED
        sequence = self._begin(Reason(kind, error=error))
        sequence.end_main(self._main, main_only=not self._is_whole_program)
        # A task group hands what ended the run on to main, which raises it once more.
        failure = self._main.exception() if has_failed(self._main) else None
        if is_failure(failure) and not adds_nothing(failure, error):
            failed_at_the_end(self._loop, self._main)

    def _note_failure(self, error: BaseException | None) -> None:
        """See to it that main's error is seen although a signal has the last word."""
        triggers = self._triggers
        if triggers.signum == signal.SIGINT:
            # The error tells the caller that it ended, as asyncio lets it.
            triggers.answered = True
        if triggers.signum is None or triggers.answered:
            return
        if is_failure(error):
            self._failure_told = True
            failed_at_the_end(self._loop, self._main)
        elif not isinstance(error, exceptions.CancelledError):
            # With sys.exit() main has said itself how the program ends.
            triggers.answered = True
            raise error  # pyright: ignore[reportGeneralTypeIssues]

    # -- the end

    def close(self) -> None:
        """End every task, close async generators and executor, and close the loop.

        Raises `GraceExceeded` if that takes longer than the grace.
        """
        self.__exit__(None, None, None)

    def _end(self, error: BaseException | None) -> None:
        """Go through the rest of the end while `error` is on its way out, and close."""
        if self._loop is None or self._closed:
            return
        if self._sequence is not None:
            # Another Ctrl-C is a later one, although the run is over.
            self._triggers.keep_request(error)
        with self._triggers:
            sequence = self._sequence
            if sequence is None or error is None:
                sequence = self._begin(self._reason_of(error))
            with self._known_to_the_process():
                try:
                    sequence.finish()
                finally:
                    if self._reason_to_exit(sequence) is not None:
                        late_calls.keep_quiet(sequence.budget)
                    self._close_loop(sequence)
                    sequence.forget()
            self._bound_exit(sequence)
            self._say_how(sequence, error)

    def _end_although(self, interrupt: BaseException) -> None:
        """Go through the end if a signal came before it had begun."""
        if not self._closed:
            self._end(interrupt)

    def _reason_of(self, error: BaseException | None) -> Reason:
        """Return why the end begins, unless it has begun with a signal."""
        triggers = self._triggers
        if triggers.signum is None and error is None:
            self._budget = None
        if triggers.signum is not None and (
            self._ends_for_signal or not triggers.answered
        ):
            return Reason(why.SIGNALLED, signum=triggers.signum)
        return reason_of(error, asked_by=triggers.signum)

    def _begin(self, reason: Reason) -> Sequence:
        """Return the sequence of an end that begins now, or began with a signal."""
        if self._budget is None:
            self._budget = self._given_budget or Budget(self._grace)
        report = Report(reason, self._budget, to=self._report)
        self._sequence = Sequence(self._loop, reason, self._budget, report)
        self._sequence.hurried = self._triggers.hurried
        # A task that was interrupted knows that it is to end.
        self._sequence.asking.asked = self._oversight.interrupted
        self._oversight.hold(self._loop, self._budget, reason.forced_status)
        return self._sequence

    def _close_loop(self, sequence: Sequence) -> None:
        """Close the loop, and be of no more use."""
        if self._loop_factory is None:
            events.set_event_loop(None)
        loop, self._loop = self._loop, None
        self._closed = True
        self._oversight.close()
        try:
            with running_while_handled():
                if self._keeps_loop_open:
                    ending.forget(loop)
                else:
                    loop.close()
        except (KeyboardInterrupt, SystemExit) as error:
            # The exception handler's, which hears of what was never retrieved.
            sequence.interruption = sequence.interruption or error

    def _say_how(self, sequence: Sequence, error: BaseException | None) -> None:
        """Raise what comes of the end, unless `error` or a signal's answer says it."""
        triggers = self._triggers
        is_open = triggers.signum is not None and not triggers.answered
        by_ctrl_c = is_open and triggers.signum == signal.SIGINT
        is_told = isinstance(error, Terminated) or (is_open and not by_ctrl_c)
        if sequence.forced and not is_told:
            self._raise_forced(sequence, error, by_ctrl_c=by_ctrl_c)
        if sequence.hurried and isinstance(error, KeyboardInterrupt):
            keep_quiet(error)
        is_hidden = is_open and (triggers.hurried or not by_ctrl_c)
        if is_hidden and self._given_budget is None:
            # Of these answers no traceback is shown that would have it. Whoever ends a
            # loop that was left behind shows the error by itself.
            self._report_overruled(sequence.loop, error)
        if is_open or isinstance(error, (KeyboardInterrupt, Terminated)):
            # The last exit from `triggers` gives the answer that is open.
            return
        if sequence.interruption is not None and error is None:
            raise sequence.interruption

    def _raise_forced(
        self, sequence: Sequence, error: BaseException | None, *, by_ctrl_c: bool
    ) -> NoReturn:
        """Say with the status that the end was forced.

        Not with KeyboardInterrupt: many programs catch that and end with 0.
        """
        self._report_overruled(sequence.loop, error)
        self._triggers.answered = True
        if threading.current_thread() is not threading.main_thread():
            late_calls.keep_forced_quiet()
        reason = Reason(why.SIGNALLED, signal.SIGINT) if by_ctrl_c else sequence.reason
        raise GraceExceeded(reason.forced_status) from error

    def _report_overruled(self, loop: Any, error: BaseException | None) -> None:
        """Report main's `error`, unless it has been, where something else comes out."""
        if is_failure(error) and not self._failure_told:
            self._failure_told = True
            loop.call_exception_handler({"message": "main raised", "exception": error})

    def _bound_exit(self, sequence: Sequence) -> None:
        """Give the process what is left of the grace, if it is to end."""
        # Not that of before the loop was closed: a signal may have come meanwhile.
        reason = self._reason_to_exit(sequence)
        if reason is not None:
            process_wide.bound_exit(
                sequence.budget,
                reason,
                report=sequence.report,
                hurried=sequence.hurried,
            )
        else:
            process_wide.unbind()

    def _reason_to_exit(self, sequence: Sequence) -> Reason | None:
        """Return why the process is to end too, None if it is not.

        A run in another thread than the main one never ends it.
        """
        if threading.current_thread() is not threading.main_thread():
            return None
        reason, triggers = sequence.reason, self._triggers
        if triggers.signum is not None and not triggers.answered:
            reason = Reason(why.SIGNALLED, signum=triggers.signum)
        elif sequence.interruption is not None:
            reason = Reason(why.EXITED, error=sequence.interruption)
        return reason if reason.ends_process or sequence.forced else None

    # -- triggers

    @contextmanager
    def _known_to_the_process(self) -> Generator[None]:
        """Be asked to end when the interpreter exits, in a thread without signals."""
        loop = self._loop
        if threading.current_thread() is threading.main_thread():
            yield
            return
        ask = partial(self._call_from_outside, self._exit_with_program)
        hurry = partial(self._call_from_outside, self._hurry)
        # Most runs are in the main thread, and have no use for it.
        from quiesce.shutdown.waiting_main import waiting_main

        with all_runs.entered(loop, ask, hurry, self._grace):
            waiting_main.look_on(self._grace)
            yield

    def _exit_with_program(self) -> NoReturn:
        """End the run as ``sys.exit()`` in one of its callbacks does."""
        self._program_ends = True
        sys.exit()

    def _call_from_outside(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function(*args)`` in the loop, if it has not ended; thread-safe."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except (AttributeError, RuntimeError):
            # It has just ended.
            pass

    def _ask(self) -> None:
        """Begin the end; called by a signal handler, so at any moment."""
        if self._budget is None:
            grace = self._oversight.grace_left()
            self._budget = Budget(grace, self._triggers.heard_at)
        note_request(self._triggers.signum, self._budget)
        self._keep_to_budget()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_for_end, self._main)

    def _stop_for_end(self, main: Any) -> None:
        """Stop the loop, so that `main` is unwound, if it still runs."""
        if main is not None and main is self._main and self._sequence is None:
            self._loop.stop()

    def _hurry(self, seconds: float = AT_ONCE) -> None:
        """Let the end come at once; called by a signal handler, so at any moment."""
        if self._sequence is not None:
            self._sequence.hurry(seconds)
        elif self._budget is not None:
            self._budget.hurry(seconds)
        self._keep_to_budget()

    def _keep_to_budget(self) -> None:
        """Let the end keep to what the budget is now; called at any moment."""
        if self._loop is not None and self._budget is not None:
            self._oversight.hold(
                self._loop, self._budget, self._asked_reason.forced_status
            )

    @property
    def _asked_reason(self) -> Reason:
        """Why the end has begun."""
        if self._sequence is not None:
            return self._sequence.reason
        return Reason(why.SIGNALLED, signum=self._triggers.signum)

    def _force(self) -> None:
        """End the process, because the loop cannot; called in another thread."""
        sequence = self._sequence or self._begin(self._asked_reason)
        self._oversight.allow_last_acts(sequence.budget, sequence.reason.forced_status)
        forcing.end_process(sequence)

    def _force_unheard(self, request: Request) -> None:
        """Do so for a signal of which the main thread has not heard in its grace."""
        triggers = self._triggers
        triggers.signum, triggers.heard_at = request.signum, request.began_at
        triggers.hurried = request.hurried
        self._budget = Budget(self._grace, request.began_at)
        self._force()


def end_loop(
    loop: AbstractEventLoop,
    error: BaseException | None,
    budget: Budget,
    signum: int | None,
    heard_at: float,
    *,
    keep_open: bool = False,
) -> None:
    """End everything on `loop`, which nobody runs now, and close it or `keep_open`.

    `error` is what is on its way out of the program meanwhile, and `signum` the signal
    that has raised it. Raises as `Runner.close`.
    """
    runner = Runner(loop_factory=lambda: loop)
    runner._keeps_loop_open = keep_open
    triggers = runner._triggers
    with triggers:
        runner._given_budget = budget
        if signum is not None:
            # The program ends already, for a reason that stays the same.
            triggers.signum, triggers.heard_at = signum, heard_at
            triggers.answered = runner._ends_for_signal = True
        runner.get_loop()
        runner.__exit__(None, error, None)


def note_request(signum: int | None, budget: Budget) -> None:
    """Let a repetition of `signum` after the run not cut what its caller cleans up."""
    # Whoever answers signals where there is no run has imported this.
    own_ends = sys.modules.get("quiesce.shutdown.own_ends")
    if own_ends is not None and signum != signal.SIGINT:
        own_ends.request.join(signum, budget)


def reason_of(error: BaseException | None, *, asked_by: int | None) -> Reason:
    """Return why a runner is closed while `error` is on its way out.

    A signal that `asked_by` names may have been answered by main before.
    """
    if error is None:
        return Reason(why.RETURNED, asked_by=asked_by)
    if isinstance(error, Terminated):
        return Reason(why.SIGNALLED, signum=error.signum)
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return Reason(why.EXITED, error=error)
    return Reason(why.RAISED, error=error)


def has_failed(task: Any) -> bool:
    """Tell whether `task` is done and ended with an exception of its own."""
    return task.done() and not task.cancelled() and task.exception() is not None
