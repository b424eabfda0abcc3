"""Processes that the program started by itself, without the loop."""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
METHODS = ["fork", "spawn", "forkserver"]
ASKS = [signal.SIGINT, signal.SIGTERM]

# `soon` ends within the grace, `never` does not.
PROGRAM = """
import atexit, multiprocessing, subprocess

def never(begun):
    begun.set()
    time.sleep(3600)

def stubborn(begun):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    never(begun)

def soon(begun):
    begun.set()
    time.sleep(0.2)
    log("child")

{functions}

async def main():
    {begin}
    {end}

if __name__ == "__main__":
    atexit.register(log, "atexit")
    run(main())
"""
SLEEPING = """
    say()
    await sleeper("main")
"""
CHILD = """
    context = multiprocessing.get_context({method!r})
    begun = context.Event()
    child = context.Process(target={target}, args=[begun], daemon={daemon})
    child.start()
    # Not in the loop: it may take a busy machine longer than a loop may be blocked.
    await asyncio.to_thread(begun.wait)
    say(child.pid)
"""


def program(begin, end=SLEEPING, functions=""):
    return filled(PROGRAM, begin=begin, end=end, functions=functions)


def with_child(target, *, method="fork", daemon=False, end=SLEEPING):
    begin = CHILD.format(target=target, method=method, daemon=daemon)
    return program(begin, end)


@pytest.mark.parametrize("method", METHODS)
def test_one_that_ends_within_the_grace_is_waited_for(scenario, method):
    text = with_child("soon", method=method)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=8)
    assert sorted(outcome.log) == ["atexit", "child", "main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []


def test_one_that_is_killed_keeps_no_thread_from_being_named(scenario):
    thread = "threading.Thread(target=time.sleep, args=[3600], name='endless').start()"
    text = with_child("stubborn", end=f"    {thread}\n{SLEEPING}")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "atexit"]
    # Not only as what a slow end waits for.
    assert f"quiesce:   child {outcome.out[0]}" in outcome.err
    assert "quiesce:   thread 'endless'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.left_behind == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("signum", ASKS)
def test_one_that_never_ends_is_ended(scenario, method, signum):
    text = with_child("never", method=method)
    outcome = scenario.interrupted(text, by=signum, grace=GRACE)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signum)
    assert "forced" not in outcome.err
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


@pytest.mark.parametrize("signum", ASKS)
def test_one_that_a_thread_of_the_loop_joins_is_ended(scenario, signum):
    begin = CHILD.format(method="spawn", target="never", daemon=False)
    begin += "    asyncio.get_running_loop().run_in_executor(None, child.join)"
    outcome = scenario.interrupted(program(begin), by=signum, grace=GRACE)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signum)
    assert "forced" not in outcome.err
    assert outcome.left_behind == []


def test_one_that_a_thread_of_the_loop_joins_is_asked_once(scenario):
    functions = """
    def counts(begun):
        signal.signal(signal.SIGTERM, lambda *_: log("asked"))
        begun.set()
        sleep_in_pieces()
    """
    begin = CHILD.format(method="spawn", target="counts", daemon=False)
    begin += "    asyncio.get_running_loop().run_in_executor(None, child.join)"
    text = program(begin, functions=functions)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "asked", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.left_behind == []


@pytest.mark.parametrize("daemon", [False, True])
def test_one_that_ignores_sigterm_is_killed_and_named(scenario, daemon):
    with scenario.start(with_child("stubborn", daemon=daemon), grace=GRACE) as running:
        pid = running.wait_for("")
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert f"child {pid}" in outcome.err
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


def test_a_daemon_is_ended_at_once(scenario):
    outcome = scenario.interrupted(with_child("never", daemon=True), by=signal.SIGTERM)
    assert outcome.log == ["main", "atexit"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(0.5)
    assert outcome.left_behind == []


def test_sys_exit_ends_one_that_never_ends(scenario):
    text = with_child("never", end="sys.exit(3)")
    outcome = scenario.ended(text, grace=GRACE)
    assert outcome.log == ["atexit"]
    assert outcome.status == 3
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


def test_the_status_tells_that_one_had_to_be_killed(scenario):
    text = with_child("stubborn", end="sys.exit(0)")
    outcome = scenario.ended(text, grace=GRACE)
    assert outcome.log == ["atexit"]
    assert outcome.status == 70
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


def test_after_a_normal_return_one_has_all_the_time_it_needs(scenario):
    outcome = scenario.ended(with_child("soon", end="return"), grace=0.1)
    assert sorted(outcome.log) == ["atexit", "child"]
    assert outcome.status == 0
    assert outcome.is_silent


POPEN = """
    child = subprocess.Popen(["sleep", "3600"], start_new_session={own_session})
    {thread}
    say(child.pid)
"""
THREAD = """
    threading.Thread(target=time.sleep, args=[3600]).start()
"""


@pytest.mark.parametrize("own_session", [False, True])
def test_one_of_subprocess_goes_on_without_a_word(scenario, own_session):
    begin = filled(POPEN.replace("{own_session}", str(own_session)), thread="")
    with scenario.start(program(begin)) as running:
        pid = int(running.wait_for(""))
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert outcome.left_behind == [pid]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.1)


ENDS = {
    "SIGINT": (SLEEPING, signal.SIGINT),
    "SIGTERM": (SLEEPING, signal.SIGTERM),
    "sys.exit": ("say(); sys.exit(3)", None),
}


def reported(scenario, text, by, **options):
    """Run a program that says a pid; return that, how it ended, and its report."""
    with scenario.start(text, reports=True, **options) as running:
        pid = int(running.wait_for(""))
        running.wait_for("ready")
        if by is not None:
            running.send(by)
        outcome = running.end()
    return pid, outcome, outcome.report


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("own_session", [False, True])
def test_one_of_subprocess_that_goes_on_is_in_the_report(scenario, end, own_session):
    begin = filled(POPEN.replace("{own_session}", str(own_session)), thread="")
    end, by = ENDS[end]
    pid, outcome, report = reported(scenario, program(begin, end), by)
    (child,) = report["survivors"]
    assert (child["kind"], child["pid"]) == ("child", pid)
    assert child["runs"] == "sleep 3600"
    assert report["forced"] is False
    assert report["status"] in {None, outcome.status, 128 - outcome.status}
    assert outcome.is_silent
    assert outcome.left_behind == [pid]


def test_one_that_the_loop_started_in_its_own_session_is_in_the_report(scenario):
    begin = """
    child = await asyncio.create_subprocess_exec(
        "sleep", "3600", start_new_session=True
    )
    say(child.pid)
    """
    pid, outcome, report = reported(scenario, program(begin), signal.SIGTERM)
    assert [child["pid"] for child in report["survivors"]] == [pid]
    assert outcome.is_silent


def test_one_that_an_exit_function_ends_is_not_in_the_report(scenario):
    # The last that is registered is called first.
    thread = "atexit.register(child.wait); atexit.register(child.kill)"
    begin = filled(POPEN, thread=thread)
    begin = begin.replace("{own_session}", "False")
    _, outcome, report = reported(scenario, program(begin), signal.SIGTERM)
    assert report["survivors"] == []
    assert outcome.left_behind == []


def test_a_program_that_adopts_orphans_reports_no_process_of_quiesces(scenario):
    begin = """
    import ctypes
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    """
    text = "{begin}\nasync def main():\n    say(0)\n    {end}\n\nrun(main())"
    text = filled(text, begin=begin, end=SLEEPING)
    _, outcome, report = reported(scenario, text, signal.SIGTERM)
    assert report["survivors"] == []
    assert outcome.left_behind == []


def test_after_a_normal_return_none_is_in_the_report(scenario):
    begin = filled(POPEN.replace("{own_session}", "False"), thread="")
    _, outcome, report = reported(scenario, program(begin, "say()"), None)
    assert report["survivors"] == []
    assert len(outcome.left_behind) == 1


FORCED = {
    "a task": "asyncio.create_task(never_ends())",
    "a thread": "threading.Thread(target=time.sleep, args=[3600]).start()",
    "a task and a thread": """
        asyncio.create_task(never_ends())
        threading.Thread(target=time.sleep, args=[3600]).start()
    """,
    "a line that blocks": "asyncio.get_running_loop().call_soon(blocks)",
}
BLOCKS = """
def blocks():
    say()
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(3600)
"""


@pytest.mark.parametrize("stuck", FORCED)
@pytest.mark.parametrize("own_session", [False, True])
def test_one_of_subprocess_is_in_the_report_once_where_the_end_is_forced(
    scenario, stuck, own_session
):
    begin = filled(POPEN, thread=FORCED[stuck])
    begin = begin.replace("{own_session}", str(own_session))
    end = "await sleeper('main')" if "blocks" in begin else SLEEPING
    pid, outcome, report = reported(
        scenario, program(begin, end, BLOCKS), signal.SIGTERM, grace=GRACE
    )
    children = [each for each in report["survivors"] if each["kind"] == "child"]
    assert [child["pid"] for child in children] == [pid]
    assert outcome.err.count(f"quiesce:   child {pid} ") == 1
    assert report["forced"] is True
    assert outcome.left_behind == [pid]
    assert outcome.tells_force(signal.SIGTERM)


@pytest.mark.parametrize("own_session", [False, True])
def test_one_of_subprocess_is_named_where_the_end_is_forced(scenario, own_session):
    begin = filled(POPEN.replace("{own_session}", str(own_session)), thread=THREAD)
    with scenario.start(program(begin), grace=GRACE) as running:
        pid = int(running.wait_for(""))
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert f"child {pid}" in outcome.err
    assert outcome.left_behind == [pid]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


FORKING = """
import atexit

async def main():
    say()
    await sleeper("main")

try:
    run(main())
except BaseException:
    pass
pid = os.fork()
if not pid:
    def late():
        time.sleep(2.5)
        log("child")
        say("the child has ended")
    threading.Thread(target=late).start()
"""


@pytest.mark.whole
def test_a_forked_child_does_not_inherit_the_end_of_its_parent(scenario):
    with scenario.start(FORKING, grace=0.5) as running:
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        running.wait_for("the child has ended")
        outcome = running.end()
    assert outcome.log == ["main", "child"]
    assert outcome.status == 0
