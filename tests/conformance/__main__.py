"""``python -m tests.conformance``: run CPython's tests of asyncio on quiesce.

Exit status: 0 if nothing fails that stock asyncio passes here, 1 if something does, 2
for a wrong command line, 3 if this Python has no ``test.test_asyncio``.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from . import launching, loading, results
from .loading import NAMINGS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .launching import FileRun

NO_SUITE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    options = parse(arguments)
    if not loading.has_suite():
        print(f"skipped: {sys.executable} has no {loading.PACKAGE}")
        return NO_SUITE
    runs: list[FileRun] = []
    baselines: dict[str, FileRun] = {}
    for run in run_all(options):
        runs.append(run)
        if run.naming == "baseline":
            baselines[run.file] = run
        tell(run, baselines, len(runs) == 1)
    return conclude(runs, baselines, options)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance",
        description="CPython's tests of asyncio, on quiesce's loop, Future and Task.",
    )
    add = parser.add_argument
    add("--files", nargs="+", default=[], metavar="FILE", help="such as test_tasks")
    add("--naming", nargs="+", choices=NAMINGS, default=list(NAMINGS))
    add("-k", dest="pattern", default="", help="only tests whose id contains this")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="children at a time")
    add("--require", choices=("compiled", "interpreted"), help="fail in another mode")
    add("--json", type=Path, metavar="FILE", help="write every outcome there")
    add("--list", action="store_true", help="name the tests and run none")
    add("--short", action="store_true", help="no tracebacks")
    return parser.parse_args(arguments)


def run_all(options: argparse.Namespace) -> Iterator[FileRun]:
    """Run each file under each naming; yield in order, the baseline of a file first."""
    wanted = {"test_" + name.removeprefix("test_") for name in options.files}
    files = [name for name in loading.files_here() if name in wanted or not wanted]
    work = [(file, naming) for file in files for naming in NAMINGS]
    work = [(file, naming) for file, naming in work if naming in options.naming]
    work += [(loading.EVIDENCE, n) for n in options.naming if n != "baseline"]
    with ThreadPoolExecutor(options.jobs) as pool:
        yield from pool.map(
            lambda job: launching.run_file(
                *job, pattern=options.pattern, listing=options.list
            ),
            work,
        )


def tell(run: FileRun, baselines: dict[str, FileRun], first: bool) -> None:
    """Print one line for one file."""
    if first:
        print(results.HEAD)
    print(results.row(run, baselines.get(run.file)), flush=True)


def conclude(
    runs: list[FileRun], baselines: dict[str, FileRun], options: argparse.Namespace
) -> int:
    """Print sums and problems, write the JSON, and return the exit status."""
    print(*results.totals(runs, baselines), sep="\n")
    print(results.title(runs))
    if options.list:
        print(*(f"{run.naming} {test}" for run in runs for test in run.tests), sep="\n")
    for test_id in sorted(
        set().union(*map(results.stock_failures, baselines.values()))
    ):
        print(f"fails on stock asyncio too: {test_id}")
    problems = list(results.problems(runs, baselines, options.require))
    for headline, detail in problems:
        print(f"\n{headline}", *[detail] * (not options.short), sep="\n")
    if options.json:
        options.json.write_text(json.dumps(results.as_data(runs, baselines), indent=1))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
