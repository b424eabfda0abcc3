"""Programs whose tasks, classes and streams make the end difficult"""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

NESTED = """
ended = 0

async def link(n):
    global ended
    try:
        if n == 0:
            asyncio.get_running_loop().call_soon(say)
        await (asyncio.gather(link(n - 1)) if n else asyncio.sleep(3600))
    finally:
        ended += 1
        if n == 0:
            log("innermost")

async def main():
    loop = asyncio.get_running_loop()
    start("background", 0.05)
    {begin}

try:
    run(main())
finally:
    log(ended)
"""
BEGIN = {
    "in the background": """
    asyncio.create_task(link(3000))
    await sleeper("main")
    """,
    "awaited by main": """
    await link(3000)
    """,
}


@pytest.mark.parametrize("begin", BEGIN)
def test_gathers_nested_deeper_than_python_can_call_are_all_unwound(scenario, begin):
    lines = BEGIN[begin].strip().splitlines()
    text = NESTED.replace("{begin}", "\n    ".join(line.strip() for line in lines))
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log[-1] == "3001"
    assert "background" in outcome.log
    assert outcome.tells(signal.SIGTERM)
    assert outcome.tracebacks == 0


def test_two_tasks_that_gather_each_other_are_named_and_cost_nobody_the_cleanup(
    scenario,
):
    text = """
    async def waits_for(other):
        await asyncio.sleep(0)
        await asyncio.gather(tasks[other])

    async def main():
        global tasks
        tasks = {
            name: asyncio.create_task(waits_for(other), name=name)
            for name, other in (("one", "two"), ("two", "one"))
        }
        start("background", 0.05)
        asyncio.get_running_loop().call_later(0.05, say)
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert sorted(outcome.log) == ["background", "main"]
    assert "task 'one'" in outcome.err
    assert "task 'two'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(1 + 1)


def test_a_task_that_cannot_be_cancelled_is_reported_and_the_others_end(scenario):
    text = """
    class Refuses(asyncio.Task):
        def cancel(self, *_, **__):
            raise RuntimeError("not me")

    async def main():
        task = Refuses(never_ends(), loop=asyncio.get_running_loop(), name="mule")
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert sorted(outcome.log) == ["background", "main"]
    assert "RuntimeError: not me" in outcome.err
    assert "task 'mule'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)


def test_an_end_that_hangs_is_not_gone_through_in_another_thread(scenario):
    text = """
    def stay():
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(3600)

    class Hangs(asyncio.Task):
        def cancel(self, *_, **__):
            if threading.current_thread() is threading.main_thread():
                stay()

    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            log(threading.current_thread() is threading.main_thread())

    async def main():
        Hangs(never_ends(), loop=asyncio.get_running_loop(), name="mule")
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    tasks = []
    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert "False" not in outcome.log
    assert "main" in outcome.log
    assert "task 'mule'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)


def test_what_is_left_is_named_once_though_it_cannot_be_closed_either(scenario):
    text = """
    async def stays():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
            except GeneratorExit:
                stay()

    def stay():
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(3600)

    async def main():
        asyncio.create_task(stays(), name="mule")
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.log == ["main"]
    assert outcome.err.count("forced to end") == 1
    assert outcome.err.count("runs stays()") == 1
    assert "blocked" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)


def test_a_task_that_raises_when_it_is_looked_at_is_given_up_and_reported(scenario):
    text = """
    class Odd(asyncio.Task):
        @property
        def _callbacks(self):
            if odd:
                raise LookupError("an odd task")
            return super()._callbacks

    odd = False

    async def main():
        global odd
        task = Odd(sleeper("odd"), loop=asyncio.get_running_loop(), name="mule")
        await asyncio.sleep(0)
        odd = True
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert "main" in outcome.log
    assert "LookupError: an odd task" in outcome.err
    assert "task 'mule'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)


def test_a_task_factory_that_begins_to_raise_keeps_no_generator_from_its_end(scenario):
    text = """
    async def generates():
        try:
            yield
        finally:
            log("generator")

    def refuses(loop, coroutine, **_):
        raise RuntimeError("no more tasks")

    async def main():
        global generator
        generator = generates()
        await anext(generator)
        start("background", 0.05)
        await asyncio.sleep(0)
        asyncio.get_running_loop().set_task_factory(refuses)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert sorted(outcome.log) == ["background", "generator", "main"]
    assert outcome.tells(signal.SIGTERM)


def test_an_error_in_a_cleanup_that_is_cut_short_is_reported(scenario):
    text = """
    async def fails():
        try:
            await never_ends()
        finally:
            raise LookupError("in the cleanup")

    async def main():
        asyncio.create_task(fails())
        await asyncio.sleep(0)

    run(main())
    """
    outcome = scenario.ended(text, grace=1)
    assert outcome.err.count("LookupError: in the cleanup") == 1
    assert outcome.status == 70


def test_an_error_is_not_lost_where_its_task_has_no_repr(scenario):
    text = """
    class Nameless(asyncio.Task):
        def __repr__(self):
            raise RuntimeError("no repr")

    async def fails():
        raise ValueError("the error")

    async def main():
        Nameless(fails(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0.01)

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.err.count("ValueError: the error") == 1
    assert outcome.status == 0


def test_a_stdout_of_the_programs_own_that_cannot_be_flushed_hides_no_status(scenario):
    text = """
    class Stream:
        def write(self, text):
            return len(text)

        def flush(self):
            raise TypeError("this stream cannot")

    async def main():
        say()
        sys.stdout = Stream()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_signal_that_a_thread_waits_for_is_left_to_that_thread(scenario):
    text = """
    async def main():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        loop, heard = asyncio.get_running_loop(), asyncio.Event()

        def wait():
            signal.sigwait([signal.SIGTERM])
            loop.call_soon_threadsafe(heard.set)

        threading.Thread(target=wait, daemon=True).start()
        say()
        await heard.wait()
        log("heard")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert (outcome.log, outcome.status) == (["heard"], 0)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_that_main_waits_for_goes_to_no_thread_of_quiesces(scenario, signum):
    text = """
    async def main():
        if not os.fork():
            os._exit(0)
        os.wait()
        # The thread that the fork has ended begins again before this goes on, but gets
        # no turn.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        begun = time.monotonic()
        while time.monotonic() < begun + 0.05:
            pass
        signal.pthread_sigmask(signal.SIG_BLOCK, [{signum}])
        os.kill(os.getpid(), {signum})
        heard = signal.sigtimedwait([{signum}], 10)
        log(signal.Signals(heard.si_signo).name)

    sys.setswitchinterval(3600)
    run(main())
    """
    outcome = scenario.ended(text.replace("{signum}", str(int(signum))))
    assert (outcome.log, outcome.status) == ([signum.name], 0)
    assert outcome.is_silent


BLOCKED = """
async def main():
    start({other!r}, {cleanup})
    await asyncio.sleep(0)
    say()
    time.sleep(3600)

run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_tasks_beside_a_line_that_is_cut_have_all_that_is_left(scenario, signum):
    text = BLOCKED.format(other="background", cleanup=0.3)
    outcome = scenario.interrupted(text, by=signum, grace=2)
    assert outcome.log == ["background"]
    assert outcome.tells(signum)


def test_the_report_says_what_signal_ended_a_program_whose_line_was_cut(scenario):
    text = BLOCKED.format(other="stuck", cleanup="for_ever")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1.5, reports=True)
    report = outcome.report
    assert (report["reason"], report["signum"]) == ("SIGTERM", signal.SIGTERM)
    assert (report["status"], report["forced"]) == (128 + signal.SIGTERM, True)
    assert outcome.tells_force(signal.SIGTERM)
