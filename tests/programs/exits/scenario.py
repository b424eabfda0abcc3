"""A scenario's program: a real process, real signals, and how it ended.

Nothing here waits for a time but for what the program says; only the bounds that the
contract itself states are measured.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import tempfile
import termios
import textwrap
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.programs.exits.mutants import NOT_APPLIED
from tests.programs.exits.ways import WAYS

HEAD = Path(__file__).parent / "head"
# Modules are compiled to bytecode once for all programs of a run.
BYTECODE = tempfile.TemporaryDirectory(prefix="quiesce-exits-bytecode-")
# What is passed on to programs of that which changes how Python behaves.
KEPT = {"PYTHONHOME", "QUIESCE_EXITS_SWITCH"}
# Read once: pytest changes it in its own thread while programs are started in others.
ENVIRONMENT = dict(os.environ)
# Seconds for a program to be scheduled on a busy machine.
SLACK = float(os.environ.get("QUIESCE_EXITS_SLACK", "1.5"))
# What takes so many seconds more than the grace hangs.
TOO_LONG = float(os.environ.get("QUIESCE_EXITS_TOO_LONG", "20"))
# What is there so many seconds after a program has ended was left behind.
OUTLIVES = 0.5
DEFAULT_GRACE = 8.0
# Never right, however a program ends.
NEVER_SAID = ("Task was destroyed", "never awaited", "Event loop is closed")
# An end that takes more seconds says, in lines that begin so, what it waits for.
SLOW = 1.0
OF_A_SLOW_END = ("quiesce: ending since ", "quiesce: the loop is blocked for ")
# A busy machine may hold a loop for so long that this is told by default.
HARDLY_WATCHED = {"QUIESCE_WATCHDOG_MS": "60000"}
WATCHED = {"QUIESCE_WATCHDOG_MS": ""}
# How the lines begin that a program prints which ends by KeyboardInterrupt.
OF_A_CTRL_C = (
    " ",
    "Traceback (most recent call last):",
    "asyncio.exceptions.CancelledError",
    "During handling of the above exception, another exception occurred:",
    "KeyboardInterrupt",
)


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    way: str
    status: int
    """The exit status; the signal that killed it is a negative one."""
    log: list[str]
    """What the program logged."""
    out: list[str]
    err: str
    seconds: float
    """From the last signal, line waited for, or else its first line, to the exit."""
    left_behind: list[int]
    """Processes that the program started and that outlived it."""
    report: dict[str, object] | None = None
    """What it wrote as JSON, where that was asked for."""

    def __str__(self):
        return (
            f"{self.way}: status {self.status} after {self.seconds:.2f} s, "
            f"logged {shortened(self.log)}, said {shortened(self.out)}, "
            f"left behind {self.left_behind}; on stderr:\n{self.err[-4000:]}"
        )

    @property
    def is_silent(self) -> bool:
        """Whether nothing was said on stderr but what Python says of a Ctrl-C.

        Where the end took over a second, it may also say what it waited for.
        """
        lines = self.err.splitlines()
        if self.seconds > SLOW:
            lines = [line for line in lines if not line.startswith(OF_A_SLOW_END)]
        if lines and lines[-1] == "KeyboardInterrupt":
            return all(line.startswith(OF_A_CTRL_C) for line in lines if line)
        return not lines

    @property
    def tracebacks(self) -> int:
        return self.err.count("Traceback (most recent call last)")

    def gone_within(self, seconds: float) -> bool:
        """Whether it ended in so many seconds, give or take a busy machine's delays."""
        return self.seconds <= seconds + SLACK

    def tells(self, signum: int) -> bool:
        """Whether the status says that it ended in order because of `signum`."""
        if self.way == "quiesce run" and signum != signal.SIGINT:
            return self.status == -signum
        if self.way == "quiesce.run" and signum != signal.SIGINT:
            return self.status == 128 + signum
        return self.status in {-signum, 128 + signum}

    def tells_force(self, signum: int) -> bool:
        """Whether the status says that it was forced after `signum` asked it to end."""
        if self.way == "quiesce run" or signum == signal.SIGINT:
            return self.status in {-signum, 128 + signum}
        return self.status == 128 + signum


class Program:
    """A program that runs; leaving the ``with`` block kills it and what it started."""

    def __init__(
        self,
        scenario,
        text,
        *,
        grace,
        environment,
        options,
        ignoring,
        terminal,
        reports,
    ):
        self.way, self.mutant = scenario.way, scenario.mutant
        self.identity = uuid.uuid4().hex
        self.folder = Path(tempfile.mkdtemp(prefix="quiesce-exits-"))
        self.path = self.folder / "program.py"
        self.path.write_text("from program_head import *\n" + textwrap.dedent(text))
        self.limit = scenario.patience + (DEFAULT_GRACE if grace is None else grace)
        self.err = (self.folder / "err").open("w+b")
        self.unread, self.lines, self.heard = b"", [], 0
        self.outcome = None
        self.terminal = terminal
        self.report = self.folder / "report.json" if reports else None
        words = [*WAYS[self.way], *map(str, options), str(self.path)]
        variables = {**self.variables(grace), **(environment or {})}
        if ignoring:
            ignores = f"trap '' {' '.join(str(int(n)) for n in ignoring)}; exec \"$@\""
            words = ["sh", "-c", ignores, "sh", *words]
        self.start(words, variables)
        self.started = time.monotonic()
        # When it was last sent something, or said what was waited for.
        self.since = None

    def variables(self, grace):
        """Return the environment, free of what would change how Python behaves."""
        kept = {
            name: value
            for name, value in ENVIRONMENT.items()
            if not name.startswith(("PYTHON", "QUIESCE_")) or name in KEPT
        }
        paths = [str(HEAD), os.environ.get("PYTHONPATH", "")]
        kept["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        kept["PYTHONPYCACHEPREFIX"] = BYTECODE.name
        kept["QUIESCE_EXITS_WAY"] = self.way
        kept["QUIESCE_EXITS_LOG"] = str(self.folder / "log")
        kept["QUIESCE_EXITS_BEGUN"] = str(self.folder / "begun")
        kept["QUIESCE_EXITS_ID"] = self.identity
        if self.way == "quiesce run":
            kept |= HARDLY_WATCHED
        if self.mutant is not None:
            kept["QUIESCE_EXITS_MUTANT"] = self.mutant
        if grace is not None:
            kept["QUIESCE_GRACE"] = str(grace)
        if self.report is not None:
            kept["QUIESCE_REPORT"] = str(self.report)
        return kept

    def start(self, words, variables):
        if self.terminal:
            self.fd, at_program = pty.openpty()
            settings = termios.tcgetattr(at_program)
            settings[3] &= ~termios.ECHO
            termios.tcsetattr(at_program, termios.TCSANOW, settings)
            # A session's leader that opens a terminal is controlled by it.
            opens = 'tty=$1; shift; exec "$@" <"$tty" >"$tty"'
            words = ["sh", "-c", opens, "sh", os.ttyname(at_program), *words]
            ends = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        else:
            self.fd, at_program = os.pipe()
            ends = {"stdin": subprocess.DEVNULL, "stdout": at_program}
        self.process = subprocess.Popen(
            words,
            **ends,
            stderr=self.err,
            env=variables,
            cwd=self.folder,
            start_new_session=True,
        )
        # Until a program has opened its terminal, that must not count as hung up.
        self.at_program = at_program if self.terminal else None
        if not self.terminal:
            os.close(at_program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in (*self.descendants(), self.process.pid):
            if pid != self.process.pid or self.process.returncode is None:
                kill(pid)
        self.process.wait()
        self.err.close()
        self.close_stdout()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self):
        """What the program has logged so far."""
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def pid(self):
        return self.process.pid

    def line_of(self, text):
        """Return the number of the program's only line that has `text` in it."""
        lines = self.path.read_text().splitlines()
        (found,) = (n for n, line in enumerate(lines, 1) if text in line)
        return found

    def wait_for(self, text="ready"):
        """Read until a line has `text` in it, and return that line."""
        deadline = time.monotonic() + self.limit
        while True:
            for line in self.lines[self.heard :]:
                self.heard += 1
                if text in line:
                    self.since = time.monotonic()
                    return line
            if time.monotonic() > deadline or not self.read(deadline):
                raise AssertionError(f"never said {text!r}: {self.end()}")

    def read(self, until):
        """Take what stdout has until that time; False says that there is no more."""
        if self.fd is None:
            time.sleep(max(0, min(0.02, until - time.monotonic())))
            return False
        timeout = max(0, until - time.monotonic())
        if not select.select([self.fd], [], [], timeout)[0]:
            return False
        try:
            chunk = os.read(self.fd, 1 << 16)
        except OSError:
            # So a terminal says that nobody has it open any more.
            chunk = b""
        if not chunk:
            self.close_stdout()
            return False
        *lines, self.unread = (self.unread + chunk).split(b"\n")
        self.lines += [line.decode(errors="replace").rstrip("\r") for line in lines]
        return True

    def send(self, signum):
        """Send it a signal; the time is counted from here."""
        self.since = time.monotonic()
        self.process.send_signal(signum)

    def press(self, keys):
        """Press keys at the program's terminal; ``"\\x03"`` is Ctrl-C."""
        self.since = time.monotonic()
        os.write(self.fd, keys.encode())

    def hang_up(self):
        """Close the terminal, or the pipe that the program's stdout is."""
        self.since = time.monotonic()
        self.close_stdout()

    def close_stdout(self):
        for fd in {self.fd, self.at_program} - {None}:
            os.close(fd)
        self.fd = self.at_program = None

    def end(self):
        """Wait until it is gone, and return how it ended."""
        deadline = (self.since or self.started) + self.limit
        while self.process.poll() is None and time.monotonic() < deadline:
            self.read(until=time.monotonic() + 0.02)
        seconds = time.monotonic() - (self.since or self.begun())
        hung = self.process.poll() is None
        left_behind = self.left_behind()
        if hung:
            kill(self.process.pid)
            self.process.wait()
        while self.read(until=0):
            pass
        self.err.seek(0)
        outcome = Outcome(
            self.way,
            self.process.returncode,
            self.log,
            self.lines,
            self.err.read().decode(errors="replace"),
            seconds,
            left_behind,
            None if self.report is None else json.loads(self.report.read_text()),
        )
        if outcome.status == NOT_APPLIED:
            raise RuntimeError(outcome.err)
        self.outcome = outcome
        assert not hung, f"hung: {outcome}"
        for words in NEVER_SAID:
            assert words not in outcome.err, outcome.err
        return outcome

    def begun(self):
        """Return when the program's first line ran; its start if none has.

        Python and all that is imported take seconds to start where many programs begin
        at once and nothing is compiled to bytecode yet.
        """
        path = self.folder / "begun"
        return float((path.exists() and path.read_text()) or self.started)

    def left_behind(self):
        """Return the processes that outlive it.

        Those with which multiprocessing cleans up end when they notice that it ended.
        """
        deadline = time.monotonic() + OUTLIVES
        while (found := self.descendants()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return found

    def descendants(self):
        """Return the living processes that began with this program's environment."""
        mark = f"QUIESCE_EXITS_ID={self.identity}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                # It is gone already, or another user's.
                continue
        return found


def filled(text, **blocks):
    """Return a program's text with ``{name}`` on a line of its own as that block."""
    for name, block in blocks.items():
        lines = textwrap.dedent(block).strip("\n")

        def indented(found, lines=lines):
            return textwrap.indent(lines, found[1])

        text = re.sub(rf"^( *)\{{{name}\}}$", indented, text, flags=re.MULTILINE)
    return text


def shortened(lines):
    """Return at most twenty lines, for people."""
    return lines if len(lines) <= 20 else [*lines[:10], "...", *lines[-10:]]


def state_of(pid):
    """Return the state of a process as proc(5) has it: "S" sleeps, "T" is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def kill(pid, signum=signal.SIGKILL):
    """Send a signal to a process that may have ended already."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


class Scenario:
    """Runs programs in one way; what a scenario's function is handed."""

    def __init__(self, way, mutant=None, patience=TOO_LONG):
        self.way = way
        self.mutant = mutant
        self.patience = patience
        self.programs = []

    def start(
        self,
        text,
        *,
        grace=None,
        environment=None,
        options=(),
        ignoring=(),
        terminal=False,
        reports=False,
    ):
        """Start a program, as a context manager.

        `grace` None is the default grace; `options` are those of Python or `quiesce
        run`; `ignoring` names signals as nohup does. One that `reports` writes JSON,
        which its outcome has.
        """
        program = Program(
            self,
            text,
            grace=grace,
            environment=environment,
            options=options,
            ignoring=ignoring,
            terminal=terminal,
            reports=reports,
        )
        self.programs.append(program)
        return program

    def ended(self, text, **options):
        """Run a program that ends by itself, and return how."""
        with self.start(text, **options) as program:
            return program.end()

    def interrupted(self, text, by=signal.SIGINT, *, at="ready", **options):
        """Run a program, send it a signal when it says `at`, return how it ended."""
        with self.start(text, **options) as program:
            program.wait_for(at)
            program.send(by)
            return program.end()
