"""Threads that are alive when a program is asked to end."""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

ASKS = [signal.SIGINT, signal.SIGTERM]
GRACE = 1.0

# What a thread does: `never` never ends, `soon` ends within the grace, after main.
HEAD = """
import atexit, queue

main_has_ended = threading.Event()
has_begun = threading.Event()

def never():
    has_begun.set()
    time.sleep(3600)  # stuck here

def soon():
    has_begun.set()
    main_has_ended.wait()
    time.sleep(0.3)
    log("thread")

atexit.register(log, "atexit")
"""
WAITING = """
{head}

async def main():
    {begin}
    say()
    try:
        await sleeper("main")
    finally:
        say("main has ended")
        main_has_ended.set()

run(main())
"""


def waiting(begin):
    return filled(WAITING, head=HEAD, begin=begin)


def begun(begin):
    """Do so, and wait until the thread has begun: it may be cancelled before."""
    return f"{begin}\nwhile not has_begun.is_set():\n    await asyncio.sleep(0.001)"


def is_named(outcome, program, *names):
    """Tell whether stderr names these threads, and the line where they are stuck."""
    line = program.line_of("stuck here")
    return all(repr(name) in outcome.err for name in names) and (
        f"program.py:{line}" in outcome.err
    )


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize(
    ("begin", "name"),
    [
        ("asyncio.create_task(asyncio.to_thread(never))", "asyncio_0"),
        ("asyncio.get_running_loop().run_in_executor(None, never)", "asyncio_0"),
        ("threading.Thread(target=never, name='worker').start()", "worker"),
    ],
    ids=["to_thread", "run_in_executor", "thread"],
)
def test_one_that_never_ends_is_named_and_left(scenario, begin, name, signum):
    with scenario.start(waiting(begun(begin)), grace=GRACE) as program:
        program.wait_for("ready")
        program.send(signum)
        outcome = program.end()
        assert is_named(outcome, program, name)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.parametrize("signum", ASKS)
@pytest.mark.parametrize(
    "begin",
    [
        "asyncio.create_task(asyncio.to_thread(soon))",
        "asyncio.get_running_loop().run_in_executor(None, soon)",
        "threading.Thread(target=soon).start()",
    ],
    ids=["to_thread", "run_in_executor", "thread"],
)
def test_one_that_ends_within_the_grace_is_waited_for(scenario, begin, signum):
    outcome = scenario.interrupted(waiting(begun(begin)), by=signum, grace=8)
    assert outcome.log == ["main", "thread", "atexit"]
    assert outcome.tells(signum)
    assert outcome.gone_within(1)


def test_work_that_waits_for_a_thread_of_the_loop_is_finished(scenario):
    begin = """
    loop = asyncio.get_running_loop()
    for _ in range(40):
        loop.run_in_executor(None, functools.partial(time.sleep, 0.02))
    loop.run_in_executor(None, log, "last")
    """
    outcome = scenario.interrupted(waiting(begin), by=signal.SIGTERM, grace=8)
    *before, last = outcome.log
    # On a busy machine the threads may be done before main hears of the signal.
    assert (sorted(before), last) == (["last", "main"], "atexit")
    assert outcome.is_silent


def test_a_daemon_holds_nothing(scenario):
    begin = "threading.Thread(target=never, daemon=True).start()"
    outcome = scenario.interrupted(waiting(begin), by=signal.SIGTERM)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.1)


def test_a_wait_for_one_that_takes_long_is_told_once(scenario):
    begin = """
    def slow():
        time.sleep(1.5)  # stuck here too
        log("thread")

    threading.Thread(target=slow, name="worker").start()
    """
    with scenario.start(waiting(begin)) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("stuck here too")
    assert outcome.log == ["main", "thread", "atexit"]
    (said,) = outcome.err.splitlines()
    assert said.startswith("quiesce: ending since 1.")
    assert "(SIGTERM): waiting for thread 'worker'" in said
    assert f"at program.py:{line} in" in said
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.ways("quiesce run")
def test_one_that_never_ends_is_named_and_left_in_a_program_without_a_loop(scenario):
    text = """
    {head}

    threading.Thread(target=never, name="worker").start()
    say()
    sleep_in_pieces()
    """
    text = filled(text, head=HEAD)
    with scenario.start(text, grace=GRACE) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        assert is_named(outcome, program, "worker")
    assert outcome.log == ["atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


EXITING = """
{head}

async def main():
    {begin}
    main_has_ended.set()
    sys.exit(3)

run(main())
"""


def test_sys_exit_waits_for_one_that_ends(scenario):
    begin = "threading.Thread(target=soon).start()"
    outcome = scenario.ended(filled(EXITING, head=HEAD, begin=begin), grace=8)
    assert outcome.log == ["thread", "atexit"]
    assert outcome.status == 3
    assert outcome.is_silent


def test_sys_exit_does_not_wait_for_ever(scenario):
    begin = "threading.Thread(target=never, name='worker').start()"
    text = filled(EXITING, head=HEAD, begin=begin)
    with scenario.start(text, grace=GRACE) as program:
        outcome = program.end()
        assert is_named(outcome, program, "worker")
    assert outcome.log == ["atexit"]
    assert outcome.status == 70
    assert outcome.gone_within(GRACE + 1)


RETURNING = """
{head}

def late():
    time.sleep(1.5)
    log("thread")

async def main():
    {begin}

run(main())
log("returned")
"""


@pytest.mark.whole
def test_after_a_normal_return_one_has_all_the_time_it_needs(scenario):
    begin = "threading.Thread(target=late).start()"
    text = filled(RETURNING, head=HEAD, begin=begin)
    outcome = scenario.ended(text, grace=0.3)
    assert outcome.log == ["returned", "thread", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_a_normal_return_waits_for_work_of_the_loop_no_longer_than_the_grace(scenario):
    begin = "asyncio.get_running_loop().run_in_executor(None, never)"
    text = filled(RETURNING, head=HEAD, begin=begin)
    with scenario.start(text, grace=GRACE) as program:
        outcome = program.end()
        assert is_named(outcome, program, "asyncio_0")
    assert outcome.log == ["atexit"]
    assert outcome.status == 70
    assert outcome.gone_within(GRACE + 1)


def test_each_of_several_is_named(scenario):
    begin = """
    asyncio.create_task(asyncio.to_thread(never))
    while not has_begun.is_set():
        await asyncio.sleep(0.001)
    for name in ["first", "second"]:
        threading.Thread(target=never, name=name).start()
    """
    with scenario.start(waiting(begin), grace=GRACE) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        assert is_named(outcome, program, "first", "second", "asyncio_0")
    assert outcome.gone_within(GRACE + 1)


def test_one_that_waits_for_a_lock_is_named_with_the_line(scenario):
    begin = """
    lock = threading.Lock()
    lock.acquire()

    def wait():
        with lock:  # waits here
            pass

    threading.Thread(target=wait, name="waiter").start()
    """
    with scenario.start(waiting(begin), grace=GRACE) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        assert "'waiter'" in outcome.err
        assert f"program.py:{program.line_of('waits here')}" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.parametrize("flush", [False, True])
@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_writes_all_the_time_does_no_harm(scenario, daemon, flush):
    begin = f"""
    def write():
        while True:
            print("." * 50, flush={flush})

    threading.Thread(target=write, daemon={daemon}).start()
    """
    outcome = scenario.interrupted(waiting(begin), by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signal.SIGTERM) or outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_one_that_another_thread_started_is_waited_for(scenario):
    begin = """
    def outer():
        threading.Thread(target=soon).start()

    await asyncio.to_thread(outer)
    """
    outcome = scenario.interrupted(waiting(begin), by=signal.SIGTERM, grace=8)
    assert outcome.log == ["main", "thread", "atexit"]
    assert outcome.is_silent


QUEUE = """
    items = queue.Queue()

    def work():
        while (item := items.get()) is not None:
            log(item)

    worker = threading.Thread(target=work, daemon={daemon})
    worker.start()

    def end():
        items.put(None)
        worker.join()

    atexit.register(end)
    for item in range(3):
        items.put(item)
"""


@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_an_exit_function_ends_finishes_its_work(scenario, daemon):
    begin = QUEUE.format(daemon=daemon)
    outcome = scenario.interrupted(waiting(begin), by=signal.SIGTERM, grace=GRACE)
    assert outcome.log[-1] == "atexit"
    assert set(outcome.log[:-1]) == {"0", "1", "2", "main"}
    assert outcome.tells(signal.SIGTERM) or outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_an_exit_function_that_never_ends_is_named_and_left(scenario):
    with scenario.start(waiting("atexit.register(never)"), grace=GRACE) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        assert is_named(outcome, program, "MainThread")
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_another_ctrl_c_ends_the_wait_for_one(scenario):
    begin = "threading.Thread(target=never, name='worker').start()"
    with scenario.start(waiting(begin), grace=8) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.wait_for("main has ended")
        # Longer than what counts as the same Ctrl-C.
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
        assert is_named(outcome, program, "worker")
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1.5)


def test_another_sigterm_does_not_shorten_the_wait_for_one(scenario):
    begin = """
    def slow():
        time.sleep(1)
        log("thread")

    threading.Thread(target=slow).start()
    """
    with scenario.start(waiting(begin), grace=8) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        program.wait_for("main has ended")
        time.sleep(0.3)
        program.send(signal.SIGTERM)
        outcome = program.end()
    assert outcome.log == ["main", "thread", "atexit"]
    assert outcome.tells(signal.SIGTERM)


GOES_ON = """
{head}

async def main():
    say()
    await sleeper("main")

try:
    run(main())
except BaseException:
    log("caught")
time.sleep(2)

def late():
    time.sleep(1.5)
    log("thread")

threading.Thread(target=late).start()
"""


@pytest.mark.whole
def test_a_program_that_goes_on_after_a_signal_is_on_its_own(scenario):
    text = filled(GOES_ON, head=HEAD)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=0.5)
    assert outcome.log == ["main", "caught", "thread", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


FEEDS = """
def feeds(loop):
    try:
        while True:
            loop.call_soon_threadsafe(int)
            time.sleep(0.002)
    except RuntimeError:
        log("too late")
        {then}

async def main():
    feeder = threading.Thread(
        target=feeds, args=[asyncio.get_running_loop()], daemon={daemon}
    )
    feeder.start()
    say()
    try:
        await sleeper("main")
    finally:
        atexit.register(feeder.join)

run(main())
"""


def feeding(daemon, then):
    return FEEDS.replace("{daemon}", str(daemon)).replace("{then}", then)


@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_goes_on_calling_the_loop_prints_nothing(scenario, daemon):
    outcome = scenario.interrupted(feeding(daemon, "raise"), by=signal.SIGTERM)
    assert outcome.log == ["main", "too late"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_what_else_ends_one_that_calls_the_closed_loop_is_shown(scenario):
    text = feeding(False, "raise RuntimeError('my own') from None")
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "too late"]
    assert outcome.err.count("RuntimeError: my own") == 1
    assert outcome.tells(signal.SIGTERM)


HANDS_OVER = """
import {module}

async def nothing():
    pass

def hands_over(loop):
    try:
        while True:
            {module}.run_coroutine_threadsafe(nothing(), loop).result()
    except BaseException as error:
        log(type(error).__name__)

async def main():
    loop = asyncio.get_running_loop()
    for _ in range(4):
        threading.Thread(target=hands_over, args=[loop]).start()
    await asyncio.sleep(0.05)
    {end}

run(main())
"""


@pytest.mark.parametrize("end", ["say(); await asyncio.sleep(3600)", "sys.exit(143)"])
@pytest.mark.parametrize("module", ["asyncio", "quiesce"])
def test_one_that_hands_over_coroutines_is_told_that_it_comes_too_late(
    scenario, module, end
):
    text = filled(HANDS_OVER.replace("{module}", module), end=end)
    if "say" in end:
        outcome = scenario.interrupted(text, by=signal.SIGTERM)
        assert outcome.tells(signal.SIGTERM)
    else:
        outcome = scenario.ended(text)
        assert outcome.status == 143
    assert set(outcome.log) <= {"CancelledError", "RuntimeError"}
    assert len(outcome.log) == 4
    assert outcome.is_silent


def test_after_a_normal_return_one_is_told_so_too(scenario):
    text = filled(HANDS_OVER.replace("{module}", "asyncio"), end="pass")
    outcome = scenario.ended(text)
    assert set(outcome.log) <= {"CancelledError", "RuntimeError"}
    assert len(outcome.log) == 4
    assert (outcome.status, outcome.is_silent) == (0, True)
