"""What a program that drives its loops by itself leaves behind is ended once it is over

Or when it closes the loop: how signals come out of its runs is in `test_own_loop`.
"""

from __future__ import annotations

import signal
import sys
import time

import pytest

from tests.programs.exits.scenario import filled

pytestmark = pytest.mark.ways("quiesce run")

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
LEAVES = """
loop = asyncio.new_event_loop()

async def main():
    start("background", {cleanup})
    await asyncio.sleep(0)

"""


@pytest.mark.parametrize("last", ["a callback that stops it", "the last callback"])
def test_a_signal_in_the_last_moment_of_a_run_comes_out_of_it(scenario, last):
    text = """
    loop = asyncio.new_event_loop()

    async def main():
        await asyncio.sleep(0)

    def ask(*_):
        signal.raise_signal(signal.SIGTERM)
        loop.stop()

    task = loop.create_task(main())
    try:
        if {stops}:
            loop.call_soon(ask)
            loop.run_forever()
        else:
            task.add_done_callback(ask)
            loop.run_until_complete(task)
        log("went on")
    except SystemExit as error:
        log(type(error).__name__)
        raise
    """
    outcome = scenario.ended(text.format(stops=last == "a callback that stops it"))
    assert outcome.log == ["Terminated"]
    assert outcome.status == -signal.SIGTERM
    assert outcome.is_silent


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_first_signal_while_the_left_tasks_end_is_in_the_status(scenario, signum):
    text = """
    loop = asyncio.new_event_loop()

    async def left():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(0.3)
            log("left")

    async def main():
        global task
        task = asyncio.create_task(left())
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    """
    outcome = scenario.interrupted(text, by=signum, at="cleaning")
    assert outcome.log == ["left"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_later_ctrl_c_means_now(scenario, signum):
    text = """
    loop = asyncio.new_event_loop()

    async def main():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(3600)

    loop.call_later(0.01, say)
    loop.run_until_complete(main())
    """
    with scenario.start(text, grace=60) as program:
        program.wait_for("ready")
        program.send(signum)
        program.wait_for("cleaning")
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.err.count("quiesce: did not end in time: task ") == 1
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_the_report_and_the_status_say_what_signal_asked(scenario, signum):
    text = LEAVES.format(cleanup="for_ever") + (
        "loop.create_task(main())\nloop.call_later(0.01, say)\nloop.run_forever()\n"
    )
    outcome = scenario.interrupted(text, by=signum, grace=1, reports=True)
    report = outcome.report
    assert f"({signal.Signals(signum).name}); left: 1 task" in outcome.err
    assert report["reason"] == signal.Signals(signum).name
    assert (report["signum"], report["status"]) == (signum, 128 + signum)
    assert outcome.tells_force(signum)


SEVERAL = """
loops = [asyncio.new_event_loop() for _ in range(4)]

async def main(number, cleanup):
    start(number, cleanup)
    await asyncio.sleep(0)

for number, loop in enumerate(loops):
    loop.run_until_complete(main(number, ({cleanups})[number]))
{then}
"""


@pytest.mark.parametrize("signum", [None, *SIGNALS])
def test_several_loops_share_one_grace(scenario, signum):
    then = "" if signum is None else "say()\nsleep_in_pieces()"
    text = SEVERAL.format(cleanups="[for_ever] * 4", then=then)
    if signum is None:
        outcome = scenario.ended(text, grace=2)
        assert outcome.status == 70
    else:
        outcome = scenario.interrupted(text, by=signum, grace=2)
        assert outcome.tells_force(signum)
    assert outcome.gone_within(2 + 1)


def test_a_loop_that_cannot_end_leaves_the_others_their_time(scenario):
    text = SEVERAL.format(cleanups="[for_ever, 0.05, for_ever, 0.05]", then="")
    outcome = scenario.ended(text, grace=4)
    assert sorted(outcome.log) == ["1", "3"]
    assert outcome.status == 70


@pytest.mark.parametrize("signum", SIGNALS)
def test_what_is_pending_on_a_loop_that_the_program_closes_is_ended_before(
    scenario, signum
):
    text = """
    loop = asyncio.new_event_loop()

    async def main():
        start("background", 0.05)
        loop.call_later(0.01, say)
        await sleeper("main", 0.05)

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
        log("closed")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert sorted(outcome.log[:2]) == ["background", "main"]
    assert outcome.log[2:] == ["closed"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_repeated_termination_does_not_cut_the_programs_own_cleanup(scenario, again):
    text = """
    try:
        say()
        sleep_in_pieces()
    finally:
        say("cleaning")
        time.sleep(0.3)
        log("cleaned up")
    """
    with scenario.start(text) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        program.wait_for("cleaning")
        program.send(again)
        outcome = program.end()
    assert (outcome.log, outcome.status) == (["cleaned up"], -signal.SIGTERM)


def test_the_same_ctrl_c_once_more_does_not_cut_the_programs_own_cleanup(scenario):
    text = """
    loop = asyncio.new_event_loop()

    async def main():
        loop.call_later(0.01, signal.raise_signal, signal.SIGINT)
        await asyncio.sleep(3600)

    async def cleans_up():
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.05)
        log("cleaned up")

    try:
        loop.run_until_complete(main())
    finally:
        loop.run_until_complete(cleans_up())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["cleaned up"]
    assert outcome.tells(signal.SIGINT)


def test_a_termination_that_comes_while_a_caught_ctrl_c_is_recent_is_heard(scenario):
    text = """
    loop = asyncio.new_event_loop()

    async def main(what):
        loop.call_later(0.01, say, what)
        await asyncio.sleep(3600)

    try:
        loop.run_until_complete(main("first"))
    except KeyboardInterrupt:
        log("caught")
    loop.run_until_complete(main("second"))
    """
    with scenario.start(text) as program:
        program.wait_for("first")
        program.send(signal.SIGINT)
        program.wait_for("second")
        program.send(signal.SIGTERM)
        outcome = program.end()
    assert outcome.log == ["caught"]
    assert outcome.status == -signal.SIGTERM


def test_an_exit_function_hears_a_signal_in_a_loop_that_it_runs(scenario):
    text = """
    def last():
        loop = asyncio.new_event_loop()
        loop.call_later(0.01, say)
        try:
            loop.run_until_complete(asyncio.sleep(3600))
        finally:
            log("finally")

    atexit.register(log, "the next one")
    atexit.register(last)
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["finally", "the next one"]
    assert outcome.status == -signal.SIGTERM
    assert outcome.is_silent


def test_an_error_of_main_is_not_lost_when_a_signal_comes_out_of_its_run(scenario):
    text = """
    async def fails():
        signal.raise_signal(signal.SIGTERM)
        raise ValueError("the error")

    asyncio.new_event_loop().run_until_complete(fails())
    """
    outcome = scenario.ended(text)
    assert outcome.err.count("ValueError: the error") == 1
    assert outcome.status == -signal.SIGTERM


ENDED = {
    "the program closes its loop": "loop.close()",
    "the program leaves it open": "",
}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("end", ENDED)
def test_a_signal_after_left_tasks_were_ended_cuts_no_exit_function(
    scenario, end, signum
):
    text = f"""
import atexit

def at_exit():
    signal.raise_signal({int(signum)})
    time.sleep(0.05)
    log("exit function")

{LEAVES.format(cleanup=0.0)}
atexit.register(at_exit)
loop.run_until_complete(main())
{ENDED[end]}
"""
    outcome = scenario.ended(text)
    assert outcome.log == ["background", "exit function"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="Python 3.12 forks no more at its exit"
)
def test_a_child_that_an_exit_function_forks_after_a_signal_dies_of_signals(scenario):
    text = """
    import multiprocessing

    def last():
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[9])
        child.start()
        child.terminate()
        child.join()
        log(child.exitcode)

    async def main():
        say()
        await asyncio.sleep(3600)

    atexit.register(last)
    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == [str(-signal.SIGTERM)]
    assert outcome.status == -signal.SIGTERM


def test_exit_functions_may_use_the_loop_of_a_daemon_thread(scenario):
    text = """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def says_goodbye():
        await asyncio.sleep(0.05)
        log("goodbye")

    def last():
        asyncio.run_coroutine_threadsafe(says_goodbye(), loop).result()

    atexit.register(last)
    asyncio.run_coroutine_threadsafe(sleeper("background", 0.05), loop)
    say()
    sleep_in_pieces()
    """
    outcome = scenario.interrupted(text, by=signal.SIGINT)
    assert outcome.log == ["goodbye", "background"]
    assert outcome.tells(signal.SIGINT)


def test_a_signal_ends_the_loop_of_a_thread_that_outlives_main(scenario):
    text = """
    def serve():
        loop = asyncio.new_event_loop()
        loop.call_soon(say)
        loop.run_until_complete(sleeper("served", 0.05))

    threading.Thread(target=serve).start()
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert (outcome.log, outcome.status) == (["served"], -signal.SIGTERM)
    assert outcome.is_silent


def test_a_signal_while_the_left_tasks_end_ends_the_loop_of_a_thread_too(scenario):
    text = """
    def serve():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(sleeper("served", 0.05))

    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            say()
            await asyncio.sleep(0.5)
            log("background")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    threading.Thread(target=serve).start()
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["background", "served"]
    assert outcome.status == -signal.SIGTERM
    assert outcome.is_silent


@pytest.mark.parametrize("tasks", ["tasks of ours", "tasks of asyncio"])
def test_what_is_pending_on_a_loop_that_nobody_holds_is_ended_too(scenario, tasks):
    text = """
    import gc

    async def main():
        if {asyncio}:
            asyncio_tasks()
        start("background", 0.05)
        await asyncio.sleep(0)

    def run_main():
        asyncio.new_event_loop().run_until_complete(main())

    run_main()
    gc.collect()
    """
    outcome = scenario.ended(
        text.replace("{asyncio}", str(tasks == "tasks of asyncio"))
    )
    assert (outcome.log, outcome.status) == (["background"], 0)
    assert outcome.is_silent


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_a_thread_may_run_a_loop_after_the_main_thread_has_ended(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0.05)
        log("main")

    def work():
        threading.main_thread().join()
        run(main())

    threading.Thread(target=work).start()
    """
    outcome = scenario.ended(text)
    assert (outcome.log, outcome.status) == (["main", "background"], 0)
    assert outcome.is_silent


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_gathers_of_shared_tasks_are_unwound_in_time(scenario):
    text = """
    ended = 0

    async def work(below):
        global ended
        try:
            await (asyncio.gather(*below) if below else asyncio.sleep(3600))
        finally:
            ended += 1

    async def main():
        below = []
        for _ in range(8):
            below = [asyncio.create_task(work(below)) for _ in range(8)]
        asyncio.get_running_loop().call_later(0.05, say)
        await sleeper("main")

    try:
        run(main())
    finally:
        log(ended)
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "64"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


# What a program waits for when a signal has come out of its loop.
WAITED_FOR = {
    "a pool": ("pool = ThreadPoolExecutor()\npool.submit(works)", "pool.shutdown()"),
    "a thread": (
        "thread = threading.Thread(target=works)\nthread.start()",
        "thread.join()",
    ),
    "a child": (
        """
        context = multiprocessing.get_context("fork")
        child = context.Process(target=works)
        child.start()
        """,
        "child.join()",
    ),
}
WAITS_FOR_OTHERS = """
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

def works():
    signal.signal(signal.SIGTERM, signal.SIG_IGN) if IN_CHILD else None
    time.sleep({seconds})
    log("worked")

IN_CHILD = {in_child}
loop = asyncio.new_event_loop()
{begin}
try:
    loop.call_later(0.05, say)
    loop.run_forever()
finally:
    {wait}
    log("finally")
"""


def waits_for(other, seconds):
    begin, wait = WAITED_FOR[other]
    text = filled(WAITS_FOR_OTHERS, begin=begin, wait=wait)
    return text.replace("{seconds}", str(seconds)).replace(
        "{in_child}", str(other == "a child")
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("other", WAITED_FOR)
def test_who_waits_for_others_when_a_signal_came_out_has_the_grace(
    scenario, other, signum
):
    outcome = scenario.interrupted(waits_for(other, 0.3), by=signum, grace=8)
    assert outcome.log == ["worked", "finally"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("other", WAITED_FOR)
def test_who_waits_for_what_never_ends_is_ended_then(scenario, other, signum):
    outcome = scenario.interrupted(waits_for(other, 3600), by=signum, grace=1)
    assert outcome.log in ([], ["finally"])
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)
    assert "left: 1 " in outcome.err
    assert not outcome.left_behind


RUNS_AGAIN = {
    "a loop": "atexit.register(lambda: loop.run_until_complete(last()))",
    "a runner": """
    @atexit.register
    def at_exit():
        runner.run(last())
        runner.close()
    """,
}


@pytest.mark.parametrize("what", RUNS_AGAIN)
def test_an_exit_function_may_run_what_was_left_with_something_pending(scenario, what):
    text = """
import atexit

async def last():
    await asyncio.sleep(0)
    log("exit function")

async def main():
    start("background", 0.05)
    await asyncio.sleep(0)

{again}
runner = asyncio.Runner()
loop = runner.get_loop()
loop.run_until_complete(main())
"""
    outcome = scenario.ended(filled(text, again=RUNS_AGAIN[what]))
    assert outcome.log == ["background", "exit function"]
    assert outcome.status == 0
    assert outcome.is_silent


CLOSES = {"the program closes it": "loop.close()", "it is left open": ""}


@pytest.mark.parametrize("close", CLOSES)
def test_generators_are_closed_on_a_loop_that_has_no_task_left(scenario, close):
    text = f"""
    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(0.01)
            log("closed")

    async def main():
        await anext(held)

    held = numbers()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    {CLOSES[close]}
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["closed"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_bytes_are_sent_on_a_loop_that_has_no_task_left(scenario):
    text = """
    import socket

    ours, peers = socket.socketpair()

    async def main():
        global writer
        _, writer = await asyncio.open_connection(sock=ours)
        writer.write(bytes(1_000_000))

    def read():
        received = 0
        while data := peers.recv(65536):
            received += len(data)
        log(received)

    asyncio.new_event_loop().run_until_complete(main())
    threading.Thread(target=read).start()
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["1000000"]
    assert outcome.status == 0
    assert outcome.is_silent


def test_of_many_loops_one_may_take_more_than_its_equal_share(scenario):
    text = """
    async def main(number):
        start(number, 0.0 if number else 2.0)
        await asyncio.sleep(0)

    loops = [asyncio.new_event_loop() for _ in range(10)]
    for number, loop in enumerate(loops):
        loop.run_until_complete(main(number))
    """
    outcome = scenario.ended(text, grace=8)
    assert sorted(outcome.log) == [str(number) for number in range(10)]
    assert outcome.status == 0
