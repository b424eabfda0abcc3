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


class GraceExceeded(SystemExit):
    """The grace was used up: something could not be ended and was given up.

    It is a `SystemExit`; its status is 128 + the number of the signal that asked for
    the end, or else 70. What was given up has been named on stderr.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)


class UnsupportedInterpreterError(RuntimeError):
    """quiesce was started in a subinterpreter; it runs in the main interpreter only."""
