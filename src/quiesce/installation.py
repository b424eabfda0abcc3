"""`install`: quiesce under asyncio's own names, in the whole process."""

from __future__ import annotations

import asyncio
import threading
from asyncio import events, runners
from typing import TYPE_CHECKING, Any, Self

from quiesce.loop import Loop
from quiesce.policy import (
    ASYNCIO_SYSTEM,
    DEFAULT_POLICY,
    NEW_LOOP,
    current_policy,
    is_default,
    set_policy,
)
from quiesce.runner import Runner, run

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def get_event_loop() -> AbstractEventLoop:
    """Return the running loop, or else the one that was set for this thread.

    Where asyncio still makes a loop if there is none (the main thread, before 3.14), it
    makes one of quiesce's. Raises RuntimeError where it makes none.
    """
    running = events._get_running_loop()
    if running is not None:
        return running
    if threading.current_thread() is not threading.main_thread():
        return asyncio.get_event_loop()
    with Installation() as installation:
        installation.replace(DEFAULT_POLICY, "_loop_factory", NEW_LOOP)
        return asyncio.get_event_loop()


def install() -> Installation:
    """Make asyncio's own names use quiesce in this process, and return how to undo it.

    From then on `asyncio.run`, `asyncio.Runner`, `asyncio.EventLoop` and
    `asyncio.new_event_loop` are or make quiesce's, and so does the default event loop
    policy; a policy the program had set is taken out. Functions that were imported
    before by ``from asyncio import run`` do the same. Loops that exist already stay as
    they are.

    Installing again changes nothing, and undoing that changes nothing either.
    """
    installation = Installation()
    if DEFAULT_POLICY.__dict__["_loop_factory"] is NEW_LOOP:
        return installation
    for module in (asyncio, runners):
        installation.replace(module, "run", run)
        installation.replace(module, "Runner", Runner)
    for module in (asyncio, ASYNCIO_SYSTEM):
        if hasattr(module, "EventLoop"):
            installation.replace(module, "EventLoop", Loop)
    installation.replace(DEFAULT_POLICY, "_loop_factory", NEW_LOOP)
    policy = current_policy()
    if not is_default(policy):
        installation.former_policy = policy
        set_policy(None)
    return installation


class Installation:
    """What `install` put in the place of asyncio's own.

    ``undo()``, or the end of a ``with`` block, puts it back: everything that is still
    quiesce's, and only once.
    """

    def __init__(self) -> None:
        self.replaced: list[tuple[Any, str, object, object]] = []
        self.former_policy: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()

    def replace(self, owner: Any, name: str, value: object) -> None:
        """Set an attribute of `owner` until `undo`."""
        self.replaced.append((owner, name, owner.__dict__[name], value))
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put back what was replaced."""
        for owner, name, former, value in self.replaced:
            if owner.__dict__[name] is value:
                setattr(owner, name, former)
        self.replaced.clear()
        if self.former_policy is not None and is_default(current_policy()):
            set_policy(self.former_policy)
        self.former_policy = None
