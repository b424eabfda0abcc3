"""What every scenario's program begins with: ``from program_head import *``.

It binds `run` and `Runner` to those of the way the scenario is run, and `log`, with
which a program proves what ran and in which order.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from typing import NoReturn

WAY = os.environ["QUIESCE_EXITS_WAY"]
for_ever = float("inf")
BEGUN = os.environ["QUIESCE_EXITS_BEGUN"]
LOG = os.open(os.environ["QUIESCE_EXITS_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

if WAY == "quiesce.run":
    import quiesce

    run, Runner = quiesce.run, quiesce.Runner
elif WAY == "uvloop.run":
    import uvloop

    run = uvloop.run
    Runner = functools.partial(asyncio.Runner, loop_factory=uvloop.new_event_loop)
else:
    # Under `quiesce run` this is a program that knows nothing of quiesce.
    run, Runner = asyncio.run, asyncio.Runner


def log(text: object) -> None:
    """Append a line to the log, at once, from any thread, fork or handler."""
    os.write(LOG, f"{text}\n".encode())


def say(text: object = "ready") -> None:
    """Print a line that the test waits for."""
    print(text, flush=True)  # noqa: T201


def sleep_in_pieces() -> NoReturn:
    """Sleep for ever, without a loop, and hear every signal.

    No Python program hears of one that comes between its last look for signals and the
    system call in which it sleeps, until it wakes.
    """
    while True:
        time.sleep(0.05)


async def sleeper(name: object, cleanup: float = 0.0) -> None:
    """Sleep for ever; log the name once a cleanup that takes so long has ended.

    One that takes `for_ever` cannot be cancelled either.
    """
    try:
        await asyncio.sleep(3600)
    finally:
        await (never_ends() if cleanup == for_ever else asyncio.sleep(cleanup))
        log(name)


async def never_ends() -> None:
    """Sleep for ever, whoever asks."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


def start(name: object, cleanup: float = 0.0) -> asyncio.Task[None]:
    """Start a `sleeper` as a task that has the same name."""
    return asyncio.create_task(sleeper(name, cleanup), name=str(name))


def asyncio_tasks() -> None:
    """Let every task from now on be one of asyncio's own class."""
    asyncio.get_running_loop().set_task_factory(
        lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options)
    )


# Threads that take turns more often find more of what others have half-done.
if "QUIESCE_EXITS_SWITCH" in os.environ:
    sys.setswitchinterval(float(os.environ["QUIESCE_EXITS_SWITCH"]))

if "QUIESCE_EXITS_MUTANT" in os.environ:
    sys.path.append(os.path.dirname(os.path.dirname(__file__)))  # noqa: PTH120
    import mutants

    mutants.apply(os.environ["QUIESCE_EXITS_MUTANT"])

# A child process that is spawned comes here too, later than its parent.
with contextlib.suppress(FileExistsError), open(BEGUN, "x") as file:  # noqa: PTH123
    file.write(str(time.monotonic()))

__all__ = [
    "WAY",
    "Runner",
    "asyncio",
    "asyncio_tasks",
    "atexit",
    "contextlib",
    "for_ever",
    "functools",
    "log",
    "never_ends",
    "os",
    "run",
    "say",
    "signal",
    "sleep_in_pieces",
    "sleeper",
    "start",
    "sys",
    "threading",
    "time",
]
