"""How many instructions an operation costs: a count that repeats exactly.

Times vary with the machine and its neighbours; instructions hardly do.  Two
runs under callgrind, a short and a long one, differ by the operations alone:
starting Python and importing cancel out, in the sum and in every function.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measuring.child import BY_KEY, rounded
from measuring.rounds import environment, plain_source

if TYPE_CHECKING:
    from measuring.candidates import Candidate

FEW = 2_000
MANY = 12_000
FUNCTION = re.compile(r"\s*([\d,]+) \([ \d.]+%\)\s+(?:[^\s:]*/)?([^/]+?)(?: \[.*)?$")
"""A line of callgrind_annotate: instructions, share, file:function, library."""


def available() -> bool:
    """Return whether valgrind is installed."""
    return shutil.which("valgrind") is not None


def by_function(candidate: Candidate, key: str) -> dict[str, float]:
    """Return instructions per operation, of each function by itself.

    Raises CalledProcessError if the candidate cannot run under valgrind.
    """
    multiple = BY_KEY[key].multiple
    few, many = rounded(FEW, multiple), rounded(MANY, multiple)
    with tempfile.TemporaryDirectory() as folder:
        short = profile(candidate, key, few, Path(folder, "short"))
        long = profile(candidate, key, many, Path(folder, "long"))
    return {
        function: (long.get(function, 0) - short.get(function, 0)) / (many - few)
        for function in long.keys() | short.keys()
    }


def profile(candidate: Candidate, key: str, count: int, file: Path) -> dict[str, int]:
    """Run an operation ``count`` times and return instructions by function."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]
    command += [sys.executable, "-m", "measuring.counted"]
    command += [candidate.name, key, str(count)]
    with plain_source() as plain:
        run(command, environment(candidate, plain))
    annotated = run(["callgrind_annotate", "--auto=no", "--threshold=100", str(file)])
    functions: dict[str, int] = {}
    for line in annotated.splitlines():
        if found := FUNCTION.match(line):
            instructions = int(found[1].replace(",", ""))
            functions[found[2]] = functions.get(found[2], 0) + instructions
    functions.pop("PROGRAM TOTALS", None)
    return functions


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Return what a command prints; CalledProcessError if it fails."""
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return ended.stdout
