"""Phase 1: main is cancelled alone, so that its own structure can end what it owns"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

SIGNALS = [signal.SIGINT, signal.SIGTERM]
CLASSES = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}
USES_A_BACKGROUND_TASK = """
async def database(requests):
    try:
        while True:
            reply = await requests.get()
            await asyncio.sleep(0.05)
            reply.set_result("saved")
    finally:
        log("database closed")

async def main():
    requests = asyncio.Queue()
    asyncio.create_task(database(requests))
    await asyncio.sleep(0)
    {before}
    say()
    {blocks}
    try:
        await asyncio.sleep(3600)
    finally:
        reply = asyncio.get_running_loop().create_future()
        requests.put_nowait(reply)
        log(await reply)

run(main())
"""


@pytest.mark.parametrize("signum", SIGNALS)
def test_mains_cleanup_may_use_a_background_task(scenario, signum):
    text = filled(USES_A_BACKGROUND_TASK, before="", blocks="")
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["saved", "database closed"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_mains_cleanup_may_use_a_background_task_after_a_drain_step(scenario, signum):
    drains = "import quiesce\nquiesce.shutdown.drain(asyncio.sleep, 1.2)"
    text = filled(USES_A_BACKGROUND_TASK, before=drains, blocks="")
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["saved", "database closed"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_mains_cleanup_may_use_a_background_task_after_a_block(scenario, signum):
    blocks = f"""
    os.kill(os.getpid(), {int(signum)})
    time.sleep(1.1)
    """
    text = filled(USES_A_BACKGROUND_TASK, before="", blocks=blocks)
    outcome = scenario.ended(text)
    assert outcome.log == ["saved", "database closed"]
    assert outcome.tells(signum)


GROUP = """
async def child(name):
    task = asyncio.current_task()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            log("cut short")
            raise
        log("cleaned up")
        raise

async def group_of_children():
    try:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(child(number))
            if {nested}:
                async with asyncio.TaskGroup() as inner:
                    inner.create_task(child(3))
    finally:
        log("left")

async def main():
    {tasks}
    {place}

run(main())
"""
PLACES = {
    "main": """
    asyncio.get_running_loop().call_later(0.05, say)
    await group_of_children()
    """,
    "a background task": """
    asyncio.create_task(group_of_children())
    await asyncio.sleep(0.05)
    say()
    await asyncio.sleep(3600)
    """,
}


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("tasks", CLASSES)
def test_children_of_a_task_group_are_cancelled_once(scenario, signum, place, tasks):
    text = filled(GROUP, place=PLACES[place], tasks=CLASSES[tasks])
    outcome = scenario.interrupted(text.replace("{nested}", "False"), by=signum)
    assert outcome.log == ["cleaned up"] * 3 + ["left"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("place", PLACES)
def test_children_of_nested_task_groups_are_cancelled_once(scenario, place):
    text = filled(GROUP, place=PLACES[place], tasks="")
    outcome = scenario.interrupted(text.replace("{nested}", "True"))
    assert outcome.log == ["cleaned up"] * 4 + ["left"]
    assert outcome.tells(signal.SIGINT)


def test_children_of_a_background_task_group_are_cancelled_once_at_mains_return(
    scenario,
):
    text = filled(
        GROUP,
        tasks="",
        place="asyncio.create_task(group_of_children())\nawait asyncio.sleep(0.05)",
    )
    outcome = scenario.ended(text.replace("{nested}", "True"))
    assert outcome.log == ["cleaned up"] * 4 + ["left"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("how", ["await child", "await asyncio.gather(child, child2)"])
def test_what_a_background_task_awaits_is_cancelled_once(scenario, how):
    text = """
    async def cleans_up(name):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            try:
                await asyncio.sleep(0.3)
            except asyncio.CancelledError:
                log("cut short")
                raise
            log(name)
            raise

    async def parent():
        child = asyncio.create_task(cleans_up("child"))
        child2 = asyncio.create_task(cleans_up("child2"))
        await asyncio.sleep(0)
        say()
        try:
            {how}
        finally:
            log("parent")

    async def main():
        asyncio.create_task(parent())
        await asyncio.sleep(3600)

    run(main())
    """
    outcome = scenario.interrupted(filled(text, how=how))
    assert "cut short" not in outcome.log
    assert sorted(outcome.log) == ["child", "child2", "parent"]
    assert outcome.log.index("child") < outcome.log.index("parent")


def test_listening_sockets_stop_first(scenario):
    text = """
    async def serve(reader, writer):
        log("served")
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            try:
                reader, writer = await asyncio.open_connection(*address)
            except ConnectionRefusedError:
                log("refused")
            else:
                log("accepted")
                await asyncio.sleep(0.2)
                writer.close()

    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log == ["refused"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


SERVER = """
async def serve(reader, writer):
    log("connected")
    try:
        await reader.read()
    finally:
        say(time.monotonic())
        await asyncio.sleep(0.05)
        log("handler")
        writer.close()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    asyncio.get_running_loop().call_later(0.1, say)
    {wait}

run(main())
"""
WAITS = {
    "serve_forever": """
    try:
        async with server:
            await server.serve_forever()
    finally:
        log("left")
    """,
    "wait_closed": """
    try:
        await asyncio.sleep(3600)
    finally:
        server.close()
        await server.wait_closed()
        log("left")
    """,
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_main_that_waits_for_connections_holds_up_nothing(scenario, wait):
    with scenario.start(filled(SERVER, wait=WAITS[wait])) as program:
        program.wait_for("ready")
        sent = time.monotonic()
        program.send(signal.SIGINT)
        outcome = program.end()
    # Before Python 3.12 `wait_closed` waits for nothing.
    assert sorted(outcome.log) == ["connected", "handler", "left"]
    # Main would have been alone for a second.
    assert float(outcome.out[-1]) - sent < 0.9
    assert outcome.tells(signal.SIGINT)
    assert outcome.is_silent


AWAITS_A_BACKGROUND_TASK = """
async def background():
    try:
        await asyncio.sleep(3600)
    finally:
        log(time.monotonic())
        await asyncio.sleep(0.05)

async def main():
    task = asyncio.create_task(background())
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        log(time.monotonic())
        await asyncio.wait([task])
        log("main")

run(main())
"""


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize(("grace", "alone"), [(None, 1), (2, 0.5)])
def test_main_is_alone_for_a_second_or_a_quarter_of_a_little_grace(
    scenario, signum, grace, alone
):
    outcome = scenario.interrupted(AWAITS_A_BACKGROUND_TASK, by=signum, grace=grace)
    began, ended = map(float, outcome.log[:2])
    assert 0.9 * alone < ended - began < alone + 0.9
    assert outcome.log[2:] == ["main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_main_after_a_long_drain_leaves_time_for_the_cleanups_of_the_rest(
    scenario, signum
):
    text = """
    import quiesce

    async def main():
        # Half of the grace is for drain steps, this is a little less.
        quiesce.shutdown.drain(asyncio.sleep, 1.8)
        background = start("background", 0.35)
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.wait([background])
            log("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=4)
    assert outcome.log == ["background", "main"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_rest_is_cancelled_as_soon_as_main_is_done(scenario, signum):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            log(time.monotonic())

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.1)
            log(time.monotonic())

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    main, background = map(float, outcome.log)
    assert 0 <= background - main < 0.5
    assert outcome.tells(signum)


def test_a_long_cleanup_of_main_is_not_cut_short_when_the_rest_is_cancelled(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 1.5)

    run(main())
    """
    outcome = scenario.interrupted(text, grace=4)
    assert outcome.log == ["background", "main"]
    assert outcome.tells(signal.SIGINT)


def test_main_as_an_asyncio_task_is_cancelled_first_too(scenario):
    text = """
    async def main():
        asyncio_tasks()
        await asyncio.create_task(real_main())

    async def real_main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)
