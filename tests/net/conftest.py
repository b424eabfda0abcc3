"""A loop with each kind of poller, and connections whose other end the test holds."""

from __future__ import annotations

import asyncio
import socket

import pytest

from quiesce.loop import Loop
from quiesce.system.any_selector import SelectorPoller
from tests.net.recording import Recorder, tcp_pair

PATIENCE = 20.0
"""Seconds after which a test that waits is taken to wait for ever."""


@pytest.fixture(params=["told of changes", "told of states"])
def loop(request):
    states = request.param == "told of states"
    loop = Loop(poller=SelectorPoller() if states else None)
    yield loop
    loop.close()


@pytest.fixture
def run(loop):
    """Run a coroutine to its end, for so many seconds at most."""

    def run(coro, patience=PATIENCE):
        return loop.run_until_complete(asyncio.wait_for(coro, patience))

    return run


@pytest.fixture(params=[tcp_pair, socket.socketpair], ids=["tcp", "unix"])
def peers(request):
    """Two ends of a connection; the test, or what it makes, closes the first."""
    near, far = request.param()
    far.setblocking(False)
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def connect(loop, run, peers):
    """Make a transport of the first end; return the protocol, with all to look at."""

    def connect(recorder=None):
        recorder = Recorder() if recorder is None else recorder
        recorder.loop = loop
        recorder.peer = peers[1]
        recorder.lost = loop.create_future()
        run(loop.create_connection(lambda: recorder, sock=peers[0]))
        return recorder

    yield connect
    # What a failed test left open would hide its failure behind a warning.
    loop.call_soon(loop.stop)
    loop.run_forever()
