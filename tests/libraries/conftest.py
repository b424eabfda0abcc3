"""A loop of ours that runs what a library gives."""

from __future__ import annotations

import asyncio

import pytest

import quiesce
from tests.libraries.servers import PATIENCE


@pytest.fixture
def run():
    """Run a coroutine to its end, as `asyncio.run` would with our loop."""

    async def on_our_loop(coro):
        assert isinstance(asyncio.get_running_loop(), quiesce.Loop)
        return await asyncio.wait_for(coro, PATIENCE)

    with asyncio.Runner(loop_factory=quiesce.new_event_loop) as runner:
        yield lambda coro: runner.run(on_our_loop(coro))
