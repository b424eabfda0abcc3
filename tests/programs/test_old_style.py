"""The shapes of programs from before ``asyncio.run``, spelled as they were then."""

from __future__ import annotations

import signal
from string import Template

import pytest

from tests.programs.children import QUIESCE_RUN, Child, interrupted, outcome_of

FUNCTIONS = """
async def f1():
    await asyncio.sleep(0.02)
    print("one")
    return 1

async def f2():
    await asyncio.sleep(0.01)
    print("two")
    return 2

async def fails():
    raise ValueError("no")

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
ensure_future, gather, wait = asyncio.ensure_future, asyncio.gather, asyncio.wait
"""

SHAPES = {
    "gather": """
loop.run_until_complete(gather(ensure_future(f1()), ensure_future(f2())))
""",
    "wait": """
loop.run_until_complete(wait([ensure_future(f1()), ensure_future(f2())]))
""",
    "coroutine": """
print(loop.run_until_complete(f1()))
""",
    "future": """
future = loop.create_future()
loop.call_soon(future.set_result, "set")
print(loop.run_until_complete(future))
""",
    "errors as results": """
tasks = gather(f1(), fails(), return_exceptions=True)
print(loop.run_until_complete(tasks))
""",
}
PRINTED = {
    "gather": ["two", "one"],
    "wait": ["two", "one"],
    "coroutine": ["one", "1"],
    "future": ["set"],
    "errors as results": ["one", "[1, ValueError('no')]"],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_loop_is_driven_by_hand(program, shape):
    outcome = outcome_of(*program(f"{FUNCTIONS}{SHAPES[shape]}loop.close()\n"))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == PRINTED[shape]


def test_task_has_the_methods_all_tasks_and_current_task(own_program):
    text = """
async def main():
    other = ensure_future(f1())
    print(asyncio.Task.all_tasks() == {other, asyncio.Task.current_task()})
    await other

loop.run_until_complete(main())
loop.close()
"""
    outcome = outcome_of(*own_program(FUNCTIONS + text))
    assert (outcome.out, outcome.err) == (["True", "one"], "")


# Two tasks, the seconds that their cleanups take, and the recipe that ends them.
RECIPE = Template("""
import sys

async def worker(name, seconds):
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(seconds)
        print("cleaned up", name)

sys.stdout.reconfigure(line_buffering=True)
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
tasks = $tasks
# The interrupt is raised where the program happens to be, so not in a worker.
loop.call_later(0.02, print, "ready")
try:
    loop.run_until_complete(tasks)
except KeyboardInterrupt:
    for task in $all_tasks:
        task.cancel()
    loop.run_forever()
    print("all done")
finally:
    loop.close()
""")
OLD, NEW = "asyncio.Task.all_tasks()", "asyncio.all_tasks(loop)"


def two_workers(function, first, second):
    workers = (
        f"asyncio.ensure_future(worker('one', {first}))",
        f"asyncio.ensure_future(worker('two', {second}))",
    )
    form = "asyncio.gather({})" if function == "gather" else "asyncio.wait([{}])"
    return form.format(", ".join(workers))


@pytest.mark.parametrize(
    ("first", "second"), [(0.05, 0.05), (0.2, 0.0), (0.0, 0.2)], ids=str
)
def test_the_ctrl_c_recipe_finishes_every_cleanup(own_program, first, second):
    text = RECIPE.substitute(tasks=two_workers("gather", first, second), all_tasks=OLD)
    outcome = interrupted(*own_program(text))
    assert sorted(outcome.out[1:3]) == ["cleaned up one", "cleaned up two"]
    assert outcome.out[3:] == ["all done"]
    assert (outcome.status, outcome.err) == (0, "")


@pytest.mark.parametrize("function", ["gather", "wait"])
def test_the_ctrl_c_recipe_works_in_todays_spelling(program, function):
    text = RECIPE.substitute(tasks=two_workers(function, 0.1, 0.0), all_tasks=NEW)
    outcome = interrupted(*program(text))
    assert outcome.out[1:] == ["cleaned up two", "cleaned up one", "all done"]
    assert (outcome.status, outcome.err) == (0, "")


def test_a_loop_that_is_left_open_is_unwound_by_quiesce_run(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("""
import asyncio

async def worker():
    try:
        print("ready", flush=True)
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)
        print("cleaned up", flush=True)

loop = asyncio.new_event_loop()
task = loop.create_task(worker())
loop.run_forever()
""")
    for signum in (signal.SIGINT, signal.SIGTERM):
        with Child(*QUIESCE_RUN, path) as child:
            child.wait_for("ready")
            child.send(signum)
            outcome = child.finish()
        assert outcome.out == ["ready", "cleaned up"]
        assert outcome.status == -signum
