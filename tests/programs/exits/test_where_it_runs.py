"""Runs that are repeated or nested, in forked children and in other threads"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled, kill

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def test_run_can_be_repeated(scenario):
    text = """
    async def main(name):
        start(f"background of {name}", 0.05)
        await asyncio.sleep(0)
        return name

    for name in "first", "second", "third":
        log(run(main(name)))
    """
    outcome = scenario.ended(text)
    assert outcome.log == [
        *("background of first", "first"),
        *("background of second", "second"),
        *("background of third", "third"),
    ]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", SIGNALS)
def test_run_can_be_repeated_after_a_signal(scenario, signum):
    text = """
    async def main(name):
        start(f"background of {name}", 0.05)
        await asyncio.sleep(0)
        say(name)
        await sleeper(name)

    try:
        run(main("first"))
    except (KeyboardInterrupt, SystemExit) as error:
        log(type(error).__name__)
    run(main("second"))
    """
    with scenario.start(text) as program:
        for name in "first", "second":
            program.wait_for(name)
            program.send(signum)
        outcome = program.end()
    name = "KeyboardInterrupt" if signum == signal.SIGINT else "Terminated"
    assert outcome.log == [
        *("first", "background of first", name),
        *("second", "background of second"),
    ]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_between_two_runs_a_signal_does_what_it_does_in_any_program(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    run(main())
    try:
        say()
        sleep_in_pieces()
    finally:
        log("interrupted")
    """
    outcome = scenario.interrupted(text, by=signum)
    heard = signum == signal.SIGINT or scenario.way == "quiesce run"
    assert outcome.log == ["background", *["interrupted"][:heard]]
    assert outcome.status in {-signum, 128 + signum}


def test_a_nested_run_is_refused_and_its_coroutine_closed(scenario):
    text = """
    async def inner():
        log("inner")

    async def main():
        try:
            run(inner())
        except RuntimeError as error:
            log(error)

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["asyncio.run() cannot be called from a running event loop"]
    assert (outcome.status, outcome.is_silent) == (0, True)


FORKS = """
async def main(name):
    start(f"background of {name}", 0.05)
    await asyncio.sleep(0)
    say(name)
    await sleeper(name, 0.05)

{before}
child = os.fork()
if child == 0:
    run(main("child"))
    os._exit(0)
say(child)
status = os.waitpid(child, 0)[1]
log(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("before", ["pass", "run(asyncio.sleep(0))"])
def test_run_works_in_a_forked_child(scenario, signum, before):
    text = filled(FORKS, before=before)
    if signum == signal.SIGTERM:
        text = text.replace(
            '    run(main("child"))',
            '    try:\n        run(main("child"))\n    except SystemExit as error:\n'
            "        log(type(error).__name__)\n        os._exit(error.code)",
        )
    else:
        text = text.replace(
            '    run(main("child"))',
            '    try:\n        run(main("child"))\n    except KeyboardInterrupt:\n'
            '        log("KeyboardInterrupt")\n        os._exit(130)',
        )
    with scenario.start(text) as program:
        said = {program.wait_for(""), program.wait_for("")}
        (child,) = (int(line) for line in said if line.isdecimal())
        kill(child, signum)
        outcome = program.end()
    name = "KeyboardInterrupt" if signum == signal.SIGINT else "Terminated"
    assert outcome.log == ["child", "background of child", name, str(128 + signum)]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_forked_child_leaves_its_parent_running(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        child = os.fork()
        if child == 0:
            # It shares the parent's loop, so it must not touch it.
            try:
                say(os.getpid())
                sleep_in_pieces()
            finally:
                os._exit(1)
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        log(f"went on after a child with {os.waitstatus_to_exitcode(ended[1])}")

    run(main())
    """
    with scenario.start(text) as program:
        kill(int(program.wait_for("")), signum)
        outcome = program.end()
    # Python's own handler has SIGINT raise KeyboardInterrupt there.
    status = 1 if signum == signal.SIGINT else -signum
    assert outcome.log == [f"went on after a child with {status}", "background"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_run_in_a_process_of_multiprocessing_ends_as_anywhere(scenario, method):
    if method == "spawn" and scenario.way == "quiesce run":
        pytest.skip("a spawned process is one of plain Python, without quiesce")
    text = """
    import multiprocessing

    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say(os.getpid())
        await sleeper("child", 0.05)

    def work():
        run(main())

    if __name__ == "__main__":
        process = multiprocessing.get_context("{method}").Process(target=work)
        process.start()
        process.join()
        log(process.exitcode)
    """
    with scenario.start(text.replace("{method}", method)) as program:
        kill(int(program.wait_for("")), signal.SIGTERM)
        outcome = program.end()
    assert outcome.log[:2] == ["child", "background"]
    assert outcome.log[2:] in (["143"], ["-15"])
    assert outcome.status == 0


# The main thread goes on once main has begun.
IN_A_THREAD = """
async def main():
    start("background", 0.05)
    await asyncio.sleep(0)
    began.set()
    await sleeper("main", 0.05)

began = threading.Event()
thread = threading.Thread(target=run, args=[main()], daemon={daemon})
thread.start()
began.wait()
{then}
"""
WAITS = "say()\nsleep_in_pieces()"
DAEMONS = [False, True]


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_run_in_a_thread_ends_when_ctrl_c_ends_the_main_thread(scenario, daemon):
    text = filled(IN_A_THREAD, then=WAITS)
    outcome = scenario.interrupted(text.replace("{daemon}", str(daemon)))
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)
    assert outcome.err.count("KeyboardInterrupt\n") == 1


@pytest.mark.ways("quiesce run")
def test_a_run_in_a_thread_ends_when_sigterm_ends_the_main_thread(scenario):
    text = filled(IN_A_THREAD, then=WAITS).replace("{daemon}", "False")
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.parametrize("daemon", DAEMONS)
@pytest.mark.parametrize("then", ["pass", "sys.exit(3)", "raise ValueError('main')"])
def test_a_run_in_a_thread_ends_when_the_interpreter_begins_to_exit(
    scenario, daemon, then
):
    text = filled(IN_A_THREAD, then=then).replace("{daemon}", str(daemon))
    outcome = scenario.ended(text)
    assert outcome.log == ["main", "background"]
    assert outcome.status == {"p": 0, "s": 3, "r": 1}[then[0]]
    assert outcome.tracebacks == (then[0] == "r")


def test_a_run_in_a_thread_that_returns_ends_its_background_tasks(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        return "result"

    thread = threading.Thread(target=lambda: log(run(main())))
    thread.start()
    thread.join()
    log("joined")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["background", "result", "joined"]
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_a_run_in_a_thread_never_ends_the_process(scenario):
    text = """
    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)

    thread = threading.Thread(target=run, args=[main()])
    thread.start()
    thread.join()
    log("went on")
    """
    outcome = scenario.ended(text, grace=1)
    assert outcome.log == ["went on"]
    assert outcome.gone_within(1 + 1)


def test_a_stuck_run_in_a_thread_does_not_hold_the_process_past_the_grace(scenario):
    text = """
    async def main():
        began.set()
        await sleeper("stuck", for_ever)

    began = threading.Event()
    threading.Thread(target=run, args=[main()]).start()
    began.wait()
    say()
    sleep_in_pieces()
    """
    outcome = scenario.interrupted(text, grace=1)
    assert outcome.tells_force(signal.SIGINT)
    assert outcome.gone_within(1 + 1)


def test_runs_in_two_threads_end_beside_each_other(scenario):
    text = """
    async def main(name):
        start("background", 0.3)
        await asyncio.sleep(0)
        ready.wait()
        await sleeper("main", 0.3)

    ready = threading.Barrier(4)
    for name in range(3):
        threading.Thread(target=run, args=[main(name)]).start()
    ready.wait()
    say()
    sleep_in_pieces()
    """
    outcome = scenario.interrupted(text)
    assert sorted(outcome.log) == ["background"] * 3 + ["main"] * 3
    assert outcome.tells(signal.SIGINT)


def test_sys_exit_in_a_run_in_a_thread_ends_that_thread_alone(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        sys.exit(3)

    thread = threading.Thread(target=run, args=[main()])
    thread.start()
    thread.join()
    log("went on")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["background", "went on"]
    assert (outcome.status, outcome.is_silent) == (0, True)
