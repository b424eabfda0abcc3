"""The program's own pools of threads and processes."""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
POOLS = ["ThreadPoolExecutor", "ProcessPoolExecutor"]

# `soon` is done within the grace, `never` is not.
PROGRAM = """
import atexit
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import multiprocessing

def never():
    log("begun")
    time.sleep(3600)  # stuck here

def soon(text="done"):
    time.sleep(0.2)
    log(text)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    never()

def until_begun():
    while "begun" not in open(os.environ["QUIESCE_EXITS_LOG"]).read():
        time.sleep(0.01)

{functions}

async def main():
    loop = asyncio.get_running_loop()
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


def program(begin, end=SLEEPING, functions=""):
    return filled(PROGRAM, begin=begin, end=end, functions=functions)


def ended(scenario, text, by, **options):
    """Run a program that ends by itself, or by a signal if one is given."""
    if by is None:
        return scenario.ended(text, **options)
    return scenario.interrupted(text, by=by, **options)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_idle_one_is_ended_at_once(scenario, pool, signum):
    begin = f"""
    global pool
    pool = {pool}(2)
    await loop.run_in_executor(pool, log, "worked")
    """
    outcome = scenario.interrupted(program(begin), by=signum)
    assert outcome.log == ["worked", "main", "atexit"]
    assert outcome.tells(signum)
    assert outcome.gone_within(0.5)
    assert outcome.left_behind == []


@pytest.mark.parametrize("pool", POOLS)
def test_what_was_submitted_to_one_is_finished(scenario, pool):
    begin = f"""
    pool = {pool}(1)
    for text in ["first", "second"]:
        pool.submit(soon, text)
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM, grace=8)
    assert sorted(outcome.log) == ["atexit", "first", "main", "second"]
    assert outcome.log[-1] == "atexit"
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_thread_of_one_that_never_ends_is_named_and_left(scenario):
    begin = """
    pool = ThreadPoolExecutor(thread_name_prefix="mine")
    pool.submit(never)
    until_begun()
    """
    with scenario.start(program(begin), grace=GRACE) as running:
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
        assert f"program.py:{running.line_of('stuck here')}" in outcome.err
    assert "'mine_0'" in outcome.err
    assert outcome.log == ["begun", "main", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_process_of_one_that_never_ends_is_ended(scenario, signum):
    begin = """
    pool = ProcessPoolExecutor(1)
    pool.submit(never)
    until_begun()
    """
    outcome = scenario.interrupted(program(begin), by=signum, grace=GRACE)
    assert outcome.log == ["begun", "main", "atexit"]
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


# Fork, so that a busy machine takes little longer than the jobs do.
LONG = """
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(1, mp_context=context)
    pool.submit({job})
    until_begun()
"""
TAKES_A_WHILE = """
def takes_a_while():
    log("begun")
    time.sleep(3)
    log("done")
"""
EXITS = {"sys.exit(0)": ("sys.exit(0)", None), "SIGTERM": (SLEEPING, signal.SIGTERM)}


@pytest.mark.parametrize("asks", EXITS)
def test_a_job_of_a_process_has_more_than_half_of_the_grace(scenario, asks):
    end, by = EXITS[asks]
    text = program(LONG.format(job="takes_a_while"), end, TAKES_A_WHILE)
    outcome = ended(scenario, text, by, grace=5)
    assert "done" in outcome.log
    assert "forced" not in outcome.err
    assert outcome.status == 0 if by is None else outcome.tells(by)


@pytest.mark.parametrize("asks", EXITS)
def test_a_process_that_is_cut_in_its_job_is_named(scenario, asks):
    end, by = EXITS[asks]
    tells = "(process,) = multiprocessing.active_children()\nsay(process.pid)"
    begin = filled("{long}\n{tells}", long=LONG.format(job="never"), tells=tells)
    text = program(begin, end)
    outcome = ended(scenario, text, by, grace=GRACE)
    assert f"quiesce:   child {outcome.out[0]} " in outcome.err
    assert "left: 1 child\n" in outcome.err
    assert outcome.status == 70 if by is None else outcome.tells_force(by)
    assert outcome.log[-1] == "atexit"
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


def test_a_process_that_is_cut_in_its_job_may_heed_sigterm(scenario):
    functions = """
    def heeds():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(log("asked")))
        never()
    """
    text = program(LONG.format(job="heeds"), functions=functions)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["begun", "main", "asked", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)


def test_a_process_of_one_that_ignores_sigterm_is_killed_and_named(scenario):
    begin = """
    pool = ProcessPoolExecutor(1)
    pool.submit(stubborn)
    until_begun()
    (process,) = multiprocessing.active_children()
    say(process.pid)
    """
    with scenario.start(program(begin), grace=GRACE) as running:
        pid = running.wait_for("")
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert f"child {pid}" in outcome.err
    assert outcome.log == ["begun", "main", "atexit"]
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


@pytest.mark.parametrize("work", ["time.sleep, [0]", "never_of, [0]"])
def test_a_pool_of_multiprocessing_is_ended(scenario, work):
    begin = f"""
    pool = multiprocessing.Pool(2)
    pool.map_async({work})
    """
    functions = """
    def never_of(_):
        never()
    """
    text = program(begin, functions=functions)
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=GRACE)
    assert [text for text in outcome.log if text != "begun"] == ["main", "atexit"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


@pytest.mark.parametrize("pool", POOLS)
def test_sys_exit_waits_for_what_was_submitted_to_one(scenario, pool):
    begin = f"""
    pool = {pool}(1)
    pool.submit(soon)
    """
    outcome = scenario.ended(program(begin, end="sys.exit(3)"), grace=8)
    assert outcome.log == ["done", "atexit"]
    assert outcome.status == 3
    assert outcome.is_silent


@pytest.mark.parametrize("pool", POOLS)
def test_after_a_normal_return_one_has_all_the_time_it_needs(scenario, pool):
    begin = f"""
    pool = {pool}(1)
    for text in "abc":
        pool.submit(soon, text)
    """
    outcome = scenario.ended(program(begin, end="return"), grace=0.2)
    assert outcome.log == ["a", "b", "c", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_one_used_in_a_with_block_is_finished_with_main(scenario):
    begin = """
    with ThreadPoolExecutor() as pool:
        await loop.run_in_executor(pool, soon)
    """
    outcome = scenario.ended(program(begin, end="log('main')"))
    assert outcome.log == ["done", "main", "atexit"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_a_thread_of_the_loops_pool_that_the_program_made_is_named_and_left(scenario):
    begin = """
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="mine"))
    loop.run_in_executor(None, never)
    until_begun()
    """
    with scenario.start(program(begin, end="say()"), grace=GRACE) as running:
        running.wait_for("ready")
        outcome = running.end()
        assert f"program.py:{running.line_of('stuck here')}" in outcome.err
    assert outcome.err.count("quiesce:   thread 'mine_0'") == 1
    assert outcome.log == ["begun", "atexit"]
    assert outcome.status == 70
    assert outcome.gone_within(GRACE + 1)


def test_what_the_loops_pool_was_given_is_finished_whoever_made_that(scenario):
    begin = """
    loop.set_default_executor(ThreadPoolExecutor(1))
    for text in ["first", "second"]:
        loop.run_in_executor(None, soon, text)
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM, grace=8)
    assert sorted(outcome.log) == ["atexit", "first", "main", "second"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
