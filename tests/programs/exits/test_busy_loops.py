"""Many callbacks that each block briefly are not one that blocks the loop."""

from __future__ import annotations

import signal

import pytest

ASKS = [signal.SIGINT, signal.SIGTERM]
# All that is said of a loop comes soon.
SOON = {"QUIESCE_WATCHDOG_MS": "100"}
MANY = """
done = 0

async def briefly(seconds):
    global done
    try:
        await asyncio.sleep(3600)
    finally:
        time.sleep(seconds)
        done += 1

async def main():
    tasks = [asyncio.create_task(briefly({each})) for _ in range({number})]
    await asyncio.sleep(0)
    say()
    await asyncio.sleep(3600)

try:
    run(main())
finally:
    log(done)
"""


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize(("number", "each"), [(50, 0.05), (1000, 0.0025)])
def test_cleanups_that_each_block_briefly_are_not_cut(scenario, number, each, signum):
    text = MANY.format(number=number, each=each)
    outcome = scenario.interrupted(text, by=signum, grace=4)
    assert outcome.log == [str(number)]
    assert "interrupted" not in outcome.err
    assert "the loop is blocked" not in outcome.err
    assert outcome.tells(signum)


def test_what_keeps_an_ending_loop_busy_is_named_as_such(scenario):
    text = MANY.format(number=40, each=0.05)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert outcome.err.count("quiesce: the loop is busy for ") == 1
    assert "in briefly (task Task-" in outcome.err


def test_cleanups_at_connections_that_each_block_briefly_are_not_cut(scenario):
    # The events of all connections come out of one look at what the system has to tell.
    text = """
    import socket
    told = 0

    class Slow(asyncio.Protocol):
        def data_received(self, data):
            global told
            time.sleep(0.05)
            told += 1

    async def main():
        loop = asyncio.get_running_loop()
        peers = []
        for _ in range(50):
            ours, peer = socket.socketpair()
            peers.append(peer)
            await loop.create_connection(Slow, sock=ours)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            for peer in peers:
                peer.send(b"x")
            while told < 50:
                await asyncio.sleep(0.01)
            log(told)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert outcome.log == ["50"]
    assert "interrupted" not in outcome.err
    assert "the loop is blocked" not in outcome.err
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("signum", ASKS)
def test_one_that_blocks_among_many_is_cut_alone(scenario, signum):
    text = """
    async def cleans(seconds):
        try:
            await asyncio.sleep(3600)
        finally:
            time.sleep(seconds)  # the line
            log("done")

    async def main():
        for number in range(21):
            start_task(cleans(3600 if number == 10 else 0.02), f"the {number}th")
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    tasks = []

    def start_task(coroutine, name):
        tasks.append(asyncio.create_task(coroutine, name=name))

    run(main())
    """
    with scenario.start(text, grace=3) as program:
        program.wait_for()
        program.send(signum)
        outcome = program.end()
        line = program.line_of("# the line")
    assert outcome.log == ["done"] * 20
    assert outcome.err.count("quiesce: the loop is blocked") == 1
    assert f"program.py:{line} in cleans (task the 10th)" in outcome.err
    assert outcome.tells(signum)
    assert outcome.gone_within(3)


@pytest.mark.parametrize("signum", ASKS)
def test_so_many_that_the_grace_is_too_short_are_ended_at_the_deadline(
    scenario, signum
):
    text = "atexit.register(log, 'at exit')\nprint('printed before')\n" + MANY.format(
        number=2000, each=0.002
    )
    outcome = scenario.interrupted(text, by=signum, grace=2)
    assert outcome.log == ["at exit"]
    assert "printed before" in outcome.out
    assert "in briefly" in outcome.err
    assert "a call in C" not in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(2 + 1)


def test_many_that_each_block_briefly_are_not_told_of_as_one(scenario):
    text = """
    async def main():
        await asyncio.sleep(0.01)
        for _ in range(40):
            asyncio.get_running_loop().call_soon(time.sleep, 0.02)
        await asyncio.sleep(0.01)

    run(main())
    """
    outcome = scenario.ended(text, environment=SOON)
    assert "the loop is blocked" not in outcome.err
    assert outcome.err.count("quiesce: the loop is busy for ") == 1
    assert outcome.status == 0


def test_one_that_blocks_among_many_is_told_of_while_it_blocks(scenario):
    # The block ends when the report is there.
    text = """
    def block():
        while not os.fstat(2).st_size: pass  # the line

    async def main():
        await asyncio.sleep(0.01)
        for number in range(10):
            asyncio.get_running_loop().call_soon(block if number == 5 else time.time)
        await asyncio.sleep(0.01)

    run(main())
    """
    with scenario.start(text, environment=SOON) as program:
        outcome = program.end()
        line = program.line_of("# the line")
    assert outcome.err.count("quiesce: the loop is blocked") == 1
    assert f"program.py:{line} in block" in outcome.err
    assert outcome.status == 0
