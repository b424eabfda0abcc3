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
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any

from quiesce.cli.failure import show
from quiesce.cli.last_act import LastAct
from quiesce.cli.problem import Problem
from quiesce.cli.target import Target, enter, find
from quiesce.cli.usage import show_usage
from quiesce.core import unretrieved
from quiesce.core.running import all_of, loops
from quiesce.errors import Terminated
from quiesce.shutdown import budget, watchdog
from quiesce.shutdown.loops_in_threads import is_driven_by_hand, stop_loops
from quiesce.shutdown.own_ends import (
    close_kept,
    end_loops,
    error_of,
    has_left,
    request,
    take_care,
)
from quiesce.shutdown.reason import SIGNALLED, Reason, signum_of
from quiesce.shutdown.triggers import nothing


def run(words: list[str]) -> int:
    """Run the program that `words` name, with the rest of them as its arguments.

    Returns 0 if it ran to its end and 1 after an exception, whose traceback was shown.
    By SystemExit and by a signal the process ends as it would have under ``python``.
    Where the words ask for help instead, that is printed.
    """
    words = without_options(words)
    if words[:1] in (["-h"], ["--help"]):
        return show_usage()
    target, arguments = find(words)
    check_environment()
    enter(target.folder, [target.name, *arguments])
    # Order matters: exit functions are called last registered first, and this one is to
    # come after those of the program and of everything it imports.
    atexit.register(last_act := LastAct(end_last_loops, end_loops_of_threads))
    last_act.hear_signals()
    error = end_of(target, last_act)
    bound_exit(error)
    last_act.come_closer()
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


# What comes out of a program that a signal has asked to end.
BY_SIGNAL = (KeyboardInterrupt, Terminated)
# Seconds after which a blocked loop is told of.
BLOCKED_TOO_LONG = 1.0


def bound_exit(error: BaseException | None) -> None:
    """Let threads and children end within the grace, where a signal asked for the end.

    A program that ends by ``sys.exit()`` outside of a run goes on until its threads
    have ended, as under ``python``.
    """
    if not isinstance(error, BY_SIGNAL):
        return
    from quiesce.shutdown import process_wide

    if process_wide.is_bound():
        # From the run in which the signal arrived, with what is left of its grace.
        return
    signum = signum_of(error)
    process_wide.bound_exit(request.budget_of(signum), Reason(SIGNALLED, signum))


def end_of(target: Target, last_act: LastAct) -> BaseException | None:
    """Run the program, and return the exception that it ended with, if any.

    No signal's exception comes out of this: once `last_act` knows that the program is
    over it answers signals by itself.
    """
    from quiesce.installation import install
    from quiesce.runner import end_loop
    from quiesce.shutdown.nudge import allow_interruptions
    from quiesce.shutdown.own_loops import watch_own_loops

    install()
    watchdog.default_threshold = BLOCKED_TOO_LONG
    watch_own_loops()
    take_care(end_loop)
    allow_interruptions()
    unretrieved.default_delay = unretrieved.PROMPTLY
    error: BaseException | None = None
    try:
        try:
            run_body(target)
        finally:
            last_act.take_over()
    except BaseException as raised:  # noqa: BLE001 - it is dealt with by the caller
        error = raised
    # Unless a signal came in between.
    last_act.take_over()
    if isinstance(error, KeyboardInterrupt):
        # Unless it was heard in a run.
        request.begin(signal.SIGINT)
    return end_of_loops(error, last_act)


def run_body(target: Target) -> None:
    """Run the program's own code."""
    from quiesce.runner import run as run_main

    body = target.load()
    if isinstance(body, CodeType):
        exec(body, vars(fresh_main(target)))  # noqa: S102 - this is the command
    else:
        run_main(body())


def end_of_loops(
    error: BaseException | None, last_act: LastAct
) -> BaseException | None:
    """End what the program left, with `error` if any; return what it ends with then."""
    while True:
        was_asked = isinstance(error, BY_SIGNAL)
        raised: BaseException | None = None
        try:
            end_open_loops(error)
        except BaseException as raised_now:  # noqa: BLE001 - as above
            raised = raised_now
        if raised is None and last_act.noted is not None:
            raised = error_of(last_act.noted)
        if raised is None or was_asked:
            return raised or error
        if isinstance(error, Exception):
            show(error)
        error = raised
        # Once more after a first signal: threads are to leave their loops, too.
        if not isinstance(error, BY_SIGNAL):
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
    another thread, which a signal ends too if Python would wait for it. None is closed:
    exit functions may run them.
    """
    in_use: set[Any] = set()
    if isinstance(error, BY_SIGNAL):
        in_use = stop_loops(lambda thread: not thread.daemon)
    end_loops(left_loops(in_use), error, keep_open=True)


def end_last_loops() -> None:
    """End what is left on loops of threads for which Python does not wait.

    Errors that nobody has asked for are reported, also on a loop that stays open.
    """
    in_use = stop_loops(lambda thread: thread.daemon)
    end_loops(left_loops(in_use), request.error())
    close_kept()
    unretrieved.report_all()


def end_loops_of_threads() -> None:
    """End the loops of threads for which the interpreter waits as it exits."""
    in_use = stop_loops(lambda thread: not thread.daemon)
    with suppress(SystemExit):
        # The process ends by the signal that asked for it, whatever it comes to.
        end_loops(left_loops(in_use), request.error())


def left_loops(in_use: set[Any]) -> list[Any]:
    """Return the loops with something left that nobody runs, uses or ends.

    A runner that ends its loop runs it turn by turn: it is not running all the time.
    """
    return [
        loop
        for loop in all_of(loops)
        if loop not in in_use
        and not (loop.is_closed() or loop.is_running() or watchdog.is_watched(loop))
        and is_driven_by_hand(loop)
        and has_left(loop)
    ]
