"""Phase 3: a task that swallowed its cancellation is asked again, no honest one is"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}
PLACES = {
    "main": "asyncio.get_running_loop().call_soon(say)\nawait task_s_work()",
    "a background task": """
    asyncio.create_task(task_s_work(), name="background")
    await asyncio.sleep(0)
    say()
    await asyncio.sleep(3600)
    """,
}
PROGRAM = """
began = None

def share():
    # Of the grace, since the first request.
    global began
    began = began or time.monotonic()
    return (time.monotonic() - began) / float(os.environ["QUIESCE_GRACE"])

times = 0

def swallowed():
    # Not for ever: what is closed while no loop runs may call this without a pause.
    global times
    times += 1
    if times < 100:
        log("swallowed")

async def task_s_work():
    {work}

async def main():
    {tasks}
    {place}

run(main())
"""
SWALLOWS_ONCE = """
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        share()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        log("at half" if 0.4 < share() < 0.74 else share())
        raise
"""
SWALLOWS_IN_THE_HANDLER = """
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        share()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            log("at three quarters" if 0.65 < share() < 0.95 else share())
            raise
"""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_swallows_once_is_asked_again_at_half_of_the_grace(
    scenario, place, tasks
):
    text = filled(
        PROGRAM, work=SWALLOWS_ONCE, place=PLACES[place], tasks=CLASSES[tasks]
    )
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["at half"]
    assert outcome.tells(signal.SIGINT)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_may_be_in_its_cleanup_is_asked_again_at_three_quarters(
    scenario, place, tasks
):
    text = filled(
        PROGRAM,
        work=SWALLOWS_IN_THE_HANDLER,
        place=PLACES[place],
        tasks=CLASSES[tasks],
    )
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["at three quarters"]
    assert outcome.tells(signal.SIGINT)


@pytest.mark.parametrize("kind", ["finally", "except", "async with"])
def test_an_honest_cleanup_that_takes_over_half_of_the_grace_is_not_cut(scenario, kind):
    works = {
        "finally": """
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(2.5)
            log("cleaned up")
        """,
        "except": """
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(2.5)
            log("cleaned up")
            raise
        """,
        "async with": """
        @contextlib.asynccontextmanager
        async def resource():
            try:
                yield
            finally:
                await asyncio.sleep(2.5)
                log("cleaned up")

        async with resource():
            await asyncio.sleep(3600)
        """,
    }
    text = filled(
        PROGRAM, work=works[kind], place=PLACES["a background task"], tasks=""
    )
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["cleaned up"]
    assert outcome.tells(signal.SIGINT)


SWALLOWS_FOR_EVER = {
    "a worker": """
    queue = asyncio.Queue()
    while True:
        try:
            await queue.get()
        except asyncio.CancelledError:
            swallowed()
    """,
    "a bare except": """
    while True:
        try:
            await asyncio.sleep(0.01)
        except:
            swallowed()
    """,
    "suppress": """
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await asyncio.sleep(3600)
            finally:
                swallowed()
    """,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("work", SWALLOWS_FOR_EVER)
def test_a_task_that_swallows_for_ever_is_forced(scenario, work, place):
    text = filled(PROGRAM, work=SWALLOWS_FOR_EVER[work], place=PLACES[place], tasks="")
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.log.count("swallowed") >= 2
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)
    assert "program.py:" in outcome.err


# These begin something new also when they are closed, while no loop runs.
BEGIN_ANEW = {
    "wait_for in a loop": """
    while True:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 3600)
        except BaseException:
            swallowed()
    """,
    "its children": """
    while True:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(3600))
        except BaseException:
            swallowed()
    """,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("work", BEGIN_ANEW)
def test_a_task_that_swallows_for_ever_and_begins_anew_is_forced(scenario, work, place):
    text = filled(PROGRAM, work=BEGIN_ANEW[work], place=PLACES[place], tasks="")
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.log.count("swallowed") >= 2
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)
    assert "program.py:" in outcome.err


def test_a_task_that_swallows_for_ever_does_not_hide_behind_mains_return(scenario):
    text = filled(
        PROGRAM,
        work=SWALLOWS_FOR_EVER["a worker"],
        place="asyncio.create_task(task_s_work())\nawait asyncio.sleep(0)\nsay()",
        tasks="",
    )
    with scenario.start(text, grace=2) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(2 + 1)


def test_a_task_that_swallowed_and_returns_by_itself_is_not_asked_again(scenario):
    work = """
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        log("swallowed")
    await asyncio.sleep(1)
    log("went on")
    """
    text = filled(PROGRAM, work=work, place=PLACES["a background task"], tasks="")
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["swallowed", "went on"]
    assert outcome.tells(signal.SIGINT)


def test_a_swallower_does_not_cut_the_cleanup_of_another(scenario):
    text = """
    async def swallows():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    async def main():
        asyncio.create_task(swallows())
        start("honest", 1.2)
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.log == ["honest"]
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(2 + 1)


@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_the_program_cancelled_and_that_swallowed_it_is_asked(
    scenario, tasks
):
    text = """
    async def swallows():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass
        await sleeper("asked")

    async def main():
        {tasks}
        task = asyncio.create_task(swallows())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.05)

    run(main())
    """
    outcome = scenario.ended(filled(text, tasks=CLASSES[tasks]), grace=2)
    assert (outcome.status, outcome.log) == (0, ["asked"])
    assert outcome.gone_within(2)


@pytest.mark.parametrize("tasks", CLASSES)
def test_one_that_left_its_loop_for_it_and_closes_something_has_time(scenario, tasks):
    text = """
    async def worker():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                break
        await asyncio.sleep(0.5)
        log("closed")

    async def main():
        {tasks}
        task = asyncio.create_task(worker())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0.05)

    run(main())
    """
    outcome = scenario.ended(filled(text, tasks=CLASSES[tasks]))
    assert (outcome.status, outcome.log) == (0, ["closed"])
    assert outcome.is_silent


UNWINDS = {
    "that has not had its turn": """
    await asyncio.sleep(3600)
    """,
    "that waits for a task": """
    await asyncio.create_task(sleeper("cleaned up", 0.5))
    """,
    "that waits for a gathering": """
    await asyncio.gather(sleeper("cleaned up", 0.5))
    """,
    "that waits for its group": """
    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("cleaned up", 0.5))
    """,
    "that waits for whom it cancelled": """
    task = start("cleaned up", 0.5)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
    await asyncio.wait([task])
    raise asyncio.CancelledError
    """,
}


@pytest.mark.parametrize("unwinds", UNWINDS)
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_unwinds_since_the_program_cancelled_it_is_not_asked(
    scenario, unwinds, tasks
):
    text = """
    async def unwinds():
        {unwinds}

    async def background():
        try:
            await unwinds()
        finally:
            log(asyncio.current_task().cancelling())

    async def main():
        {tasks}
        task = asyncio.create_task(background())
        await asyncio.sleep(0.05)
        task.cancel()
        {turns}

    run(main())
    """
    has_turn = unwinds != "that has not had its turn"
    turns = "await asyncio.sleep(0.05)" if has_turn else ""
    text = filled(text, unwinds=UNWINDS[unwinds], tasks=CLASSES[tasks], turns=turns)
    outcome = scenario.ended(text)
    assert outcome.log[-1] == "1"
    assert outcome.log[:-1] in ([], ["cleaned up"])
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("waits", ["create_task", "gather"])
@pytest.mark.parametrize("tasks", CLASSES)
def test_a_task_that_waits_for_the_cleanup_of_another_is_not_asked_at_half(
    scenario, waits, tasks
):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(2.5)
            log("cleaned up")

    async def waits():
        await asyncio.WAITS(background())

    async def main():
        {tasks}
        asyncio.create_task(waits())
        await asyncio.sleep(0.05)
        say()
        await sleeper("main")

    run(main())
    """
    text = filled(text.replace("WAITS", waits), tasks=CLASSES[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert outcome.log == ["main", "cleaned up"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("tasks", CLASSES)
def test_what_a_cleanup_awaits_is_not_asked_at_half_of_the_grace(scenario, tasks):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.create_task(asyncio.sleep(2.5))
            log("cleaned up")

    async def main():
        {tasks}
        asyncio.create_task(background())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    text = filled(text, tasks=CLASSES[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=4)
    assert outcome.log == ["main", "cleaned up"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
