"""The blocks of code on a page of documentation, run as the page says.

A ``python`` block is a program of its own; a ``text`` block after it is what it prints.
One that begins with a comment of its name is a file for the ``console`` blocks below
it. In those, ``$`` stands before what is typed, as one command or as several with
``;`` between them. A command that ends with ``&`` goes on in the background until
``kill %1``. The status of that is 0; the program's own is that of ``wait %1`` on the
same line. Of what is printed, ``...`` stands for anything in a line, and as a line for
any lines. Pictures and the settings of other programs are not run.
"""

from __future__ import annotations

import re
import shlex
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

from tests.programs.children import PYTHON, Child, outcome_of

ROOT = Path(__file__).parents[2]
# This one tells of libraries that other tests do without; see tests/libraries.
LIBRARIES = ROOT / "docs" / "libraries.md"
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {LIBRARIES})]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What is only to be looked at.
SHOWN = {"mermaid", "dockerfile", "ini"}
FILE_NAME = re.compile(r"# (\w+\.py)\n")


def blocks(page):
    return BLOCK.findall(page.read_text())


def run_page(page, folder):
    """Run the code on a page in an empty folder; fail where the page is wrong."""
    previous = ""
    for kind, text in blocks(page):
        if kind == "python":
            previous = text
            name = FILE_NAME.match(text)
            path = folder / (name[1] if name else "program.py")
            path.write_text(text)
            if not name:
                outcome = outcome_of(*PYTHON, path)
                assert (outcome.status, outcome.err) == (0, ""), text
        elif kind == "text":
            assert "".join(f"{line}\n" for line in outcome.out) == text, previous
        elif kind not in SHOWN:
            assert kind == "console", (
                f"no test knows how to run {kind or 'this'}: {text}"
            )
            with ExitStack() as stack:
                Session(folder, stack).play(text)


class Session:
    """Somebody at a shell."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.stack = stack
        self.job = None
        # How it ended, until the next line is typed.
        self.ended_job = None
        self.status = 0
        self.out = []

    def play(self, text):
        """Type each line and compare what is printed before the next one."""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, _, printed = part.partition("\n")
            self.out = []
            for words in commands_of(line):
                self.carry_out(words, printed.splitlines())
            assert is_like(self.out, printed), (line, self.out)
            if self.ended_job is not None:
                # A shell forgets it too, once it has told of it before its prompt.
                self.job = self.ended_job = None

    def carry_out(self, words, printed):
        """Do what one command says; `printed` is what its line shall print."""
        match [word for short in words for word in WORDS.get(short, [short])]:
            case ["echo", "$?"]:
                self.out.append(str(self.status))
                self.status = 0
            case ["kill", "%1"]:
                # A shell does not wait for the job, but what that prints is read here.
                self.job.send(signal.SIGTERM)
                self.status = 0
                self.read_job()
            case ["wait", "%1"]:
                self.status = status_in_shell(self.read_job())
            case [*words, "&"]:
                self.job = self.stack.enter_context(Child(*words, folder=self.folder))
                self.status = 0
                for line in printed:
                    self.job.wait_for(line)
                self.out += self.job.lines
            case words:
                outcome = outcome_of(*words, folder=self.folder)
                self.out += outcome.out + outcome.err.splitlines()
                self.status = status_in_shell(outcome)

    def read_job(self):
        """Read what the job prints until it ends, once, and return how it ended."""
        if self.ended_job is None:
            seen = len(self.job.lines)
            self.ended_job = outcome = self.job.finish()
            self.out += outcome.out[seen:] + outcome.err.splitlines()
        return self.ended_job


def commands_of(line):
    """Return the words of each command on a line, as a shell splits it."""
    words = shlex.shlex(line, posix=True, punctuation_chars=";&")
    words.whitespace_split = True
    words.commenters = ""
    commands = [[]]
    for word in words:
        if word == ";":
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


def status_in_shell(outcome):
    """Return what ``$?`` is after a command that ended so."""
    return outcome.status if outcome.status >= 0 else 128 - outcome.status


def is_like(lines, printed):
    """Tell whether these lines were printed; see the head of this file for ``...``."""
    patterns = [
        ".*" if line == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*")
        for line in printed.splitlines()
    ]
    whole = re.compile("\n".join(patterns), re.DOTALL)
    return whole.fullmatch("\n".join(lines)) is not None


WORDS = {
    "python": [sys.executable],
    "quiesce": [sys.executable, "-m", "quiesce"],
    "gunicorn": [sys.executable, "-m", "gunicorn"],
    "pytest": [sys.executable, "-m", "pytest"],
    "uvicorn": [sys.executable, "-m", "uvicorn"],
}
