"""A signal at any line of quiesce's own code, from the end of main to the last act

Each program is run once to count the lines that it comes to, and then once for each of
some of them, with a signal that is raised there.
"""

from __future__ import annotations

import signal
import textwrap

import pytest

HEAD = """
import strikes

async def background(name, seconds=3600):
    log(f"begun {name}")
    try:
        await asyncio.sleep(seconds)
    finally:
        await asyncio.sleep(0)
        log(f"ended {name}")

async def main():
    asyncio.create_task(background("task"))
    await asyncio.sleep(0)

atexit.register(log, "exit function")
"""
UNCHANGED = {
    "a loop of its own": """
    strikes.begin()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    """,
    "loops of its own in two threads": """
    def serve():
        asyncio.new_event_loop().run_until_complete(background("served", 0.3))

    threading.Thread(target=serve).start()
    strikes.begin()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    """,
    "a run": """
    strikes.begin()
    run(main())
    """,
    "two runs of a runner": """
    strikes.begin()
    with Runner() as runner:
        runner.run(main())
        runner.run(main())
    """,
    "a thread and the loop of a daemon": """
    def work():
        log("begun work")
        time.sleep(0.3)
        log("ended work")

    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(background("daemon's task"), loop)
    threading.Thread(target=work).start()
    strikes.begin()
    """,
    "a run of an exit function": """
    strikes.begin()
    atexit.register(lambda: run(main()))
    """,
}
RUNS = {
    "run": """
    async def begins():
        strikes.begin()
        await main()

    try:
        run(begins())
    finally:
        sys.settrace(None)
    """,
    "two runs of a runner": """
    try:
        with Runner() as runner:
            runner.run(main())
            strikes.begin()
            runner.run(main())
    finally:
        sys.settrace(None)
    """,
}
# So many lines for each program and signal, each the first time it is reached.
SOME = 8
MANY = 150


def all_places(scenario, text):
    """Return the lines to which the program comes."""
    with scenario.start(text, environment={"QUIESCE_EXITS_LINES": "lines"}) as program:
        assert program.end().status == 0
        return (program.folder / "lines").read_text().splitlines()


def places(scenario, text, at_most):
    """Return at most so many of them."""
    lines = all_places(scenario, text)
    return lines[:: -(-len(lines) // at_most)]


def struck(scenario, text, signum, place):
    """Run the program with a signal at that line; check what all have in common.

    Returns None if it did not come to that line this time.
    """
    strike = {"QUIESCE_EXITS_STRIKE": f"{int(signum)}:{place}"}
    outcome = scenario.ended(text, environment=strike)
    begun = [line.partition(" ")[2] for line in outcome.log if line[:5] == "begun"]
    ended = [line.partition(" ")[2] for line in outcome.log if line[:5] == "ended"]
    assert sorted(begun) == sorted(ended), f"{place}: {outcome}"
    assert outcome.is_silent, f"{place}: {outcome}"
    return outcome if "struck" in outcome.log else None


def all_struck(scenario, text, signum, at_most):
    """Do so at at most so many lines; return how it ended, and at which line each."""
    text = HEAD + textwrap.dedent(text)
    chosen = places(scenario, text, at_most)
    outcomes = {place: struck(scenario, text, signum, place) for place in chosen}
    found = [(place, each) for place, each in outcomes.items() if each is not None]
    assert 2 * len(found) > len(chosen)
    return found


def check_unchanged(scenario, program, signum, at_most):
    for place, outcome in all_struck(scenario, UNCHANGED[program], signum, at_most):
        assert outcome.log.count("exit function") == 1, f"{place}: {outcome}"
        assert outcome.tells(signum), f"{place}: {outcome}"


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", UNCHANGED)
def test_a_signal_ends_an_unchanged_program_rightly(scenario, program, signum):
    check_unchanged(scenario, program, signum, SOME)


@pytest.mark.whole
@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", UNCHANGED)
def test_it_does_so_at_many_more_lines(scenario, program, signum):
    check_unchanged(scenario, program, signum, MANY)


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_line_of_the_wait_for_threads_ends_that(scenario, signum):
    text = """
    import strikes

    def stuck():
        log("stuck")
        while "QUIESCE_EXITS_STRIKE" in os.environ:
            time.sleep(1)

    atexit.register(stuck)
    threading.Thread(target=time.sleep, args=[0.1]).start()
    strikes.begin()
    """
    wait = [each for each in all_places(scenario, text) if "threading.py" in each]
    assert wait
    for place in wait:
        strike = {"QUIESCE_EXITS_STRIKE": f"{int(signum)}:{place}"}
        with scenario.start(text, grace=0.5, environment=strike) as program:
            outcome = program.end()
        assert outcome.log == ["struck", "stuck"], f"{place}: {outcome}"
        assert " in stuck" in outcome.err, f"{place}: {outcome}"
        assert "Exception ignored" not in outcome.err, f"{place}: {outcome}"
        assert outcome.tells_force(signum), f"{place}: {outcome}"


def check_run(scenario, program, signum, at_most):
    for place, outcome in all_struck(scenario, RUNS[program], signum, at_most):
        # After its end a run leaves signals to Python: SIGTERM kills then.
        is_over = signum == signal.SIGTERM and outcome.status == -signum
        assert is_over or outcome.tells(signum), f"{place}: {outcome}"


@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", RUNS)
def test_a_signal_at_the_end_of_a_run_loses_no_cleanup(scenario, program, signum):
    check_run(scenario, program, signum, SOME)


@pytest.mark.whole
@pytest.mark.ways("quiesce.run")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("program", RUNS)
def test_no_cleanup_is_lost_at_many_more_lines(scenario, program, signum):
    check_run(scenario, program, signum, MANY)
