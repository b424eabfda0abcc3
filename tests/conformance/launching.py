"""Children that run one test file each, watched so that none can hold up the rest.

A child that gives no sign for a while, or dies, loses only the test it was in: that
test counts as hung or crashed, and a new child goes on with the ones after it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# One test may take this long; the slowest in CPython's files takes about five seconds.
SILENCE = 60.0
# So many tests may hang or crash in one file before the rest of it is given up.
PATIENCE = 8


@dataclass
class Outcome:
    """What became of one test."""

    id: str
    outcome: str
    detail: str = ""
    seconds: float = 0.0
    loops: int = 0
    foreign_loops: int = 0


@dataclass
class FileRun:
    """What became of one file under one naming."""

    file: str
    naming: str
    here: dict[str, Any] = field(default_factory=dict)
    tests: dict[str, Outcome] = field(default_factory=dict)
    seconds: float = 0.0

    def ids(self, *outcomes: str) -> list[str]:
        """Return the tests with one of these outcomes."""
        return [test.id for test in self.tests.values() if test.outcome in outcomes]


def run_file(
    file: str, naming: str, *, pattern: str = "", listing: bool = False
) -> FileRun:
    """Run one file in as many children as it takes, and return every test's outcome."""
    run = FileRun(file, naming)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        for attempt in range(PATIENCE):
            if run_child(run, Path(folder), attempt, pattern, listing):
                break
    run.seconds = time.monotonic() - began
    return run


def run_child(
    run: FileRun, folder: Path, attempt: int, pattern: str, listing: bool
) -> bool:
    """Run one child; tell whether it reached the end of the file."""
    journal = folder / f"journal-{attempt}"
    journal.touch()
    done = folder / "done"
    done.write_text("\n".join(run.tests))
    command = [sys.executable, "-m", f"{__package__}.child"]
    command += [run.file, run.naming, str(journal), "--done", str(done), "-k", pattern]
    command += ["--list"] * listing
    with (folder / "output").open("w+") as output:
        child = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=folder, env=environment()
        )
        hung = watch(child, journal)
        output.seek(0)
        said = output.read()
    return read_journal(run, journal, said, hung=hung, status=child.returncode)


def watch(child: subprocess.Popen[bytes], journal: Path) -> bool:
    """Wait for the end of `child`; end it, and return True, if it stays silent."""
    size, since = -1, time.monotonic()
    while True:
        try:
            child.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            pass
        else:
            return False
        if journal.stat().st_size != size:
            size, since = journal.stat().st_size, time.monotonic()
        elif time.monotonic() - since > SILENCE:
            # faulthandler writes where every thread is.
            child.send_signal(signal.SIGABRT)
            child.wait()
            return True


def read_journal(
    run: FileRun, journal: Path, said: str, *, hung: bool, status: int
) -> bool:
    """Enter a child's outcomes in `run`; tell whether it reached the file's end."""
    started = None
    finished = False
    for line in journal.read_text().splitlines():
        event = json.loads(line)
        kind = event.pop("event")
        if kind == "here":
            run.here = event
        elif kind == "start":
            started = event["id"]
        elif kind == "end":
            started = None
            run.tests[event["id"]] = Outcome(**event)
        elif kind == "broken":
            run.tests[event["id"]] = Outcome(event["id"], "failed", event["detail"])
        finished = finished or kind == "finished"
    if not finished:
        what = "hung" if hung else "crashed"
        test_id = started or f"{run.file} (outside any test)"
        detail = f"status {status}\n{said[-8000:]}"
        run.tests[test_id] = Outcome(test_id, what, detail)
        return started is None
    return True


def environment() -> dict[str, str]:
    """Return a child's environment: this one, with every place to import from."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = [str(package_root())]
    places += [str(Path(place).resolve()) for place in given if place]
    # Without debug mode from outside: tests of asyncio's debug mode set it themselves.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHONASYNCIO")}
    return kept | {"PYTHONPATH": os.pathsep.join(places)}


def package_root() -> Path:
    """Return the folder from which this package is imported."""
    return Path(__file__).resolve().parents[len((__package__ or "").split("."))]
