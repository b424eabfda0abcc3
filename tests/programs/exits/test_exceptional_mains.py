"""Mains that end in unusual ways, and places that end the program unusually"""

from __future__ import annotations

import signal
import sys
import textwrap

import pytest

from tests.programs.exits.scenario import filled

OURS = pytest.mark.ways("quiesce.run", "quiesce run")

PROGRAM = """
class Own(BaseException):
    pass

async def fails(error):
    await asyncio.sleep(0)
    raise error

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    {main}

try:
    run(main())
finally:
    log("finally")
"""
MAINS = {
    "CancelledError": ("raise asyncio.CancelledError", "CancelledError"),
    "cancelled by itself": (
        "asyncio.current_task().cancel()\nawait asyncio.sleep(3600)",
        "CancelledError",
    ),
    "cancelled by another": (
        """
        loop = asyncio.get_running_loop()
        loop.call_soon(asyncio.current_task().cancel)
        await asyncio.sleep(3600)
        """,
        "CancelledError",
    ),
    "a group of errors": (
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(fails(ValueError("first")))
            group.create_task(fails(KeyError("second")))
        """,
        "ValueError: first",
    ),
    "a BaseException of its own": ('raise Own("of main")', "Own: of main"),
    "GeneratorExit": ("raise GeneratorExit('of main')", "GeneratorExit: of main"),
    "StopAsyncIteration": (
        "raise StopAsyncIteration('of main')",
        "StopAsyncIteration: of main",
    ),
    "a stopped loop": (
        "asyncio.get_running_loop().stop()\nawait asyncio.sleep(3600)",
        "RuntimeError: Event loop stopped before Future completed.",
    ),
}


@pytest.mark.parametrize("main", MAINS)
def test_the_rest_is_ended_and_the_error_shown_once(scenario, main):
    statement, shown = MAINS[main]
    outcome = scenario.ended(filled(PROGRAM, main=statement))
    assert outcome.log == ["background", "finally"]
    assert outcome.status == 1
    # A cancellation is shown with what it came from.
    lines = [line for line in outcome.err.splitlines() if line.endswith(shown)]
    assert len(lines) == 1 or shown == "CancelledError"
    assert "never retrieved" not in outcome.err


PLACES = {
    "a done callback": """
    asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda _: raises())
    await sleeper("main", 0.05)
    """,
    "main's done callback": """
    asyncio.current_task().add_done_callback(lambda _: raises())
    log("main")
    """,
    "a function that a thread asks for": """
    loop = asyncio.get_running_loop()
    threading.Thread(target=loop.call_soon_threadsafe, args=[raises]).start()
    await sleeper("main", 0.05)
    """,
    "a handler of the loop": """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, raises)
    os.kill(os.getpid(), signal.SIGUSR1)
    await sleeper("main", 0.05)
    """,
    "a task of asyncio's that was dropped": """
    asyncio_tasks()
    asyncio.create_task(raises_in_a_task())
    await sleeper("main", 0.05)
    """,
    "a task of asyncio's that is held": """
    global held
    asyncio_tasks()
    held = asyncio.create_task(raises_in_a_task())
    await sleeper("main", 0.05)
    """,
    "a protocol": """
    class Protocol(asyncio.Protocol):
        def data_received(self, data):
            raises()

    import socket
    here, there = socket.socketpair()
    loop = asyncio.get_running_loop()
    await loop.create_connection(Protocol, sock=here)
    there.send(b"x")
    await sleeper("main", 0.05)
    """,
    "a handler of connections": """
    async def handle(reader, writer):
        await reader.read(1)
        raises()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"x")
    await sleeper("main", 0.05)
    """,
    "an async generator": """
    async def numbers():
        yield 1
        raises()

    async def iterate():
        async for _ in numbers():
            pass

    asyncio.create_task(iterate())
    await sleeper("main", 0.05)
    """,
    "an exception handler": """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: raises())
    loop.call_soon(lambda: 1 / 0)
    await sleeper("main", 0.05)
    """,
    "an exception handler, of a task that was dropped": """
    asyncio.get_running_loop().set_exception_handler(lambda *_: raises())
    asyncio.create_task(fails(ValueError()))
    await sleeper("main", 0.05)
    """,
    "an exception handler, of a future that was dropped": """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: raises())
    loop.create_future().set_exception(ValueError())
    await sleeper("main", 0.05)
    """,
    "an exception handler, of a task of asyncio's that was dropped": """
    asyncio.get_running_loop().set_exception_handler(lambda *_: raises())
    asyncio_tasks()
    asyncio.create_task(fails(ValueError()))
    await sleeper("main", 0.05)
    """,
    "an exception handler, of a task that was dropped as main returned": """
    asyncio.get_running_loop().set_exception_handler(lambda *_: raises())
    task = asyncio.create_task(fails(ValueError()))
    await asyncio.wait([task])
    log("main")
    """,
    "an exception handler, of a task that is held": """
    global held
    asyncio.get_running_loop().set_exception_handler(lambda *_: raises())
    held = asyncio.create_task(fails(ValueError()))
    await asyncio.wait([held])
    log("main")
    """,
}


RAISES = """
def raises():
    sys.exit(3)

async def raises_in_a_task():
    raises()
"""


@pytest.mark.parametrize("place", PLACES)
def test_sys_exit_ends_the_program_in_order_wherever_it_is_called(scenario, place):
    outcome = scenario.ended(RAISES + filled(PROGRAM, main=PLACES[place]))
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.status == 3
    assert outcome.is_silent


EAGER = """
    def begin():
        asyncio.Task(raises_in_a_task(), loop=loop, eager_start=True)

    async def begin_in_a_task():
        begin()

    loop = asyncio.get_running_loop()
    {begin}
    await sleeper("main", 0.05)
"""
BEGINNINGS = {
    "a callback": "loop.call_soon(begin)",
    "a task": "asyncio.create_task(begin_in_a_task())",
    "a task of asyncio's": "asyncio_tasks()\nasyncio.create_task(begin_in_a_task())",
}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@OURS
@pytest.mark.parametrize("where", BEGINNINGS)
def test_sys_exit_in_an_eager_task_of_asyncios_ends_the_program(scenario, where):
    main = filled(textwrap.dedent(EAGER), begin=BEGINNINGS[where])
    outcome = scenario.ended(RAISES + filled(PROGRAM, main=main))
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.status == 3
    assert outcome.is_silent


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
@OURS
def test_sys_exit_in_an_eager_task_of_asyncios_leaves_the_current_task(scenario):
    main = """
    current = asyncio.current_task()
    loop = asyncio.get_running_loop()
    try:
        asyncio.Task(raises_in_a_task(), loop=loop, eager_start=True)
    except SystemExit as error:
        log(error.code)
    log(asyncio.current_task() is current)
    """
    outcome = scenario.ended(RAISES + filled(PROGRAM, main=main))
    assert outcome.log == ["3", "True", "background", "finally"]
    assert outcome.status == 0
    assert outcome.is_silent


@OURS
def test_a_ctrl_c_in_a_task_of_asyncios_is_shown_once(scenario):
    place = PLACES["a task of asyncio's that was dropped"]
    text = RAISES.replace("sys.exit(3)", "raise KeyboardInterrupt")
    outcome = scenario.ended(text + filled(PROGRAM, main=place))
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.err.splitlines().count("KeyboardInterrupt") == 1


@OURS
def test_what_ends_the_program_in_a_task_of_asyncios_is_no_error_to_hear_of(scenario):
    main = """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: log(context["message"]))
    asyncio_tasks()
    asyncio.create_task(raises_in_a_task())
    await sleeper("main", 0.05)
    """
    outcome = scenario.ended(RAISES + filled(PROGRAM, main=main))
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.status == 3


DROPPED = "an exception handler, of a task that was dropped"


@OURS
def test_a_ctrl_c_in_an_exception_handler_ends_the_program_in_order(scenario):
    text = "def raises():\n    raise KeyboardInterrupt\n"
    outcome = scenario.ended(text + filled(PROGRAM, main=PLACES[DROPPED]))
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.err.splitlines().count("KeyboardInterrupt") == 1


@OURS
def test_sys_exit_in_the_exception_handler_of_a_closed_loop_is_reported(scenario):
    text = """
    async def fails():
        global loop
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: sys.exit(3))

    run(fails())
    future = asyncio.Future(loop=loop)
    future.set_exception(ValueError())
    del future
    log("the program goes on")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["the program goes on"]
    assert outcome.status == 0
    assert "SystemExit: 3" in outcome.err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_replaces_itself_after_its_end_begins_afresh(scenario, signum):
    text = """
    generation = int(os.environ.get("GENERATION", 0))

    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say(f"ready {generation}")
        await sleeper(f"main {generation}", 0.05)

    try:
        run(main())
    except BaseException as error:
        if generation == 0:
            os.environ["GENERATION"] = "1"
            # Threads and pools of this generation end here, whatever they do.
            os.execv(sys.orig_argv[0], sys.orig_argv)
        raise
    """
    with scenario.start(text) as program:
        for generation in 0, 1:
            program.wait_for(f"ready {generation}")
            program.send(signum)
        outcome = program.end()
    assert outcome.log == ["main 0", "background", "main 1", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


def test_what_a_program_starts_after_its_end_inherits_no_trace_of_it(scenario):
    text = """
    import subprocess

    def state():
        # Blocked and ignored signals, and descriptors.
        code = (
            "import os; print([line for line in open('/proc/self/status')"
            " if line.startswith(('SigBlk', 'SigIgn'))], os.listdir('/proc/self/fd'))"
        )
        words = [sys.executable, "-c", code]
        return subprocess.run(words, capture_output=True, close_fds=False).stdout

    async def main():
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(3600)

    before = state()
    with contextlib.suppress(SystemExit):
        run(main())
    log(state() == before)
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (0, ["True"])


def test_runs_of_a_runner_and_cleanups_share_its_context_variables(scenario):
    text = """
    import contextvars
    var = contextvars.ContextVar("var", default="unset")

    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            log(f"cleanup: {var.get()}")

    async def first():
        var.set("first")

    async def second():
        log(f"second: {var.get()}")
        asyncio.create_task(background())
        var.set("second")
        await asyncio.sleep(0)

    async def third():
        log(f"third: {var.get()}")

    with Runner() as runner:
        runner.run(first())
        runner.run(second())
        runner.run(third(), context=contextvars.Context())
        log(f"outside: {var.get()}")
    """
    outcome = scenario.ended(text)
    assert outcome.log == [
        *("second: first", "third: unset", "outside: unset", "cleanup: first")
    ]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize("held", [True, False])
def test_only_the_signals_that_run_is_told_of_are_held(scenario, held):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    run(main(), signals=[signal.SIGTERM])
    """
    signum = signal.SIGTERM if held else signal.SIGHUP
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == (["main", "background"] if held else [])
    assert outcome.status == (128 + signum if held else -signum)


def test_the_programs_own_faulthandler_keeps_its_one_slot(scenario):
    text = """
    import faulthandler

    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)
        say()
        await asyncio.sleep(3600)

    faulthandler.dump_traceback_later(0.5, file=open("dump", "w"))
    try:
        run(main())
    finally:
        log("Timeout (0:00:00.500000)!" in open("dump").read())
    """
    outcome = scenario.interrupted(text, grace=2)
    assert outcome.log == ["True"]
    assert outcome.tells_force(signal.SIGINT)


GROUP = """
async def leaves():
    await asyncio.sleep(0)
    {leave}

async def grouped():
    task = asyncio.create_task(leaves())
    with contextlib.suppress(BaseException):
        # It may be cancelled in the meantime.
        await task
    error = task.exception()
    {fail}

async def main():
    global kept
    start("background", 0.05)
    {main}
"""
GROUPS = {
    "with nothing else": "raise BaseExceptionGroup('x', [error])",
    "in a group": """
    inner = BaseExceptionGroup("inner", [error, asyncio.CancelledError()])
    raise BaseExceptionGroup("outer", [inner])
    """,
}
WHOSE = {
    "main": "await grouped()",
    "a task": "asyncio.create_task(grouped())\nawait asyncio.sleep(3600)",
    "a task that is held": (
        "kept = asyncio.create_task(grouped())\nawait asyncio.sleep(3600)"
    ),
    "a task of asyncio's": (
        "asyncio_tasks()\nasyncio.create_task(grouped())\nawait asyncio.sleep(3600)"
    ),
}
LEAVES = {"sys.exit()": "sys.exit(3)", "Ctrl-C": "raise KeyboardInterrupt"}


def grouped(scenario, *, main, fail, leave):
    group = filled(GROUP, main=main, fail=fail, leave=leave)
    return scenario.ended(f"{group}\nrun(main())")


@OURS
@pytest.mark.parametrize("fail", GROUPS)
@pytest.mark.parametrize("main", WHOSE)
@pytest.mark.parametrize("leave", LEAVES)
def test_a_group_that_holds_but_what_ends_the_program_is_no_error(
    scenario, main, fail, leave
):
    outcome = grouped(
        scenario, main=WHOSE[main], fail=GROUPS[fail], leave=LEAVES[leave]
    )
    assert outcome.log == ["background"]
    assert outcome.status == 3 or outcome.tells(signal.SIGINT)
    assert "unhandled exception" not in outcome.err
    assert "never retrieved" not in outcome.err
    assert outcome.is_silent


@OURS
@pytest.mark.parametrize("main", WHOSE)
@pytest.mark.parametrize("other", ["ValueError('y')", "SystemExit('y')"])
def test_a_group_that_holds_another_error_too_is_reported_once(scenario, main, other):
    fail = f"raise BaseExceptionGroup('x', [error, {other}])"
    outcome = grouped(scenario, main=WHOSE[main], fail=fail, leave="sys.exit(3)")
    assert outcome.log == ["background"]
    assert outcome.status == 3
    lines = [line.lstrip(" |") for line in outcome.err.splitlines()]
    assert lines.count(other.replace("('y')", ": y")) == 1
