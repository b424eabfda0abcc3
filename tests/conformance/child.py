"""One test file under one naming, in a process of its own.

Writes one line of JSON per event: what quiesce is here, the start of each test, and its
outcome with the number of loops it made. A parent that sees a start without an outcome
knows which test hung or crashed. Run by `launching`.
"""

# ruff: noqa: N802 - the methods of a test result have unittest's names

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import sys
import time
import traceback
import unittest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from . import exclusions, loading

if TYPE_CHECKING:
    from collections.abc import Callable


class Journal(unittest.TestResult):
    """Writes what becomes of each test as it happens."""

    def __init__(self, out: TextIO, loops: LoopCount) -> None:
        super().__init__()
        self.out = out
        self.loops = loops
        self.outcome = "passed"
        self.detail = ""
        self.began = 0.0

    def write(self, **event: Any) -> None:
        """Write one event, at once."""
        self.out.write(json.dumps(event) + "\n")
        self.out.flush()

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome, self.detail = "passed", ""
        self.began = time.perf_counter()
        self.loops.restart()
        self.write(event="start", id=name_of(test))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.write(
            event="end",
            id=name_of(test),
            outcome=self.outcome,
            detail=self.detail,
            seconds=round(time.perf_counter() - self.began, 4),
            loops=self.loops.ours,
            foreign_loops=self.loops.foreign,
        )

    def failed(self, test: unittest.TestCase, error: Any) -> None:
        """Note a failure of a test, of one of its parts, or of what surrounds it."""
        self.outcome = "failed"
        self.detail += "".join(traceback.format_exception(*error))
        if not isinstance(test, unittest.TestCase):
            self.write(event="broken", id=str(test), detail=self.detail)

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self.failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self.failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self.outcome, self.detail = "skipped", reason

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self.outcome, self.detail = "failed", "unexpected success"


class LoopCount:
    """Counts the loops that are made: ours, and asyncio's own."""

    def __init__(self) -> None:
        self.ours = 0
        self.foreign = 0
        self.restart()

    def restart(self) -> None:
        """Count from zero."""
        self.ours = self.foreign = 0

    def count_ours(self, type_: type) -> None:
        """Count instances of our loop class from now on."""
        self.wrap(type_, lambda: setattr(self, "ours", self.ours + 1))

    def count_foreign(self, type_: type) -> None:
        """Count instances of asyncio's loop class from now on."""
        self.wrap(type_, lambda: setattr(self, "foreign", self.foreign + 1))

    @staticmethod
    def wrap(type_: type, count: Callable[[], None]) -> None:
        """Call `count` whenever a `type_` is made."""
        original = type_.__init__

        def counted(self: object, *args: object, **kwargs: object) -> None:
            count()
            original(self, *args, **kwargs)

        type_.__init__ = counted


def name_of(test: unittest.TestCase) -> str:
    """Return the id ``file.Class.method``."""
    return test.id().removeprefix(f"{loading.PACKAGE}.")


def main() -> None:
    """Run one file as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("naming")
    parser.add_argument("journal", type=Path)
    parser.add_argument("--done", type=Path, help="ids that ran already, one per line")
    parser.add_argument("-k", dest="pattern", default="")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    faulthandler.enable()
    loops = LoopCount()
    loops.count_foreign(asyncio.BaseEventLoop)
    with options.journal.open("a") as out:
        journal = Journal(out, loops)
        journal.write(event="here", **describe(options.naming, loops))
        run_file(options, journal)
        journal.write(event="finished")


def describe(naming: str, loops: LoopCount) -> dict[str, object]:
    """Say what is under test: this Python, and how quiesce runs in it."""
    here: dict[str, object] = {"python": sys.version.split()[0], "naming": naming}
    if naming != "baseline":
        import quiesce
        import quiesce.loop

        loops.count_ours(quiesce.loop.Loop)
        here["compiled"] = bool(quiesce.COMPILED)
        here["from"] = str(Path(quiesce.__file__).parent)
    return here


def run_file(options: argparse.Namespace, journal: Journal) -> None:
    """Run or list the tests of one file."""
    views_of = no_views
    if options.naming != "baseline":
        from .namings import views_of
    module = loading.load(options.file, views_of(options.naming))
    done = set(options.done.read_text().split()) if options.done else set()
    suite = unittest.TestSuite()
    for test_id, test in loading.tests_in(module):
        if test_id in done or options.pattern not in test_id:
            continue
        reason = exclusions.reason_for(exclusions.read(), options.naming, test_id)
        if reason:
            journal.write(event="end", id=test_id, outcome="excluded", detail=reason)
        elif options.list:
            journal.write(event="end", id=test_id, outcome="listed", detail="")
        else:
            suite.addTest(test)
    suite.run(journal)


def no_views(naming: str) -> Any:
    """Return the modules as they are."""
    from .views import Views

    return Views()


if __name__ == "__main__":
    main()
