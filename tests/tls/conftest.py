"""Connections whose other end the test holds."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.net.recording import Recorder
from tests.tls.peer import Peer

PATIENCE = 20.0
"""Seconds after which a test that waits is taken to wait for ever."""


@pytest.fixture
def run(loop):
    """Run a coroutine to its end, and until both ends of its connections are closed."""

    async def and_close(coro):
        before = open_files()
        result = await coro
        # With Python 3.11 a server does not wait for its connections.
        while open_files() > before:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        return result

    def run(coro):
        return loop.run_until_complete(asyncio.wait_for(and_close(coro), PATIENCE))

    return run


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def sockets():
    """Two ends of a connection; what the test makes closes the first."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    yield near, far
    near.close()
    far.close()


@pytest.fixture
def meet(loop, sockets, client_side, server_side):
    """Make a client's transport; return its protocol and the server's end."""

    async def meet(recorder=None, **options):
        recorder = Recorder() if recorder is None else recorder
        recorder.loop = loop
        recorder.lost = loop.create_future()
        near, far = sockets
        peer = Peer(loop, far, server_side)
        options = {"ssl": client_side, "server_hostname": "localhost"} | options
        await asyncio.gather(
            loop.create_connection(lambda: recorder, sock=near, **options),
            peer.handshake(),
        )
        return recorder, peer

    return meet
