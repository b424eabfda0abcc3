"""A runner unwinds its own main after each run, and the rest when it is closed"""

from __future__ import annotations

import signal
import time

import pytest

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def test_background_tasks_live_on_between_runs_until_close(scenario):
    text = """
    async def first():
        global task
        task = start("background", 0.05)
        await asyncio.sleep(0)

    async def second():
        await asyncio.sleep(0.01)
        log(f"done: {task.done()}")

    with Runner() as runner:
        runner.run(first())
        runner.run(second())
        log("end")
    log("closed")
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["done: False", "end", "background", "closed"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_the_runs_own_main_only(scenario, signum):
    text = """
    async def main():
        global task
        task = start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    async def second():
        await asyncio.sleep(0.01)
        log(f"done: {task.done()}")

    with Runner() as runner:
        try:
            runner.run(main())
        except BaseException as error:
            log(type(error).__name__)
        runner.run(second())
    """
    outcome = scenario.interrupted(text, by=signum)
    name = "KeyboardInterrupt" if signum == signal.SIGINT else "Terminated"
    assert outcome.log == ["main", name, "done: False", "background"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_that_nobody_catches_ends_the_program_through_close(scenario, signum):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)
        say()
        await sleeper("main", 0.05)

    try:
        with Runner() as runner:
            runner.run(main())
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "background", "finally"]
    assert outcome.tells(signum)


@pytest.mark.parametrize("signum", SIGNALS)
def test_each_run_can_be_interrupted(scenario, signum):
    text = f"""
    async def main(name):
        os.kill(os.getpid(), {int(signum)})
        await sleeper(name, 0.05)

    with Runner() as runner:
        for name in "first", "second", "third":
            try:
                runner.run(main(name))
            except BaseException as error:
                log(type(error).__name__)
    """
    outcome = scenario.ended(text)
    name = "KeyboardInterrupt" if signum == signal.SIGINT else "Terminated"
    assert outcome.log == ["first", name, "second", name, "third", name]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_main_that_never_ends_is_forced(scenario, signum):
    text = """
    async def main():
        say()
        await sleeper("main", for_ever)

    with Runner() as runner:
        runner.run(main())
    """
    outcome = scenario.interrupted(text, by=signum, grace=1)
    assert outcome.tells_force(signum)
    assert outcome.gone_within(1 + 1)


def test_a_background_task_that_never_ends_is_forced_at_close(scenario):
    text = """
    async def main():
        start("stuck", for_ever)
        await asyncio.sleep(0)

    with Runner() as runner:
        runner.run(main())
        say()
    """
    with scenario.start(text, grace=1) as program:
        program.wait_for("ready")
        outcome = program.end()
    assert outcome.status == 70
    assert outcome.gone_within(1 + 1)
    assert "stuck" in outcome.err


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_during_close_cuts_no_cleanup_short(scenario, signum):
    text = """
    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await asyncio.sleep(0.5)
            log("background")

    async def main():
        asyncio.create_task(background())
        await asyncio.sleep(0)

    with Runner() as runner:
        runner.run(main())
    """
    outcome = scenario.interrupted(text, by=signum, at="cleaning")
    assert outcome.log == ["background"]
    assert outcome.tells(signum)


def test_sys_exit_in_a_background_task_comes_out_of_the_run(scenario):
    text = """
    async def ends():
        await asyncio.sleep(0.01)
        sys.exit(3)

    async def main():
        start("background", 0.05)
        asyncio.create_task(ends())
        await sleeper("main", 0.05)

    with Runner() as runner:
        try:
            runner.run(main())
        finally:
            log("left")
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (3, ["main", "left", "background"])
    assert outcome.is_silent


def test_an_error_between_two_runs_ends_the_background_in_order(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    with Runner() as runner:
        runner.run(main())
        raise ValueError("between")
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.log) == (1, ["background"])
    assert outcome.tracebacks == 1


def test_a_termination_between_two_runs_ends_the_background_in_order(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    try:
        with Runner() as runner:
            runner.run(main())
            say()
            sleep_in_pieces()
    finally:
        log("finally")
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["background", "finally"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_a_termination_between_two_runs_is_in_order_without_a_with_block_too(scenario):
    text = """
    async def main():
        start("background", 0.05)
        await asyncio.sleep(0)

    runner = Runner()
    try:
        runner.run(main())
        say()
        sleep_in_pieces()
    finally:
        log("finally")
        runner.close()
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["finally", "background"]
    assert outcome.tells(signal.SIGTERM)


def test_after_close_a_termination_does_what_it_did_before(scenario):
    text = """
    async def main():
        pass

    before = signal.getsignal(signal.SIGTERM)
    runner = Runner()
    runner.run(main())
    runner.close()
    log(signal.getsignal(signal.SIGTERM) == before)
    """
    assert scenario.ended(text).log == ["True"]


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_server_in_the_background_lives_on_after_an_interrupted_run(scenario, signum):
    text = """
    async def answer(reader, writer):
        writer.write(b"hello")
        writer.close()

    async def serve():
        global server
        server = await asyncio.start_server(answer, "127.0.0.1", 0)

    async def main():
        say()
        await sleeper("main")

    async def ask():
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        log((await reader.read()).decode())
        writer.close()

    with Runner() as runner:
        runner.run(serve())
        try:
            runner.run(main())
        except BaseException as error:
            log(type(error).__name__)
        runner.run(ask())
    """
    outcome = scenario.interrupted(text, by=signum)
    name = "KeyboardInterrupt" if signum == signal.SIGINT else "Terminated"
    assert outcome.log == ["main", name, "hello"]
    assert (outcome.status, outcome.is_silent) == (0, True)


@pytest.mark.parametrize("signum", SIGNALS)
def test_drain_steps_run_when_it_is_closed(scenario, signum):
    text = """
    import quiesce

    async def main():
        quiesce.shutdown.drain(log, "drained")
        start("background")
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    with Runner() as runner:
        try:
            runner.run(main())
        finally:
            log("left")
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "left", "drained", "background"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_a_run_that_was_given_up_does_not_end_a_later_one(scenario):
    text = """
    async def stubborn():
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        main_is_done.set()

    async def main():
        global main_is_done
        main_is_done = asyncio.Event()
        os.kill(os.getpid(), signal.SIGINT)
        await stubborn()

    async def second():
        await main_is_done.wait()
        await asyncio.sleep(0.01)
        return "second"

    with Runner() as runner:
        try:
            runner.run(main())
        except KeyboardInterrupt:
            log("first")
        log(runner.run(second()))
    """
    outcome = scenario.ended(text, grace=0.5)
    assert outcome.log == ["first", "second"]


@pytest.mark.ways("quiesce.run", "quiesce run")
def test_a_signal_in_the_last_callbacks_of_a_run_does_not_stop_the_next_one(scenario):
    text = """
    async def first():
        task = asyncio.current_task()
        task.add_done_callback(lambda _: signal.raise_signal(signal.SIGINT))
        await asyncio.sleep(0)

    async def second():
        await asyncio.sleep(0.01)
        log("second")

    with Runner() as runner:
        try:
            runner.run(first())
        except KeyboardInterrupt:
            log("caught")
        runner.run(second())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["caught", "second"]
    assert outcome.status == 0
    assert outcome.is_silent


@pytest.mark.ways("quiesce.run", "quiesce run")
@pytest.mark.parametrize("signum", SIGNALS)
def test_a_later_ctrl_c_while_it_is_closed_means_now(scenario, signum):
    text = """
    async def main():
        start("background", float("inf"))
        await asyncio.sleep(0)
        try:
            say()
            await asyncio.sleep(3600)
        finally:
            say("ended")

    with Runner() as runner:
        runner.run(main())
    """
    with scenario.start(text, grace=20) as program:
        program.wait_for("ready")
        program.send(signum)
        program.wait_for("ended")
        time.sleep(0.7)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signum)
    assert "task 'background'" in outcome.err
