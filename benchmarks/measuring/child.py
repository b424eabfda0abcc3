"""The measured process: one candidate, asked over standard input.

Each line read is a JSON request, each line written its answer.  The process
sleeps in between, so that candidates can take turns on one CPU.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from task_operations import OPERATIONS, Operation

from measuring import candidates, memory

if TYPE_CHECKING:
    import asyncio

BY_KEY = {operation.key: operation for operation in OPERATIONS}
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}
FIRST_COUNT = 200


class Measured:
    """A loop and a program module, and how often to repeat each operation."""

    def __init__(self, candidate: candidates.Candidate) -> None:
        self.asyncio = candidates.program_module(candidate)
        self.loop: asyncio.AbstractEventLoop = candidates.make_loop(candidate)
        self.asyncio.set_event_loop(self.loop)
        self._counts: dict[str, int] = {}

    def run(self, operation: Operation, count: int, clock: str = "cpu") -> float:
        """Return the seconds that ``count`` operations took."""
        read = CLOCKS[clock]
        gc.collect()
        started = read()
        self.loop.run_until_complete(operation.program(self.asyncio, count))
        return read() - started

    def slice(self, operation: Operation, seconds: float, clock: str) -> float:
        """Return nanoseconds per operation, from a run of about ``seconds``."""
        count = self._counts.get(operation.key)
        if count is None:
            count = self._calibrate(operation, seconds, clock)
            self._counts[operation.key] = count
        return self.run(operation, count, clock) / count * 1e9

    def _calibrate(self, operation: Operation, seconds: float, clock: str) -> int:
        count = rounded(FIRST_COUNT, operation.multiple)
        while (took := self.run(operation, count, clock)) < seconds / 4:
            count *= 3
        return rounded(int(count * seconds / took), operation.multiple)


def rounded(count: int, multiple: int) -> int:
    """Return ``count``, raised to the next multiple."""
    return max(1, -(-count // multiple)) * multiple


def answer(measured: Measured, request: dict[str, Any]) -> dict[str, Any]:
    """Do what one request asks and return what it found, or how it failed."""
    try:
        if "memory" in request:
            loop, program = measured.loop, measured.asyncio
            return {"bytes": memory.per_pending_task(loop, program, **request)}
        operation = BY_KEY[request["operation"]]
        cost = measured.slice(operation, request["seconds"], request["clock"])
    except Exception as error:  # noqa: BLE001  a failure is a result
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"nanoseconds": cost}


def main(name: str) -> None:
    """Answer requests for the candidate called ``name`` until the input ends."""
    candidate = candidates.ALL[name]
    try:
        measured = Measured(candidate)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), flush=True)
        return
    print(json.dumps({"ready": candidates.describe(candidate)}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(measured, json.loads(line))), flush=True)
    measured.loop.close()


if __name__ == "__main__":
    main(sys.argv[1])
