"""The guardian: a process beside this one that needs nothing of its Python.

One serves a process for all its runs, from the first on that needs one. It is started
by a shell that ends at once, so that the program has no child it does not know of, and
in a session of its own, so that a Ctrl-C does not end it. It ends when this process
does. Read `guardian` for what it does.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quiesce.shutdown.spare_signal import candidates
from quiesce.system.last_resort import LastResort

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

# Seconds after the grace at which a signal is found not to be read.
MARGIN = 0.8
SHELL = "/bin/sh"
PROGRAM = str(Path(__file__).with_name("guardian.py"))
# A shell would give a process in the background another standard input.
SCRIPT = 'exec 3<&0; "$@" <&3 3<&- &'
STDERR = 2


class GuardianProcess:
    """Our end of the connection with it."""

    present: GuardianProcess | None = None

    def __init__(self, dump: int, question: int) -> None:
        self.dump = dump
        self.question = question
        # What it was told to look for.
        self.watches = ""
        ours, theirs = socket.socketpair()
        with theirs:
            start(theirs.fileno(), [os.getpid(), dump, question])
        # No object: it is open as long as the process, and nobody needs to be warned.
        self.fd = ours.detach()

    def watch(self, signums: Iterable[int], grace: float) -> None:
        """Let it look for `signums` that are not read for `grace` seconds.

        What it has seen so far is forgotten, unless it looks for these already.
        """
        LastResort.listener = self.child_changed
        words = f"grace {grace + MARGIN}\nwatch {' '.join(map(str, map(int, signums)))}"
        if words != self.watches:
            self.watches = words
            self.tell(words)

    def share(self, loop: Any) -> None:
        """Let it see the signals that `loop` is to read."""
        handlers = getattr(loop, "signal_handlers", None)
        if handlers is not None and handlers.fileno() >= 0:
            self.tell("channel", [handlers.fileno()])

    def rest(self) -> None:
        """Let it look for nothing."""
        self.watches = ""
        self.tell("release\nwatch")

    def child_changed(self, what: str, pid: int) -> None:
        """Tell it of a child that began or ended."""
        self.tell(f"{what} {pid}")

    def answer(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Show that Python runs."""
        self.tell("here")

    def tell(self, text: str, fds: Iterable[int] = ()) -> None:
        """Say something to it; may be called at any moment."""
        if self.fd < 0:
            return
        channel = socket.socket(fileno=self.fd)
        try:
            flags = socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
            socket.send_fds(channel, [f"{text}\n".encode()], list(fds), flags)
        except OSError:
            # Somebody has ended it, or it cannot keep up. The program goes on.
            return
        finally:
            channel.detach()

    def forget(self) -> None:
        """Be no guardian's process, in a forked child."""
        LastResort.listener = None
        os.close(self.fd)
        self.fd = -1
        faulthandler.unregister(self.dump)
        if signal.getsignal(self.question) == self.answer:
            signal.signal(self.question, signal.SIG_DFL)


def the_guardian() -> GuardianProcess | None:
    """Return this process's guardian, started now if it has none; None if impossible.

    To be called in the main thread.
    """
    if GuardianProcess.present is None:
        signums = [
            signum
            for signum in candidates()
            if signum != signal.SIGURG and signal.getsignal(signum) is signal.SIG_DFL
        ]
        if len(signums) < 2 or not can_start():  # noqa: PLR2004 - one to dump, one to ask
            return None
        dump, question = signums[:2]
        faulthandler.register(dump, file=STDERR, all_threads=True, chain=False)
        guardian = GuardianProcess(dump, question)
        signal.signal(question, guardian.answer)
        GuardianProcess.present = guardian
    return GuardianProcess.present


def can_start() -> bool:
    """Tell whether this system and this interpreter can have a guardian."""
    return bool(sys.executable) and hasattr(os, "posix_spawn") and Path(SHELL).exists()


def start(stdin: int, numbers: list[int]) -> None:
    """Start it, as nobody's child."""
    words = [sys.executable, "-I", "-S", PROGRAM, *map(str, numbers)]
    # Where Python itself is a shared library, it may have to be found.
    names = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    pid = os.posix_spawn(
        SHELL,
        ["sh", "-c", SCRIPT, "sh", *words],
        {name: os.environ[name] for name in names if name in os.environ},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, stdin, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setsid=True,
        setsigmask=[],
    )
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        # The program ignores SIGCHLD: nothing is left of its children.
        return


def forget_in_child() -> None:
    """Let a forked child have no guardian."""
    guardian, GuardianProcess.present = GuardianProcess.present, None
    if guardian is not None:
        guardian.forget()
