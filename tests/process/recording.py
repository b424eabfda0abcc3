"""A protocol that keeps what it hears, and programs for children."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path


def python(code):
    """The words that run some Python."""
    return (sys.executable, "-S", "-c", code)


# Ends when its input does.
PATIENT = ("cat",)


def leaver(status, last_words=""):
    """A program that ends at once, and a child of its own that keeps its output open.

    That one waits for a line of their input, and may have something to say.
    """
    command = f"exec 3<&0; (read line <&3; {last_words or ':'}) & exit {status}"
    return ("sh", "-c", command)


def open_descriptors():
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_pidfd(fd):
    """Tell whether a descriptor stands for a process."""
    return "pidfd" in str(Path(f"/proc/self/fd/{fd}").readlink())


def has_gone(pid):
    """Tell whether no process, not even a dead one, has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class Recorder(asyncio.SubprocessProtocol):
    """Keeps all calls in their order, the bytes of one pipe put together."""

    def __init__(self):
        self.calls = []
        self.output = {1: b"", 2: b""}
        self.news = asyncio.Event()
        self.exited = asyncio.Event()
        self.over = asyncio.Event()

    def connection_made(self, transport):
        self.calls.append("made")

    def pipe_data_received(self, fd, data):
        self.output[fd] += data
        if self.calls[-1] != ("data", fd):
            self.calls.append(("data", fd))
        self.news.set()

    def pipe_connection_lost(self, fd, exc):
        self.calls.append(("pipe lost", fd))
        self.news.set()

    async def hears(self, call):
        """Wait for a call of one of the pipes."""
        while call not in self.calls:
            self.news.clear()
            await self.news.wait()

    def process_exited(self):
        self.calls.append("exited")
        self.exited.set()

    def connection_lost(self, exc):
        self.calls.append(("lost", exc))
        self.over.set()


async def spawn(*words, **options):
    """Start a child of the running loop with a recorder."""
    loop = asyncio.get_running_loop()
    return await loop.subprocess_exec(Recorder, *words, **options)


async def spawn_dead(status):
    """Return a child that has ended; its loop has had no chance yet to notice that."""
    readable, writable = os.pipe()
    command = f"read line; exit {status}"
    child, heard = await spawn("sh", "-c", command, stdin=readable)
    os.close(readable)
    os.close(writable)
    os.waitid(os.P_PID, child.get_pid(), os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop is not to run
    return child, heard
