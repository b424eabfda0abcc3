"""What the `quiesce` command answers where it is asked for help."""

from __future__ import annotations

USAGE = """\
usage: quiesce run [--grace SECONDS] FILE [ARGUMENT ...]
       quiesce run [--grace SECONDS] -m MODULE [ARGUMENT ...]
       quiesce run [--grace SECONDS] -c CODE [ARGUMENT ...]
       quiesce run [--grace SECONDS] PACKAGE.MODULE:FUNCTION [ARGUMENT ...]
       quiesce doctor
       quiesce --help | --version

run     runs an asyncio program, as it is, on quiesce's loop, and ends it rightly
doctor  says what is installed and what is missing

FILE is a script, a folder or zip file with a __main__.py, or - for stdin;
FUNCTION a coroutine function. What follows them belongs to the program.

--grace SECONDS  how long the end may take (8); run(grace=...) in the program wins

environment variables:
  QUIESCE_GRACE        as --grace, which wins
  QUIESCE_REPORT       path of a JSON report on the end ({pid}: process id)
  QUIESCE_WATCHDOG_MS  milliseconds after which a blocked loop is named (1000);
                       0 is never

Python's own options: python -X dev -m quiesce run FILE
"""


def show_usage() -> int:
    """Print the usage; return the exit status."""
    print(USAGE, end="")
    return 0
