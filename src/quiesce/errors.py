"""Every exception that quiesce raises and asyncio does not have."""

from __future__ import annotations


class Terminated(SystemExit):
    """A signal asked the program to end, and its tasks have been unwound.

    It is a `SystemExit` of status 128 + `signum`, so that the `finally` blocks, the
    context managers and the atexit functions around `quiesce.run` run as they do for
    ``sys.exit()``, and the shell sees which signal it was.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.code = 128 + signum


class UnsupportedInterpreterError(RuntimeError):
    """quiesce was started in a subinterpreter; it runs in the main interpreter only."""
