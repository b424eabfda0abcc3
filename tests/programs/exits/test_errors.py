"""What fails while nobody looks is reported: once, soon, and in no case never"""

from __future__ import annotations

import signal
import textwrap

import pytest

from tests.programs.exits.scenario import SLACK, filled

OURS = pytest.mark.ways("quiesce.run", "quiesce run")
SO_FAR = "exception was not retrieved so far"

# The program hears of reports, which are printed all the same.
LISTENING = """
import logging

reported = asyncio.Event()

def hear(record):
    reported.set()
    return True

logging.getLogger("asyncio").addFilter(hear)

async def fails(what="boom"):
    raise ValueError(what)

"""

# What the first line of main may be.
TASKS = {"own tasks": "pass", "asyncio.Task": "asyncio_tasks()"}

# How main comes to its end, once it is "ready".
ENDS = {
    "return": "pass",
    "SIGINT": "await asyncio.sleep(3600)",
    "SIGTERM": "await asyncio.sleep(3600)",
}


def ended(scenario, text, end, **options):
    """Run a program whose main ends in that way."""
    text = filled(text, end=f"say()\n{ENDS[end]}")
    if end == "return":
        return scenario.ended(text, **options)
    return scenario.interrupted(text, by=signal.Signals[end], **options)


def with_tasks(text, tasks):
    return filled(textwrap.dedent(text), tasks=TASKS[tasks])


def times(outcome, error):
    """Return how often the error was printed."""
    return outcome.err.splitlines().count(error)


@OURS
@pytest.mark.parametrize("tasks", TASKS)
def test_a_failure_is_reported_half_a_second_later_while_main_goes_on(scenario, tasks):
    text = """
    async def main():
        {tasks}
        began = time.monotonic()
        task = asyncio.create_task(fails())
        await reported.wait()
        log(time.monotonic() - began)

    run(main())
    """
    outcome = scenario.ended(LISTENING + with_tasks(text, tasks))
    (seconds,) = map(float, outcome.log)
    assert 0.4 <= seconds <= 0.5 + SLACK
    assert outcome.err.count(SO_FAR) == 1
    assert times(outcome, "ValueError: boom") == 1
    assert outcome.tracebacks == 1
    assert outcome.status == 0


@OURS
def test_what_was_reported_still_comes_out_of_a_later_await(scenario):
    text = """
    async def main():
        task = asyncio.create_task(fails())
        await reported.wait()
        try:
            await task
        except ValueError as error:
            log(error)

    run(main())
    """
    outcome = scenario.ended(LISTENING + textwrap.dedent(text))
    assert outcome.log == ["boom"]
    assert times(outcome, "ValueError: boom") == 1


@OURS
@pytest.mark.parametrize("tasks", TASKS)
def test_what_was_reported_is_not_reported_again_at_the_end(scenario, tasks):
    text = """
    async def main():
        {tasks}
        global kept
        kept = asyncio.create_task(fails())
        await reported.wait()

    run(main())
    """
    outcome = scenario.ended(LISTENING + with_tasks(text, tasks))
    assert times(outcome, "ValueError: boom") == 1


@OURS
@pytest.mark.parametrize("tasks", TASKS)
def test_a_failed_task_that_somebody_waits_for_is_not_reported(scenario, tasks):
    text = """
    async def main():
        {tasks}
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        await asyncio.sleep(0.7)
        log(task.exception())

    run(main())
    """
    outcome = scenario.ended(LISTENING + with_tasks(text, tasks))
    assert outcome.log == ["boom"]
    assert outcome.is_silent


@pytest.mark.parametrize("tasks", TASKS)
def test_a_failure_in_a_set_of_background_tasks_is_reported_once(scenario, tasks):
    text = """
    async def main():
        {tasks}
        background = set()
        task = asyncio.create_task(fails())
        background.add(task)
        task.add_done_callback(background.discard)
        del task
        await reported.wait()

    run(main())
    """
    outcome = scenario.ended(LISTENING + with_tasks(text, tasks))
    assert times(outcome, "ValueError: boom") == 1
    assert outcome.status == 0


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", TASKS)
def test_a_failure_held_in_a_global_is_reported_before_the_end(scenario, end, tasks):
    text = """
    async def main():
        {tasks}
        global kept
        kept = asyncio.create_task(fails())
        await asyncio.sleep(0)
        {end}

    try:
        run(main())
    finally:
        log(reported.is_set())
    """
    outcome = ended(scenario, LISTENING + with_tasks(text, tasks), end)
    assert outcome.log == ["True"]
    assert times(outcome, "ValueError: boom") == 1


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tasks", ["", "asyncio_tasks()"], ids=["own", "asyncio.Task"])
def test_errors_in_cleanups_are_reported_once_each(scenario, end, tasks):
    text = """
    async def cleans_up(number):
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            await fails(number)

    async def main():
        {tasks}
        global kept
        kept = [asyncio.create_task(cleans_up(number)) for number in range(3)]
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = ended(
        scenario, LISTENING + filled(textwrap.dedent(text), tasks=tasks), end
    )
    assert [times(outcome, f"ValueError: {n}") for n in range(3)] == [1, 1, 1]
    assert (
        outcome.status == 0 if end == "return" else outcome.tells(signal.Signals[end])
    )


@pytest.mark.parametrize("end", ENDS)
def test_a_task_that_is_born_in_the_shutdown_and_fails_is_reported_once(scenario, end):
    text = """
    async def cleans_up():
        global kept
        try:
            await asyncio.sleep(3600)
        finally:
            kept = asyncio.create_task(fails())
            await asyncio.sleep(0.01)

    async def main():
        task = asyncio.create_task(cleans_up())
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = ended(scenario, LISTENING + textwrap.dedent(text), end)
    assert times(outcome, "ValueError: boom") == 1


@pytest.mark.parametrize("end", ENDS)
def test_errors_in_done_callbacks_are_reported_once_each(scenario, end):
    text = """
    def callback(number, task):
        raise ValueError(number)

    async def main():
        ends_before, ends_at_the_end = [
            asyncio.create_task(asyncio.sleep(seconds)) for seconds in (0, 3600)
        ]
        for number in range(3):
            ends_before.add_done_callback(functools.partial(callback, number))
        ends_at_the_end.add_done_callback(functools.partial(callback, 3))
        await ends_before
        {end}

    run(main())
    """
    outcome = ended(scenario, LISTENING + textwrap.dedent(text), end)
    assert [times(outcome, f"ValueError: {n}") for n in range(4)] == [1, 1, 1, 1]


FAILING_AT_THE_END = {
    "a done callback": """
    task = start("background")
    task.add_done_callback(lambda task: 1 / 0)
    """,
    "a cleanup": """
    async def fails():
        try:
            await asyncio.sleep(3600)
        finally:
            1 / 0

    task = asyncio.create_task(fails())
    """,
    "a generator": """
    async def numbers():
        try:
            yield 1
        finally:
            1 / 0

    main.generator = numbers()
    await anext(main.generator)
    """,
    "an exception handler": """
    def handler(loop, context):
        1 / 0

    asyncio.get_running_loop().set_exception_handler(handler)
    task = start("background")
    task.add_done_callback(lambda task: log(no_such_name))
    """,
}


@pytest.mark.parametrize("end", ["raise OSError('of main')", "await sigterm()"])
@pytest.mark.parametrize("what", FAILING_AT_THE_END)
def test_an_error_at_the_end_does_not_show_what_ends_the_program(scenario, what, end):
    text = filled(
        """
        async def sigterm():
            asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
            await asyncio.sleep(3600)

        async def main():
            {fails}
            await asyncio.sleep(0)
            {end}

        run(main())
        """,
        fails=FAILING_AT_THE_END[what],
        end=end,
    )
    outcome = scenario.ended(text)
    assert outcome.err.count("ZeroDivisionError: division") == 1
    assert outcome.err.count("OSError: of main") == end.startswith("raise")
    assert "Terminated" not in outcome.err


GATHERINGS = {
    "main": "await gathering()",
    "a background task": """
    task = asyncio.create_task(gathering())
    await asyncio.sleep(3600)
    """,
    "nobody": """
    main.held = asyncio.gather(*map(fails, range(3)), return_exceptions={keep})
    await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("where", GATHERINGS)
@pytest.mark.parametrize("keep", [False, True])
def test_each_part_of_a_gathering_that_fails_at_the_end_is_reported_once(
    scenario, where, keep
):
    text = filled(
        """
        async def fails(number):
            try:
                await asyncio.sleep(3600)
            finally:
                raise ValueError(f"part {number}")

        async def gathering():
            parts = map(fails, range(3))
            try:
                await asyncio.gather(*parts, return_exceptions={keep})
            finally:
                log("gathered")

        async def main():
            asyncio.get_running_loop().call_later(0.1, say)
            {where}

        run(main())
        """,
        where=GATHERINGS[where],
    ).replace("{keep}", str(keep))
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    counts = [outcome.err.count(f"ValueError: part {number}") for number in range(3)]
    # One that is cancelled keeps no errors, whatever it was told.
    assert counts == [where != "nobody" or not keep] * 3
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.ways("quiesce.run")
def test_each_sibling_of_a_gather_that_fails_after_another_is_reported_once(scenario):
    text = """
    async def fails_in_turn(number):
        for _ in range(number):
            await asyncio.sleep(0)
        await fails(number)

    async def main():
        try:
            await quiesce.gather(*map(fails_in_turn, range(3)))
        except ValueError as error:
            log(error)
        await asyncio.sleep(0.01)

    import quiesce
    run(main())
    """
    outcome = scenario.ended(LISTENING + textwrap.dedent(text))
    assert outcome.log == ["0"]
    assert [times(outcome, f"ValueError: {n}") for n in range(3)] == [0, 1, 1]


@OURS
@pytest.mark.parametrize("first", ["reported.wait()", "asyncio.sleep(0)"])
def test_of_a_thousand_failures_each_is_reported_once(scenario, first):
    text = """
    async def main():
        global kept
        tasks = [asyncio.create_task(fails(number)) for number in range(1_000)]
        kept = tasks[::2]
        del tasks
        await {first}

    run(main())
    """
    text = textwrap.dedent(text).replace("{first}", first)
    outcome = scenario.ended(LISTENING + text)
    lines = outcome.err.splitlines()
    said = sorted(line for line in lines if line.startswith("ValueError: "))
    assert said == sorted(f"ValueError: {number}" for number in range(1_000))


# A program with its own loop, which it never closes.
NEVER_CLOSED = """
import gc
if WAY == "quiesce.run":
    import quiesce
    loop = quiesce.new_event_loop()
else:
    loop = asyncio.new_event_loop()
gc.disable()

async def main():
    global kept
    kept = [asyncio.ensure_future(fails())]
    kept.append(kept)
    await asyncio.sleep(0)

def use():
    loop.run_until_complete(main())

"""
USES = {
    "at once": "use()",
    "in a thread": "thread = threading.Thread(target=use)\nthread.start()",
    "at exit": "atexit.register(use)",
}


@OURS
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_the_end_of_the_interpreter_loses_no_failure(scenario, use):
    outcome = scenario.ended(LISTENING + NEVER_CLOSED + use)
    assert times(outcome, "ValueError: boom") == 1
    assert outcome.status == 0


def test_a_failed_future_that_no_task_made_is_reported_once(scenario):
    text = """
    async def main():
        global kept
        kept = asyncio.get_running_loop().create_future()
        kept.set_exception(ValueError("boom"))

    run(main())
    """
    outcome = scenario.ended(LISTENING + textwrap.dedent(text))
    assert times(outcome, "ValueError: boom") == 1


@OURS
@pytest.mark.parametrize("module", ["asyncio", "quiesce"])
def test_a_future_that_was_handed_what_would_end_the_program_is_reported(
    scenario, module
):
    text = f"""
    import {module}

    async def main():
        {module}.Future().set_exception(SystemExit(3))

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.status == 0
    assert times(outcome, "SystemExit: 3") == 1


@OURS
@pytest.mark.parametrize("tasks", TASKS)
def test_a_failure_that_is_no_exception_is_reported_once_too(scenario, tasks):
    text = """
    class Own(BaseException):
        pass

    async def fails():
        raise Own("boom")

    async def main():
        global kept
        {tasks}
        kept = asyncio.create_task(fails())
        await asyncio.sleep(0.05)

    run(main())
    """
    outcome = scenario.ended(with_tasks(text, tasks))
    assert times(outcome, "Own: boom") + times(outcome, "__main__.Own: boom") == 1
    assert outcome.status == 0


@OURS
@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("end", ENDS)
def test_a_failure_in_the_end_is_reported_while_another_cleanup_goes_on(
    scenario, end, tasks
):
    text = """
    kept = []

    async def fails_late():
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("boom")

    async def waits_for_the_report():
        try:
            await asyncio.sleep(3600)
        finally:
            await reported.wait()
            log("heard")

    async def main():
        {tasks}
        kept.append(asyncio.create_task(fails_late()))
        kept.append(asyncio.create_task(waits_for_the_report()))
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = ended(scenario, LISTENING + with_tasks(text, tasks), end, grace=20)
    assert outcome.log == ["heard"]
    assert times(outcome, "ValueError: boom") == 1


@OURS
@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("end", ENDS)
def test_a_failure_in_an_end_that_is_forced_is_reported_once(scenario, end, tasks):
    text = """
    kept = []

    async def fails_late():
        try:
            await asyncio.sleep(3600)
        finally:
            raise ValueError("boom")

    async def main():
        {tasks}
        kept.append(asyncio.create_task(fails_late()))
        kept.append(start("stuck", for_ever))
        await asyncio.sleep(0)
        {end}

    run(main())
    """
    outcome = ended(scenario, LISTENING + with_tasks(text, tasks), end, grace=0.4)
    assert times(outcome, "ValueError: boom") == 1
    assert "'stuck'" in outcome.err


@OURS
@pytest.mark.parametrize("tasks", TASKS)
def test_failures_of_tasks_that_were_told_before_the_end_are_each_reported(
    scenario, tasks
):
    text = """
    async def limited(cleanup):
        async with asyncio.timeout(0):
            try:
                await asyncio.sleep(3600)
            finally:
                say("cleaning")
                await asyncio.sleep(cleanup)

    async def main():
        {tasks}
        asyncio.create_task(limited(0.1))
        asyncio.create_task(limited(0.6))
        await asyncio.sleep(0.05)

    run(main())
    """
    outcome = scenario.ended(with_tasks(text, tasks), grace=20)
    assert outcome.out == ["cleaning", "cleaning"]
    assert times(outcome, "TimeoutError") == 2


@OURS
@pytest.mark.parametrize(
    ("tasks", "wait"),
    [
        ("own tasks", "await task"),
        ("own tasks", "await asyncio.gather(task)"),
        ("asyncio.Task", "await task"),
    ],
)
def test_a_failure_that_who_awaits_it_is_not_told_any_more_is_reported_once(
    scenario, tasks, wait
):
    text = """
    async def fails_soon():
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await fails()

    async def waits(task):
        {wait}

    async def main():
        {tasks}
        asyncio.create_task(waits(asyncio.create_task(fails_soon())))
        await asyncio.sleep(0)
        # Order matters: the loop stops when one has failed and the other has not heard.
        await asyncio.sleep(0)

    run(main())
    """
    text = filled(with_tasks(text, tasks), wait=wait)
    outcome = scenario.ended(LISTENING + text)
    assert times(outcome, "ValueError: boom") == 1


@OURS
def test_a_failure_that_main_is_not_told_any_more_is_reported_once(scenario):
    text = """
    async def asks_and_fails():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
        await fails()

    async def main():
        await asyncio.create_task(asks_and_fails())

    run(main())
    """
    outcome = scenario.ended(LISTENING + textwrap.dedent(text))
    assert times(outcome, "ValueError: boom") == 1
    assert outcome.tells(signal.SIGTERM)
