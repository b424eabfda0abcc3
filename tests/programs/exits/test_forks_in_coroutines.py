"""A fork in the middle of a run: the child has a copy of a loop that is not its own"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import suppress

import pytest

from tests.programs.exits.scenario import filled, kill, state_of

SIGNALS = [signal.SIGINT, signal.SIGTERM]
# The parent's loop must still hear of connections, threads and signals afterwards.
FORKS = """
import socket

parent = os.getpid()

def mine():
    return "parent" if os.getpid() == parent else "child"

async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        log(f"background of {mine()}")

async def answers():
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=here)
    there.send(b"line\\n")
    await reader.readline()
    await asyncio.to_thread(there.send, b"line\\n")
    await reader.readline()
    writer.close()
    there.close()

async def main():
    task = asyncio.create_task(background())
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    await answers()
    child = os.fork()
    if child == 0:
        {child}
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        await asyncio.sleep(0.01)
    log(os.waitstatus_to_exitcode(ended[1]))
    await answers()
    {parent}

run(main())
"""
CHILDREN = {
    "os._exit": ("os._exit(7)", 7, []),
    "sys.exit": ("sys.exit(7)", 7, ["background of child"]),
    "an error": ("raise ValueError('of the child')", 1, ["background of child"]),
    "a return": ("return", 0, ["background of child"]),
    "an own run": (
        """
        async def childs():
            start("the child's own", 0.05)
            await asyncio.sleep(0.01)

        run(childs())
        os._exit(7)
        """,
        7,
        ["the child's own"],
    ),
}


# Since then Python lets no loop go on in a child, asyncio's own as little as any other.
ENDS_BY_ITSELF = sys.version_info < (3, 14)


def wait_until_asleep(pid):
    """Wait until a process with one thread has nothing to do, or is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        while state_of(pid) != "S":
            time.sleep(0.01)


def check_the_childs(outcome, how, *parents):
    """Check what the child logged, where it can, and all that its parent did."""
    _, status, logged = CHILDREN[how]
    if ENDS_BY_ITSELF or how in {"os._exit", "an own run"}:
        assert outcome.log == [*logged, str(status), *parents]
    else:
        assert outcome.log[-len(parents) :] == [*parents]


@pytest.mark.parametrize("how", CHILDREN)
def test_a_child_leaves_its_parent_untouched_however_it_ends(scenario, how):
    child = CHILDREN[how][0]
    outcome = scenario.ended(filled(FORKS, child=child, parent="log('went on')"))
    check_the_childs(outcome, how, "went on", "background of parent")
    assert outcome.status == 0
    assert outcome.tracebacks == (how == "an error") or not ENDS_BY_ITSELF


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("how", CHILDREN)
def test_a_signal_after_it_ends_the_parent_as_ever(scenario, how, signum):
    child = CHILDREN[how][0]
    parent = "asyncio.get_running_loop().call_soon(say)\nawait asyncio.sleep(3600)"
    outcome = scenario.interrupted(filled(FORKS, child=child, parent=parent), by=signum)
    check_the_childs(outcome, how, "background of parent")
    assert outcome.tells(signum)
    assert outcome.gone_within(0.5)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_child_that_goes_on_with_the_coroutine_can_be_ended(scenario, signum):
    # Since 3.12 asyncio knows no running loop in a child, which thus cannot sleep.
    child = """
        say(os.getpid())
        await task
    """
    with scenario.start(filled(FORKS, child=child, parent="pass")) as program:
        pid = int(program.wait_for(""))
        wait_until_asleep(pid)
        kill(pid, signum)
        outcome = program.end()
    assert outcome.log[-1] == "background of parent"
    assert outcome.status == 0
