"""Outcomes counted, compared with the baseline, and put into words."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .launching import FileRun

BAD = ("failed", "hung", "crashed")
COLUMNS = ("ran", "passed", "failed", "skipped", "excluded", "stock fails", "on ours")
HEAD = f"{'file':<24}{'naming':<10}" + "".join(f"{name:>13}" for name in COLUMNS)


def counts(run: FileRun, baseline: FileRun | None) -> dict[str, int]:
    """Return how many tests of one file went which way.

    ``failed`` are those that count against quiesce: what fails on stock asyncio on the
    same machine is counted apart, as ``stock fails``. ``on ours`` are the tests that
    made at least one loop of ours; the others test something that needs no loop.
    """
    bad = set(run.ids(*BAD))
    excused = bad & stock_failures(baseline) if run.naming != "baseline" else set()
    return {
        "ran": len(run.ids("passed", *BAD)),
        "passed": len(run.ids("passed")),
        "failed": len(bad - excused),
        "skipped": len(run.ids("skipped")),
        "excluded": len(run.ids("excluded")),
        "stock fails": len(excused),
        "on ours": sum(test.loops > 0 for test in run.tests.values()),
    }


def stock_failures(baseline: FileRun | None) -> set[str]:
    """Return the tests that stock asyncio fails on this machine."""
    return set(baseline.ids(*BAD)) if baseline is not None else set()


def problems(
    runs: list[FileRun], baselines: dict[str, FileRun], mode: str | None
) -> Iterator[tuple[str, str]]:
    """Yield what counts against quiesce: a headline and its details.

    `mode` is the one that is required, if any: "compiled" or "interpreted".
    """
    for run in runs:
        if run.naming == "baseline":
            continue
        excused = stock_failures(baselines.get(run.file))
        for test in run.tests.values():
            if test.outcome in BAD and test.id not in excused:
                yield f"{test.outcome} under {run.naming}: {test.id}", test.detail
            if test.foreign_loops:
                yield f"made a loop of asyncio's own: {test.id}", ""
        if mode and run.here.get("compiled") is not (mode == "compiled"):
            yield f"not {mode} under {run.naming}: {run.file}", str(run.here)


def row(run: FileRun, baseline: FileRun | None) -> str:
    """Return one line of the table."""
    numbers = counts(run, baseline)
    cells = "".join(f"{numbers[name]:>13}" for name in COLUMNS)
    return f"{run.file:<24}{run.naming:<10}{cells}"


def totals(runs: list[FileRun], baselines: dict[str, FileRun]) -> list[str]:
    """Return one line per naming with the sums over all files."""
    lines = []
    for naming in dict.fromkeys(run.naming for run in runs):
        summed = dict.fromkeys(COLUMNS, 0)
        for run in runs:
            if run.naming == naming:
                for name, number in counts(run, baselines.get(run.file)).items():
                    summed[name] += number
        cells = "".join(f"{summed[name]:>13}" for name in COLUMNS)
        lines.append(f"{'all files':<24}{naming:<10}{cells}")
    return lines


def title(runs: list[FileRun]) -> str:
    """Say which Python and which quiesce the table is about."""
    for run in runs:
        if "compiled" in run.here:
            mode = "compiled" if run.here["compiled"] else "interpreted"
            return f"CPython {run.here['python']}, quiesce {mode} ({run.here['from']})"
    return f"CPython {runs[0].here.get('python')}, stock asyncio" if runs else "nothing"


def as_data(runs: list[FileRun], baselines: dict[str, FileRun]) -> dict[str, Any]:
    """Return everything, ready for JSON."""
    return {
        "title": title(runs),
        "files": [
            {
                "file": run.file,
                "naming": run.naming,
                "here": run.here,
                "seconds": round(run.seconds, 2),
                "counts": counts(run, baselines.get(run.file)),
                "tests": [asdict(test) for test in run.tests.values()],
            }
            for run in runs
        ],
    }
