"""What a program says of its own end: nothing, if that was clean and prompt.

One that is slow says once what it waits for; a forced one names everything that was
left. The same goes as JSON to a file or function, where that was asked for, at any end.
Read `survivors` before this, for what is told of each.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.await_chain import Place
from quiesce.shutdown.stderr import say
from quiesce.shutdown.survivor import not_among
from quiesce.shutdown.survivor_text import in_full, one_line_each, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol, TypeAlias

    from quiesce.shutdown.survivor import Survivor

    class BudgetLike(Protocol):
        """What a report asks of the budget."""

        @property
        def grace(self) -> float: ...  # noqa: D102
        @property
        def began_at(self) -> float: ...  # noqa: D102

    class ReasonLike(Protocol):
        """What a report asks of the reason, and that its text says why."""

        @property
        def signum(self) -> int | None: ...  # noqa: D102

    Target: TypeAlias = str | os.PathLike[str] | Callable[[dict[str, Any]], object]

VARIABLE = "QUIESCE_REPORT"
# In a path: every process that inherits the variable writes a file of its own.
PID = "{pid}"
# Seconds that one who writes a report waits for another who does.
PATIENCE = 0.05


class Report:
    """The report on one end of a program. Thread-safe; nothing in it raises.

    `to` is the path of a JSON file, or a function that is called with what would be in
    it; without it, the environment variable ``QUIESCE_REPORT`` may name a path. In a
    path ``{pid}`` stands for the number of the process.
    """

    def __init__(
        self, reason: ReasonLike, budget: BudgetLike, *, to: Target | None = None
    ) -> None:
        self.reason = reason
        self.budget = budget
        self.to = absolute(to if to is not None else os.environ.get(VARIABLE) or None)
        self.survivors: list[Survivor] = []
        self.phases: list[tuple[str, float]] = []
        self.was_slow = False
        self.was_forced = False
        self.was_written = False
        self.writing = threading.Lock()
        # The exit status that was written last.
        self.status: int | None = None

    def phase(self, name: str) -> None:
        """Note that a phase begins, and the one before has ended."""
        self.phases.append((name, time.monotonic()))

    def slow(self, survivors: Sequence[Survivor]) -> None:
        """Say, once, what the end is waiting for."""
        if self.was_slow or self.was_forced or not survivors:
            return
        self.was_slow = True
        head = f"quiesce: ending since {self.elapsed():.1f} s ({self.reason})"
        say(f"{head}: waiting for {line}" for line in one_line_each(survivors))

    def hurried(self, survivors: Sequence[Survivor]) -> None:
        """Name what is given up because a second Ctrl-C asked for the end at once."""
        # What is waited for is of no interest any more.
        self.was_forced = self.was_slow = True
        # A new list: others may go on from what was in the former one.
        self.survivors = [*self.survivors, *survivors]
        say(
            f"quiesce: did not end in time: {line}" for line in one_line_each(survivors)
        )

    def forced(self, survivors: Sequence[Survivor]) -> None:
        """Tell everything of what is left when the grace is used up."""
        self.was_forced = True
        self.survivors = list(survivors)
        left = summary(survivors) or "nothing"
        head = f"quiesce: forced to end after {self.elapsed():.1f} s ({self.reason})"
        lines = [f"{head}; left: {left}"]
        for survivor in survivors:
            lines += [f"quiesce:   {line}" for line in in_full(survivor)]
        say(lines)

    def add_children(self, children: Iterable[Survivor]) -> None:
        """Let what was written have `children` too."""
        if new := not_among(self.survivors, children):
            self.survivors = [*self.survivors, *new]
            self.write(self.status)

    def write(self, status: int | None) -> None:
        """Write the report as JSON, or hand it over, if anybody asked for it.

        `status` is the exit status that will follow, None if no exception tells it.
        Who gets it and does not come back gets no other one.
        """
        if self.to is None or not self.writing.acquire(timeout=PATIENCE):
            return
        self.was_written, self.status = True, status
        try:
            if callable(self.to):
                self.to(self.as_dict(status))
            else:
                write_file(self.to, self.as_dict(status))
        except Exception as error:  # noqa: BLE001 - the end goes on without a report
            say([f"quiesce: the report could not be written: {error!r}"])
            if callable(self.to):
                say(["".join(traceback.format_exception(error)).rstrip()])
        finally:
            self.writing.release()

    def as_dict(self, status: int | None) -> dict[str, Any]:
        """Return the report as what JSON can hold."""
        elapsed = self.elapsed()
        return {
            "reason": str(self.reason),
            "signum": self.reason.signum,
            "began": began(elapsed),
            "seconds": round(elapsed, 3),
            "grace": self.budget.grace,
            "phases": self.seconds_of_phases(),
            "status": status,
            "forced": self.was_forced,
            "pid": os.getpid(),
            "survivors": [fields(survivor) for survivor in self.survivors],
        }

    def seconds_of_phases(self) -> dict[str, float]:
        """Return how long each phase took."""
        ends = [at for _, at in self.phases[1:]] + [time.monotonic()]
        seconds: dict[str, float] = {}
        for (name, at), end in zip(self.phases, ends, strict=False):
            seconds[name] = round(seconds.get(name, 0.0) + end - at, 3)
        return seconds

    def elapsed(self) -> float:
        """Return the seconds since the end began."""
        return time.monotonic() - self.budget.began_at


def absolute(target: Target | None) -> Target | None:
    """Fix where a path leads, which the program's ``chdir`` must not change."""
    if target is None or callable(target):
        return target
    path = os.fspath(target)
    try:
        path = os.path.abspath(path)  # noqa: PTH100 - no import of pathlib before
    except OSError:
        # The working directory is gone.
        pass
    return path.replace(PID, str(os.getpid()))


def began(elapsed: float) -> str:
    """Return, as ISO 8601 has it, the time that was so many seconds ago."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time.time() - elapsed, UTC).isoformat()


def fields(survivor: Survivor) -> dict[str, Any]:
    """Return all fields of a survivor; places become dictionaries too."""

    def plain(value: Any) -> Any:
        if isinstance(value, Place):
            return value._asdict()
        if isinstance(value, tuple):
            return [plain(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return value

    return {name: plain(value) for name, value in survivor.fields().items()}


def write_file(path: str | os.PathLike[str], report: dict[str, Any]) -> None:
    """Write `report` to `path`, so that a reader finds all of it or what was before."""
    import json
    import stat

    data = (json.dumps(report, indent=2) + "\n").encode()
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - see above
    except FileNotFoundError:
        is_file = True
    if not is_file:
        # A pipe or a device, which must stay what it is; without a reader it raises.
        write_all(path, os.O_WRONLY | os.O_NONBLOCK, data)
        return
    beside = f"{os.fspath(path)}.{os.getpid()}.tmp"
    try:
        write_all(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, data)
        os.replace(beside, path)  # noqa: PTH105 - see above
    except OSError:
        if os.path.exists(beside):  # noqa: PTH110 - see above
            os.unlink(beside)  # noqa: PTH108 - see above
        raise


def write_all(path: str | os.PathLike[str], flags: int, data: bytes) -> None:
    """Open `path` and write `data` to it."""
    fd = os.open(path, flags, 0o666)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)
