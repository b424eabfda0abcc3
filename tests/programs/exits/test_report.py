"""What a program says of its own end."""

from __future__ import annotations

import json
import signal
import tempfile
import time
from pathlib import Path

import pytest

from tests.programs.exits.scenario import DEFAULT_GRACE, filled

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

STUBBORN = """
async def stubborn():
    while True:
        try:
            await asyncio.Event().wait()  # here
        except asyncio.CancelledError:
            pass

async def main():
    asyncio.create_task(stubborn(), name="mule")
    say()
    await sleeper("main")

run(main())
"""
TASKS = {"own tasks": "", "asyncio.Task": "asyncio_tasks()"}


def stubborn(tasks):
    """Return the program with tasks of that class."""
    head = "async def main():\n"
    return STUBBORN.replace(head, f"{head}    {TASKS[tasks]}\n")


def test_a_prompt_end_prints_nothing(scenario):
    text = """
    async def main():
        say()
        await sleeper("main", 0.05)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main"]
    assert outcome.is_silent


def test_a_slow_end_says_once_what_it_waits_for(scenario):
    text = """
    async def saves():
        await asyncio.sleep(1.5)  # here

    async def main():
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await saves()
            log("saved")

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# here")
    assert outcome.log == ["saved"]
    (said,) = outcome.err.splitlines()
    assert said.startswith("quiesce: ending since 1.")
    assert "(SIGTERM): waiting for task" in said
    assert f"program.py:{line} in saves" in said


@pytest.mark.parametrize("tasks", TASKS)
def test_a_forced_end_names_the_task_and_the_line_where_it_was_stuck(scenario, tasks):
    with scenario.start(stubborn(tasks), grace=0.8) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# here")
    assert outcome.tells_force(signal.SIGTERM)
    assert "quiesce: forced to end after" in outcome.err
    assert f"task 'mule' at program.py:{line} in stubborn" in outcome.err
    assert "waits for an event" in outcome.err
    assert "was cancelled last by the end (SIGTERM)" in outcome.err


CREATORS = {
    "create_task": "asyncio.create_task(stubborn())  # created",
    "the loop": "asyncio.get_running_loop().create_task(stubborn())  # created",
    "ensure_future": "asyncio.ensure_future(stubborn())  # created",
    "gather": "asyncio.gather(stubborn())  # created",
    "a task group": """
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn())  # created
    """,
    "a callback": """
        def create():
            asyncio.create_task(stubborn())  # created

        asyncio.get_running_loop().call_soon(create)
    """,
}


@pytest.mark.parametrize("tasks", TASKS)
@pytest.mark.parametrize("creator", CREATORS)
def test_a_forced_end_names_the_line_that_created_the_task(scenario, creator, tasks):
    text = """
    async def stubborn():
        say()
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def main():
        {tasks}
        {created}
        await sleeper("main")

    run(main())
    """
    text = filled(text, tasks=TASKS[tasks], created=CREATORS[creator])
    with scenario.start(text, grace=0.8) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("# created")
    assert f"was created at program.py:{line} in main" in outcome.err


def test_a_forced_end_names_the_line_that_defines_what_runs_in_a_task_made_by_hand(
    scenario,
):
    text = STUBBORN.replace("create_task(", "Task(")
    with scenario.start(text, grace=0.8) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        outcome = program.end()
        line = program.line_of("async def stubborn")
    assert outcome.tells_force(signal.SIGTERM)
    assert "task 'mule'" in outcome.err
    assert f"is defined at program.py:{line} in stubborn" in outcome.err


def test_the_json_report_says_how_long_the_grace_is(scenario):
    text = STUBBORN.replace("pass", "raise")
    for grace, seconds in (None, DEFAULT_GRACE), (3, 3):
        outcome = scenario.interrupted(
            text, by=signal.SIGTERM, grace=grace, reports=True
        )
        assert outcome.report["grace"] == seconds


@pytest.mark.parametrize("tasks", TASKS)
def test_the_json_report_has_all_that_is_known_of_a_survivor(scenario, tasks):
    outcome = scenario.interrupted(
        stubborn(tasks), by=signal.SIGTERM, grace=0.8, reports=True
    )
    (survivor,) = outcome.report["survivors"]
    assert survivor["created"]["function"] == "main"
    assert survivor["where"]["function"] == "stubborn"
    assert survivor["waits_for"] == "an event"
    assert "SIGTERM" in survivor["asked_by"]
    assert survivor["asked_ago"] >= 0
    assert survivor["swallowed"] >= 1


@pytest.mark.parametrize("tasks", TASKS)
def test_the_json_report_counts_every_request_that_was_certainly_swallowed(
    scenario, tasks
):
    text = """
    async def stubborn():
        log("begun")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                log("swallowed")

    async def main():
        {tasks}
        asyncio.create_task(stubborn(), name="mule")
        say()
        await sleeper("main")

    run(main())
    """
    text = filled(text, tasks=TASKS[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2, reports=True)
    (survivor,) = outcome.report["survivors"]
    # The last one is that in which it is closed.
    assert survivor["swallowed"] == outcome.log.count("swallowed") >= 2


@pytest.mark.parametrize("tasks", TASKS)
def test_the_json_report_counts_no_request_as_swallowed_in_whose_cleanup_a_task_is(
    scenario, tasks
):
    text = """
    async def waits_for(task):
        await task

    async def main():
        {tasks}
        slow = start("slow", cleanup=for_ever)
        asyncio.create_task(waits_for(slow), name="waits")
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    text = filled(text, tasks=TASKS[tasks])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1, reports=True)
    survivors = outcome.report["survivors"]
    slow, waits = sorted(survivors, key=lambda each: each["name"])
    assert (slow["name"], waits["name"]) == ("slow", "waits")
    assert slow["swallowed"] == slow["asked"] - 1
    # It was the other one that got them.
    assert waits["swallowed"] < waits["asked"]


CALLS = {
    "time.sleep": "asyncio.to_thread(time.sleep, 3600)",
    "lock.acquire": "asyncio.to_thread(locked.acquire, timeout=3600)",
    "subprocess.run": "asyncio.to_thread(subprocess.run, ['sleep', '3600'])",
    "partial": "loop.run_in_executor(None, functools.partial(time.sleep, 3600))",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_thread_of_the_loop_that_runs_no_code_of_the_program_tells_which_call(
    scenario, call
):
    text = """
    import subprocess
    locked = threading.Lock()
    locked.acquire()

    async def main():
        loop = asyncio.get_running_loop()
        background = asyncio.ensure_future({call})
        await asyncio.sleep(0.2)
        say()
        await sleeper("main")

    run(main())
    """
    text = text.replace("{call}", CALLS[call])
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2, reports=True)
    named = "time.sleep" if call == "partial" else call
    lines = outcome.err.splitlines()
    (slow,) = (line for line in lines if "waiting for thread 'asyncio_0'" in line)
    assert slow.endswith(f", which runs {named}()")
    assert "quiesce/offload" not in slow
    assert f"quiesce:     runs {named}()" in lines
    (thread,) = (
        each for each in outcome.report["survivors"] if each["kind"] == "thread"
    )
    assert thread["runs"] == named


STUCK_THREADS = {
    "a thread of the program": "threading.Thread(target=work, name='mule').start()",
    "a thread of the loop": "asyncio.create_task(asyncio.to_thread(work))",
}


@pytest.mark.parametrize("whose", STUCK_THREADS)
def test_the_json_report_has_the_frames_of_a_thread_that_never_ends(scenario, whose):
    text = """
    def work():
        holds()  # outer

    def holds():
        say()
        while True:
            time.sleep(3600)  # inner

    async def main():
        {begin}
        await sleeper("main")

    run(main())
    """
    text = filled(text, begin=STUCK_THREADS[whose])
    with scenario.start(text, grace=0.8, reports=True) as program:
        program.wait_for()
        program.send(signal.SIGTERM)
        survivors = program.end().report["survivors"]
        lines = [program.line_of(f"# {which}") for which in ("outer", "inner")]
        file = str(program.path)
    (thread,) = (each for each in survivors if each["kind"] == "thread")
    own = [frame for frame in thread["frames"] if frame["file"] == file]
    functions = ["work", "holds"]
    assert own == [
        {"file": file, "line": line, "function": function}
        for line, function in zip(lines, functions, strict=True)
    ]
    assert thread["where"] == own[-1]
    assert thread["runs"] == "work"


CHILDREN = {
    "asyncio": """
        ignores = "trap '' TERM; echo; exec sleep 3600"
        child = await asyncio.create_subprocess_exec("sh", "-c", ignores, stdout=-1)
        await child.stdout.readline()
    """,
    "multiprocessing": """
        child = context.Process(target=ignores)
        child.start()
        await asyncio.to_thread(begun.wait)
    """,
    "subprocess": """
        child = subprocess.Popen(["sleep", "3600"])
        threading.Thread(target=time.sleep, args=[3600]).start()
    """,
}


@pytest.mark.parametrize("module", CHILDREN)
def test_the_json_report_has_the_pid_of_a_child_that_does_not_end(scenario, module):
    text = """
    import multiprocessing, subprocess

    context = multiprocessing.get_context("fork")
    begun = context.Event()

    def ignores():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        begun.set()
        time.sleep(3600)

    async def main():
        {begin}
        say(child.pid)
        await sleeper("main")

    run(main())
    """
    text = filled(text, begin=CHILDREN[module])
    with scenario.start(text, grace=1, reports=True) as program:
        pid = int(program.wait_for(""))
        program.send(signal.SIGTERM)
        report = program.end().report
    children = [each for each in report["survivors"] if each["kind"] == "child"]
    assert [child["pid"] for child in children] == [pid]
    assert report["forced"] is True


def test_many_that_wait_alike_are_counted(scenario):
    text = STUBBORN.replace(
        "asyncio.create_task(stubborn(), name=",
        "tasks = [asyncio.create_task(stubborn()) for _ in range(2_000)]; (",
    )
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=6)
    assert "left: 2,000 tasks" in outcome.err
    assert len(outcome.err.splitlines()) < 200
    assert outcome.gone_within(6)


@pytest.mark.parametrize("kind", ["clean", "forced"])
def test_the_report_is_written_as_json(scenario, kind):
    text = STUBBORN if kind == "forced" else STUBBORN.replace("pass", "raise")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        outcome = scenario.interrupted(
            text,
            by=signal.SIGTERM,
            grace=0.8,
            environment={"QUIESCE_REPORT": str(path)},
        )
        assert path.exists()
        report = json.loads(path.read_text())
        assert list(Path(folder).iterdir()) == [path]
    assert outcome.log == ["main"]
    assert report["reason"] == "SIGTERM"
    assert report["signum"] == signal.SIGTERM
    assert report["forced"] is (kind == "forced")
    assert {"main", "rest", "close"} <= set(report["phases"])
    assert [each["name"] for each in report["survivors"]] == (
        ["mule"] if kind == "forced" else []
    )


def test_a_report_that_cannot_be_written_changes_nothing_else(scenario):
    outcome = scenario.interrupted(
        STUBBORN.replace("pass", "raise"),
        by=signal.SIGTERM,
        environment={"QUIESCE_REPORT": "/nowhere/report.json"},
    )
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)
    assert "the report could not be written" in outcome.err


@pytest.mark.ways("quiesce.run")
def test_a_function_is_handed_the_report(scenario):
    text = """
    import functools

    async def main():
        say()
        await sleeper("main")

    run(main(), report=lambda report: log(report["reason"]))
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "SIGTERM"]


DEALS_WITH_CTRL_C = """
async def main():
    say()
    try:
        await sleeper("main")
    except asyncio.CancelledError:
        {in_main}

try:
    run(main())
except BaseException as error:
    {outside}
"""
ENDS = {
    "main returns": ("return", "raise", 0, 0),
    "main raises": ("raise ValueError", "raise", 1, None),
    "main exits": ("sys.exit(3)", "raise", 3, 3),
    "its caller catches it": ("raise", "pass", 0, None),
    "nobody does": ("raise", "raise", -signal.SIGINT, None),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_report_says_no_wrong_status_after_a_ctrl_c(scenario, end):
    in_main, outside, status, reported = ENDS[end]
    text = filled(DEALS_WITH_CTRL_C, in_main=in_main, outside=outside)
    outcome = scenario.interrupted(text, by=signal.SIGINT, reports=True)
    assert outcome.status == status
    assert outcome.report["status"] == reported


@pytest.mark.parametrize("stderr", ["os.close(2)", "sys.stderr.close()"])
def test_a_forced_end_needs_no_stderr(scenario, stderr):
    outcome = scenario.interrupted(
        STUBBORN.replace("    say()", f"    {stderr}; say()"),
        by=signal.SIGTERM,
        grace=0.8,
    )
    assert outcome.log == ["main"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1.8)


def test_the_json_report_of_a_hurried_exit_names_each_survivor_once(scenario):
    text = """
    def work():
        time.sleep(0.7)
        say("again")
        time.sleep(3600)

    threading.Thread(target=work, name="mule").start()

    async def main():
        signal.raise_signal(signal.SIGINT)
        await sleeper("main")

    run(main())
    """
    with scenario.start(text, grace=60, reports=True) as program:
        program.wait_for("again")
        program.send(signal.SIGINT)
        survivors = program.end().report["survivors"]
    assert [each["name"] for each in survivors] == ["mule"]


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_the_report_on_a_hurried_exit_has_the_status_of_the_first_signal(scenario):
    text = """
    async def main():
        try:
            say()
            await asyncio.sleep(3600)
        finally:
            say("ending")
            await never_ends()

    run(main())
    """
    with scenario.start(text, grace=60, reports=True) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        program.wait_for("ending")
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.tells(signal.SIGTERM)
    assert outcome.report["status"] == 128 + signal.SIGTERM


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_report_has_the_status_of_the_signal_though_a_cleanup_exits(
    scenario, signum
):
    text = """
    async def exits():
        try:
            await asyncio.sleep(3600)
        finally:
            sys.exit(4)

    async def main():
        asyncio.create_task(exits())
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum, reports=True)
    assert outcome.tells(signum)
    expected = None if signum == signal.SIGINT else 128 + signum
    assert outcome.report["status"] == expected


@pytest.mark.parametrize(("code", "status"), [(-1, 255), (256, 0), (3, 3)])
def test_the_report_has_the_status_that_the_system_passes_on(scenario, code, status):
    text = f"""
    async def main():
        sys.exit({code})

    run(main())
    """
    outcome = scenario.ended(text, reports=True)
    assert (outcome.status, outcome.report["status"]) == (status, status)
