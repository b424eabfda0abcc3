"""anyio's pytest plugin with our loop, by the fixture in which a project names it."""

from __future__ import annotations

import pytest

from tests.programs.children import PYTHON, outcome_of

pytest.importorskip("anyio")

CONFTEST = """
import pytest
import quiesce

@pytest.fixture
def anyio_backend():
    return "asyncio", {"loop_factory": quiesce.new_event_loop}
"""
TESTS = """
import anyio
import pytest
import quiesce

pytestmark = pytest.mark.anyio

@pytest.fixture
async def listener():
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        yield listener

async def test_the_loop_is_ours():
    assert type(quiesce.get_running_loop()) is quiesce.Loop

async def test_a_fixture_shares_the_loop_of_its_test(listener):
    async def echo(stream):
        async with stream:
            await stream.send(await stream.receive())

    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"word")
            assert await stream.receive() == b"word"
        group.cancel_scope.cancel()

async def test_a_failure_is_one():
    await anyio.sleep(0)
    raise LookupError("on purpose")
"""


def test_tests_and_fixtures_run_on_our_loop(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    words = ("-m", "pytest", "-q", "-pno:asyncio")
    outcome = outcome_of(*PYTHON, *words, folder=tmp_path)
    assert "LookupError: on purpose" in "\n".join(outcome.out)
    assert outcome.out[-1].startswith("1 failed, 2 passed"), outcome.out
