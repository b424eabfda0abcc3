"""pytest-asyncio with our loop, by the hook in which a project names it."""

from __future__ import annotations

import pytest

from tests.programs.children import PYTHON, outcome_of

pytest.importorskip("pytest_asyncio")

CONFTEST = """
import quiesce

def pytest_asyncio_loop_factories(config, item):
    return {"quiesce": quiesce.new_event_loop}
"""
SETTINGS = """
[pytest]
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
TESTS = """
import asyncio
import pytest
import pytest_asyncio
import quiesce

@pytest_asyncio.fixture
async def server():
    async def echo(reader, writer):
        writer.write(await reader.read())
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield server

@pytest.mark.asyncio
async def test_the_loop_is_ours():
    assert type(asyncio.get_running_loop()) is quiesce.Loop

@pytest.mark.asyncio
async def test_a_fixture_shares_the_loop_of_its_test(server):
    assert server.get_loop() is asyncio.get_running_loop()
    address = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"word")
    writer.write_eof()
    assert await reader.read() == b"word"
    writer.close()

@pytest.mark.asyncio
async def test_a_failure_is_one():
    await asyncio.sleep(0)
    raise LookupError("on purpose")

class TestTogether:
    pytestmark = pytest.mark.asyncio(loop_scope="class")
    loop = None

    async def test_the_first_of_a_class(self):
        TestTogether.loop = asyncio.get_running_loop()

    async def test_the_second_of_a_class(self):
        assert TestTogether.loop is asyncio.get_running_loop()
"""


def test_tests_and_fixtures_run_on_our_loop(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_it.py").write_text(TESTS)
    outcome = outcome_of(*PYTHON, "-m", "pytest", "-q", folder=tmp_path)
    assert "LookupError: on purpose" in "\n".join(outcome.out)
    assert outcome.out[-1].startswith("1 failed, 4 passed"), outcome.out
