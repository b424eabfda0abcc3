"""What `quiesce.run` and `Runner` do that CPython's own tests do not look at."""

from __future__ import annotations

import asyncio
import signal
import threading

import pytest

import quiesce


async def running_loop():
    return asyncio.get_running_loop()


def test_run_uses_our_loop_and_closes_it():
    loop = quiesce.run(running_loop())
    assert type(loop) is quiesce.Loop
    assert loop.is_closed()


def test_run_takes_a_factory_of_any_loop():
    loop = quiesce.run(running_loop(), loop_factory=asyncio.SelectorEventLoop)
    assert type(loop) is asyncio.SelectorEventLoop
    assert loop.is_closed()


def test_asyncios_run_takes_our_loop():
    with asyncio.Runner(loop_factory=quiesce.new_event_loop) as runner:
        assert type(runner.run(running_loop())) is quiesce.Loop


def test_run_refuses_to_run_inside_a_running_loop():
    async def main():
        coroutine = running_loop()
        try:
            with pytest.raises(RuntimeError, match=r"asyncio.run\(\) cannot be called"):
                quiesce.run(coroutine)
        finally:
            coroutine.close()

    quiesce.run(main())


def test_run_in_another_thread_leaves_signals_alone():
    async def handler():
        return signal.getsignal(signal.SIGTERM)

    found = []
    thread = threading.Thread(target=lambda: found.append(quiesce.run(handler())))
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def test_background_tasks_live_on_between_runs_until_close():
    ended = []

    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append("background")

    async def first():
        return asyncio.create_task(background())

    async def second(task):
        await asyncio.sleep(0)
        return task.done()

    with quiesce.Runner() as runner:
        task = runner.run(first())
        assert runner.run(second(task)) is False
        assert ended == []
    assert ended == ["background"]


def test_a_main_that_something_else_interrupted_is_unwound_by_run():
    ended = []

    async def main():
        asyncio.get_running_loop().call_soon(exit_now)
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0)
            ended.append("main")

    def exit_now():
        raise SystemExit(3)

    with quiesce.Runner() as runner:
        with pytest.raises(SystemExit):
            runner.run(main())
        assert ended == ["main"]


def test_a_signal_during_a_run_of_a_runner_ends_its_main_only():
    async def background():
        await asyncio.sleep(3600)

    async def main():
        task = asyncio.create_task(background())
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        try:
            await asyncio.sleep(3600)
        finally:
            tasks.append(task)

    tasks = []
    with quiesce.Runner() as runner:
        with pytest.raises(quiesce.Terminated) as ended:
            runner.run(main())
        assert ended.value.code == 128 + signal.SIGTERM
        assert not tasks[0].done()
    assert tasks[0].cancelled()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_sys_exit_in_a_cleanup_after_a_signal_is_what_the_program_says():
    async def main():
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
        try:
            await asyncio.sleep(3600)
        finally:
            raise SystemExit(5)

    with pytest.raises(SystemExit) as ended:
        quiesce.run(main())
    assert ended.value.code == 5


def test_terminated_is_a_system_exit_that_says_which_signal():
    ended = quiesce.Terminated(signal.SIGTERM)
    assert isinstance(ended, SystemExit)
    assert (ended.signum, ended.code) == (signal.SIGTERM, 143)


def test_a_task_in_its_cleanup_is_not_cancelled_a_second_time():
    ended = []

    async def background():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.01)
            ended.append("background")

    async def main():
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)

    quiesce.run(main())
    assert ended == ["background"]


def test_get_event_loop_inside_a_coroutine_is_the_running_one():
    async def main():
        return quiesce.get_event_loop() is asyncio.get_running_loop()

    assert quiesce.run(main())


def test_get_event_loop_gives_the_loop_that_was_set(loop):
    asyncio.set_event_loop(loop)
    try:
        assert quiesce.get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)


def test_to_thread_gives_the_result_and_the_callers_context():
    async def main():
        return await quiesce.to_thread(lambda *args, **more: (args, more), 1, two=2)

    assert quiesce.run(main()) == ((1,), {"two": 2})
