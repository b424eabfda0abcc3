"""Compare how programs end under quiesce, asyncio and uvloop: ``make exits``.

Runs every scenario in every way and writes docs/exits.md, which says how many of them
passed: first in sum, by sections, and then for each scenario.
"""

from __future__ import annotations

import html
import os
import platform
import re
import sys
import textwrap
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
HEAD = """\
# How programs end: a comparison

Each scenario stands for one whole program in `tests/programs/exits/`, or for several,
run as processes of their own and asked to end by real signals. It is a sentence that
the user of such a program rightfully expects to be true. The cells say whether it was,
or for how many of the programs; an empty one says that it does not apply. `make exits`
writes this page.
"""


def shown(name, value):
    """Return what a cell says of a scenario's parameter."""
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return str(getattr(value, "name", value))


class Recorder:
    """A pytest plugin that notes how each scenario went.

    In `results`, by its section, its sentence, its other parameters and its way.
    """

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
            others = ", ".join(
                shown(name, value)
                for name, value in item.callspec.params.items()
                if name != "scenario"
            )
            sentence = item.originalname.removeprefix("test_").replace("_", " ")
            section = (item.module.__doc__ or "").splitlines()[0].rstrip(".")
            self.subjects[item.nodeid] = section, cell(sentence), others, way

    def pytest_runtest_logreport(self, report):
        if report.outcome == "skipped":
            return
        if report.when == "call" or report.outcome == "failed":
            section, sentence, others, way = self.subjects[report.nodeid]
            programs = self.results.setdefault(section, {}).setdefault(sentence, {})
            programs.setdefault(others, {})[way] = report.outcome == "passed"


def main(arguments):
    os.environ["QUIESCE_EXITS_WAYS"] = ",".join(WAYS)
    # Many programs never end but under quiesce.
    os.environ.setdefault("QUIESCE_EXITS_TOO_LONG", "5")
    recorder = Recorder()
    # A scenario that fails may leave a socket open; that is no news here.
    options = ["-q", "--tb=no", "-rN", "-p", "no:unraisableexception"]
    pytest.main([*options, str(HERE), *arguments], plugins=[recorder])
    text = page(recorder.results, chosen())
    print(text)  # noqa: T201
    if not arguments:
        PAGE.write_text(text)
    # The others may fail; that is what the page shows.
    wrong = list(failures(recorder.results))
    for line in wrong:
        print(line)  # noqa: T201
    return bool(wrong)


def failures(results):
    """Yield a line for each program that does not end rightly under quiesce."""
    for section, scenarios in results.items():
        for sentence, programs in scenarios.items():
            for others, passed in programs.items():
                for way in OURS:
                    if not passed.get(way, True):
                        yield f"FAILED under {way}: {section}: {sentence} ({others})"


def cell(text):
    """Return `text`, which may be that of a program, on one line of a table."""
    return textwrap.shorten(text, LONGEST, placeholder=" ...").replace("|", "\\|")


def page(results, ways):
    """Return the whole page."""
    lines = [HEAD, heading(results), *summary(results, ways)]
    for section, scenarios in results.items():
        lines += ["", *details(section, scenarios, ways)]
    return "\n".join(lines) + "\n"


def heading(results):
    mode = "compiled" if quiesce.COMPILED else "interpreted"
    number = len(programs_of(results.values()))
    return (
        f"{number:,} programs; CPython {platform.python_version()}, quiesce {mode}, "
        f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]}.\n"
    )


def summary(results, ways):
    """Yield the lines of the table of sections."""
    yield from head_of_table("section", ways)
    for section, scenarios in results.items():
        yield row(cell(section), programs_of([scenarios]), ways, counted)
    yield row("**all that apply**", programs_of(results.values()), ways, counted)


def details(section, scenarios, ways):
    """Yield the lines of a section that is shown when it is asked for."""
    yield f"<details><summary>{as_html(section)}</summary>"
    yield ""
    yield from head_of_table("scenario", ways)
    for sentence, programs in scenarios.items():
        yield row(sentence, list(programs.values()), ways, told)
    yield ""
    yield "</details>"


def head_of_table(name, ways):
    yield f"| {name} | {' | '.join(ways)} |"
    yield "|---|" + ":-:|" * len(ways)


def row(name, programs, ways, say):
    """Return a row in which `say` tells for each way which of the programs passed."""
    cells = [say([each[way] for each in programs if way in each]) for way in ways]
    return f"| {name} | {' | '.join(cells)} |"


def counted(passed):
    """Say how many programs passed, of those that apply."""
    return f"{sum(passed)} of {len(passed)}" if passed else ""


def told(passed):
    """Say so, or of a single program whether it did."""
    if len(passed) == 1:
        return "yes" if passed[0] else "**no**"
    return counted(passed)


def programs_of(sections):
    """Return the results of every program in `sections`."""
    return [
        passed
        for scenarios in sections
        for programs in scenarios.values()
        for passed in programs.values()
    ]


def as_html(text):
    """Return `text`, which may have code in it, as HTML: no Markdown is read there."""
    return re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", html.escape(text, quote=False))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
