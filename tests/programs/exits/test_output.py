"""What a program has printed when it is asked to end."""

from __future__ import annotations

import signal

import pytest

GRACE = 1.0

# The output goes to a pipe that is full and that nobody reads.
UNREAD = """
import atexit

def fill():
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.set_blocking(1, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(1, b"x" * 4096)
    os.set_blocking(1, True)

async def main():
    before = os.dup(1)
    fill()
    {prints}
    os.write(before, b"ready\\n")
    await sleeper("main")

run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "prints",
    [
        "print('unread')",
        "atexit.register(print, 'unread')",
        "atexit.register(print, 'x' * 100_000)",
    ],
    ids=["before", "at exit", "much at exit"],
)
def test_a_reader_that_does_not_read_cannot_hold_it(scenario, prints, signum):
    text = UNREAD.replace("{prints}", prints)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)


PRINTING = """
async def main():
    print("in main")
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        print("in its cleanup")

try:
    run(main())
finally:
    print("after the run")
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_everything_is_written_out(scenario, signum):
    outcome = scenario.interrupted(PRINTING, by=signum)
    assert outcome.out == ["in main", "ready", "in its cleanup", "after the run"]
    assert outcome.tells(signum)


FORCED = """
import atexit

async def main():
    print("in main")
    threading.Thread(target=time.sleep, args=[3600]).start()
    atexit.register(print, "at exit")
    say()
    await asyncio.sleep(3600)

run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_everything_is_written_out_where_the_end_is_forced(scenario, signum):
    outcome = scenario.interrupted(FORCED, by=signum, grace=GRACE)
    assert outcome.out == ["in main", "ready", "at exit"]
    assert outcome.tells_force(signum)


WRITING = """
import tempfile

class Finalized:
    def __del__(self):
        print("printed")
        log("finalized")

temporary = tempfile.NamedTemporaryFile(dir=".")
file = open("rows", "w")
finalized = Finalized()

async def main():
    {background}
    await asyncio.sleep(0)
    file.write("a row")
    say()
    await sleeper("main")

run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_files_are_closed_and_finalizers_run(scenario, signum):
    text = WRITING.replace("{background}", "pass")
    with scenario.start(text, environment={"PYTHONUNBUFFERED": ""}) as program:
        program.wait_for()
        program.send(signum)
        outcome = program.end()
        assert (program.folder / "rows").read_text() == "a row"
        assert not list(program.folder.glob("tmp*"))
    assert outcome.log == ["main", "finalized"]
    assert outcome.out == ["ready", "printed"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("thread", ["a task", "a thread"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_was_written_to_files_is_there_where_the_end_is_forced(
    scenario, signum, thread
):
    stuck = {
        "a task": 'start("stuck", for_ever)',
        "a thread": "threading.Thread(target=time.sleep, args=[3600]).start()",
    }
    text = WRITING.replace("{background}", stuck[thread])
    with scenario.start(text, grace=GRACE) as program:
        program.wait_for()
        program.send(signum)
        outcome = program.end()
        assert (program.folder / "rows").read_text() == "a row"
    assert outcome.tells_force(signum)
