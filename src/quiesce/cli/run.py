"""``quiesce run``: an unchanged program, on our loop, with our exit.

What `target` found is run as ``python`` would run it: in a module ``__main__`` of its
own, with its ``sys.argv`` and ``sys.path``, with tracebacks in which nothing of ours
appears, and with the exit status that says why it ended.
"""

from __future__ import annotations

import atexit
import builtins
import signal
import sys
from types import CodeType, ModuleType
from typing import Any

from quiesce.cli.failure import show
from quiesce.cli.problem import Problem
from quiesce.cli.target import Target, enter, find
from quiesce.core import unretrieved
from quiesce.core.running import all_tasks, loops
from quiesce.errors import Terminated
from quiesce.shutdown import budget, late_status, watchdog
from quiesce.shutdown.exit_status import die_of
from quiesce.shutdown.loops_in_threads import stop_loops
from quiesce.shutdown.triggers import SIGNALS, HeldSignals, terminate


def run(words: list[str]) -> int:
    """Run the program that `words` name, with the rest of them as its arguments.

    Returns 0 if it ran to its end and 1 after an exception, whose traceback was shown.
    By SystemExit and by a signal the process ends as it would have under ``python``.
    """
    target, arguments = find(without_options(words))
    check_environment()
    enter(target.folder, [target.name, *arguments])
    # Order matters: exit functions are called last registered first, and this one is to
    # come after those of the program and of everything it imports.
    atexit.register(last_act := LastAct())
    HeldSignals(
        {signum: terminate for signum in SIGNALS if signum != signal.SIGINT}
    ).hold()
    error = end_of(target)
    bound_exit(error)
    last_act.hear_signals()
    if isinstance(error, Terminated):
        last_act.die_of(error.signum)
    elif isinstance(error, KeyboardInterrupt):
        show_unless_unread(error)
        # Python itself ends the process by SIGINT then; the traceback has been shown.
        sys.excepthook = nothing
    elif error is not None and not isinstance(error, (SystemExit, Problem)):
        show(error)
        return 1
    if error is not None:
        raise error
    return 0


def check_environment() -> None:
    """Refuse what the program would be told of in the middle of its work."""
    try:
        budget.grace_of(None)
        watchdog.threshold()
    except ValueError as error:
        raise Problem(str(error)) from None


def show_unless_unread(interrupt: KeyboardInterrupt) -> None:
    """Show the traceback of a Ctrl-C, unless that would wait for a reader for ever."""
    from quiesce.shutdown.exit_supervisor import is_unread

    if not is_unread(sys.stderr):
        show(interrupt)


def without_options(words: list[str]) -> list[str]:
    """Take note of the options before the program, and return the words behind them."""
    while words and words[0].partition("=")[0] == "--grace":
        _, is_joined, value = words[0].partition("=")
        rest = words[1:]
        if not is_joined:
            if not rest:
                raise Problem("--grace needs a number of seconds")
            value, *rest = rest
        try:
            budget.default_grace = budget.seconds_of(value, "--grace")
        except ValueError as error:
            raise Problem(str(error)) from None
        words = rest
    return words


# Seconds after which a blocked loop is told of.
BLOCKED_TOO_LONG = 1.0


def bound_exit(error: BaseException | None) -> None:
    """Let threads and children end within the grace, where a signal asked for the end.

    A program that ends by ``sys.exit()`` outside of a run goes on until its threads
    have ended, as under ``python``.
    """
    if not isinstance(error, (KeyboardInterrupt, Terminated)):
        return
    from quiesce.shutdown import process_wide, reason

    if process_wide.is_bound():
        # From the run in which the signal arrived, with what is left of its grace.
        return
    signum = error.signum if isinstance(error, Terminated) else signal.SIGINT
    process_wide.bound_exit(
        budget.Budget(budget.grace_of(None)), reason.Reason(reason.SIGNALLED, signum)
    )


class LastAct:
    """What the process does last: die of the signal that asked it to end."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.has_begun = False

    def die_of(self, signum: int) -> None:
        """Choose the signal; from now on its repetition changes nothing."""
        self.signum = signum
        signal.signal(signum, nothing)

    def hear_signals(self) -> None:
        """Let SIGTERM and SIGHUP end the exit of the interpreter too, which now begins.

        One that ends for such a reason already is not disturbed.
        """
        from quiesce.shutdown import process_wide

        hear = nothing if process_wide.is_bound() else self.heard
        # The last that is registered is called first.
        atexit.register(self.begin)
        for signum in SIGNALS:
            if signal.getsignal(signum) is terminate:
                signal.signal(signum, hear)

    def begin(self) -> None:
        """Note that the exit functions are being called."""
        self.has_begun = True

    def heard(self, signum: int, _: object) -> None:
        """End the exit that goes on within the grace, and die of the signal then.

        Called in the main thread, in the middle of a wait for threads or of an exit
        function. What is raised there would be shown and forgotten.
        """
        from quiesce.shutdown import process_wide, reason

        if self.signum is not None:
            return
        self.die_of(signum)
        bound = process_wide.ExitBound(
            budget.Budget(budget.grace_of(None)),
            reason.Reason(reason.SIGNALLED, signum),
            None,
        )
        if self.has_begun:
            # This one has its time, and so have those that follow.
            bound.supervisor.take_over()
        else:
            bound()

    def __call__(self) -> None:
        """End by the signal, if there was one, be it in a run of an exit function."""
        end_loops_of_daemons()
        signum = self.signum or next(iter(late_status.SIGNUMS), None)
        if signum is not None:
            die_of(signum)


def nothing(*_: object) -> None:
    """Do nothing, where a function is asked for."""


def end_of(target: Target) -> BaseException | None:
    """Run the program, and return the exception that it ended with, if any."""
    from quiesce.installation import install
    from quiesce.runner import run as run_main
    from quiesce.shutdown.own_loops import watch_own_loops

    install()
    watchdog.default_threshold = BLOCKED_TOO_LONG
    watch_own_loops()
    unretrieved.default_delay = unretrieved.PROMPTLY
    error: BaseException | None = None
    try:
        body = target.load()
        if isinstance(body, CodeType):
            exec(body, vars(fresh_main(target)))  # noqa: S102 - this is the command
        else:
            run_main(body())
    except BaseException as raised:  # noqa: BLE001 - it is dealt with by the caller
        error = raised
    try:
        end_open_loops(error)
    except BaseException as raised:  # noqa: BLE001 - as above
        error = raised
    return error


def fresh_main(target: Target) -> ModuleType:
    """Make the module ``__main__`` as ``python`` of this version makes it."""
    module = ModuleType("__main__")
    names = vars(module)
    names["__builtins__"] = builtins
    if sys.version_info < (3, 14):
        names["__annotations__"] = {}
    names.update(target.attributes)
    sys.modules["__main__"] = module
    return module


def end_open_loops(error: BaseException | None) -> None:
    """Unwind the tasks that the program left on a loop it has not closed.

    A program that calls ``loop.run_forever()`` itself and is interrupted there leaves
    its tasks pending; `error` is what interrupted it. A loop that still runs belongs to
    another thread, which a signal ends too.
    """
    in_use: set[Any] = set()
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        in_use = stop_loops(lambda _: True)
    end_loops(error, in_use)


def end_loops_of_daemons() -> None:
    """End what is left on loops of threads for which Python does not wait."""
    end_loops(None, stop_loops(lambda thread: thread.daemon))


def end_loops(error: BaseException | None, in_use: set[Any]) -> None:
    """Unwind the tasks on every loop that nobody runs, but for those in use."""
    from quiesce.runner import end_loop

    for loop in loops - in_use:
        if not (loop.is_closed() or loop.is_running()) and all_tasks(loop):
            end_loop(loop, error)
