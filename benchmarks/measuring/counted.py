"""One operation a fixed number of times, for counting its instructions."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from measuring import candidates
from measuring.child import BY_KEY, Measured, rounded

if TYPE_CHECKING:
    from task_operations import Operation

WARM_UP = 2_000
# What the watchdog does by the clock is to be as rare among the operations as ever:
# under callgrind they take some fifty times as long, so it is not the usual 1,000.
MILLISECONDS = "50000"


def main(name: str, key: str, count: str) -> None:
    """Run the operation ``key`` on the candidate ``name``, ``count`` times."""
    operation = BY_KEY[key]
    counts = [rounded(WARM_UP, operation.multiple), int(count)]
    if name == candidates.WATCHED.name:
        run_watched(operation, counts)
        return
    measured = Measured(candidates.ALL[name])
    for each in counts:
        measured.run(operation, each)
    measured.loop.close()


def run_watched(operation: Operation, counts: list[int]) -> None:
    """Run the operation so many times, under the watchdog of `quiesce.run`."""
    import quiesce

    os.environ["QUIESCE_WATCHDOG_MS"] = MILLISECONDS
    for count in counts:
        quiesce.run(operation.program(asyncio, count))


if __name__ == "__main__":
    main(*sys.argv[1:])
