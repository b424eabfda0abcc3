"""The `quiesce` command, read word by word.

There is no argument parser: a program started by ``quiesce run`` shall find as few
modules imported as one started by ``python``, and its arguments are its own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from quiesce.cli.problem import Problem
from quiesce.cli.usage import USAGE, show_usage

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status.

    Bad use is one line on stderr and status 2. A program that was run ends as it would
    have under ``python``, by an exception that passes through here if need be.
    """
    try:
        return obey(list(sys.argv[1:] if words is None else words))
    except Problem as problem:
        print(f"quiesce: {problem}", file=sys.stderr)
        return 2


def obey(words: list[str]) -> int:
    """Carry out one command."""
    match words:
        case ["run", *rest]:
            from quiesce.cli.run import run

            return run(rest)
        case ["-h" | "--help" | "help", *_] | ["doctor", "-h" | "--help", *_]:
            return show_usage()
        case ["doctor"]:
            from quiesce.cli.doctor import doctor

            return doctor()
        case ["-V" | "--version"]:
            import quiesce

            print(f"quiesce {quiesce.__version__}")
            return 0
        case []:
            print(USAGE, end="", file=sys.stderr)
            return 2
        case ["doctor", word, *_]:
            raise Problem(f"doctor takes no argument, but got {word!r}")
        case _:
            raise Problem(f"no command {words[0]!r}; see quiesce --help")
