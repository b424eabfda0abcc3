"""What is born, and what is dropped, while the loop is being closed"""

from __future__ import annotations

import signal

import pytest

from tests.programs.exits.scenario import filled

CLASSES = {"own": "pass", "asyncio": "asyncio_tasks()"}
# What the loop still waits for when all tasks have ended.
WAITS = {
    "a thread": "asyncio.get_running_loop().run_in_executor(None, time.sleep, 1)",
    "a child": """
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", SLOW, stdout=asyncio.subprocess.PIPE
        )
    """,
}
ENDS = {"return": ("return", 0), "sys.exit": ("sys.exit(3)", 3)}
TICKS = """
SLOW = "import signal, time; signal.signal(15, lambda *_: time.sleep(1)); time.sleep(2)"
born = 0

async def job(number):
    log(f"begun {number}")
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        log(f"ended {number}")

def tick(loop):
    global born
    born += 1
    if born <= 4:
        loop.create_task(job(born))
        loop.call_later(0.1, tick, loop)

class Ticker:
    # Dropped once there is nothing but the loop that is left.
    async def generate(self):
        try:
            yield
        finally:
            tick(asyncio.get_running_loop())

async def main():
    {tasks}
    global held
    held = Ticker().generate()
    await anext(held)
    {waits}
    await asyncio.sleep(0.2)
    {end}

try:
    run(main())
finally:
    log("out")
"""


@pytest.mark.parametrize("tasks", CLASSES)
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("waits", WAITS)
def test_tasks_born_while_something_else_is_waited_for_are_ended(
    scenario, waits, end, tasks
):
    code, status = ENDS[end]
    text = filled(TICKS, tasks=CLASSES[tasks], waits=WAITS[waits], end=code)
    outcome = scenario.ended(text)
    begun = [line for line in outcome.log if line.startswith("begun")]
    ended = [line for line in outcome.log if line.startswith("ended")]
    # One that is asked before its first step has nothing to clean up.
    assert begun
    assert [line.replace("ended", "begun") for line in ended] == begun
    assert outcome.log[-1] == "out"
    assert outcome.status == status
    assert "forced" not in outcome.err


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("tasks", CLASSES)
def test_what_main_has_held_is_dropped_before_the_loop_is_closed(
    scenario, tasks, signum
):
    text = """
    class Resource:
        def __init__(self, name):
            self.name = name
            self.loop = asyncio.get_running_loop()

        def __del__(self):
            log(f"{self.name}: {self.loop.is_closed()}")

    async def background():
        held = Resource("background")
        await asyncio.sleep(3600)

    async def main():
        {tasks}
        held = Resource("main")
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        del task
        say()
        await asyncio.sleep(3600)

    run(main())
    """
    text = filled(text, tasks=CLASSES[tasks])
    outcome = scenario.interrupted(text, by=signum)
    assert sorted(outcome.log) == ["background: False", "main: False"]
    assert outcome.tells(signum)
    assert outcome.is_silent


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_what_the_last_cleanup_queues_is_called(scenario, signum):
    text = """
    def again(times):
        if times:
            asyncio.get_running_loop().call_soon(again, times - 1)
        else:
            log("called")

    async def main():
        task = start("background")
        task.add_done_callback(lambda _: again(5))
        await asyncio.sleep(0)
        say()
        await sleeper("main")

    run(main())
    """
    outcome = scenario.interrupted(text, by=signum)
    assert outcome.log == ["main", "background", "called"]
    assert outcome.tells(signum)


def test_a_callback_that_always_queues_another_does_not_hold_the_end(scenario):
    text = """
    def again():
        asyncio.get_running_loop().call_soon(again)

    async def main():
        again()

    run(main())
    """
    outcome = scenario.ended(text)
    assert (outcome.status, outcome.is_silent) == (0, True)
