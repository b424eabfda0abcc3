"""How fast I/O is: echo servers on quiesce beside asyncio, uvloop and one in C.

``python benchmarks/io.py`` prints tables and writes JSON and a plot; the README in this
folder says how to read them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from io_workloads import KIB, NOT_BEHIND, WORKLOADS
from measuring import c_programs, candidates, machine, plot, rotation
from measuring.rotation import C, Plan, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from io_workloads import Workload
    from measuring.c_programs import Programs

OUTPUT = Path("build", "benchmarks")
OURS = candidates.STOCK.name
UVLOOP, ASYNCIO = "uvloop", "asyncio"
CANDIDATES = (C, UVLOOP, ASYNCIO, OURS)
TWO = 2
"""CPUs: the servers share one, the client has the other."""


def main() -> int:
    """Measure what the command line asks for; status 1 if ``--strict`` fails."""
    options = parse()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < TWO:
        print("this benchmark needs two CPUs", file=sys.stderr)
        return 2
    plan = Plan(
        programs=c_programs.build(),
        turns=options.turns,
        milliseconds=options.milliseconds,
        realtime=options.realtime,
        server_cpu=cpus[0],
        client_cpu=cpus[-1],
    )
    facts = machine.facts()
    ours = candidates.describe(candidates.STOCK)
    print(", ".join(f"{name}: {value}" for name, value in facts.items()))
    print(f"quiesce {ours['mode']}; {options.turns} turns of", end=" ")
    print(f"{options.milliseconds:g} ms; x: our messages / theirs")
    rows = measure(options.workloads, options.candidates, plan)
    missed = [line for row in rows for line in shortfalls(row)]
    print("\n" + "\n".join(missed or ["every bar is met"]))
    write(options.out, rows, {"machine": facts, "quiesce": ours})
    if ASYNCIO in options.candidates:
        picture(options.out, rows, facts)
    return int(options.strict and bool(missed))


def measure(keys: Sequence[str], names: Sequence[str], plan: Plan) -> list[Row]:
    """Measure the workloads one by one, and print each one's table."""
    rows: list[Row] = []
    for workload in WORKLOADS:
        if workload.key not in keys:
            continue
        why = obstacle(workload.kind, plan.programs)
        if why is not None:
            print(f"\n{workload.title}: not measured: {why}")
            continue
        able = [name for name in names if name != C or workload.has_c_server]
        row = rotation.measure(workload, able, plan)
        print("\n" + table(row), flush=True)
        rows.append(row)
    return rows


def parse() -> argparse.Namespace:
    """Return the options given."""
    keys = [workload.key for workload in WORKLOADS]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", default=keys, help=f"of {keys}")
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES))
    parser.add_argument("--turns", type=int, default=30, help="for each server")
    parser.add_argument("--milliseconds", type=float, default=60, help="of one turn")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="shut out other processes (as root)",
    )
    parser.add_argument("--out", type=Path, default=OUTPUT, help="folder for results")
    parser.add_argument("--strict", action="store_true", help="fail below a bar")
    options = parser.parse_args()
    known = {*keys, C, *candidates.ALL}
    unknown = {*options.workloads, *options.candidates} - known
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    return options


def obstacle(kind: str, programs: Programs) -> str | None:
    """Return why a kind of workload cannot be measured here; None if it can."""
    if kind == "tls" and programs.certificate is None:
        return "OpenSSL's headers or its command are not installed"
    if kind == "http":
        for module in ("uvicorn", "httptools"):
            if importlib.util.find_spec(module) is None:
                return f"{module} is not installed"
    return None


def table(row: Row) -> str:
    """Return what everybody did, and our ratio to each with its quartiles."""
    workload = row.workload
    heads = ("messages/s", "cpu us", "p50 us", "p99 us", "x", "quartiles", "bar")
    widths = (12, 9, 10, 10, 7, 13, 10)
    titled = list(zip(heads, widths, strict=True))
    lines = [
        f"{workload.title}: {asked(workload)}",
        " " * 10 + "".join(head.rjust(width) for head, width in titled),
    ]
    for name, outcome in row.outcomes.items():
        cpu = sorted(outcome.cpu)[len(outcome.cpu) // 2]
        cells = [f"{outcome.messages:,.0f}", f"{cpu:.2f}"]
        cells += [f"{outcome.p50:,.0f}", f"{outcome.p99:,.0f}"]
        ratio = row.ratio(OURS, name) if name != OURS else None
        if ratio is not None:
            median, low, high = ratio
            cells += [f"{median:.2f}", f"{low:.2f}-{high:.2f}"]
            bar = workload.bars.get(name)
            if bar is not None:
                cells.append(f"{'>=' if round(median, 2) >= bar else '<'} {bar:g}")
        padded = zip(cells, widths, strict=False)
        lines.append(name.ljust(10) + "".join(cell.rjust(w) for cell, w in padded))
    lines += [f"{name.ljust(10)}  {why}" for name, why in row.failures.items()]
    return "\n".join(lines)


def asked(workload: Workload) -> str:
    """Return what the client asks of the servers, in words."""
    many = "" if workload.connections == 1 else "s"
    words = f"{workload.connections} connection{many}"
    if workload.kind != "http":
        words += f", {workload.size // KIB} KiB"
    return words + (f", {workload.depth} deep" if workload.depth > 1 else "")


def shortfalls(row: Row) -> list[str]:
    """Return a sentence for each bar that is not met."""
    title = row.workload.title
    missed: list[str] = []
    for peer, bar in row.workload.bars.items():
        ratio = row.ratio(OURS, peer)
        if ratio is not None and round(ratio[0], 2) < bar:
            missed.append(f"not met: {title} beside {peer}: {ratio[0]:.2f} of {bar:g}")
    if OURS in row.outcomes and UVLOOP in row.outcomes:
        ours, theirs = row.outcomes[OURS].p99, row.outcomes[UVLOOP].p99
        if ours > theirs * NOT_BEHIND:
            missed.append(
                f"not met: {title}: 99 % answered in {ours:,.0f} us, "
                f"uvloop in {theirs:,.0f}"
            )
    return missed


def write(folder: Path, rows: list[Row], more: dict[str, dict[str, str]]) -> None:
    """Write everything measured as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "io.json"
    measured = {row.workload.key: rotation.as_data(row, OURS) for row in rows}
    data = {"command": machine.command(), **more, "workloads": measured}
    file.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten: {file}")


class Costs:
    """What the plot asks: the cost of a message to each candidate, if it is known."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = {row.workload.key: row for row in rows}

    def minimum(self, operation: str, name: str) -> float | None:
        """Return a cost in units of quiesce's, as the neighbouring turns say."""
        row = self._rows[operation]
        if name == OURS and OURS in row.outcomes:
            return 1.0
        ratio = row.ratio(OURS, name)
        return None if ratio is None else ratio[0]


def picture(folder: Path, rows: list[Row], facts: dict[str, str]) -> None:
    """Draw everybody beside asyncio, where both were measured."""
    file = folder / "io.svg"
    title = f"Messages per second\n{facts['python']}, {facts['cpu']}, {facts['system']}"
    drawn = [row.workload for row in rows]
    if plot.draw(Costs(rows), drawn, ASYNCIO, title, file):
        print(f"written: {file}")
    else:
        print("no plot: matplotlib is not installed")


if __name__ == "__main__":
    sys.exit(main())
