"""How fast tasks are: nine operations on quiesce beside its peers.

``python benchmarks/tasks.py`` prints tables and writes JSON and a plot; the
README in this folder says how to read them.
"""

from __future__ import annotations

import argparse
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import task_bars
from measuring import candidates, instructions, machine, memory, plot, report, rounds
from task_operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from measuring.candidates import Candidate
    from measuring.report import Verdict
    from measuring.rounds import Results
    from task_operations import Operation

OUTPUT = Path("build", "benchmarks")
HOT_FUNCTIONS = 30
PEERS = [peer.name for peer in candidates.PEERS]


def main() -> int:
    """Measure what the command line asks for; status 1 if ``--strict`` fails."""
    options = parse()
    operations = [each for each in OPERATIONS if each.key in options.operations]
    if options.callgrind:
        return count_instructions(options.callgrind, options.candidates)
    cpu = machine.pin()
    facts = {**machine.facts(), "pinned to cpu": str(cpu), "clock": options.clock}
    everybody = [candidates.ALL[name] for name in options.candidates]
    results = rounds.measure(
        everybody,
        [operation.key for operation in operations],
        rounds=options.rounds,
        turns=options.turns,
        seconds=options.milliseconds / 1000,
        clock=options.clock,
    )
    verdicts = tell(results, operations, facts)
    pending = {} if options.no_memory else measure_memory()
    write(options.out, results, verdicts, {"machine": facts, "pending": pending})
    picture(options.out, results, operations, facts)
    heavier = any(row["quiesce"] >= row["asyncio"] for row in pending.values())
    return int(options.strict and bool(heavier or report.shortfalls(verdicts)))


def parse() -> argparse.Namespace:
    """Return the options given."""
    keys = [operation.key for operation in OPERATIONS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("operations", nargs="*", default=keys, help=f"of {keys}")
    parser.add_argument("--candidates", nargs="+", default=list(candidates.ALL))
    parser.add_argument("--rounds", type=int, default=5, help="of fresh processes")
    parser.add_argument("--turns", type=int, default=8, help="in each round")
    parser.add_argument("--milliseconds", type=float, default=10, help="of one turn")
    parser.add_argument(
        "--clock",
        choices=("cpu", "wall"),
        default="cpu",
        help="cpu does not count what other processes take away",
    )
    parser.add_argument("--no-memory", action="store_true", help="leave it out")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="folder for results")
    parser.add_argument("--strict", action="store_true", help="fail below a bar")
    parser.add_argument(
        "--callgrind",
        choices=keys,
        metavar="OPERATION",
        help="count instructions of one operation instead (needs valgrind)",
    )
    options = parser.parse_args()
    known = {*keys, *candidates.ALL}
    unknown = {*options.operations, *options.candidates} - known
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return options


def tell(
    results: Results, operations: Sequence[Operation], facts: dict[str, str]
) -> list[Verdict]:
    """Print the three tables and what is missing from them; return the ratios."""
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    print("versions:", versions(results))
    print("a ratio is the other's time / ours, each the least of all turns")
    verdicts: list[Verdict] = []
    for ours, peers, bars in (
        (candidates.STOCK, PEERS, task_bars.STOCK),
        (candidates.OWN, PEERS, task_bars.OWN),
        (candidates.INTERPRETED, [candidates.PURE_ASYNCIO.name], {}),
    ):
        if ours.name not in results.described:
            continue
        bar = functools.partial(task_bars.bar, bars)
        found = report.judge(results, operations, ours.name, peers, bar)
        print("\n" + heading(ours, results))
        print(report.table(results, operations, ours.name, peers, found))
        verdicts += found
    lines = report.absences(results) + report.shortfalls(verdicts)
    print("\n" + "\n".join(lines or ["every bar is met"]))
    return verdicts


def heading(ours: Candidate, results: Results) -> str:
    """Return what the table below it compares."""
    mode = results.described[ours.name].get("mode", "?")
    says = "import asyncio"
    if ours.program_imports != "asyncio":
        says = f"import {ours.program_imports} as asyncio"
    return f"A program that says `{says}`, on quiesce's loop, {mode}:"


def versions(results: Results) -> str:
    """Return each candidate's version, in a line."""
    described = results.described.items()
    return ", ".join(f"{name} {facts['version']}" for name, facts in described)


def measure_memory() -> dict[str, dict[str, float]]:
    """Print and return bytes per pending task, quiesce beside asyncio."""
    print(f"\nbytes per pending task, of {memory.TASKS:,}")
    rows: dict[str, dict[str, float]] = {}
    names = ("quiesce", "quiesce (own)", "asyncio")
    print("".ljust(40) + "".join(name.rjust(16) for name in names))
    for wait, title in memory.WAITS.items():
        for method, counted in memory.METHODS.items():
            row = {name: bytes_of(candidates.ALL[name], wait, method) for name in names}
            rows[f"{title}, {counted}"] = row
            cells = "".join(f"{row[name]:16,.0f}" for name in names)
            print(f"{title + ', ' + counted:<40}{cells}")
    return rows


def bytes_of(candidate: Candidate, wait: str, method: str) -> float:
    """Return bytes per task from a process of its own; nan if it cannot run."""
    with rounds.plain_source() as plain:
        child = rounds.Child(candidate, rounds.environment(candidate, plain))
        try:
            if "ready" not in child.greeting:
                return float("nan")
            return child.ask(memory=wait, method=method).get("bytes", float("nan"))
        finally:
            child.close()


def write(
    folder: Path, results: Results, verdicts: list[Verdict], more: dict[str, Any]
) -> None:
    """Write everything measured as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "tasks.json"
    data = {"command": machine.command(), **more, **report.as_data(results, verdicts)}
    file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {file}")


def picture(
    folder: Path,
    results: Results,
    operations: Sequence[Operation],
    facts: dict[str, str],
) -> None:
    """Draw the compiled candidates beside asyncio, where both were measured."""
    file = folder / "tasks.svg"
    title = f"Task operations\n{facts['python']}, {facts['cpu']}, {facts['system']}"
    if plot.draw(results, operations, "asyncio", title, file):
        print(f"written: {file}")
    else:
        print("no plot: matplotlib is not installed")


def count_instructions(key: str, names: Sequence[str]) -> int:
    """Print instructions per operation, and where the first candidate spends them."""
    if not instructions.available():
        print("--callgrind needs valgrind, which is not installed", file=sys.stderr)
        return 2
    print(f"{key}: instructions per operation")
    spent: dict[str, dict[str, float]] = {}
    for name in names:
        try:
            spent[name] = instructions.by_function(candidates.ALL[name], key)
        except subprocess.CalledProcessError as error:
            why = error.stderr.strip().rpartition("\n")[2]
            print(f"{name:<18}cannot run: {why}")
            continue
        print(f"{name:<18}{sum(spent[name].values()):12,.1f}", flush=True)
    for name, functions in list(spent.items())[:1]:
        print(f"\n{name}, by function:")
        hottest = sorted(functions, key=functions.__getitem__, reverse=True)
        for function in hottest[:HOT_FUNCTIONS]:
            print(f"{functions[function]:12,.1f}  {function}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
