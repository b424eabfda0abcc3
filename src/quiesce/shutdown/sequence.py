"""What happens when a program ends: main first, then the rest, then what the loop owns.

Main goes first because its own structure (task groups, ``async with``) cancels what it
owns, once and in order. The functions here run a loop that has stopped; `cancel_others`
alone is for one that runs.
"""

from __future__ import annotations

import sys
from asyncio import constants
from typing import TYPE_CHECKING, Any

from quiesce.combinators.gather import gather
from quiesce.combinators.wait import wait
from quiesce.core.running import all_tasks

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Iterable

# Main may be waiting for tasks that end only when they are cancelled, as a server does
# for its connections: after so many seconds the rest is cancelled beside it.
MAIN_ALONE = 1.0
# A task that was cancelled before the end began is either in its cleanup or has
# swallowed the request; after so many seconds it is asked again.
IN_CLEANUP = 6.0
# How long the end may take once a second Ctrl-C asked for it at once.
AT_ONCE = 1.0


def end_main(loop: AbstractEventLoop, main: Any) -> None:
    """Cancel a main task that something else interrupted, and let it unwind."""
    if not was_asked(main):
        main.cancel()
    loop.run_until_complete(wait([main], timeout=MAIN_ALONE))


def cancel_others(loop: AbstractEventLoop, main: Any) -> None:
    """Ask every task but `main` to end, in the running loop."""
    for task in all_tasks(loop):
        if task is not main and not was_asked(task):
            task.cancel()


def end_tasks(loop: AbstractEventLoop, *, at_once: bool = False) -> None:
    """Cancel every pending task and wait until none is left.

    Tasks that are born meanwhile are cancelled once those before them are done. With
    `at_once` everything is asked again and given one second.
    """
    while pending := all_tasks(loop):
        if at_once:
            cancel_each(pending)
            loop.run_until_complete(wait(pending, timeout=AT_ONCE))
            name_survivors(task for task in pending if not task.done())
            break
        in_cleanup = [task for task in pending if was_asked(task)]
        cancel_each(pending.difference(in_cleanup))
        if in_cleanup:
            loop.run_until_complete(wait(pending, timeout=IN_CLEANUP))
            cancel_each(task for task in in_cleanup if not task.done())
        loop.run_until_complete(gather(*pending, return_exceptions=True))
        report_failures(loop, pending)


def end_loop(loop: AbstractEventLoop, *, at_once: bool = False) -> None:
    """End what is left on `loop`: tasks, async generators, the executor's threads."""
    end_tasks(loop, at_once=at_once)
    loop.run_until_complete(loop.shutdown_asyncgens())
    if at_once:
        return
    if sys.version_info >= (3, 12):
        joined = loop.shutdown_default_executor(constants.THREAD_JOIN_TIMEOUT)
    else:
        joined = loop.shutdown_default_executor()
    loop.run_until_complete(joined)


def was_asked(task: Any) -> bool:
    """Tell whether somebody has cancelled `task` already."""
    # A task factory may make tasks that have no more than the older methods.
    cancelling = getattr(task, "cancelling", None)
    return cancelling is not None and cancelling() > 0


def cancel_each(tasks: Iterable[Any]) -> None:
    """Cancel `tasks`."""
    for task in tasks:
        task.cancel()


def report_failures(loop: AbstractEventLoop, tasks: Iterable[Any]) -> None:
    """Report what went wrong in the cleanups of `tasks`."""
    for task in tasks:
        if not task.cancelled() and task.exception() is not None:
            report_failure(loop, task)


def name_survivors(tasks: Iterable[Any]) -> None:
    """Say which tasks are given up, in place of what is said when they are dropped."""
    for task in tasks:
        task._log_destroy_pending = False
        print(f"quiesce: did not end in time: {task!r}", file=sys.stderr)  # noqa: T201


def report_failure(loop: AbstractEventLoop, task: Any) -> None:
    """Report the exception of one task that nobody can await any more."""
    loop.call_exception_handler(
        {
            "message": "unhandled exception during asyncio.run() shutdown",
            "exception": task.exception(),
            "task": task,
        }
    )
