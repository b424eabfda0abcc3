"""A program that drives its loop itself, under ``quiesce run``"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import WATCHED, filled

pytestmark = pytest.mark.ways("quiesce run", "asyncio.run", "uvloop.run")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
HEAD = """
if WAY == "uvloop.run":
    import uvloop
    uvloop.install()

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    loop.call_later(0.05, say)
    await sleeper("main", 0.05)

"""
CALLS = {
    "run_until_complete": "loop.run_until_complete(main())",
    "run_forever": "task = loop.create_task(main())\nloop.run_forever()",
}


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_a_signal_comes_out_of_the_call(scenario, signum, call):
    text = HEAD + filled(
        """
try:
    {call}
except BaseException as error:
    log(type(error).__name__)
    log(getattr(error, "code", None))
    raise
""",
        call=CALLS[call],
    )
    outcome = scenario.interrupted(text, by=signum)
    if signum == signal.SIGINT:
        assert outcome.log[:2] == ["KeyboardInterrupt", "None"]
    else:
        assert outcome.log[:2] == ["Terminated", str(128 + signum)]
        assert outcome.is_silent
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_what_it_leaves_pending_is_ended_when_the_interpreter_exits(
    scenario, signum, call
):
    outcome = scenario.interrupted(HEAD + CALLS[call], by=signum)
    assert sorted(outcome.log) == ["background", "main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_its_own_end_is_left_to_it(scenario, signum, call):
    text = HEAD + filled(
        """
try:
    {call}
except (KeyboardInterrupt, SystemExit):
    log("caught")
finally:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    log("closed")
""",
        call=CALLS[call],
    )
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log[0] == "caught"
    assert sorted(outcome.log[1:3]) == ["background", "main"]
    assert outcome.log[3:] == ["closed"]
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_handler_that_stops_the_loop_wins(scenario, signum):
    text = HEAD + filled(
        """
{handles}
task = loop.create_task(main())
loop.run_forever()
log("stopped")
""",
        handles=f"loop.add_signal_handler({int(signum)}, loop.stop)",
    )
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log[0] == "stopped"
    assert sorted(outcome.log[1:]) == ["background", "main"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_what_a_finished_call_leaves_pending_is_ended_at_exit(scenario):
    text = (
        HEAD
        + """
async def short():
    start("left", 0.05)
    await asyncio.sleep(0)

loop.run_until_complete(short())
log("returned")
"""
    )
    outcome = scenario.ended(text)
    assert outcome.log == ["returned", "left"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_an_error_ends_what_is_left_and_shows_one_traceback(scenario):
    text = (
        HEAD
        + """
async def fails():
    start("left", 0.05)
    await asyncio.sleep(0)
    raise ValueError("of mine")

loop.run_until_complete(fails())
"""
    )
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (1, ["left"])
    assert outcome.tracebacks == 1


def test_what_is_left_and_never_ends_is_forced_at_exit(scenario):
    text = (
        HEAD
        + """
async def short():
    start("stuck", for_ever)
    await asyncio.sleep(0)

loop.run_until_complete(short())
say()
"""
    )
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)
    assert "stuck" in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_never_ends_after_a_signal_is_forced_at_exit(scenario, signum):
    text = (
        HEAD
        + """
async def never_ends():
    loop.call_later(0.05, say)
    await sleeper("main", for_ever)

loop.run_until_complete(never_ends())
"""
    )
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


def test_a_runner_that_was_never_closed_is_ended_at_exit(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    runner = Runner()
    runner.run(main())
    log("returned")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["returned", "background"]
    assert (outcome.status, outcome.is_silent) == (0, True)


BLOCKED = """
def block():
    while not os.fstat(2).st_size: pass  # the line

async def main():
    await asyncio.sleep(0.01)
    # It ends when the report is there.
    block()
    say("went on")
    loop.stop()

{call}
"""


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("call", CALLS)
def test_a_blocked_loop_is_reported_while_it_is_blocked(scenario, call):
    text = HEAD + filled(BLOCKED, call=CALLS[call])
    with scenario.start(text, environment=WATCHED) as started:
        outcome = started.end()
        line = started.line_of("# the line")
    assert "quiesce: the loop is blocked" in outcome.err
    assert f"program.py:{line} in block" in outcome.err
    assert "(task " in outcome.err
    assert outcome.err.count("quiesce: ") == 1
    assert (outcome.out, outcome.status) == (["went on"], 0)


@pytest.mark.ways("quiesce run")
def test_a_blocked_loop_of_another_thread_is_reported(scenario):
    text = """
    def block():
        while not os.fstat(2).st_size: pass  # the line

    async def main():
        block()

    def serve():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        say("went on")

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    """
    with scenario.start(text, environment=WATCHED) as started:
        outcome = started.end()
        line = started.line_of("# the line")
    assert "quiesce: the loop is blocked" in outcome.err
    assert f"program.py:{line} in block" in outcome.err
    assert (outcome.out, outcome.status) == (["went on"], 0)


@pytest.mark.ways("quiesce run")
def test_zero_turns_the_report_off(scenario):
    text = (
        HEAD
        + """
async def blocks():
    time.sleep(0.5)

loop.run_until_complete(blocks())
loop.close()
"""
    )
    off = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "0"})
    assert off.is_silent
    on = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "100"})
    assert on.err.count("quiesce: the loop is blocked") == 1


@pytest.mark.ways("quiesce run")
def test_it_forks_without_a_warning_and_is_watched_afterwards(scenario):
    text = (
        HEAD
        + """
import warnings
warnings.simplefilter("always")

async def forks():
    for _ in range(10):
        await asyncio.sleep(0.01)
        if (pid := os.fork()) == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    await asyncio.sleep(0.01)
    time.sleep(0.5)

loop.run_until_complete(forks())
loop.close()
"""
    )
    outcome = scenario.ended(text, environment={"QUIESCE_WATCHDOG_MS": "100"})
    assert "DeprecationWarning" not in outcome.err
    assert "quiesce: the loop is blocked" in outcome.err
    assert outcome.status == 0


BLOCKERS = {
    "a sleep": "time.sleep(3600)  # the line",
    "a busy loop": "while True: pass  # the line",
}
UNCUTTABLE = """
while True:
    try:
        time.sleep(3600)
    except BaseException:
        pass
"""
BLOCKS = """
async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    say()
    {blocker}

{call}
"""


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("blocker", BLOCKERS)
@pytest.mark.parametrize("call", CALLS)
def test_what_blocks_it_is_named_and_cut_after_a_signal(
    scenario, call, blocker, signum
):
    text = HEAD + filled(BLOCKS, blocker=BLOCKERS[blocker], call=CALLS[call])
    with scenario.start(text, grace=2) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert outcome.log == ["background"]
    assert "quiesce: the loop is blocked" in outcome.err
    assert f"program.py:{line} in main" in outcome.err
    assert outcome.tells(signum)
    assert outcome.gone_within(2 + 1)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("blocker", ["sleep_in_pieces()", "while True: pass"])
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_cuts_what_blocks_it_at_once(scenario, call, blocker):
    text = HEAD + filled(BLOCKS, blocker=blocker, call=CALLS[call])
    outcome = scenario.interrupted(text, by=signal.SIGINT, grace=8)
    assert outcome.log == ["background"]
    assert outcome.err.splitlines()[-1] == "KeyboardInterrupt"
    assert outcome.tracebacks == 1
    assert outcome.tells(signal.SIGINT)
    assert outcome.gone_within(1)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("call", CALLS)
def test_what_blocks_it_and_cannot_be_cut_is_ended_at_the_deadline(
    scenario, call, signum
):
    text = HEAD + filled(BLOCKS, blocker=UNCUTTABLE, call=CALLS[call])
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


# While a call lasts that lets no Python run, nobody in the program can say so, and
# before that Ctrl-C would end what does.
SAYS_MEANWHILE = (
    'import subprocess; subprocess.Popen(["sh", "-c", "sleep 0.5; echo ready"])'
)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_lets_no_python_run_in_it_ends_the_process(scenario, call, signum):
    blocker = "sum(range(10**13))  # the line"
    text = HEAD + filled(BLOCKS, blocker=blocker, call=CALLS[call])
    text = text.replace("say()", SAYS_MEANWHILE)
    with scenario.start(text, grace=1) as started:
        started.wait_for("ready")
        started.send(signum)
        outcome = started.end()
        line = started.line_of("# the line")
    assert f'program.py", line {line} in main' in outcome.err
    assert outcome.status != 0
    assert outcome.gone_within(1 + 1.5)


# For longer than the grace and the second after it; no signal ends it before.
LETS_NO_PYTHON_RUN = """
import ctypes
library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
library.pthread_mutex_timedlock(mutex, (ctypes.c_long * 2)(int(time.time()) + 4, 0))
"""
GOES_ON = {
    "without a loop": "time.sleep(2.5)",
    "in the loop": "loop.run_until_complete(asyncio.sleep(2.5))",
    "where no python runs": LETS_NO_PYTHON_RUN,
}


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("goes_on", GOES_ON)
@pytest.mark.parametrize("call", CALLS)
def test_a_program_that_catches_the_signal_has_as_long_as_it_wants(
    scenario, call, goes_on, signum
):
    text = HEAD + filled(
        """
try:
    {call}
except (KeyboardInterrupt, SystemExit):
    log("caught")
{goes_on}
log("went on")
""",
        call=CALLS[call],
        goes_on=GOES_ON[goes_on],
    )
    outcome = scenario.interrupted(text, by=signum, grace=0.5)
    assert outcome.log[0] == "caught"
    assert "went on" in outcome.log
    assert outcome.status == 0


# How a program may handle a signal by itself, around a run of its loop.
HANDLES = {
    "in the loop": "loop.add_signal_handler({number}, loop.stop)",
    "in the loop, from the second run on": (
        "loop.run_until_complete(asyncio.sleep(0))\n"
        "loop.add_signal_handler({number}, loop.stop)"
    ),
    "by itself": "signal.signal({number}, lambda *_: loop.stop())",
}


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("handles", HANDLES)
def test_a_program_that_handles_the_signal_has_as_long_as_it_wants(
    scenario, handles, signum
):
    text = HEAD + filled(
        """
{handles}
loop.call_soon(say)
task = loop.create_task(sleeper("task"))
loop.run_forever()
log("stopped")
loop.run_until_complete(asyncio.sleep(2.5))
task.cancel()
loop.run_until_complete(asyncio.wait([task]))
time.sleep(0.5)
log("went on")
loop.close()
""",
        handles=HANDLES[handles].format(number=int(signum)),
    )
    outcome = scenario.interrupted(text, by=signum, grace=0.5)
    assert outcome.log == ["stopped", "task", "went on"]
    assert (outcome.status, outcome.is_silent) == (0, True)


IN_MAIN = {
    "in a sleep": "await asyncio.sleep(2.5)",
    "in a call that blocks": "time.sleep(2.5)",
    "where no python runs": f"await asyncio.sleep(0)\n{LETS_NO_PYTHON_RUN}",
}


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("goes_on", IN_MAIN)
def test_a_main_that_catches_ctrl_c_has_as_long_as_it_wants(scenario, goes_on):
    text = HEAD + filled(
        """
async def catches():
    try:
        say()
        sleep_in_pieces()
    except KeyboardInterrupt:
        log("caught")
    {goes_on}
    log("went on")

loop.run_until_complete(catches())
loop.close()
""",
        goes_on=IN_MAIN[goes_on],
    )
    outcome = scenario.interrupted(text, grace=0.5)
    assert outcome.log == ["caught", "went on"]
    assert outcome.status == 0


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("call", CALLS)
def test_a_signal_that_is_repeated_during_a_callback_comes_out_once(scenario, call):
    text = HEAD + filled(
        """
def repeat():
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

async def main():
    repeat()
    await asyncio.sleep(3600)

try:
    {call}
except SystemExit:
    log("caught")
loop.run_until_complete(asyncio.sleep(0.05))
log("went on")
""",
        call=CALLS[call],
    )
    outcome = scenario.ended(text)
    assert outcome.log == ["caught", "went on"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_call_that_lets_no_python_run_ends_it_beside_a_loop_in_a_thread(
    scenario, signum
):
    text = HEAD + filled(
        """
def runs_another():
    asyncio.new_event_loop().run_until_complete(asyncio.sleep(0))

async def blocks():
    thread = threading.Thread(target=runs_another)
    thread.start()
    thread.join()
    {says}
    sum(range(10**13))

loop.run_until_complete(blocks())
""",
        says=SAYS_MEANWHILE,
    )
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.status != 0
    assert outcome.gone_within(1 + 1.5)
