"""Runs in threads that are not the main one."""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

GRACE = 1.0

PROGRAM = """
import atexit
from concurrent.futures import ThreadPoolExecutor

async def waits(name, cleanup=0.05):
    asyncio.create_task(sleeper(f"{name}'s background", cleanup))
    await asyncio.sleep(0)
    begun.set()
    await sleeper(name, cleanup)

async def stubborn():
    begun.set()
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

begun = threading.Event()
atexit.register(log, "atexit")
{body}
"""


def program(body):
    return filled(PROGRAM, body=body)


@pytest.mark.parametrize("daemon", [False, True])
def test_one_is_ended_when_the_main_thread_returns(scenario, daemon):
    body = f"""
    thread = threading.Thread(target=lambda: run(waits("main")), daemon={daemon})
    thread.start()
    begun.wait()
    """
    outcome = scenario.ended(program(body))
    assert outcome.log == ["main", "main's background", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


@pytest.mark.parametrize("daemon", [False, True])
def test_one_is_ended_when_ctrl_c_ends_the_main_thread(scenario, daemon):
    body = f"""
    thread = threading.Thread(target=lambda: run(waits("main")), daemon={daemon})
    thread.start()
    begun.wait()
    say()
    sleep_in_pieces()
    """
    outcome = scenario.interrupted(program(body), by=signal.SIGINT)
    assert outcome.log == ["main", "main's background", "atexit"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.tracebacks == 1
    assert outcome.gone_within(1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("daemon", [False, True])
def test_one_is_ended_with_the_run_of_the_main_thread(scenario, signum, daemon):
    body = f"""
    async def main():
        say()
        await sleeper("main")

    threading.Thread(target=lambda: run(waits("other")), daemon={daemon}).start()
    begun.wait()
    run(main())
    """
    outcome = scenario.interrupted(program(body), by=signum)
    assert outcome.log == ["main", "other", "other's background", "atexit"]
    assert outcome.tells(signum)
    assert outcome.gone_within(1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_nobody_else_ends_them_while_they_end(scenario, signum):
    body = """
    for _ in range(30):
        begun.clear()
        threading.Thread(target=lambda: run(waits("other"))).start()
        begun.wait()

    async def main():
        # Each thread is to be seen by the others at any of its steps.
        sys.setswitchinterval(1e-6)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(program(body), by=signum)
    assert outcome.log.count("other") == outcome.log.count("other's background") == 30
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_between_two_runs_a_loop_is_left_to_its_thread(scenario, signum):
    body = """
    async def first():
        start("background", 0.05)
        await asyncio.sleep(0)

    def work():
        with Runner() as runner:
            runner.run(first())
            begun.set()
            main_has_ended.wait()
            time.sleep(0.2)
            runner.run(sleeper("second"))

    async def main():
        say()
        try:
            await sleeper("main")
        finally:
            main_has_ended.set()

    main_has_ended = threading.Event()
    threading.Thread(target=work).start()
    begun.wait()
    run(main())
    """
    outcome = scenario.interrupted(program(body), by=signum)
    assert outcome.log == ["main", "second", "background", "atexit"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_one_in_a_pool_is_ended_when_the_main_thread_returns(scenario):
    body = """
    pool = ThreadPoolExecutor()
    future = pool.submit(lambda: run(waits("main")))
    begun.wait()
    """
    outcome = scenario.ended(program(body))
    assert outcome.log == ["main", "main's background", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_several_are_ended_side_by_side(scenario):
    body = """
    names = [f"{number}" for number in range(10)]
    for name in names:
        begun.clear()
        threading.Thread(target=lambda: run(waits(name, cleanup=0.3))).start()
        begun.wait()
    say()
    """
    with scenario.start(program(body)) as running:
        running.wait_for("ready")
        outcome = running.end()
    assert len(outcome.log) == 21
    assert outcome.status == 0
    assert outcome.gone_within(1.5)


@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_cannot_be_ended_holds_the_exit_no_longer_than_its_grace(
    scenario, daemon
):
    body = f"""
    threading.Thread(target=lambda: run(stubborn()), daemon={daemon}).start()
    begun.wait()
    say()
    """
    with scenario.start(program(body), grace=GRACE) as running:
        running.wait_for("ready")
        outcome = running.end()
    assert "stubborn" in outcome.err
    assert outcome.log == ["atexit"]
    assert outcome.gone_within(GRACE + 1)


BLOCKED = """
    async def blocked():
        begun.set()
        time.sleep(3600)  # the line

    threading.Thread(target=lambda: run(blocked()), name="of-mine").start()
    begun.wait()
    say()
    {end}
"""


def test_one_that_is_blocked_is_named_and_ended_after_a_ctrl_c(scenario):
    text = program(filled(BLOCKED, end="sleep_in_pieces()"))
    with scenario.start(text, grace=GRACE) as running:
        running.wait_for("ready")
        running.send(signal.SIGINT)
        outcome = running.end()
        line = running.line_of("# the line")
    assert "of-mine" in outcome.err
    assert f"program.py:{line} in blocked" in outcome.err
    assert outcome.log == ["atexit"]
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(GRACE + 1)


def test_one_that_is_blocked_is_named_and_ended_when_the_main_thread_returns(scenario):
    text = program(filled(BLOCKED, end="pass"))
    with scenario.start(text, grace=GRACE) as running:
        running.wait_for("ready")
        outcome = running.end()
        line = running.line_of("# the line")
    assert "of-mine" in outcome.err
    assert f"program.py:{line} in blocked" in outcome.err
    assert outcome.log == ["atexit"]
    assert outcome.status == 70
    assert outcome.gone_within(GRACE + 1)


JOINED = """
    async def main():
        start("late", cleanup=3600)
        await asyncio.sleep(0)
        {then}

    thread = threading.Thread(target=lambda: run(main()), name="of-mine")
    thread.start()
    say()
    while thread.is_alive():
        thread.join(0.05)
"""


def interrupted_again(running, after=1.0):
    """Send a program that says "ready" two Ctrl-C, and return how it ended."""
    running.wait_for("ready")
    # Until it hears of signals in the thread that is in join().
    time.sleep(0.3)
    running.send(signal.SIGINT)
    time.sleep(after)
    running.send(signal.SIGINT)
    return running.end()


def test_a_second_ctrl_c_ends_one_at_once(scenario):
    text = program(filled(JOINED, then='await sleeper("main")'))
    with scenario.start(text, grace=20) as running:
        outcome = interrupted_again(running)
    lines = outcome.err.splitlines()
    (named,) = (line for line in lines if "did not end in time" in line)
    assert "task 'late'" in named
    # That of the first, which nobody caught.
    assert outcome.tracebacks == 1
    assert "Exception ignored" not in outcome.err
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.gone_within(1.5)


def test_a_second_ctrl_c_does_not_wait_for_one_that_is_blocked(scenario):
    text = program(filled(JOINED, then="time.sleep(3600)"))
    with scenario.start(text, grace=20) as running:
        outcome = interrupted_again(running)
    assert "did not end in time: thread 'of-mine' at program.py:" in outcome.err
    assert outcome.tracebacks == 1
    assert outcome.log == ["atexit"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.gone_within(1.5)


def test_a_third_ctrl_c_changes_nothing(scenario):
    text = program(filled(JOINED, then="time.sleep(3600)"))
    with scenario.start(text, grace=20) as running:
        running.wait_for("ready")
        time.sleep(0.3)
        running.send(signal.SIGINT)
        for _ in range(2):
            time.sleep(0.6)
            running.send(signal.SIGINT)
        outcome = running.end()
    assert outcome.tracebacks == 1
    assert outcome.log == ["atexit"]
    assert outcome.tells(signal.SIGINT)


def test_two_ctrl_c_shortly_after_another_are_one(scenario):
    text = program(filled(JOINED, then='await sleeper("main", cleanup=1)'))
    text = text.replace("cleanup=3600", "cleanup=1")
    with scenario.start(text, grace=20) as running:
        outcome = interrupted_again(running, after=0.15)
    assert sorted(outcome.log) == ["atexit", "late", "main"]
    assert outcome.tracebacks == 1
    assert outcome.tells(signal.SIGINT)


def test_a_first_ctrl_c_does_not_cut_one_that_ends_already(scenario):
    body = """
    async def main():
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            say()
            await asyncio.sleep(0.8)
            log("main")

    threading.Thread(target=lambda: run(main())).start()
    begun.wait()
    """
    outcome = scenario.interrupted(program(body), by=signal.SIGINT)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


def test_a_slow_end_of_one_says_why_it_ends(scenario):
    body = """
    threading.Thread(target=lambda: run(waits("main", cleanup=1.5))).start()
    begun.wait()
    """
    outcome = scenario.ended(program(body))
    assert "(the program ends): waiting for task" in outcome.err
    assert outcome.status == 0


def test_one_in_a_thread_of_the_loop_is_ended_with_that(scenario):
    body = """
    async def main():
        job = asyncio.create_task(asyncio.to_thread(lambda: run(waits("inner"))))
        await asyncio.to_thread(begun.wait)
        say()
        await job

    run(main())
    """
    outcome = scenario.interrupted(program(body), by=signal.SIGTERM, grace=8)
    assert outcome.log == ["inner", "inner's background", "atexit"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(1)


def test_sys_exit_in_one_ends_only_that(scenario):
    body = """
    async def leave():
        asyncio.create_task(sleeper("background"))
        await asyncio.sleep(0)
        sys.exit(3)

    thread = threading.Thread(target=lambda: run(leave()))
    thread.start()
    thread.join()
    log("the main thread goes on")
    """
    outcome = scenario.ended(program(body))
    assert outcome.log == ["background", "the main thread goes on", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_force_in_one_ends_only_that(scenario):
    body = """
    async def main():
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)

    thread = threading.Thread(target=lambda: run(main()))
    thread.start()
    thread.join()
    log("the main thread goes on")
    """
    outcome = scenario.ended(program(body), grace=0.5)
    assert outcome.log == ["the main thread goes on", "atexit"]
    assert "asyncio_0" in outcome.err
    assert outcome.status == 0
    assert outcome.gone_within(2)


FORCED = """
    def forced():
        {call}

    thread = threading.Thread(target=forced, name="of-mine")
    thread.start()
    {end}
    log("the main thread goes on")
"""
END = "thread.join()"


def forced(scenario, call, end=END):
    """Return how a program ends with a run in a thread that has to be forced."""
    text = """
    async def gives_up():
        asyncio.create_task(stubborn(), name="mule")
        await asyncio.sleep(0)
    """
    text += filled(FORCED, call=call, end=end)
    return scenario.ended(program(text), grace=0.5)


@pytest.mark.parametrize("end", [END, "begun.wait()"])
def test_force_ends_the_thread_without_a_traceback(scenario, end):
    outcome = forced(scenario, "run(gives_up())", end)
    assert outcome.log == ["the main thread goes on", "atexit"]
    assert "task 'mule'" in outcome.err
    assert outcome.tracebacks == 0
    assert "GraceExceeded" not in outcome.err


def test_force_after_the_run_of_the_main_thread_shows_no_traceback_either(scenario):
    end = """
    async def leave():
        sys.exit(3)

    begun.wait()
    try:
        run(leave())
    except SystemExit:
        pass
    thread.join()
    """
    outcome = forced(scenario, "run(gives_up())", end)
    assert outcome.log == ["the main thread goes on", "atexit"]
    assert "task 'mule'" in outcome.err
    assert outcome.tracebacks == 0


def test_the_caller_in_the_thread_can_catch_that_force_was_needed(scenario):
    call = """
    import quiesce

    try:
        run(gives_up())
    except quiesce.GraceExceeded as error:
        log(error.code)
    """
    outcome = forced(scenario, call)
    assert outcome.log == ["70", "the main thread goes on", "atexit"]


def test_the_programs_own_hook_hears_of_force_and_of_what_fails(scenario):
    call = """
    threading.excepthook = lambda args: log(args.exc_type.__name__)
    run(gives_up())
    """
    outcome = forced(scenario, call)
    assert outcome.log == ["GraceExceeded", "the main thread goes on", "atexit"]


def test_a_failure_in_a_thread_is_shown_after_force_in_another(scenario):
    end = """
    thread.join()
    other = threading.Thread(target=lambda: 1 / 0)
    other.start()
    other.join()
    """
    outcome = forced(scenario, "run(gives_up())", end)
    assert outcome.tracebacks == 1
    assert "ZeroDivisionError" in outcome.err


def test_one_that_is_over_is_not_waited_for(scenario):
    body = """
    async def main():
        log("run")

    for _ in range(3):
        thread = threading.Thread(target=lambda: run(main()))
        thread.start()
        thread.join()
    """
    outcome = scenario.ended(program(body))
    assert outcome.log == ["run"] * 3 + ["atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


# How the main thread may wait for one while a signal's exception leaves it.
WAITS = {
    "with a pool": """
    with ThreadPoolExecutor() as pool:
        pool.submit(use)
        begun.wait()
        say()
        sleep_in_pieces()
    """,
    "in a finally": """
    thread = threading.Thread(target=use)
    thread.start()
    begun.wait()
    try:
        say()
        sleep_in_pieces()
    finally:
        thread.join()
    """,
    "for its result": """
    with ThreadPoolExecutor() as pool:
        future = pool.submit(use)
        begun.wait()
        say()
        # In pieces: Python may not hear of a signal that comes just before a wait.
        while not future.done():
            with contextlib.suppress(TimeoutError):
                future.result(0.05)
    """,
}
WAITED_FOR = """
def use():
    {use}

{wait}
"""


def interrupted_in_wait(scenario, wait, use, by):
    if scenario.way != "quiesce run" and by != signal.SIGINT:
        pytest.skip("nobody hears SIGTERM where no run is in the main thread")
    body = filled(WAITED_FOR, use=use, wait=WAITS[wait])
    return scenario.interrupted(program(body), by=by, grace=GRACE)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", WAITS)
def test_one_for_which_the_main_thread_waits_is_ended_within_the_grace(
    scenario, wait, signum
):
    outcome = interrupted_in_wait(scenario, wait, 'run(waits("run"))', signum)
    assert outcome.log == ["run", "run's background", "atexit"]
    assert outcome.tells(signum)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", WAITS)
def test_one_that_never_ends_does_not_hold_a_main_thread_that_waits_for_it(
    scenario, wait, signum
):
    outcome = interrupted_in_wait(scenario, wait, "run(stubborn())", signum)
    assert outcome.log == ["atexit"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)
    assert "in stubborn" in outcome.err


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("wait", WAITS)
def test_so_is_a_thread_that_drives_its_loop_by_itself(scenario, wait, signum):
    use = """
    loop = asyncio.new_event_loop()
    task = loop.create_task(waits("run"))
    loop.run_forever()
    """
    outcome = interrupted_in_wait(scenario, wait, use, signum)
    assert sorted(outcome.log) == ["atexit", "run", "run's background"]
    assert outcome.tells(signum)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_just_before_a_wait_for_one_is_heard(scenario, signum):
    body = f"""
    def signals():
        time.sleep(0.3)
        # Python hears of it, and the wait of the main thread is not interrupted.
        signal.raise_signal({int(signum)})

    with ThreadPoolExecutor() as pool:
        future = pool.submit(lambda: run(waits("run")))
        begun.wait()
        threading.Thread(target=signals).start()
        say()
        future.result()
    """
    with scenario.start(program(body)) as running:
        running.wait_for("ready")
        outcome = running.end()
    assert outcome.log == ["run", "run's background", "atexit"]
    assert outcome.tells(signum)


OTHERS = {
    "a child": "subprocess.run(['sleep', '2.5'])",
    "another thread": """
    thread = threading.Thread(target=time.sleep, args=(2.5,))
    thread.start()
    thread.join()
    """,
    "another pool": """
    with ThreadPoolExecutor() as pool:
        pool.submit(time.sleep, 2.5)
    """,
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_main_thread_on_its_way_out_that_waits_for_something_else_has_its_time(
    scenario, other
):
    body = """
    import subprocess

    threading.Thread(target=lambda: run(waits("run")), daemon=True).start()
    begun.wait()
    try:
        sys.exit(3)
    finally:
        {wait}
        log("waited")
    """
    outcome = scenario.ended(program(filled(body, wait=OTHERS[other])), grace=1)
    assert outcome.log[0] == "waited"
    assert outcome.status == 3


def test_a_main_thread_that_goes_on_after_a_ctrl_c_may_wait_for_one(scenario):
    body = """
    async def works():
        begun.set()
        await asyncio.sleep(2)
        log("worked")

    thread = threading.Thread(target=lambda: run(works()))
    thread.start()
    begun.wait()
    try:
        say()
        sleep_in_pieces()
    except KeyboardInterrupt:
        log("caught")
    thread.join()
    """
    outcome = scenario.interrupted(program(body), by=signal.SIGINT, grace=0.5)
    assert outcome.log == ["caught", "worked", "atexit"]
    assert (outcome.status, outcome.is_silent) == (0, True)


# What a program may do when it has caught what would have ended it.
GOES_ON = {
    "another exception": """
        try:
            try:
                sys.exit(2)
            except SystemExit as error:
                raise LookupError from error
        except LookupError:
            wait()
    """,
    "a wait in its except": """
        try:
            sys.exit(2)
        except SystemExit:
            wait()
    """,
}


@pytest.mark.parametrize("goes_on", GOES_ON)
def test_a_main_thread_that_has_caught_its_end_may_wait_for_one(scenario, goes_on):
    body = """
    async def works():
        begun.set()
        await asyncio.sleep(2)
        log("worked")

    def wait():
        thread.join()
        log("waited")
        os._exit(0)

    thread = threading.Thread(target=lambda: run(works()))
    thread.start()
    begun.wait()
    {goes_on}
    """
    outcome = scenario.ended(program(filled(body, goes_on=GOES_ON[goes_on])), grace=0.5)
    assert outcome.log == ["worked", "waited"]
    assert (outcome.status, outcome.is_silent) == (0, True)


ENDED_AND_CAUGHT = {
    "in the main thread": """
    try:
        run(ends())
    except SystemExit:
        log("caught")
    """,
    "in another thread": """
    thread = threading.Thread(target=lambda: run(ends()))
    thread.start()
    thread.join()
    log("caught")
    """,
}


@pytest.mark.parametrize("run", ENDED_AND_CAUGHT)
def test_the_end_of_one_leaves_another_alone(scenario, run):
    body = """
    goes_on = threading.Event()

    async def works():
        begun.set()
        await asyncio.get_running_loop().run_in_executor(None, goes_on.wait)
        log("worked")

    async def ends():
        sys.exit(7)

    thread_that_works = threading.Thread(target=lambda: run(works()))
    thread_that_works.start()
    begun.wait()
    {run}
    goes_on.set()
    thread_that_works.join()
    """
    outcome = scenario.ended(program(filled(body, run=ENDED_AND_CAUGHT[run])))
    assert outcome.log == ["caught", "worked", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent
