"""A loop of ours that runs what a library gives, and TLS for both ends."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import quiesce
from tests.libraries.servers import IDENTITY, PATIENCE


@pytest.fixture
def run():
    """Run a coroutine to its end, as `asyncio.run` would with our loop."""

    async def on_our_loop(coro):
        assert isinstance(asyncio.get_running_loop(), quiesce.Loop)
        return await asyncio.wait_for(coro, PATIENCE)

    with asyncio.Runner(loop_factory=quiesce.new_event_loop) as runner:
        yield lambda coro: runner.run(on_our_loop(coro))


@pytest.fixture
def server_side():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(IDENTITY)
    return context


@pytest.fixture
def client_side():
    return ssl.create_default_context(cafile=IDENTITY)
