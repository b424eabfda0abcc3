"""A loop that hears of a child's end in each of the possible ways."""

from __future__ import annotations

import asyncio

import pytest

from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller
from tests.process.recording import is_pidfd

PATIENCE = 60.0
"""Seconds after which a test that waits is taken to wait for ever."""


class WithoutPidfds(SelectorPoller):
    """A poller that cannot wait for a process."""

    def watch(self, fd, events, watcher, edge=False):
        if is_pidfd(fd):
            raise PermissionError(fd)
        super().watch(fd, events, watcher, edge)


WAYS = {
    "descriptors": lambda: None,
    "descriptors told of states": SelectorPoller,
    "threads": WithoutPidfds,
}


@pytest.fixture(params=WAYS)
def loop(request):
    loop = Loop(poller=WAYS[request.param]())
    yield loop
    loop.close()


@pytest.fixture
def run(loop):
    """Run a coroutine to its end."""

    def run(coro):
        return loop.run_until_complete(asyncio.wait_for(coro, PATIENCE))

    return run
