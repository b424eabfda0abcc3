"""What a service registered to do first, and how it asks about its own end."""

from __future__ import annotations

import signal
import socket
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.ways("quiesce.run", "quiesce run")

# Seconds in which a program that wants to tell something has done so.
PATIENCE = 10.0

SERVICE = """
import quiesce

in_flight = asyncio.Event()

async def finish():
    log("draining")
    await asyncio.sleep(0.05)
    in_flight.set()
    log("drained")

async def request():
    await in_flight.wait()
    log("request answered")

async def main():
    quiesce.shutdown.drain(finish)
    asyncio.create_task(request())
    say()
    await sleeper("main")

run(main())
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_service_drains_before_anything_is_cancelled(scenario, signum):
    outcome = scenario.interrupted(SERVICE, by=signum)
    assert outcome.log == ["draining", "drained", "request answered", "main"]
    assert outcome.tells(signum)


def test_steps_run_the_last_registered_first(scenario):
    text = """
    import quiesce

    async def main():
        for name in ("first", "second"):
            quiesce.shutdown.drain(log, name)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text)
    assert outcome.log == ["second", "first", "main"]


@pytest.mark.parametrize("end", ["return", "raise LookupError", "sys.exit(3)"])
def test_a_service_drains_however_it_ends(scenario, end):
    text = f"""
    import quiesce

    async def main():
        quiesce.shutdown.drain(log, "drained")
        {end}

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["drained"]
    assert outcome.status == {"return": 0, "sys.exit(3)": 3}.get(end, 1)


def test_a_step_over_its_limit_is_named_and_the_others_run(scenario):
    text = """
    import quiesce

    async def never():
        await sleeper("cut", 0.05)

    async def main():
        quiesce.shutdown.drain(log, "the other step")
        quiesce.shutdown.drain(never, limit=0.2)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert sorted(outcome.log) == ["cut", "main", "the other step"]
    assert outcome.log[0] == "the other step"
    assert "not done after 0.2 s: drain step 'never'" in outcome.err
    assert outcome.tells(signal.SIGTERM)


def test_an_error_in_a_step_is_reported_and_the_others_run(scenario):
    text = """
    import quiesce

    def fail():
        raise LookupError("in the step")

    async def main():
        quiesce.shutdown.drain(log, "the other step")
        quiesce.shutdown.drain(fail)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["the other step", "main"]
    assert outcome.err.count("LookupError: in the step") == 1
    assert outcome.tells(signal.SIGTERM)


def test_steps_leave_time_for_cleanups(scenario):
    text = """
    import quiesce

    async def main():
        quiesce.shutdown.drain(asyncio.sleep, 3600)
        say()
        await sleeper("main", 0.1)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=2)
    assert outcome.log == ["main"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(1.2)


def test_a_slow_end_says_that_it_waits_for_a_step(scenario):
    text = """
    import quiesce

    async def main():
        quiesce.shutdown.drain(asyncio.sleep, 1.5, name="last orders")
        asyncio.create_task(sleeper("background"))
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    (said,) = outcome.err.splitlines()
    assert "waiting for drain step 'last orders'" in said
    assert outcome.log == ["main", "background"]


def test_a_second_ctrl_c_ends_the_drain(scenario):
    text = """
    import quiesce

    async def never():
        # Two Ctrl-C within half a second are one.
        await asyncio.sleep(0.6)
        say("later")
        await asyncio.sleep(3600)

    async def main():
        quiesce.shutdown.drain(never)
        say()
        await sleeper("main")

    run(main())
    """
    with scenario.start(text) as program:
        program.wait_for()
        program.send(signal.SIGINT)
        program.wait_for("later")
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)


def test_a_program_asks_about_its_own_end(scenario):
    text = """
    import quiesce

    async def main():
        log(quiesce.shutdown.is_ending())
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            log(quiesce.shutdown.is_ending())
            log(quiesce.shutdown.why())
            log(0 < quiesce.shutdown.time_left() <= 5)

    run(main())
    """
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=5)
    assert outcome.log == ["False", "True", "SIGTERM", "True"]


@pytest.mark.parametrize("kind", ["a file", "abstract"])
def test_the_service_manager_is_told_when_the_end_begins(scenario, kind):
    text = """
    async def main():
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, told.set)
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            await told.wait()
            log("told")

    run(main())
    """
    with tempfile.TemporaryDirectory() as folder, notified(folder, kind) as manager:
        name = manager.getsockname()
        name = f"@{name[1:].decode()}" if kind == "abstract" else name
        with scenario.start(text, environment={"NOTIFY_SOCKET": name}) as program:
            program.wait_for()
            program.send(signal.SIGTERM)
            assert heard(manager) == b"STOPPING=1"
            program.send(signal.SIGUSR1)
            outcome = program.end()
    assert outcome.log == ["told"]
    assert outcome.tells(signal.SIGTERM)


def test_the_service_manager_is_told_once_when_the_program_returns(scenario):
    text = """
    async def main():
        pass

    run(main())
    run(main())
    """
    with tempfile.TemporaryDirectory() as folder, notified(folder, "a file") as manager:
        environment = {"NOTIFY_SOCKET": manager.getsockname()}
        outcome = scenario.ended(text, environment=environment)
        assert heard(manager) == b"STOPPING=1"
        manager.setblocking(False)
        assert heard(manager) is None
    assert outcome.status == 0


def test_the_service_manager_is_not_told_of_a_run_that_ends_in_a_thread(scenario):
    text = """
    async def main():
        sys.exit(3)

    def use():
        with contextlib.suppress(SystemExit):
            run(main())

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    say("goes on")
    sleep_in_pieces()
    """
    with tempfile.TemporaryDirectory() as folder, notified(folder, "a file") as manager:
        environment = {"NOTIFY_SOCKET": manager.getsockname()}
        with scenario.start(text, environment=environment) as program:
            program.wait_for("goes on")
            manager.setblocking(False)
            assert heard(manager) is None
            program.send(signal.SIGINT)
            program.end()


def heard(manager):
    """Return what the service manager is told, None if that is nothing."""
    try:
        return manager.recv(100)
    except OSError:
        return None


def notified(folder, kind):
    """Listen as systemd does."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.settimeout(PATIENCE)
    # With an empty name Linux chooses an abstract one.
    listening.bind("" if kind == "abstract" else str(Path(folder) / "notify"))
    return listening


OF_A_RUNNER = """
import quiesce

async def step():
    await asyncio.sleep(0.05)
    log("step")

async def main():
    quiesce.shutdown.drain(step)
    say()
    {waits}

with Runner() as runner:
    runner.run(main())
"""


@pytest.mark.ways("quiesce.run")
def test_steps_of_a_runner_have_a_share_of_what_its_main_has_left(scenario):
    text = OF_A_RUNNER.replace("{waits}", 'await sleeper("main", cleanup=4.4)')
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=8)
    assert outcome.log == ["main", "step"]
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.ways("quiesce.run")
def test_a_step_is_named_for_which_the_main_of_a_runner_has_left_no_time(scenario):
    text = OF_A_RUNNER.replace("{waits}", "await never_ends()")
    outcome = scenario.interrupted(text, by=signal.SIGTERM, grace=1)
    assert outcome.log == []
    assert "no time was left for drain step 'step'" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
