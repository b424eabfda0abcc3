"""Futures cross the border between threads in both directions."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import quiesce
from quiesce import run_coroutine_threadsafe, sleep, wrap_future

PATIENCE = 30


@pytest.fixture
def running(loop):
    """A loop that runs in a thread of its own."""
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(PATIENCE)


async def add(one, other):
    await sleep(0)
    return one + other


async def fail():
    raise LookupError


def test_another_thread_gets_the_result_of_a_coroutine(running):
    assert run_coroutine_threadsafe(add(1, 2), running).result(PATIENCE) == 3


def test_another_thread_gets_the_exception_of_a_coroutine(running):
    with pytest.raises(LookupError):
        run_coroutine_threadsafe(fail(), running).result(PATIENCE)


def test_cancelling_in_the_other_thread_cancels_the_task(running):
    begun, cancelled = threading.Event(), threading.Event()

    async def wait_for_ever():
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()

    future = run_coroutine_threadsafe(wait_for_ever(), running)
    assert begun.wait(PATIENCE)
    assert future.cancel()
    assert cancelled.wait(PATIENCE)


def test_a_cancelled_task_is_a_cancelled_future_to_the_other_thread(running):
    async def cancel_itself():
        asyncio.current_task().cancel()
        await sleep(0)

    with pytest.raises(concurrent.futures.CancelledError):
        run_coroutine_threadsafe(cancel_itself(), running).result(PATIENCE)


def test_cancelling_in_the_loops_own_thread_cancels_the_task_at_once(loop):
    begun = []

    async def sleeps():
        begun.append(asyncio.current_task())
        await sleep(3600)

    async def main():
        future = run_coroutine_threadsafe(sleeps(), loop)
        while not begun:
            await sleep(0)
        future.cancel()
        assert begun[0].cancelling()

    loop.run_until_complete(main())


def test_what_is_no_coroutine_is_refused(loop):
    with pytest.raises(TypeError, match="A coroutine object is required"):
        run_coroutine_threadsafe(add, loop)


def test_a_failing_task_factory_is_reported_to_the_other_thread(running):
    reports = []

    def refuse(*_, **__):
        raise LookupError

    running.set_exception_handler(lambda _, context: reports.append(context))
    running.call_soon_threadsafe(running.set_task_factory, refuse)
    coro = add(1, 2)
    with pytest.raises(LookupError):
        run_coroutine_threadsafe(coro, running).result(PATIENCE)
    running.call_soon_threadsafe(running.set_task_factory, None)
    run_coroutine_threadsafe(sleep(0), running).result(PATIENCE)
    assert len(reports) == 1
    coro.close()


def test_a_coroutine_awaits_the_work_of_a_thread(loop):
    async def await_thread():
        with ThreadPoolExecutor(1) as pool:
            return await wrap_future(pool.submit(pow, 2, 10))

    assert loop.run_until_complete(await_thread()) == 1024


def test_an_exception_in_the_thread_is_raised_in_the_coroutine(loop):
    async def await_thread():
        with ThreadPoolExecutor(1) as pool:
            await wrap_future(pool.submit(int, "x"))

    with pytest.raises(ValueError, match="invalid literal"):
        loop.run_until_complete(await_thread())


def test_cancelling_the_wrapper_cancels_work_that_has_not_begun(loop):
    work = concurrent.futures.Future()
    wrapper = wrap_future(work, loop=loop)
    wrapper.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(wrapper)
    assert work.cancelled()


def test_cancelled_work_cancels_the_wrapper(loop):
    work = concurrent.futures.Future()
    wrapper = wrap_future(work, loop=loop)
    work.cancel()
    work.set_running_or_notify_cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(wrapper)


def test_the_errors_of_threads_become_those_of_asyncio(loop):
    work = concurrent.futures.Future()
    wrapper = wrap_future(work, loop=loop)
    work.set_exception(concurrent.futures.InvalidStateError("why"))
    with pytest.raises(asyncio.InvalidStateError, match="why"):
        loop.run_until_complete(wrapper)


def test_a_result_for_a_loop_that_is_closed_is_dropped():
    loop = quiesce.new_event_loop()
    work = concurrent.futures.Future()
    wrap_future(work, loop=loop)
    loop.close()
    work.set_result(1)


def test_a_future_of_asyncios_kind_needs_no_wrapper(loop):
    future = loop.create_future()
    assert wrap_future(future) is future


def test_what_a_thread_has_done_already_lets_others_have_their_turn(loop):
    async def ask():
        done = concurrent.futures.Future()
        done.set_result("done")
        wrapped = wrap_future(done)
        assert not wrapped.done()
        return await wrapped

    assert loop.run_until_complete(ask()) == "done"


@pytest.mark.parametrize("function", [asyncio, quiesce])
def test_a_coroutine_that_the_loop_has_not_begun_when_it_is_closed_is_refused(function):
    loop = quiesce.new_event_loop()
    future = function.run_coroutine_threadsafe(add(1, 2), loop)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        future.result(PATIENCE)


@pytest.mark.parametrize("function", [asyncio, quiesce])
def test_a_closed_loop_refuses_a_coroutine_without_a_warning(function, recwarn):
    loop = quiesce.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        function.run_coroutine_threadsafe(add(1, 2), loop)
    assert not recwarn.list


def test_other_callbacks_with_a_future_of_a_thread_are_dropped_as_ever():
    loop = quiesce.new_event_loop()
    began, ends = threading.Event(), threading.Event()

    def work():
        began.set()
        ends.wait(PATIENCE)
        return "done"

    with ThreadPoolExecutor(1) as pool:
        runs, waits = pool.submit(work), pool.submit(str, "next")
        began.wait(PATIENCE)
        loop.call_soon(lambda: (runs, "is used"))
        loop.call_soon_threadsafe(lambda: (waits, "is used"))
        loop.close()
        ends.set()
        assert (runs.result(PATIENCE), waits.result(PATIENCE)) == ("done", "next")
