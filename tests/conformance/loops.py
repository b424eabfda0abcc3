"""Loops for CPython's tests: ours, with made-up time where a test asks for that.

CPython's ``TestLoop`` never sleeps. A test gives it a generator that is told, after
each iteration, the deadline of every timer set in it, and answers by how much time
moves on. `VirtualLoop` keeps that protocol on our loop by replacing its clock and its
poller.
"""

from __future__ import annotations

import asyncio
import os
import unittest
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from test.test_asyncio import utils

import quiesce
from quiesce.core.poller import Poller
from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from selectors import BaseSelector
    from socket import socket


class Time:
    """A clock that stands still until the test's generator moves it."""

    def __init__(self, generator: Callable[[], Generator[float, float]] | None) -> None:
        self.seconds = 0.0
        self.deadlines: list[float] = []
        self.must_finish = generator is not None
        self.generator = (generator or self.unmoved)()
        next(self.generator)

    @staticmethod
    def unmoved() -> Generator[float | None, float]:
        """Take no deadline at all: a test without a generator sets no timers."""
        yield

    def now(self) -> float:
        """Return the made-up time, which begins at 0."""
        return self.seconds

    def pass_on(self) -> None:
        """Tell the generator of each deadline set since, and move on as it answers."""
        deadlines, self.deadlines = self.deadlines, []
        for deadline in deadlines:
            self.seconds += self.generator.send(deadline) or 0

    def finish(self) -> None:
        """Check that the generator expects no further timer."""
        if not self.must_finish:
            return
        try:
            self.generator.send(0)
        except StopIteration:
            return
        raise AssertionError("Time generator is not finished")


class Stillness(Poller):
    """A poller of nothing: between two iterations, time moves on."""

    def __init__(self, time: Time) -> None:
        self.time = time
        self.first_of_run = True

    def poll(self, timeout: float) -> int:
        """Return at once; no file is ever ready."""
        if not self.first_of_run:
            self.time.pass_on()
        self.first_of_run = False
        return 0

    def wake(self) -> None:
        """Do nothing: nobody sleeps."""

    def watch(self, *_: object) -> None:
        """Refuse: these loops do no I/O."""
        raise NotImplementedError

    def unwatch(self, fd: int) -> None:
        """Forget nothing."""

    def watcher_of(self, fd: int) -> None:
        """Return nobody."""

    def close(self) -> None:
        """Let go of nothing."""


class PrivateNames:
    """Private names of asyncio's loops under which tests reach what ours have, too."""

    @property
    def _ready(self) -> Any:
        """What is ready: tests look whether there is anything."""
        return self.ready

    @property
    def _default_executor(self) -> Any:
        """The executor of `run_in_executor`, if there is one yet."""
        return self.executor.pool

    def _run_once(self) -> None:
        """Run one iteration."""
        self.call_soon(self.stop)
        self.run_forever()

    def _stop_serving(self, sock: socket) -> None:
        """Forget a socket and close it."""
        self.remove_reader(sock)
        sock.close()


class SelectorLoop(PrivateNames, Loop):
    """Our loop in the place of asyncio's ``SelectorEventLoop``.

    Given a selector it waits with that one, as quiesce does on systems without epoll.
    """

    def __init__(self, selector: BaseSelector | None = None) -> None:
        super().__init__(poller=SelectorPoller(selector) if selector else None)

    # A test replaces one of these to see how files are sent without the system's help.
    _sendfile_native = asyncio.BaseEventLoop._sendfile_native
    _sock_sendfile_native = asyncio.BaseEventLoop._sock_sendfile_native

    async def sendfile(self, *args: Any, **options: Any) -> int:
        """Send a file on a transport."""
        with system_sendfile(withheld="_sendfile_native" in vars(self)):
            return await super().sendfile(*args, **options)

    async def sock_sendfile(self, *args: Any, **options: Any) -> int:
        """Send a file on a socket."""
        with system_sendfile(withheld="_sock_sendfile_native" in vars(self)):
            return await super().sock_sendfile(*args, **options)


@contextmanager
def system_sendfile(*, withheld: bool) -> Iterator[None]:
    """Let this be a system that cannot send files, if `withheld`."""
    if not withheld:
        yield
        return
    call = os.sendfile
    del os.sendfile
    try:
        yield
    finally:
        os.sendfile = call


class VirtualLoop(PrivateNames, Loop):
    """Our loop in the place of CPython's ``TestLoop``."""

    def __init__(
        self, generator: Callable[[], Generator[float, float]] | None = None
    ) -> None:
        self._virtual = Time(generator)
        self._stillness = Stillness(self._virtual)
        super().__init__(clock=self._virtual, poller=self._stillness)

    def run_forever(self) -> None:
        """Run, and let time pass after the last iteration as after every other."""
        self._stillness.first_of_run = True
        super().run_forever()
        self._virtual.pass_on()

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        """Set a timer and remember to tell the generator."""
        self._virtual.deadlines.append(when)
        return super().call_at(when, callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        """Set a timer and remember to tell the generator."""
        self._virtual.deadlines.append(self.time() + delay)
        return super().call_later(delay, callback, *args, context=context)

    def advance_time(self, seconds: float) -> None:
        """Move on at once."""
        self._virtual.seconds += seconds

    def close(self) -> None:
        """Close, and check that the test's generator is at its end."""
        if not self.is_closed():
            super().close()
            self._virtual.finish()


class TestCase(utils.TestCase):
    """CPython's test case for loops, making ours."""

    # Its name is CPython's; pytest is not to collect it.
    __test__ = False

    @staticmethod
    def close_loop(loop: Any) -> None:
        """Close `loop` once the threads of its executor have ended."""
        if not loop.is_closed() and loop.executor.pool is not None:
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    def new_test_loop(
        self, gen: Callable[[], Generator[float, float]] | None = None
    ) -> VirtualLoop:
        """Return a loop with made-up time, closed at the test's end."""
        loop = VirtualLoop(gen)
        self.set_event_loop(loop)
        return loop


def isolated_test_case(naming: str) -> type[unittest.IsolatedAsyncioTestCase]:
    """Return `unittest.IsolatedAsyncioTestCase` on our loop and the naming's Runner."""
    runner = quiesce.Runner if naming == "ours" else asyncio.Runner

    class IsolatedAsyncioTestCase(unittest.IsolatedAsyncioTestCase):
        def _setupAsyncioRunner(self) -> None:  # noqa: N802 - unittest's name
            factory = getattr(self, "loop_factory", None) or quiesce.new_event_loop
            self._asyncioRunner = runner(debug=True, loop_factory=factory)

    return IsolatedAsyncioTestCase
