"""A process that ends another one where no Python runs in it any more.

It is for interpreted runs, where nothing of ours is in C: ``python -I -S guardian.py``,
started by `guardian_process`. It shares the channel into which Python's C handler of
signals writes, even while a call keeps the GIL, and looks at it without reading: a
signal that asks for the end and lies there unread means that no Python runs, or that
the loop is blocked. Only in the first case does the process not answer a signal whose
handler is in Python; then its lines are written out, its children ended, and the
process killed.

It is told by lines on its standard input, and ends when that is closed:

- ``watch SIGNUM...`` and ``grace SECONDS``: what to look for, and how long;
- ``hold MOMENT``: end it at this moment of the monotonic clock, whatever it does;
- ``release``: do no such thing;
- ``child PID`` and ``gone PID``.

Its arguments are the number of the process, the signal that makes `faulthandler` write
the lines, and the one to answer. It imports nothing of quiesce.
"""

from __future__ import annotations

import math
import os
import select
import signal
import socket
import sys
import time

# Seconds between two looks while a signal lies unread.
LOOKS = 0.1
# Seconds between two questions, for the lines to be written, for the children to end.
ANSWER = 0.25
WRITING = 0.15
CHILDREN = 0.2
# A terminal and the tools between it and the program each pass on the same Ctrl-C.
SAME_CTRL_C = 0.5
# Seconds that are left after another one.
AT_ONCE = 1.2
MESSAGE = (
    b"quiesce: the time to end is over, but a call in C does not let the main thread "
    b"hear of it; the process ends in the lines above\n"
)


class Guardian:
    """Looks after one process."""

    def __init__(self, pid: int, dump: int, question: int) -> None:
        self.pid = pid
        self.dump = dump
        self.question = question
        self.channel: socket.socket | None = None
        self.signums: set[int] = set()
        self.grace = 0.0
        self.unread_since: float | None = None
        # How many Ctrl-C lay unread then, or came with the first.
        self.interrupts = 0
        # When to end it at the latest, because of a later Ctrl-C.
        self.hurries_until = math.inf
        # How many signals lie in the channel of which Python has heard.
        self.known = 0
        self.deadline: float | None = None
        # When it was told of the deadline first.
        self.held_since = 0.0
        self.children: set[int] = set()
        self.asked_at = 0.0
        self.answered = False
        self.buffered = b""

    def run(self) -> None:
        """Look until the other process is gone, or ended."""
        told = socket.socket(fileno=0)
        while self.hear(told):
            now = time.monotonic()
            if self.deadline is not None and now >= self.deadline:
                self.end()
            if unread := self.unread():
                self.look_at_unread(now, unread.count(signal.SIGINT))
            else:
                self.unread_since = None

    def look_at_unread(self, now: float, interrupts: int) -> None:
        """Ask whether Python runs, and end the process if it does not for the grace.

        The question also interrupts a system call that began just after the signal had
        come. A program that handles the signal itself answers, and may take its time.
        After a later Ctrl-C, one more of the `interrupts`, it has little.
        """
        if self.unread_since is None or (
            self.answered and now >= self.unread_since + self.grace
        ):
            self.unread_since = self.asked_at = now
            self.hurries_until = math.inf
            self.answered = False
        if self.deadline is not None:
            # The end goes on already: what lies here came after its signal.
            is_another = interrupts > 0 and now >= self.held_since + SAME_CTRL_C
        elif now < self.unread_since + SAME_CTRL_C:
            is_another, self.interrupts = False, interrupts
        else:
            is_another = interrupts > self.interrupts
        if is_another:
            self.hurries_until = min(self.hurries_until, now + AT_ONCE)
        if self.answered:
            return
        if now >= min(self.unread_since + self.grace, self.hurries_until):
            self.end()
        elif now >= self.asked_at + ANSWER:
            self.asked_at = now
            self.send(self.question)

    def hear(self, told: socket.socket) -> bool:
        """Wait for something; take what is told, and say whether more can come."""
        poller = select.poll()
        poller.register(told, select.POLLIN)
        seconds = math.inf
        if self.deadline is not None:
            seconds = max(0.0, self.deadline - time.monotonic()) + 0.001
        if self.unread_since is not None:
            seconds = min(seconds, LOOKS)
        elif self.channel is not None:
            poller.register(self.channel, select.POLLIN)
        timeout = None if seconds == math.inf else seconds * 1000
        for fd, _ in poller.poll(timeout):
            if fd == told.fileno():
                return self.take(told)
        return True

    def take(self, told: socket.socket) -> bool:
        """Take what is told; False says that the other process is gone."""
        try:
            data, fds, _, _ = socket.recv_fds(told, 4096, 1)
        except OSError:
            return False
        for fd in fds:
            if self.channel is not None:
                self.channel.close()
            self.channel = socket.socket(fileno=fd)
            self.known = 0
        *lines, self.buffered = (self.buffered + data).split(b"\n")
        for line in lines:
            self.act(line.split())
        return bool(data)

    def act(self, words: list[bytes]) -> None:
        """Act on one line."""
        match words:
            case [b"watch", *signums]:
                self.signums = set(map(int, signums))
                self.unread_since = None
            case [b"grace", seconds]:
                self.grace = float(seconds)
            case [b"hold", moment]:
                if self.deadline is None:
                    self.held_since = time.monotonic()
                self.deadline = float(moment)
            case [b"release"]:
                self.deadline = self.unread_since = None
                # Python has heard of what lies there.
                self.known = len(self.peek())
            case [b"child", pid]:
                self.children.add(int(pid))
            case [b"gone", pid]:
                self.children.discard(int(pid))
            case [b"here"]:
                self.answered = True
            case _:
                pass

    def unread(self) -> bytes:
        """Return the unread signals, if one that asks for the end is among them."""
        data = self.peek()
        if len(data) < self.known:
            # The loop has read.
            self.known = 0
        data = data[self.known :]
        return b"" if self.signums.isdisjoint(data) else data

    def peek(self) -> bytes:
        """Return what lies in the channel."""
        if self.channel is None:
            return b""
        try:
            data = self.channel.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        if not data:
            self.channel.close()
            self.channel = None
        return data

    def end(self) -> None:
        """Let the process write where it is, and end it with its children."""
        self.send(self.dump)
        time.sleep(WRITING)
        # Order matters: in a file, this begins where the lines end.
        self.say()
        for signum in (signal.SIGTERM, signal.SIGKILL):
            children = [pid for pid in self.children if is_in_session_of(pid, self.pid)]
            for pid in children:
                send(pid, signum)
            if children and signum == signal.SIGTERM:
                time.sleep(CHILDREN)
        self.send(signal.SIGKILL)
        os._exit(0)

    def say(self) -> None:
        """Say on the other process's stderr what happens now."""
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND
        try:
            os.write(os.open(f"/proc/{self.pid}/fd/2", flags), MESSAGE)
        except OSError:
            # No such file system, or nobody reads.
            return

    def send(self, signum: int) -> None:
        """Send a signal to the process, which has the number as long as it tells us."""
        send(self.pid, signum)


def send(pid: int, signum: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, signum)
    except OSError:
        return


def is_in_session_of(pid: int, other: int) -> bool:
    """Tell whether two processes are in one session."""
    try:
        return os.getsid(pid) == os.getsid(other)
    except OSError:
        return False


if __name__ == "__main__":
    Guardian(*map(int, sys.argv[1:])).run()
