"""Child processes that the loop has started: ended, reaped, and none left behind"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

GRACE = 2.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
PROGRAM = """
import atexit
from asyncio.subprocess import PIPE

async def python(text, **options):
    return await asyncio.create_subprocess_exec(sys.executable, "-c", text, **options)

def zombies():
    # Of this process; the harness has no other way to see them.
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state == "Z" and int(parent) == os.getpid():
            found.append(pid)
    return found

STUBBORN = '''
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("begun", flush=True)
time.sleep(3600)
'''
# It says why it ended, and takes a moment for that.
POLITE = '''
import signal, sys, time
def end(*_):
    time.sleep(0.3)
    with open("polite", "a") as file:
        file.write("ended ")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("begun", flush=True)
while True:
    time.sleep(0.05)
'''
# It says how often it was asked.
SLOW = '''
import os, signal, time
def end(*_):
    os.write(asked, b"asked ")
    global until
    until = until or time.monotonic() + 0.8
asked, until = os.open("asked", os.O_CREAT | os.O_APPEND | os.O_WRONLY), None
signal.signal(signal.SIGTERM, end)
print("begun", flush=True)
while until is None or time.monotonic() < until:
    time.sleep(0.05)
'''

async def main():
    {begin}
    {end}

try:
    run(main())
finally:
    log(f"zombies: {zombies()}")
"""
SLEEP = "say()\nawait sleeper('main')"


def program(begin, end=SLEEP):
    return filled(PROGRAM, begin=begin, end=end)


@pytest.mark.parametrize("signum", SIGNALS)
def test_one_that_heeds_sigterm_has_time_for_it(scenario, signum):
    begin = """
    child = await python(POLITE, stdout=PIPE)
    await child.stdout.readline()
    import atexit
    atexit.register(lambda: log(open("polite").read()))
    """
    outcome = scenario.interrupted(program(begin), by=signum)
    assert outcome.log == ["main", "zombies: []", "ended "]
    assert outcome.tells(signum)
    assert outcome.is_silent
    assert outcome.left_behind == []


def test_one_has_time_to_end_also_where_a_generator_uses_up_its_own(scenario):
    begin = """
    async def hangs():
        try:
            yield
        finally:
            await never_ends()

    # Else main drops it when it ends.
    global held
    held = hangs()
    await anext(held)
    child = await python(POLITE, stdout=PIPE)
    await child.stdout.readline()
    atexit.register(lambda: log(open("polite").read()))
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM, grace=GRACE)
    assert outcome.log == ["main", "zombies: []", "ended "]
    assert "hangs" in outcome.err
    assert outcome.tells_force(signal.SIGTERM)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


def test_one_is_asked_once_beside_the_long_cleanup_of_a_generator(scenario):
    begin = """
    async def generates():
        try:
            yield
        finally:
            # 65 % of the grace.
            await asyncio.sleep(1.95)
            log("generator")

    global held
    held = generates()
    await anext(held)
    child = await python(SLOW, stdout=PIPE)
    await child.stdout.readline()
    atexit.register(lambda: log(open("asked").read()))
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM, grace=3)
    assert outcome.log == ["main", "generator", "zombies: []", "asked "]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []


@pytest.mark.parametrize("signum", SIGNALS)
def test_one_that_ignores_sigterm_is_killed_and_named(scenario, signum):
    begin = """
    child = await python(STUBBORN, stdout=PIPE)
    await child.stdout.readline()
    say(child.pid)
    """
    with scenario.start(program(begin), grace=GRACE) as running:
        pid = running.wait_for("")
        running.wait_for("ready")
        running.send(signum)
        outcome = running.end()
    assert outcome.log == ["main", "zombies: []"]
    assert f"child {pid}" in outcome.err
    assert outcome.tells_force(signum)
    assert outcome.gone_within(GRACE + 1)
    assert outcome.left_behind == []


@pytest.mark.parametrize(
    ("end", "status"), [("return", 0), ("sys.exit(3)", 3), ("raise ValueError('x')", 1)]
)
def test_one_is_ended_however_main_ends(scenario, end, status):
    begin = """
    child = await asyncio.create_subprocess_exec("sleep", "3600")
    shell = await asyncio.create_subprocess_shell("exec sleep 3600")
    say()
    """
    with scenario.start(program(begin, end)) as running:
        running.wait_for("ready")
        outcome = running.end()
    assert outcome.log == ["zombies: []"]
    assert outcome.status == status
    assert outcome.left_behind == []
    assert outcome.gone_within(0.5)


def test_the_status_tells_that_one_had_to_be_killed(scenario):
    begin = """
    child = await python(STUBBORN, stdout=PIPE)
    await child.stdout.readline()
    say(child.pid)
    """
    with scenario.start(program(begin, "return"), grace=1) as running:
        pid = running.wait_for("")
        outcome = running.end()
    assert outcome.log == ["zombies: []"]
    assert f"child {pid}" in outcome.err
    assert outcome.status == 70
    assert outcome.left_behind == []


@pytest.mark.parametrize("where", ["main", "a background task"])
@pytest.mark.parametrize("call", ["communicate()", "wait()", "stdout.read()"])
def test_a_wait_for_one_is_cancelled_and_the_child_ended(scenario, call, where):
    begin = f"""
    async def waits():
        child = await python(POLITE, stdin=PIPE, stdout=PIPE)
        say()
        try:
            await child.{call}
        finally:
            log(f"left: {{child.returncode}}")
            await asyncio.sleep(0.05)
    """
    end = {
        "main": "await waits()",
        "a background task": "asyncio.create_task(waits())\nawait asyncio.sleep(3600)",
    }[where]
    outcome = scenario.interrupted(program(begin, end), by=signal.SIGTERM)
    assert outcome.log == ["left: None", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.left_behind == []


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_cleanup_may_end_its_child_by_itself(scenario, signum):
    end = """
    child = await python(POLITE, stdout=PIPE)
    await child.stdout.readline()
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        child.terminate()
        log(await child.wait())
    """
    outcome = scenario.interrupted(program("", end), by=signum)
    assert outcome.log == ["0", "zombies: []"]
    assert outcome.tells(signum)
    assert outcome.is_silent


def test_a_cleanup_may_read_what_its_child_says_at_last(scenario):
    end = """
    child = await asyncio.create_subprocess_shell(
        "trap 'echo last words; exit 3' TERM; echo begun; while :; do sleep 0.1; done",
        stdout=PIPE,
    )
    await child.stdout.readline()
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        child.terminate()
        log((await child.communicate())[0].decode().strip())
        log(child.returncode)
    """
    outcome = scenario.interrupted(program("", end), by=signal.SIGTERM)
    assert outcome.log == ["last words", "3", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)


@pytest.mark.parametrize("reads", ["while main reads", "unread"])
def test_one_may_say_all_its_last_words_to_nobody(scenario, reads):
    begin = """
    child = await python(TALKS, stdout=PIPE)
    await child.stdout.readline()
    atexit.register(lambda: log(open("said").read()))
    """
    # More than fits into a pipe and the buffer of its reader.
    talks = """
TALKS = '''
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("begun", flush=True)
signal.sigwait([signal.SIGTERM])
for _ in range(4000):
    print("last words" * 10, flush=True)
with open("said", "w") as file:
    file.write("all said")
'''
"""
    end = {
        "while main reads": "say()\nasync for _ in child.stdout: pass",
        "unread": SLEEP,
    }
    text = talks + program(begin, end[reads])
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log[-2:] == ["zombies: []", "all said"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []


def test_one_in_its_own_session_is_left_without_a_word(scenario):
    begin = """
    child = await asyncio.create_subprocess_exec(
        "sleep", "3600", start_new_session=True
    )
    say(child.pid)
    """
    with scenario.start(program(begin)) as running:
        pid = int(running.wait_for(""))
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert outcome.left_behind == [pid]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.gone_within(0.5)


def test_one_in_its_own_session_does_not_change_the_status(scenario):
    begin = """
    child = await asyncio.create_subprocess_exec(
        "sleep", "3600", start_new_session=True
    )
    """
    outcome = scenario.ended(program(begin, "return"))
    assert outcome.log == ["zombies: []"]
    assert len(outcome.left_behind) == 1
    assert (outcome.status, outcome.is_silent) == (0, True)


def test_one_in_its_own_session_is_named_where_the_end_is_forced(scenario):
    begin = """
    child = await asyncio.create_subprocess_exec(
        "sleep", "3600", start_new_session=True
    )
    asyncio.create_task(never_ends())
    await asyncio.sleep(0)
    say(child.pid)
    """
    with scenario.start(program(begin), grace=1) as running:
        pid = int(running.wait_for(""))
        running.wait_for("ready")
        running.send(signal.SIGTERM)
        outcome = running.end()
    assert str(pid) in outcome.err
    assert outcome.left_behind == [pid]
    assert outcome.tells_force(signal.SIGTERM)


def test_many_at_once_are_ended_and_reaped(scenario):
    begin = """
    for _ in range(40):
        await asyncio.create_subprocess_exec("sleep", "3600")
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM)
    assert outcome.log == ["main", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []
    assert outcome.gone_within(1)


def test_one_that_nobody_reads_from_is_ended(scenario):
    begin = """
    child = await asyncio.create_subprocess_exec("yes", stdout=PIPE, stderr=PIPE)
    await child.stdout.readline()
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM)
    assert outcome.log == ["main", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []
    assert outcome.gone_within(0.5)


def test_one_that_a_cleanup_starts_is_waited_for(scenario):
    end = """
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        child = await asyncio.create_subprocess_exec("sh", "-c", "sleep 0.2; exit 7")
        log(await child.wait())
    """
    outcome = scenario.interrupted(program("", end), by=signal.SIGTERM)
    assert outcome.log == ["7", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


def test_one_that_is_starting_at_the_signal_is_not_left(scenario):
    end = """
    asyncio.get_running_loop().call_soon(say)
    while True:
        child = await asyncio.create_subprocess_exec("true")
        await child.wait()
    """
    outcome = scenario.interrupted(program("", end), by=signal.SIGTERM)
    assert outcome.log == ["zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent
    assert outcome.left_behind == []


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_exit(scenario):
    begin = """
    child = await asyncio.create_subprocess_shell(
        "setsid sleep 3600 & echo begun; wait", stdout=PIPE
    )
    await child.stdout.readline()
    """
    outcome = scenario.interrupted(program(begin), by=signal.SIGTERM)
    assert outcome.log == ["main", "zombies: []"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.gone_within(1)


@pytest.mark.parametrize("end", [SLEEP, "pass"])
def test_a_protocol_hears_of_all_that_became_of_its_child(scenario, end):
    text = """
    class Heard(asyncio.SubprocessProtocol):
        def pipe_connection_lost(self, fd, error):
            log(f"pipe {fd}")

        def process_exited(self):
            log("exited")

        def connection_lost(self, error):
            log("lost")

    async def main():
        loop = asyncio.get_running_loop()
        await loop.subprocess_exec(Heard, "sleep", "3600")
        {end}

    run(main())
    """
    text = filled(text, end=end)
    if end == "pass":
        outcome = scenario.ended(text)
    else:
        outcome = scenario.interrupted(text, by=signal.SIGTERM)
    heard = [line for line in outcome.log if line != "main"]
    assert sorted(heard) == ["exited", "lost", "pipe 0", "pipe 1", "pipe 2"]
    assert heard[-1] == "lost"
    assert outcome.is_silent
