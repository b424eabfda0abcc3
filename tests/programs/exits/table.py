"""Compare how programs end under quiesce, asyncio and uvloop: ``make exits``.

Runs every scenario in every way and writes which of them passed into docs/exits.md,
between the two markers there.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

import quiesce
from tests.programs.exits.conftest import is_scenario
from tests.programs.exits.ways import OURS, WAYS, chosen

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "exits.md"
MUTANTS = f"{__package__}.test_mutants"
# Characters of a sentence.
LONGEST = 120
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"


def shown(name, value):
    """Return what a cell says of a scenario's parameter."""
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return str(getattr(value, "name", value))


class Recorder:
    """A pytest plugin that notes how each scenario went."""

    def __init__(self):
        self.subjects = {}
        self.results = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items):
        # What tests the scenarios themselves is no row.
        items[:] = [
            item
            for item in items
            if is_scenario(item) and item.module.__name__ != MUTANTS
        ]
        for item in items:
            way = item.callspec.params["scenario"]
            others = [
                shown(name, value)
                for name, value in item.callspec.params.items()
                if name != "scenario"
            ]
            sentence = item.originalname.removeprefix("test_").replace("_", " ")
            if others:
                sentence += f" ({', '.join(others)})"
            subject = (item.module.__doc__ or "").splitlines()[0]
            self.subjects[item.nodeid] = subject, cell(sentence), way

    def pytest_runtest_logreport(self, report):
        if report.outcome == "skipped":
            return
        if report.when == "call" or report.outcome == "failed":
            subject, sentence, way = self.subjects[report.nodeid]
            row = self.results.setdefault(subject, {}).setdefault(sentence, {})
            row[way] = report.outcome == "passed"


def main(arguments):
    os.environ["QUIESCE_EXITS_WAYS"] = ",".join(WAYS)
    # Many programs never end but under quiesce.
    os.environ.setdefault("QUIESCE_EXITS_TOO_LONG", "5")
    recorder = Recorder()
    # A scenario that fails may leave a socket open; that is no news here.
    options = ["-q", "--tb=no", "-rN", "-p", "no:unraisableexception"]
    pytest.main([*options, str(HERE), *arguments], plugins=[recorder])
    ways = chosen()
    text = "\n".join([heading(ways), *table(recorder.results, ways)])
    print(text)  # noqa: T201
    if not arguments:
        head, _, rest = PAGE.read_text().partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    # The others may fail; that is what the table shows.
    rows = [row for rows in recorder.results.values() for row in rows.values()]
    return not all(row.get(way, True) for row in rows for way in OURS)


def cell(text):
    """Return `text`, which may be that of a program, on one line of a table."""
    return textwrap.shorten(text, LONGEST, placeholder=" ...").replace("|", "\\|")


def heading(ways):
    mode = "compiled" if quiesce.COMPILED else "interpreted"
    return (
        f"CPython {platform.python_version()}, quiesce {mode}, "
        f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]}.\n"
    )


def table(results, ways):
    """Yield the lines of the table: a row for each scenario, and totals."""
    yield f"| scenario | {' | '.join(ways)} |"
    yield "|---|" + ":-:|" * len(ways)
    passed, tried = Counter(), Counter()
    for subject, rows in results.items():
        yield f"| **{subject}** |" + " |" * len(ways)
        for sentence, row in rows.items():
            passed.update(way for way in row if row[way])
            tried.update(row.keys())
            marks = [{True: "yes", False: "**no**"}.get(row.get(w), "") for w in ways]
            yield f"| {sentence} | {' | '.join(marks)} |"
    totals = [f"**{passed[way]} of {tried[way]}**" for way in ways]
    yield f"| **all that apply** | {' | '.join(totals)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
