"""How long a program with many tasks takes from Ctrl-C to its end.

``python benchmarks/exits.py`` starts whole programs, each with so many sleeping tasks,
sends SIGINT to each, and prints the seconds until the process is gone and the memory it
took at most: quiesce beside asyncio and uvloop, in turn, the least of some rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import machine

OUTPUT = Path("build", "benchmarks")
RUNNERS = {
    "quiesce": "import quiesce; run = quiesce.run",
    "asyncio": "run = asyncio.run",
    "uvloop": "import uvloop; run = uvloop.run",
}
CLEANUPS = {"finally": "cleaned += 1", "finally, 10 ms": "await asyncio.sleep(0.01)"}
COUNTS = (1_000, 10_000, 100_000)
# The bar: so many times as fast as asyncio.run at the largest count. At no
# count is another loop to be faster.
BAR = 2.0

PROGRAM = """
import asyncio
{runner}

cleaned = 0

async def sleeper():
    global cleaned
    try:
        await asyncio.sleep(3600)
    finally:
        {cleanup}

async def main():
    tasks = [asyncio.create_task(sleeper()) for _ in range({count})]
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.sleep(3600)

try:
    run(main())
except KeyboardInterrupt:
    pass
"""


def main() -> int:
    """Measure and print; status 1 if a bar is not met."""
    options = parse()
    names = [name for name in RUNNERS if importlib.util.find_spec(name)]
    facts = machine.facts()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    rows = [
        measured(cleanup, count, names, options.rounds)
        for cleanup in CLEANUPS
        for count in options.counts
    ]
    OUTPUT.mkdir(parents=True, exist_ok=True)
    written = json.dumps({"machine": facts, "rows": rows}, indent=1, default=str)
    (OUTPUT / "exits.json").write_text(written)
    return int(not all(row["met"] for row in rows))


def parse() -> argparse.Namespace:
    """Return the options given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    return parser.parse_args()


def measured(cleanup: str, count: int, names: list[str], rounds: int) -> dict[str, Any]:
    """Measure and print one row."""
    seconds = {name: float("inf") for name in names}
    memory = dict.fromkeys(names, float("inf"))
    for _ in range(rounds):
        for name in names:
            took, most = ended(RUNNERS[name], CLEANUPS[cleanup], count)
            seconds[name] = min(seconds[name], took)
            memory[name] = min(memory[name], most)
    ratio = seconds["asyncio"] / seconds["quiesce"]
    lean = memory["quiesce"] <= memory["asyncio"]
    first = seconds["quiesce"] <= min(seconds.values())
    met = lean and first and ratio >= (BAR if count == max(COUNTS) else 1.0)
    shown = "  ".join(
        f"{name} {seconds[name]:6.3f} s {memory[name] / 1024:5.0f} MiB"
        for name in names
    )
    verdict = "" if met else "  BAR NOT MET"
    print(f"{cleanup:15} {count:7,}  {shown}  x asyncio {ratio:.2f}{verdict}")
    return {
        "cleanup": cleanup,
        "tasks": count,
        "seconds": seconds,
        "peak KiB": memory,
        "x asyncio": ratio,
        "met": met,
    }


def ended(runner: str, cleanup: str, count: int) -> tuple[float, int]:
    """Return the seconds from SIGINT to the end of a program, and its peak in KiB."""
    text = PROGRAM.format(runner=runner, cleanup=cleanup, count=count)
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        env={**os.environ, "QUIESCE_GRACE": "60"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise RuntimeError(f"{runner} ended with status {process.returncode}")
    return took, usage.ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
