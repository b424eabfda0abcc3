"""What the promise of a right end costs while a program runs.

``python benchmarks/contract.py`` counts the instructions of each operation on a loop
alone and under ``quiesce.run`` with its watchdog, and prints how much more the latter
is. Then it measures what the watchdog adds to the start of a program. The count needs
valgrind and takes minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from measuring import candidates, instructions
from task_operations import OPERATIONS

# The bars: so much more, as a share, and so many seconds.
MORE = 0.02
START = 0.005
PROGRAM = """
import quiesce

async def main():
    pass

quiesce.run(main())
"""


def main() -> int:
    """Measure and print; status 1 if a bar is not met."""
    options = parse()
    met = start_is_soon(options.rounds)
    if not instructions.available():
        print("no count of instructions: valgrind is not installed")
        return int(not met)
    for key in options.operations:
        met &= costs_little(key)
    return int(not met)


def parse() -> argparse.Namespace:
    """Return the options given."""
    keys = [operation.key for operation in OPERATIONS]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("operations", nargs="*", default=keys, help=f"of {keys}")
    parser.add_argument("--rounds", type=int, default=30, help="of the start")
    options = parser.parse_args()
    if unknown := set(options.operations) - set(keys):
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(keys)}")
    return options


def costs_little(key: str) -> bool:
    """Print one row; tell whether its bar is met."""
    alone, watched = (
        sum(instructions.by_function(candidate, key).values())
        for candidate in (candidates.STOCK, candidates.WATCHED)
    )
    more = watched / alone - 1
    verdict = "" if more <= MORE else "  BAR NOT MET"
    print(f"{key:15} {alone:10,.1f} {watched:10,.1f} {more:+8.2%}{verdict}", flush=True)
    return more <= MORE


def start_is_soon(rounds: int) -> bool:
    """Print what the watchdog adds to a program that does nothing."""
    turns = [
        (seconds_of_program("0"), seconds_of_program("1000")) for _ in range(rounds)
    ]
    without, watched = map(min, zip(*turns, strict=True))
    added = watched - without
    verdict = "" if added <= START else "  BAR NOT MET"
    print(f"the watchdog adds {added * 1000:.2f} ms to the start{verdict}", flush=True)
    return added <= START


def seconds_of_program(milliseconds: str) -> float:
    """Return how long a program with this threshold of the watchdog takes."""
    environment = {**os.environ, "QUIESCE_WATCHDOG_MS": milliseconds}
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
