"""The blocks of code on a page of documentation, run as the page says.

A ``python`` block is a program of its own; a ``text`` block after it is what it prints.
One that begins with a comment of its name is a file for the ``console`` blocks below
it. In those, ``$`` stands before what is typed. A command that ends with ``&`` goes on
in the background until ``kill %1``. Of what is printed, ``...`` stands for anything in
a line, and as a line for any lines. Pictures and the settings of other programs are not
run.
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
        self.status = 0
        self.out = []

    def play(self, text):
        """Type each command and compare what is printed before the next one."""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            self.out = []
            self.type(command, printed.splitlines())
            assert is_like(self.out, printed), (command, self.out)

    def type(self, command, printed):
        typed = shlex.split(command)
        match [word for short in typed for word in WORDS.get(short, [short])]:
            case ["echo", "$?"]:
                self.out = [str(self.status)]
            case ["kill", "%1"]:
                seen = len(self.job.lines)
                self.job.send(signal.SIGTERM)
                self.end(self.job.finish(), after=seen)
            case [*words, "&"]:
                self.job = self.stack.enter_context(Child(*words, folder=self.folder))
                for line in printed:
                    self.job.wait_for(line)
                self.out = list(self.job.lines)
            case words:
                self.end(outcome_of(*words, folder=self.folder))

    def end(self, outcome, after=0):
        """Note how a command ended, as a shell does."""
        self.out = outcome.out[after:] + outcome.err.splitlines()
        self.status = outcome.status if outcome.status >= 0 else 128 - outcome.status


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
