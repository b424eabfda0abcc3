"""Asynchronous generators that are suspended when the program ends"""

from __future__ import annotations

import re
import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
PROGRAM = """
async def numbers(name="generator"):
    {generator}

async def main():
    {use}
    {end}

run(main())
"""
HONEST = """
    try:
        for number in range(3600):
            yield number
            await asyncio.sleep(0.01)
    finally:
        await asyncio.sleep(0.05)
        log(name)
"""
HANGS = """
    try:
        yield 1
    finally:
        await never_ends()
"""
SUSPENDED = """
    held = numbers()
    await anext(held)
"""
ENDS = {
    "return": ("return", None),
    "sys.exit": ("sys.exit(3)", None),
    "SIGINT": ("say()\nawait sleeper('main')", signal.SIGINT),
    "SIGTERM": ("say()\nawait sleeper('main')", signal.SIGTERM),
}


def tells(outcome, end):
    """Tell whether the status says that the program ended in that way, in order."""
    signum = ENDS[end][1]
    if signum is not None:
        return outcome.tells(signum)
    return outcome.status == {"return": 0, "sys.exit": 3}[end]


def ended(scenario, generator, use=SUSPENDED, end="return", **options):
    """Run a program that uses such a generator so and ends in that way."""
    how, signum = ENDS[end]
    text = filled(PROGRAM, generator=generator, use=use, end=how)
    if signum is None:
        return scenario.ended(text, **options)
    return scenario.interrupted(text, by=signum, **options)


@pytest.mark.parametrize("end", ENDS)
def test_a_suspended_one_is_closed_with_what_it_awaits(scenario, end):
    outcome = ended(scenario, HONEST, end=end)
    assert outcome.log == (["main"] if ENDS[end][1] else []) + ["generator"]
    assert tells(outcome, end)
    assert outcome.is_silent


@pytest.mark.parametrize("end", ENDS)
def test_one_that_hangs_is_forced_and_named(scenario, end):
    outcome = ended(scenario, HANGS, end=end, grace=GRACE)
    assert "numbers" in outcome.err
    assert outcome.gone_within(GRACE + 1)
    signum = ENDS[end][1]
    assert outcome.status == 70 if signum is None else outcome.tells_force(signum)


CLEANUPS = {
    "asyncio.sleep(3600)": "a sleep of 3600 s",
    "quiesce.sleep(3600)": "a sleep of 3600 s",
    "asyncio.Event().wait()": "an event",
    "asyncio.get_running_loop().create_future()": "a future",
}


@pytest.mark.parametrize("cleanup", CLEANUPS)
def test_one_that_hangs_tells_what_it_waits_for_and_since_when(scenario, cleanup):
    generator = f"""
    import quiesce
    try:
        yield 1
    finally:
        await {cleanup}
    """
    outcome = ended(scenario, generator, HELD, "SIGTERM", grace=GRACE, reports=True)
    assert "it is running" not in outcome.err
    (survivor,) = outcome.report["survivors"]
    assert survivor["kind"] == "async generator"
    assert survivor["waits_for"].startswith(CLEANUPS[cleanup])
    assert survivor["asked"] == 1
    assert 0 < survivor["asked_ago"] < 2 * GRACE


# Main drops what is its own when it ends, and a task closes that.
HELD = """
    global held
    held = numbers()
    await anext(held)
"""
LONG_GRACE = 3.0
# 65 % of it.
LONG = """
    try:
        yield 1
    finally:
        await asyncio.sleep(1.95)
        log(name)
"""


@pytest.mark.parametrize("end", ENDS)
def test_a_long_cleanup_within_the_grace_is_not_cut_short(scenario, end):
    outcome = ended(scenario, LONG, HELD, end, grace=LONG_GRACE)
    assert outcome.log == (["main"] if ENDS[end][1] else []) + ["generator"]
    assert tells(outcome, end)
    assert outcome.is_silent


def test_connections_end_beside_a_long_cleanup(scenario):
    use = """
    class Idle(asyncio.Protocol):
        def connection_lost(self, error):
            log("lost")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    await loop.create_connection(Idle, *server.sockets[0].getsockname())
    """
    outcome = ended(scenario, LONG, use + HELD, "SIGTERM", grace=LONG_GRACE)
    assert outcome.log == ["main", "lost", "generator"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_long_cleanup_may_use_a_thread_at_last(scenario):
    generator = """
    try:
        yield 1
    finally:
        await asyncio.sleep(1.95)
        log(await asyncio.to_thread(str, "from a thread"))
    """
    outcome = ended(scenario, generator, HELD, grace=LONG_GRACE)
    assert outcome.log == ["from a thread"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("end", ENDS)
def test_one_whose_cleanup_is_cut_is_named_and_the_status_tells(scenario, end):
    generator = """
    try:
        yield 1
    finally:
        try:
            await asyncio.sleep(3600)
        finally:
            log("cut")
    """
    outcome = ended(scenario, generator, HELD, end, grace=GRACE)
    assert outcome.log[-1] == "cut"
    assert "quiesce:   async generator numbers() at" in outcome.err
    assert outcome.gone_within(GRACE + 1)
    signum = ENDS[end][1]
    assert outcome.status == 70 if signum is None else outcome.tells_force(signum)


@pytest.mark.ways("quiesce.run")
def test_one_that_is_cut_is_named_once_also_on_another_loop(scenario):
    generator = """
    try:
        yield 1
    finally:
        {cleanup}
    """
    for cleanup in ("await asyncio.sleep(3600)", "await never_ends()"):
        numbers = filled(generator, cleanup=cleanup)
        text = filled(PROGRAM, generator=numbers, use=HELD, end="return").replace(
            "run(main())", "run(main(), loop_factory=asyncio.SelectorEventLoop)"
        )
        outcome = scenario.ended(text, grace=GRACE)
        assert "; left: 1 task\n" in outcome.err
        assert "in numbers\n" in outcome.err
        assert outcome.status == 70
        assert outcome.gone_within(GRACE + 1)


def test_a_later_ctrl_c_cuts_and_names_one(scenario):
    generator = """
    try:
        yield 1
    finally:
        # Two Ctrl-C within half a second are one.
        await asyncio.sleep(0.6)
        say("later")
        await asyncio.sleep(3600)
    """
    text = filled(PROGRAM, generator=generator, use=HELD, end=ENDS["SIGINT"][0])
    with scenario.start(text) as program:
        program.wait_for()
        program.send(signal.SIGINT)
        program.wait_for("later")
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.err.count("did not end in time: async generator numbers()") == 1
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)


def test_one_that_hangs_keeps_no_other_from_its_cleanup(scenario):
    use = """
    async def hangs():
        try:
            yield
        finally:
            await never_ends()
    stuck = hangs()
    await anext(stuck)
    held = []
    for name in "first", "second":
        held.append(numbers(name))
        await anext(held[-1])
    """
    generator = HONEST
    text = filled(PROGRAM, generator=generator, use=use, end="return")
    outcome = scenario.ended(text, grace=GRACE)
    assert sorted(outcome.log) == ["first", "second"]
    assert outcome.status == 70
    assert "hangs" in outcome.err


def test_one_that_ignores_its_end_is_reported_and_the_others_are_closed(scenario):
    generator = """
    while True:
        try:
            yield 1
        except GeneratorExit:
            pass
    """
    use = """
    held = numbers()
    await anext(held)
    other = honest()
    await anext(other)
    """
    text = filled(PROGRAM, generator=generator, use=use, end="return").replace(
        "async def main",
        "async def honest():\n    try:\n        yield\n    finally:\n"
        "        await asyncio.sleep(0.05)\n        log('honest')\n\nasync def main",
    )
    outcome = scenario.ended(text, grace=GRACE)
    assert outcome.log == ["honest"]
    assert outcome.status == 0
    assert outcome.err.count("RuntimeError: async generator ignored") == 1
    assert outcome.gone_within(GRACE + 1)


def test_an_error_in_ones_cleanup_is_reported_once(scenario):
    generator = """
    try:
        yield 1
    finally:
        await asyncio.sleep(0.01)
        raise ValueError("in the cleanup")
    """
    outcome = ended(scenario, generator)
    assert outcome.status == 0
    assert outcome.err.count("ValueError: in the cleanup") == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_that_main_iterates_at_the_signal_ends_with_it(scenario, signum):
    text = filled(
        PROGRAM,
        generator=HONEST,
        use="""
        async for number in numbers():
            if number == 3:
                say()
        """,
        end="pass",
    )
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["generator"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_one_whose_body_awaits_a_sleep_in_main_at_the_signal(scenario, signum):
    use = """
    try:
        async for number in numbers():
            say()
            await asyncio.sleep(3600)
    finally:
        log("main")
    """
    text = filled(PROGRAM, generator=HONEST, use=use, end="pass")
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "generator"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_one_that_two_tasks_share_is_closed_once(scenario):
    use = """
    shared = numbers()
    async def takes():
        while True:
            with contextlib.suppress(RuntimeError):
                await anext(shared)
            await asyncio.sleep(0.02)
    asyncio.create_task(takes())
    asyncio.create_task(takes())
    await asyncio.sleep(0.1)
    """
    for end in ENDS:
        outcome = ended(scenario, HONEST, use, end)
        assert sorted(outcome.log) == ["generator"] + (["main"] if ENDS[end][1] else [])
        assert tells(outcome, end)
        assert "Traceback" not in outcome.err or end == "SIGINT"


def test_one_in_a_background_task_ends_with_that(scenario):
    use = """
    async def takes():
        async for number in numbers():
            pass
    asyncio.create_task(takes())
    await asyncio.sleep(0.1)
    """
    for end in ENDS:
        outcome = ended(scenario, HONEST, use, end)
        assert sorted(outcome.log) == ["generator"] + (["main"] if ENDS[end][1] else [])
        assert tells(outcome, end)
        assert outcome.is_silent


def test_one_may_use_a_task_in_its_cleanup(scenario):
    generator = """
    try:
        yield 1
    finally:
        async with asyncio.timeout(1):
            log(await asyncio.create_task(asyncio.sleep(0.05, "from a task")))
        async with asyncio.TaskGroup() as group:
            child = group.create_task(asyncio.sleep(0.05, "from a group"))
        log(child.result())
    """
    outcome = ended(scenario, generator)
    assert outcome.log == ["from a task", "from a group"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_a_task_that_the_cleanup_of_one_leaves_behind_is_ended_too(scenario):
    generator = """
    try:
        yield 1
    finally:
        start("late", 0.05)
        await asyncio.sleep(0)
        log(name)
    """
    use = """
    # Else main drops it when it returns.
    global held
    held = numbers()
    await anext(held)
    """
    outcome = ended(scenario, generator, use)
    assert outcome.log == ["generator", "late"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_one_that_begins_another_in_its_cleanup_closes_both(scenario):
    generator = """
    try:
        yield 1
    finally:
        if name == "generator":
            global kept
            kept = numbers("second")
            await anext(kept)
        await asyncio.sleep(0.05)
        log(name)
    """
    outcome = ended(scenario, generator)
    assert sorted(outcome.log) == ["generator", "second"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_a_thousand_are_closed_side_by_side(scenario):
    use = """
    held = [numbers("x") for _ in range(1000)]
    for generator in held:
        await anext(generator)
    say()
    """
    generator = """
    try:
        yield
    finally:
        await asyncio.sleep(0.1)
        log(name)
    """
    outcome = ended(scenario, generator, use)
    assert outcome.log == ["x"] * 1000
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_the_context_variables_of_one_are_those_of_its_user(scenario):
    text = """
    import contextvars
    var = contextvars.ContextVar("var", default="unset")

    async def background():
        var.set("background")
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            log(var.get())

    async def main():
        var.set("main")
        asyncio.create_task(background())
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            log(var.get())

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


REFUSES = """
    try:
        yield 1
    finally:
        while True:
            with contextlib.suppress(BaseException):
                await asyncio.sleep(3600)
"""
REFUSING = {
    "suspended": (HELD, "1 async generator"),
    "closed by a task": (
        """
        global held
        async def close():
            await held.aclose()
        held = numbers()
        await anext(held)
        asyncio.create_task(close())
        await asyncio.sleep(0)
        """,
        "1 task",
    ),
    "dropped": (
        "await anext(numbers())\nawait asyncio.sleep(0)",
        "1 task",
    ),
    "a task's own": (
        """
        async def use():
            async with contextlib.aclosing(numbers()) as own:
                await anext(own)
        asyncio.create_task(use())
        await asyncio.sleep(0)
        """,
        "1 task",
    ),
    "a task's of asyncio's": (
        """
        async def use():
            async with contextlib.aclosing(numbers()) as own:
                await anext(own)
        asyncio_tasks()
        asyncio.create_task(use())
        await asyncio.sleep(0)
        """,
        "1 task",
    ),
}


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("which", REFUSING)
def test_one_that_refuses_to_be_closed_is_forced_silently_and_named_once(
    scenario, which, end
):
    use, left = REFUSING[which]
    outcome = ended(scenario, REFUSES, use, end, grace=GRACE)
    assert f"; left: {left}\n" in outcome.err
    lines = outcome.err.splitlines()
    assert all(line.startswith("quiesce: ") for line in lines)
    # An account that is not indented is of one thing that is left.
    named = [line for line in lines if re.match(r"quiesce:   \w", line)]
    assert len(named) == 1
    assert outcome.gone_within(GRACE + 1)
    signum = ENDS[end][1]
    assert outcome.status == 70 if signum is None else outcome.tells_force(signum)


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_one_that_is_forced_is_told_of_once_however_long_the_last_callbacks_take(
    scenario,
):
    generator = """
    loop = asyncio.get_running_loop()

    def takes_long():
        time.sleep(0.02)
        loop.call_soon(takes_long)

    try:
        yield 1
    finally:
        while True:
            try:
                await asyncio.sleep(3600)
            except GeneratorExit:
                loop.call_soon(takes_long)
                raise
            except asyncio.CancelledError:
                pass
    """
    outcome = ended(scenario, generator, HELD, "sys.exit", grace=GRACE)
    assert "; left: 1 async generator\n" in outcome.err
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.status == 70


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_one_in_the_middle_of_which_a_task_is_stuck_is_named_with_the_task(scenario):
    use = """
    async def use():
        async for _ in numbers():
            pass
    asyncio.create_task(use())
    await asyncio.sleep(0)
    """
    generator = "    await never_ends()\n    yield"
    outcome = ended(scenario, generator, use, "return", grace=GRACE)
    assert "; left: 1 task\n" in outcome.err
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())
    assert outcome.status == 70
