"""SIGTERM and its like, while the process forks: none is lost, here or in the child.

A forked child begins with its parent's handlers, and there Python forgets what has come
of signals so far. One that asks the child to end must not be answered before that has
the default handlers. It waits until then, blocked in the thread that forks.

In the parent it waits as well, and would then be answered in what is called at forks.
Python shows and drops what a handler raises there. So a handler that would raise puts
it off (`put_off`) until the fork is over.
"""

from __future__ import annotations

import _thread

# Order matters: what it does at forks comes before what is done here.
import logging  # noqa: F401  # pyright: ignore[reportUnusedImport]
import os
import signal
from threading import get_ident
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Function = Callable[[], object]


class Forks:
    """What is called at forks, and what is to be done with signals meanwhile."""

    def __init__(self) -> None:
        self.before: list[Function] = []
        self.after_in_parent: list[Function] = []
        self.after_in_child: list[Function] = []
        # The signals that would end a child on the spot but for their handlers.
        self.ending: Callable[[], set[int]] = set
        # Which of these each thread that forks has blocked.
        self.blocked: dict[int, set[int]] = {}
        # Those whose handlers are to be called once more.
        self.again: list[Any] = []

    def begin(self) -> None:
        """Do what comes before a fork."""
        for function in reversed(self.before):
            function()
        signums = self.ending() - signal.pthread_sigmask(signal.SIG_BLOCK, ())
        if signums:
            self.blocked[get_ident()] = signums
            signal.pthread_sigmask(signal.SIG_BLOCK, signums)

    def end_in_parent(self) -> None:
        """Do what comes after it in the parent, and let handlers be called again."""
        self.unblock()
        try:
            for function in self.after_in_parent:
                function()
        finally:
            # Order matters: Python calls a handler after each of its own calls, and no
            # such call follows. So that comes when the fork is over.
            _ = [*map(_thread.interrupt_main, self.again)]

    def end_in_child(self) -> None:
        """Do what comes after it in the child."""
        self.again.clear()
        try:
            for function in self.after_in_child:
                function()
        finally:
            # Also after a Ctrl-C, which Python shows and drops.
            self.unblock()
            self.blocked.clear()

    def unblock(self) -> None:
        """Let come what has waited in this thread."""
        signums = self.blocked.pop(get_ident(), None)
        if signums:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signums)


forks = Forks()
AT_FORKS = {Forks.begin.__code__, Forks.end_in_parent.__code__}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=forks.begin,
        after_in_parent=forks.end_in_parent,
        after_in_child=forks.end_in_child,
    )


def put_off(signum: int, frame: FrameType | None) -> bool:
    """Have `signum` come once more after the fork that `frame` is part of, if it is.

    Called by its handler. Returns whether it will.
    """
    while frame is not None:
        if frame.f_code in AT_FORKS:
            forks.again.append(signum)
            return True
        frame = frame.f_back
    forks.again.clear()
    return False
