"""What is said of an end, on stderr and as JSON."""

from __future__ import annotations

import json
import os
import signal
import threading
from datetime import datetime

import pytest

from quiesce.shutdown.await_chain import Place
from quiesce.shutdown.budget import Budget
from quiesce.shutdown.reason import EXITED, RAISED, RETURNED, SIGNALLED, Reason
from quiesce.shutdown.report import Report
from quiesce.shutdown.survivor import Survivor

TASK = Survivor(
    kind="task",
    name="fetch",
    runs="fetch",
    where=Place("app.py", 12, "fetch"),
    frames=(Place("app.py", 30, "crawl"), Place("app.py", 12, "fetch")),
    waits_for="a lock",
    asked=2,
    swallowed=1,
    asked_by="SIGTERM",
)
CHILD = Survivor(kind="child", name="", runs="sleep 100", pid=17)


SIGTERM = Reason(SIGNALLED, signum=15)


def report(to=None, reason=SIGTERM):
    return Report(reason, Budget(8.0), to=to)


def test_a_clean_end_says_nothing(capfd):
    one = report()
    one.phase("main")
    one.write(0)
    assert capfd.readouterr().err == ""


def test_a_slow_end_says_in_one_line_each_what_it_waits_for(capfd):
    report().slow([TASK, CHILD])
    first, second = capfd.readouterr().err.splitlines()
    assert first == (
        "quiesce: ending since 0.0 s (SIGTERM): waiting for task 'fetch' "
        "at app.py:12 in fetch, which waits for a lock"
    )
    assert second.endswith("waiting for child 17 (sleep 100)")


def test_a_slow_end_says_so_once(capfd):
    one = report()
    one.slow([TASK])
    one.slow([TASK])
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_slow_end_that_waits_for_nothing_known_says_nothing(capfd):
    one = report()
    one.slow([])
    assert capfd.readouterr().err == ""


def test_the_lines_of_a_slow_end_have_a_limit(capfd):
    report().slow([TASK] * 1000)
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) < 50
    assert lines[-1].endswith("980 tasks more")


def test_an_end_by_a_second_ctrl_c_names_each_survivor_in_a_line(capfd):
    report().hurried([TASK, CHILD])
    first, second = capfd.readouterr().err.splitlines()
    assert "task 'fetch' at app.py:12 in fetch" in first
    assert "child 17" in second


def test_a_forced_end_tells_all_that_is_known(capfd):
    report().forced([TASK, CHILD])
    text = capfd.readouterr().err
    head = text.splitlines()[0]
    assert head == (
        "quiesce: forced to end after 0.0 s (SIGTERM); left: 1 task, 1 child"
    )
    for words in (
        "task 'fetch' at app.py:12 in fetch",
        "waits for a lock",
        "was asked to end 2 times",
        "was cancelled last by SIGTERM",
        "swallowed its cancellation once",
        "app.py:30 in crawl",
        "child 17 (sleep 100)",
    ):
        assert words in text


REASONS = {
    "main returned": Reason(RETURNED),
    "main raised LookupError": Reason(RAISED, error=LookupError()),
    "sys.exit(3)": Reason(EXITED, error=SystemExit(3)),
    "KeyboardInterrupt": Reason(EXITED, error=KeyboardInterrupt()),
    "signal 35": Reason(SIGNALLED, signum=35),
}


@pytest.mark.parametrize("words", REASONS)
def test_the_reason_is_said(capfd, words):
    report(reason=REASONS[words]).forced([])
    assert f"({words})" in capfd.readouterr().err


STATUSES = {0: Reason(RETURNED), 1: REASONS["main raised LookupError"]} | {
    3: REASONS["sys.exit(3)"],
    143: SIGTERM,
}


@pytest.mark.parametrize("status", STATUSES)
def test_a_reason_has_its_exit_status(status):
    assert STATUSES[status].status == status


@pytest.mark.parametrize(
    "reason", [REASONS["KeyboardInterrupt"], Reason(SIGNALLED, signum=signal.SIGINT)]
)
def test_after_a_ctrl_c_only_a_forced_end_has_a_known_status(reason):
    assert (reason.status, reason.forced_status) == (None, 130)


def test_the_report_is_written_as_json(tmp_path):
    path = tmp_path / "report.json"
    one = report(to=path)
    one.phase("main")
    one.phase("close")
    one.forced([TASK])
    one.write(143)
    written = json.loads(path.read_text())
    assert written["reason"] == "SIGTERM"
    assert written["signum"] == 15
    assert datetime.fromisoformat(written["began"]).tzinfo is not None
    assert written["grace"] == 8
    assert list(written["phases"]) == ["main", "close"]
    assert written["status"] == 143
    assert written["forced"] is True
    (survivor,) = written["survivors"]
    assert survivor["where"] == {"file": "app.py", "line": 12, "function": "fetch"}
    assert survivor["waits_for"] == "a lock"
    assert list(tmp_path.iterdir()) == [path]


def test_a_clean_end_is_written_too(tmp_path):
    path = tmp_path / "report.json"
    report(to=str(path)).write(0)
    written = json.loads(path.read_text())
    assert (written["forced"], written["survivors"]) == (False, [])


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("QUIESCE_REPORT", str(tmp_path / "{pid}.json"))
    report().write(0)
    assert (tmp_path / f"{os.getpid()}.json").exists()


def test_a_function_is_handed_the_report():
    handed = []
    report(to=handed.append).write(3)
    assert handed[0]["status"] == 3


def test_what_follows_a_change_of_directory_is_the_path_as_it_was(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    one = report(to="report.json")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    one.write(0)
    assert (tmp_path / "report.json").exists()


def test_a_report_that_cannot_be_written_is_one_line_on_stderr(tmp_path, capfd):
    report(to=tmp_path / "nowhere" / "report.json").write(0)
    (line,) = capfd.readouterr().err.splitlines()
    assert "could not be written" in line


def test_a_function_that_fails_is_shown_on_stderr_with_its_line(capfd):
    def fail(_):
        raise LookupError("no")

    report(to=fail).write(0)
    first, *traceback = capfd.readouterr().err.splitlines()
    assert "LookupError" in first
    assert traceback[-1] == "LookupError: no"
    assert any(line.endswith("in fail") for line in traceback)


def test_a_pipe_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    report(to=path).write(0)
    with os.fdopen(fd, "rb") as pipe:
        assert json.loads(pipe.read())["status"] == 0


@pytest.fixture
def stderr(monkeypatch):
    """Make some file stderr."""

    def make(file):
        monkeypatch.setattr("sys.stderr", file)

    return make


def test_a_stand_in_for_stderr_is_written_to(capsys):
    report().slow([TASK])
    assert "fetch" in capsys.readouterr().err


def test_without_stderr_nothing_breaks(stderr):
    stderr(None)
    report().forced([TASK])


def test_a_closed_stderr_breaks_nothing(stderr, tmp_path):
    file = (tmp_path / "err").open("w")
    file.close()
    stderr(file)
    report().forced([TASK])


def test_a_stderr_without_reader_breaks_nothing(stderr):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as file:
        stderr(file)
        report().forced([TASK])


def test_a_full_stderr_holds_nothing_up(stderr):
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "w") as file:
        stderr(file)
        report().forced([TASK] * 10_000)


def test_a_lock_on_stderr_holds_nothing_up(stderr):
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as readable, os.fdopen(writer, "w") as file:
        stderr(file)
        # As long as this write waits for a reader, it holds the lock of the file.
        big = threading.Thread(target=file.buffer.write, args=(b"x" * (1 << 17),))
        big.start()
        other = threading.Thread(target=report().forced, args=([TASK],))
        other.start()
        other.join()
        seen = b""
        while len(seen) < 1 << 17:
            seen += readable.read1()
        big.join()
