"""How a program that uses ``asyncio.run`` ends: what runs, and its exit status."""

from __future__ import annotations

import signal

import pytest

from tests.programs.children import QUIESCE_RUN, Child, interrupted, outcome_of

BACKGROUND = """
async def background(name, seconds=0.05):
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(seconds)
        print("cleaned up", name, flush=True)

def start(name, *args):
    task = asyncio.ensure_future(background(name, *args))
    task.set_name(name)
    return task
"""
WAITING = (
    BACKGROUND
    + """
async def main():
    task = start("background")
    await asyncio.sleep(0)
    print("ready", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.05)
        print("cleaned up main", flush=True)

asyncio.run(main())
"""
)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_main_first_and_then_the_rest(program, signum):
    outcome = interrupted(*program(WAITING), by=signum)
    assert outcome.out == ["ready", "cleaned up main", "cleaned up background"]


def test_ctrl_c_ends_with_a_keyboard_interrupt_and_by_sigint(program):
    outcome = interrupted(*program(WAITING))
    assert outcome.status == -signal.SIGINT
    assert outcome.err.endswith("KeyboardInterrupt\n")


def test_sigterm_ends_silently_with_status_143(own_program):
    outcome = interrupted(*own_program(WAITING), by=signal.SIGTERM)
    assert (outcome.status, outcome.err) == (128 + signal.SIGTERM, "")


def test_sigterm_under_quiesce_run_ends_by_sigterm_after_everything_else(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(
        "import asyncio, atexit\n"
        "atexit.register(print, 'exit function')\n"
        + WAITING.replace(
            "asyncio.run(main())",
            "try:\n    asyncio.run(main())\nfinally:\n    print('finally')",
        )
    )
    outcome = interrupted(*QUIESCE_RUN, path, by=signal.SIGTERM)
    assert outcome.out[-2:] == ["finally", "exit function"]
    assert (outcome.status, outcome.err) == (-signal.SIGTERM, "")


def test_a_main_that_catches_ctrl_c_and_returns_gives_its_result(program):
    text = """
async def main():
    print("ready", flush=True)
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return "caught"

print(asyncio.run(main()))
"""
    outcome = interrupted(*program(text))
    assert (outcome.status, outcome.out) == (0, ["ready", "caught"])


def test_an_error_in_a_cleanup_after_sigterm_is_reported(own_program):
    text = """
async def main():
    print("ready", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        raise ValueError("in the cleanup")

asyncio.run(main())
"""
    outcome = interrupted(*own_program(text), by=signal.SIGTERM)
    assert outcome.status == 128 + signal.SIGTERM
    assert outcome.err.count("ValueError: in the cleanup") == 1


def test_tasks_that_main_waits_for_in_its_cleanup_are_cancelled_too(program):
    text = (
        BACKGROUND
        + """
async def main():
    task = start("background")
    await asyncio.sleep(0)
    print("ready", flush=True)
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.wait([task])
        print("cleaned up main", flush=True)

asyncio.run(main())
"""
    )
    outcome = interrupted(*program(text))
    assert outcome.out == ["ready", "cleaned up background", "cleaned up main"]


def test_a_first_ctrl_c_while_the_rest_is_ended_cuts_no_cleanup_short(program):
    text = (
        BACKGROUND.replace(
            "    finally:\n", "    finally:\n        print('ready', flush=True)\n"
        )
        + """
async def main():
    start("background", 0.3)
    await asyncio.sleep(0)

asyncio.run(main())
"""
    )
    outcome = interrupted(*program(text))
    assert outcome.out == ["ready", "cleaned up background"]
    assert outcome.status == -signal.SIGINT


def test_one_ctrl_c_that_arrives_twice_is_one(program):
    with Child(*program(WAITING)) as child:
        child.wait_for("ready")
        child.send(signal.SIGINT)
        child.send(signal.SIGINT)
        outcome = child.finish()
    assert outcome.out == ["ready", "cleaned up main", "cleaned up background"]


def test_sigterm_that_is_repeated_cuts_no_cleanup_short(program):
    with Child(*program(WAITING)) as child:
        child.wait_for("ready")
        child.send(signal.SIGTERM)
        child.wait_for("cleaned up main")
        child.send(signal.SIGTERM)
        outcome = child.finish()
    assert outcome.out[-1] == "cleaned up background"


def test_a_second_ctrl_c_does_not_wait_for_cleanups(program):
    text = (
        BACKGROUND
        + """
import signal, threading

async def main():
    start("background", 3600)
    await asyncio.sleep(0)
    # Sent by the program, because only it can know when the first one was heard.
    threading.Timer(0.6, signal.raise_signal, [signal.SIGINT]).start()
    signal.raise_signal(signal.SIGINT)
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(3600)

asyncio.run(main())
"""
    )
    outcome = outcome_of(*program(text))
    assert outcome.status == -signal.SIGINT
    assert outcome.err.count("did not end in time: task 'background'") == 1
    assert "destroyed" not in outcome.err


def test_an_ignored_signal_stays_ignored(program):
    text = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)

async def main():
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, input)
    print("went on")

asyncio.run(main())
"""
    with Child(*program(text)) as child:
        child.wait_for("ready")
        child.send(signal.SIGTERM)
        child.process.stdin.write("\n")
        outcome = child.finish()
    assert (outcome.status, outcome.out) == (0, ["ready", "went on"])


def test_a_handler_of_the_program_wins(program):
    text = """
import signal

async def main():
    heard = asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: None)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, heard.set)
    print("ready", flush=True)
    await heard.wait()
    print("heard")

asyncio.run(main())
"""
    with Child(*program(text)) as child:
        child.wait_for("ready")
        child.send(signal.SIGTERM)
        child.send(signal.SIGINT)
        outcome = child.finish()
    assert (outcome.status, outcome.out) == (0, ["ready", "heard"])


def test_sys_exit_in_a_background_task_ends_the_program_in_order(program):
    text = (
        BACKGROUND
        + """
import sys

async def ends():
    await asyncio.sleep(0.01)
    sys.exit(3)

async def main():
    start("background")
    task = asyncio.ensure_future(ends())
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.01)
        print("cleaned up main")

asyncio.run(main())
"""
    )
    outcome = outcome_of(*program(text))
    assert outcome.out == ["cleaned up main", "cleaned up background"]
    assert (outcome.status, outcome.err) == (3, "")


def test_tasks_born_during_the_end_are_ended_too(program):
    text = (
        BACKGROUND
        + """
async def parent():
    try:
        await asyncio.sleep(3600)
    finally:
        start("child")

async def main():
    task = asyncio.ensure_future(parent())
    await asyncio.sleep(0)

asyncio.run(main())
"""
    )
    outcome = outcome_of(*program(text))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == ["cleaned up child"]


def test_async_generators_and_the_executor_are_closed(program):
    text = """
import threading, time

async def numbers():
    try:
        yield 1
    finally:
        await asyncio.sleep(0.01)
        print("generator closed")

def slow():
    time.sleep(0.1)
    print("function ended")

async def main():
    global generator
    generator = numbers()
    await anext(generator)
    asyncio.get_running_loop().run_in_executor(None, slow)

asyncio.run(main())
print("threads left:", threading.active_count() - 1)
"""
    outcome = outcome_of(*program(text))
    assert outcome.out == ["generator closed", "function ended", "threads left: 0"]
    assert outcome.err == ""


def test_handlers_are_restored_afterwards_and_run_can_be_repeated(program):
    text = """
import signal

async def main():
    return signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
during = [asyncio.run(main()), asyncio.run(main())]
after = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
print(before == after, any(handlers == before for handlers in during))
"""
    assert outcome_of(*program(text)).out == ["True False"]


def test_a_forked_child_dies_of_the_signal(program):
    text = """
import os, signal

async def main():
    child = os.fork()
    if not child:
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    print(os.waitpid(child, 0)[1])

asyncio.run(main())
"""
    outcome = outcome_of(*program(text))
    assert outcome.out == [str(int(signal.SIGTERM))]
