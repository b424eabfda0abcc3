"""Who runs when: children side by side, taking turns operation by operation.

A machine is faster in one second than in the next.  So the candidates measure
the same operation directly after one another, many short turns each, in
several rounds of fresh processes; what counts is each one's minimum.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from measuring.candidates import Candidate

BENCHMARKS = Path(__file__).resolve().parent.parent
SOURCE = BENCHMARKS.parent / "src"
ANSWER_LIMIT = 120.0
"""Seconds after which a child that does not answer is given up."""


class Child:
    """One measured process and the questions put to it."""

    def __init__(self, candidate: Candidate, environment: dict[str, str]) -> None:
        self.candidate = candidate
        self._process = subprocess.Popen(
            [sys.executable, "-m", "measuring.child", candidate.name],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the answer says how it failed
            text=True,
        )
        self.greeting = self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return its answer, or how the child failed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {"failed": f"ended with status {self._process.wait()}"}
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_LIMIT)[0]:
            self._process.kill()
            return {"failed": f"no answer within {ANSWER_LIMIT:.0f} s"}
        line = self._process.stdout.readline()
        if not line:
            return {"failed": f"ended with status {self._process.wait()}"}
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already, which is what we want
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextmanager
def plain_source() -> Iterator[Path]:
    """Give a folder with quiesce's sources and nothing compiled among them."""
    with tempfile.TemporaryDirectory() as folder:
        ignore = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
        shutil.copytree(SOURCE / "quiesce", Path(folder, "quiesce"), ignore=ignore)
        yield Path(folder)


def environment(candidate: Candidate, plain: Path) -> dict[str, str]:
    """Return the environment in which the candidate's child runs."""
    path = [str(BENCHMARKS)]
    if candidate.interpreted:
        path.append(str(plain))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONHASHSEED": "0"}


class Results:
    """Everything measured: samples by operation and candidate, and who is absent."""

    def __init__(self) -> None:
        self.samples: dict[str, dict[str, list[list[float]]]] = {}
        self.failures: dict[str, dict[str, str]] = {}
        self.missing: dict[str, str] = {}
        self.described: dict[str, dict[str, str]] = {}

    def add(self, operation: str, name: str, costs: list[float]) -> None:
        """Keep one round's costs."""
        by_name = self.samples.setdefault(operation, {})
        by_name.setdefault(name, []).append(costs)

    def minimum(self, operation: str, name: str) -> float | None:
        """Return the least cost seen in any round, None if there is none."""
        rounds = self.samples.get(operation, {}).get(name)
        return min(min(costs) for costs in rounds) if rounds else None

    def spread(self, operation: str, name: str) -> float:
        """Return how far the rounds' minimums lie apart, as a part of the least."""
        least = [min(costs) for costs in self.samples[operation][name]]
        return max(least) / min(least) - 1


def measure(
    everybody: Sequence[Candidate],
    operations: Sequence[str],
    *,
    rounds: int,
    turns: int,
    **how: Any,
) -> Results:
    """Measure all operations on all candidates; a peer's failure is noted.

    ``how`` goes to the children: the ``seconds`` of one turn and the ``clock``.
    """
    results = Results()
    with plain_source() as plain:
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            with ExitStack() as stack:
                children = start(everybody, plain, results, stack)
                for operation in operations:
                    take_turns(children, operation, turns, results, **how)
    progress("")
    return results


def start(
    everybody: Sequence[Candidate], plain: Path, results: Results, stack: ExitStack
) -> list[Child]:
    """Start a child for each candidate and return those that can be measured."""
    children: list[Child] = []
    for candidate in everybody:
        if candidate.name in results.missing:
            continue
        child = Child(candidate, environment(candidate, plain))
        stack.callback(child.close)
        if "ready" in child.greeting:
            results.described[candidate.name] = child.greeting["ready"]
            children.append(child)
        else:
            reason = child.greeting.get("missing") or child.greeting["failed"]
            results.missing[candidate.name] = reason
    return children


def take_turns(
    children: list[Child],
    operation: str,
    turns: int,
    results: Results,
    **how: Any,
) -> None:
    """Let the children measure one operation, ``turns`` times alternately."""
    costs: dict[str, list[float]] = {}
    for _ in range(turns):
        for child in children:
            name = child.candidate.name
            if name in results.failures.get(operation, {}):
                continue
            answer = child.ask(operation=operation, **how)
            if "failed" in answer:
                results.failures.setdefault(operation, {})[name] = answer["failed"]
            else:
                costs.setdefault(name, []).append(answer["nanoseconds"])
    for name, seen in costs.items():
        results.add(operation, name, seen)


def progress(text: str) -> None:
    """Say what is going on, where somebody watches."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
