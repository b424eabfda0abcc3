"""Whole programs, run as children: what they print, and how they end.

A program says with a line that it is where a test wants it; no test waits for a time.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass

PYTHON = (sys.executable,)
QUIESCE_RUN = (sys.executable, "-m", "quiesce", "run")
# Seconds; no program here takes as many, so it is a failure to reach it.
TOO_LONG = 60.0


@dataclass(frozen=True)
class Outcome:
    """How a child ended: the signal that killed it is a negative status."""

    status: int
    out: list[str]
    err: str


class Child:
    """A program that runs."""

    def __init__(self, *words, folder=None):
        accept_interrupts()
        self.stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - until __exit__
        self.process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
            bufsize=1,
            cwd=folder,
        )
        self.lines = []
        self.hung = False
        self.guard = threading.Timer(TOO_LONG, self.give_up)
        self.guard.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guard.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.stderr.close()

    def give_up(self):
        self.hung = True
        self.process.kill()

    def wait_for(self, text):
        """Read until a line has `text` in it, and return that line."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        outcome = self.finish()
        raise AssertionError(f"never printed {text!r}: {outcome}")

    def send(self, signum):
        self.process.send_signal(signum)

    def finish(self):
        """Read to the end and return how it ended."""
        self.lines += [line.rstrip("\n") for line in self.process.stdout]
        status = self.process.wait()
        self.guard.cancel()
        self.stderr.seek(0)
        err = self.stderr.read()
        assert not self.hung, f"hung after {self.lines}: {err}"
        return Outcome(status, self.lines, err)


def accept_interrupts():
    """Let children be interrupted, also where the tests themselves run with nohup."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def outcome_of(*words, folder=None):
    """Run a program to its end."""
    with Child(*words, folder=folder) as child:
        return child.finish()


def interrupted(*words, at="ready", by=signal.SIGINT, folder=None):
    """Run a program, send it a signal once it says `at`, and return how it ended."""
    with Child(*words, folder=folder) as child:
        child.wait_for(at)
        child.send(by)
        return child.finish()
