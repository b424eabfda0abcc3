"""What the grace period bounds, and what is said when it is used up"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import DEFAULT_GRACE, filled

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}

# A cleanup that never ends, in the place where main can be.
STUCK = """
async def main():
    task = start("stuck", for_ever)
    await asyncio.sleep(0)
    say()
    {end}

run(main())
"""


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_cleanup_that_never_ends_is_forced_and_the_status_tells_the_signal(
    scenario, signum
):
    outcome = scenario.interrupted(
        filled(STUCK, end="await sleeper('main')"), by=signum, grace=1
    )
    assert outcome.log == ["main"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


@pytest.mark.parametrize(
    "end", ["return", "raise ValueError('of main')", "sys.exit(0)", "sys.exit(3)"]
)
def test_a_cleanup_that_never_ends_is_forced_with_status_70(scenario, end):
    with scenario.start(filled(STUCK, end=end), grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)
    assert outcome.err.count("ValueError: of main") == ("ValueError" in end)


def test_a_forced_end_tells_it_where_the_program_catches_the_ctrl_c(scenario):
    text = """
    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    try:
        run(main())
    except KeyboardInterrupt:
        pass
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.log == ["main", "finally"]
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.tracebacks == 0


def test_so_it_does_where_main_is_over_when_the_ctrl_c_comes(scenario):
    text = """
    async def stuck():
        try:
            await asyncio.sleep(3600)
        finally:
            say()
            await never_ends()

    async def main():
        asyncio.create_task(stuck())
        await asyncio.sleep(0)

    try:
        run(main())
    except KeyboardInterrupt:
        pass
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.tracebacks == 0


def test_a_cleanup_of_main_that_never_ends_is_forced(scenario):
    text = """
    async def main():
        say()
        await sleeper("main", for_ever)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1 + 1)


def test_what_was_forced_is_named_with_the_line_where_it_was_stuck(scenario):
    text = """
    async def never_ends():
        try:
            await asyncio.sleep(3600)
        finally:
            while True:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()  # stuck

    async def main():
        asyncio.create_task(never_ends(), name="of-mine")
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    run(main())
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# stuck")
    assert "of-mine" in outcome.err
    assert "never_ends" in outcome.err
    assert f"program.py:{line}" in outcome.err


def test_exit_functions_run_and_output_is_flushed_when_forced(scenario):
    text = """
    atexit.register(log, "exit function")

    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()
        print("buffered")

    try:
        run(main())
    finally:
        log("finally")
    """
    outcome = scenario.ended(text, grace=1)
    assert outcome.status == 70
    assert outcome.log == ["finally", "exit function"]
    assert outcome.out == ["ready", "buffered"]


def test_the_outer_finally_blocks_of_what_is_forced_run(scenario):
    text = """
    async def nested():
        try:
            await sleeper("inner", for_ever)
        finally:
            log("outer")

    async def main():
        asyncio.create_task(nested())
        await asyncio.sleep(0)
        say()

    run(main())
    """
    outcome = scenario.ended(text, grace=1)
    assert (outcome.status, outcome.log) == (70, ["outer"])


def test_a_coroutine_that_cannot_be_closed_is_forced_too(scenario):
    text = """
    async def immortal():
        while True:
            try:
                await asyncio.sleep(3600)
            except BaseException:
                pass

    async def main():
        asyncio.create_task(immortal(), name="immortal")
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1 + 1)
    assert "immortal" in outcome.err
    assert "ignored" not in outcome.err


@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_was_given_up_is_done_for_whoever_asks_afterwards(scenario, tasks):
    text = """
    async def main():
        global given_up
        {tasks}
        given_up = start("stuck", for_ever)
        await asyncio.sleep(0)

    try:
        run(main())
    finally:
        log(given_up.done())
        log(given_up.cancelled())
    """
    outcome = scenario.ended(filled(text, tasks=CLASSES[tasks]), grace=1)
    assert (outcome.status, outcome.log) == (70, ["True", "True"])


def test_run_works_again_after_a_forced_run_that_was_caught(scenario):
    text = """
    SIGNALS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.getsignal(signum) for signum in SIGNALS]

    async def stuck():
        start("stuck", for_ever)
        await asyncio.sleep(0)

    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        return "returned"

    try:
        run(stuck())
    except SystemExit as error:
        log(error.code)
    log(before == [signal.getsignal(signum) for signum in SIGNALS])
    log(run(main()))
    """
    outcome = scenario.ended(text, grace=1)
    assert outcome.log == ["70", "True", "background", "returned"]
    assert outcome.status == 0


def test_a_reserve_is_kept_for_what_comes_after_a_task_that_never_ends(scenario):
    text = """
    async def generator():
        try:
            yield
        finally:
            await asyncio.sleep(0.05)
            log("generator")

    async def main():
        global held
        held = generator()
        await anext(held)
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()

    run(main())
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert (outcome.status, outcome.log) == (70, ["generator"])
    assert outcome.gone_within(1 + 1)


def test_main_and_the_rest_share_one_grace(scenario):
    text = """
    async def generator():
        try:
            yield
        finally:
            await never_ends()

    async def main():
        held = generator()
        await anext(held)
        for number in range(3):
            start(f"stuck {number}", for_ever)
        threading.Thread(target=time.sleep, args=[3600]).start()
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            log(time.monotonic())
            await sleeper("main", for_ever)

    atexit.register(lambda: log(time.monotonic()))
    run(main())
    """
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)
    began, ended = map(float, outcome.log)
    # A grace for each of two would be four seconds.
    assert ended - began < 2 + 1


def test_a_cleanup_may_use_most_of_the_grace(scenario):
    text = """
    async def main():
        start("background", 1.8)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.2)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_cleanups_run_beside_each_other_not_one_after_the_other(scenario):
    text = """
    async def main():
        for number in range(20):
            start("background", 0.5)
        await asyncio.sleep(0)
        say()

    run(main())
    """
    outcome = scenario.ended(text, grace=4)
    assert (outcome.status, outcome.log) == (0, ["background"] * 20)


@pytest.mark.ways("quiesce.run")
def test_the_grace_can_be_given_to_run(scenario):
    text = filled(STUCK, end="return").replace("run(main())", "run(main(), grace=1)")
    with scenario.start(text, grace=60) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)


@pytest.mark.ways("quiesce.run")
def test_the_grace_can_be_given_to_a_runner(scenario):
    text = filled(STUCK, end="return").replace(
        "run(main())", "with Runner(grace=1) as runner:\n    runner.run(main())"
    )
    with scenario.start(text, grace=60) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)


@pytest.mark.ways("quiesce run")
def test_the_grace_can_be_given_to_quiesce_run(scenario):
    text = filled(STUCK, end="return")
    with scenario.start(text, grace=60, options=["--grace", 1]) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)


@pytest.mark.whole
def test_the_default_grace_fits_in_ten_seconds_and_allows_six(scenario):
    text = """
    async def main():
        start("honest", 5.5)
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert (outcome.status, outcome.log) == (70, ["honest"])
    assert outcome.gone_within(DEFAULT_GRACE + 1)
