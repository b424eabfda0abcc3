"""Signals that come again while the program is ending"""

from __future__ import annotations

import signal
import time

import pytest

from tests.programs.exits.scenario import filled

WAITING = """
async def main():
    start("background", {seconds})
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning")
        await sleeper_s_cleanup()

async def sleeper_s_cleanup():
    await asyncio.sleep({seconds})
    log("main")

run(main())
""".replace("{seconds}", "0.6")

# Whose cleanups never end; two of them beside main's.
STUCK = """
async def main():
    start("stuck-1", for_ever)
    start("stuck-2", for_ever)
    asyncio.current_task().set_name("stuck-0")
    await asyncio.sleep(0)
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning")
        await sleeper("main", for_ever)

try:
    run(main())
finally:
    log("finally")
"""


def test_two_interrupts_at_once_are_one(scenario):
    with scenario.start(WAITING) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_two_interrupts_that_are_heard_shortly_after_another_are_one(scenario):
    text = """
    async def main():
        start("background", 0.6)
        await asyncio.sleep(0)
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
        await sleeper("main", 0.6)

    run(main())
    """
    outcome = scenario.ended(text)
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def test_a_ctrl_c_that_a_wrapper_passes_on_once_more_is_one(scenario):
    with scenario.start(WAITING, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(signal.SIGINT)


def later_ctrl_c(program):
    """Send SIGINT long enough after the first signal to be another request."""
    program.wait_for("cleaning")
    time.sleep(0.7)
    program.send(signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_means_now(scenario, first):
    with scenario.start(STUCK, grace=60) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.log == ["finally"]
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


def test_a_later_ctrl_c_names_each_survivor_in_one_line_without_noise(scenario):
    text = STUCK.replace(
        '        say("cleaning")\n',
        # Sent by the program, because only it knows when the first one was heard.
        "        threading.Timer(0.6, signal.raise_signal, [2]).start()\n",
    )
    outcome = scenario.interrupted(text, grace=60)
    for name in "stuck-0", "stuck-1", "stuck-2":
        # One more where a second had gone by and it was said what is waited for.
        assert outcome.err.count(name) in {1, 2}
    assert outcome.tracebacks == 0
    assert "ignored" not in outcome.err


def test_a_later_ctrl_c_at_a_terminal_means_now(scenario):
    with scenario.start(STUCK, grace=60, terminal=True) as program:
        program.wait_for("ready")
        program.press("\x03")
        program.wait_for("cleaning")
        time.sleep(0.7)
        program.press("\x03")
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)


def test_ctrl_c_pressed_over_and_over_is_no_noise(scenario):
    with scenario.start(STUCK, grace=60) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        program.wait_for("cleaning")
        for _ in range(10):
            time.sleep(0.15)
            if program.process.poll() is None:
                program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.tells(signal.SIGINT)
    assert outcome.tracebacks <= 1
    assert "ignored" not in outcome.err


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGHUP])
def test_a_repeated_termination_does_not_shorten_a_cleanup(scenario, first, again):
    with scenario.start(WAITING) as program:
        program.wait_for("ready")
        program.send(first)
        program.wait_for("cleaning")
        for _ in range(3):
            program.send(again)
            time.sleep(0.1)
        outcome = program.end()
    assert outcome.log == ["main", "background"]
    assert outcome.tells(first)


# What holds the end when main's cleanup is over: how it begins in main, and its name.
AROUND_A_RUN = """
def cleans_up():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)
    log("cleaned up")

async def main():
    say()
    await sleeper("main")

{call}
"""
CALLS = {
    "a run": """
try:
    run(main())
finally:
    cleans_up()
""",
    "a run of a runner": """
with Runner() as runner:
    try:
        runner.run(main())
    finally:
        cleans_up()
""",
}


@pytest.mark.ways("quiesce run")
@pytest.mark.parametrize("call", CALLS)
def test_a_repeated_termination_does_not_cut_what_the_caller_cleans_up(scenario, call):
    text = AROUND_A_RUN.format(call=CALLS[call])
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "cleaned up"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


@pytest.mark.ways("quiesce.run")
def test_nor_inside_the_block_of_a_runner(scenario):
    text = AROUND_A_RUN.format(call=CALLS["a run of a runner"])
    outcome = scenario.interrupted(text, by=signal.SIGTERM)
    assert outcome.log == ["main", "cleaned up"]
    assert outcome.tells(signal.SIGTERM)
    assert outcome.is_silent


HOLDS = {
    "a child of multiprocessing": ("child = forked(never)", "child "),
    "a stubborn child of multiprocessing": ("child = forked(stubborn)", "child "),
    "a thread": (
        "threading.Thread(target=time.sleep, args=[3600], name='endless').start()",
        "thread 'endless'",
    ),
    "an async generator": ("held = hanging()\nawait anext(held)", "hanging"),
}
HELD = """
import multiprocessing

def never(begun):
    begun.set()
    time.sleep(3600)

def stubborn(begun):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    never(begun)

def forked(function):
    context = multiprocessing.get_context("fork")
    begun = context.Event()
    child = context.Process(target=function, args=[begun])
    child.start()
    begun.wait()
    return child

async def hanging():
    try:
        yield
    finally:
        await never_ends()

async def main():
    {begin}
    say()
    try:
        await asyncio.sleep(3600)
    finally:
        say("cleaning")

atexit.register(log, "exit function")
run(main())
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("hold", HOLDS)
def test_a_later_ctrl_c_ends_what_holds_the_end_and_names_it(scenario, hold, first):
    begin, name = HOLDS[hold]
    with scenario.start(filled(HELD, begin=begin), grace=30) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.log == ["exit function"]
    assert outcome.left_behind == []
    assert len(named(outcome, name)) == 1
    assert outcome.tracebacks <= 1
    assert "ignored" not in outcome.err
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_what_is_named_at_a_later_ctrl_c_is_named_in_a_line_each(scenario, first):
    begin = [
        "start('stuck', for_ever)",
        HOLDS["a thread"][0],
        "atexit.register(time.sleep, 3600)",
        "await asyncio.sleep(0)",
    ]
    text = filled(HELD, begin="\n".join(begin))
    with scenario.start(text, grace=30) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert len(named(outcome, "task 'stuck'")) == 1
    assert len(named(outcome, "thread 'endless'")) == 1
    assert outcome.tracebacks == 0
    assert "forced to end" not in outcome.err
    last_words = outcome.err.partition("did not end in time")[2]
    assert "ending since" not in last_words
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


def named(outcome, name):
    """Return the lines that name it when there is no more time."""
    lines = outcome.err.splitlines()
    return [line for line in lines if name in line and "ending since" not in line]


IN_AN_EXIT_FUNCTION = """
def stuck():
    say("cleaning")
    time.sleep(3600)  # the line

async def main():
    say()
    await sleeper("main")

atexit.register(log, "the last exit function")
atexit.register(stuck)
atexit.register(log, "the first exit function")
run(main())
"""


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_ends_an_exit_function_and_the_others_run(scenario, first):
    with scenario.start(IN_AN_EXIT_FUNCTION, grace=30) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
        line = program.line_of("# the line")
    assert outcome.gone_within(1.5)
    functions = ["the first exit function", "the last exit function"]
    assert outcome.log == ["main", *functions]
    assert len(named(outcome, f"program.py:{line} in stuck")) == 1
    assert outcome.tracebacks <= 1
    assert "ignored" not in outcome.err
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


def test_a_later_ctrl_c_after_mains_return_means_now(scenario):
    text = """
    async def stuck():
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await never_ends()

    async def main():
        asyncio.create_task(stuck(), name="stuck")
        await asyncio.sleep(0)

    run(main())
    """
    with scenario.start(text, grace=30) as program:
        program.wait_for("cleaning")
        program.send(signal.SIGINT)
        time.sleep(1)
        assert program.process.poll() is None
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert len(named(outcome, "task 'stuck'")) == 1
    assert outcome.tracebacks <= 1
    assert outcome.tells_force(signal.SIGINT)


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_kills_a_child_of_the_loop_that_does_not_end(scenario, first):
    begin = """
    child = await asyncio.create_subprocess_exec(
        "sh", "-c", "trap '' TERM; echo; exec sleep 3600", stdout=-1
    )
    await child.stdout.readline()
    """
    with scenario.start(filled(HELD, begin=begin), grace=30) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.log == ["exit function"]
    assert outcome.left_behind == []
    assert len(named(outcome, "child ")) == 1
    assert outcome.tracebacks <= 1
    assert outcome.tells_force(first) or outcome.tells(signal.SIGINT)


def test_a_later_ctrl_c_names_a_child_in_one_line_whatever_its_command(scenario):
    text = """
    CODE = "\\n".join([
        "import signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "print(flush=True)",
        "time.sleep(3600)",
    ])

    async def main():
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CODE, stdout=-1
        )
        await child.stdout.readline()
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            say("cleaning")
            await never_ends()

    run(main())
    """
    with scenario.start(text, grace=30) as program:
        program.wait_for("ready")
        program.send(signal.SIGTERM)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.left_behind == []
    assert len(named(outcome, "import signal, time")) == 1
    assert all(line.startswith("quiesce: ") for line in outcome.err.splitlines())


def test_a_later_ctrl_c_ends_a_call_that_lets_no_python_run(scenario):
    text = """
    import subprocess

    async def main():
        # While the call lasts, nobody here can say so.
        subprocess.Popen(["sh", "-c", "sleep 0.5; echo ready"])
        sum(range(10**13))

    run(main())
    """
    with scenario.start(text, grace=30) as program:
        program.wait_for("ready")
        program.send(signal.SIGINT)
        # Nor when the first one was noticed.
        time.sleep(1)
        program.send(signal.SIGINT)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.status != 0


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_later_ctrl_c_ends_a_cleanup_that_lets_no_python_run(scenario, first):
    text = """
    import subprocess

    async def main():
        say()
        try:
            await asyncio.sleep(3600)
        finally:
            # While the call lasts, nobody here can say so.
            subprocess.Popen(["sh", "-c", "sleep 0.5; echo cleaning"])
            sum(range(10**13))

    run(main())
    """
    with scenario.start(text, grace=30) as program:
        program.wait_for("ready")
        program.send(first)
        later_ctrl_c(program)
        outcome = program.end()
    assert outcome.gone_within(1.5)
    assert outcome.status != 0


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("end", ["return", "raise ValueError"])
def test_a_first_signal_while_the_runner_is_ending_cuts_no_cleanup(
    scenario, signum, end
):
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
        {end}

    run(main())
    """
    outcome = scenario.interrupted(filled(text, end=end), by=signum, at="cleaning")
    assert outcome.log == ["background"]
    assert outcome.tells(signum) or (outcome.status == 1 and "ValueError" in end)


def test_a_first_ctrl_c_after_sys_exit_in_a_task_cuts_no_cleanup(scenario):
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
        sys.exit(3)

    run(main())
    """
    outcome = scenario.interrupted(text, at="cleaning")
    assert outcome.log == ["background"]
    assert outcome.status in {3, 130, -signal.SIGINT}


def test_a_ctrl_c_that_was_caught_is_over_before_the_next_run(scenario):
    text = """
    async def main(name):
        start(f"background of {name}", 0.6)
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await sleeper(name)

    for name in "first", "second":
        try:
            run(main(name))
        except KeyboardInterrupt:
            log("interrupted")
    """
    outcome = scenario.ended(text)
    assert outcome.log == [
        *("first", "background of first", "interrupted"),
        *("second", "background of second", "interrupted"),
    ]
    assert (outcome.status, outcome.is_silent) == (0, True)
