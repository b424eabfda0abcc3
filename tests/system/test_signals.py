"""Signals as callbacks of a loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import quiesce


def send(*signals):
    for each in signals:
        os.kill(os.getpid(), each)


@pytest.fixture
def run(loop):
    def run(coro):
        return loop.run_until_complete(asyncio.wait_for(coro, 20))

    return run


def test_callbacks_run_in_the_order_of_their_signals(loop, run):
    seen = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "one")
    loop.add_signal_handler(signal.SIGUSR2, seen.put_nowait, "two")

    async def collect():
        send(signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2)
        return [await seen.get() for _ in range(3)]

    assert run(collect()) == ["two", "one", "two"]


def test_a_signal_wakes_a_sleeping_loop(loop):
    loop.add_signal_handler(signal.SIGALRM, loop.stop)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    loop.run_forever()


def test_a_signal_that_another_thread_gets_wakes_the_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = threading.Thread(
        target=lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    )
    loop.call_soon(thread.start)
    loop.run_forever()
    thread.join()


@pytest.fixture
def usr1():
    """SIGUSR1, without its handler once the test is over."""
    former = signal.getsignal(signal.SIGUSR1)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, former)


def test_a_handler_of_the_programs_own_is_called_also_as_the_loop_falls_asleep(
    loop, usr1
):
    heard = []

    def handle(*_):
        heard.append("signal")
        loop.call_soon_threadsafe(loop.stop)

    signal.signal(usr1, handle)
    main = threading.get_ident()
    begun = threading.Semaphore(0)

    def send_once_per_run():
        for _ in range(1000):
            begun.acquire()
            signal.pthread_kill(main, usr1)

    thread = threading.Thread(target=send_once_per_run, daemon=True)
    thread.start()
    for _ in range(1000):
        loop.call_soon(begun.release)
        late = loop.call_later(20, loop.stop)
        loop.run_forever()
        late.cancel()
        assert heard.pop() == "signal"
    thread.join()


def test_only_while_the_loop_runs_signals_are_written_to_it(loop, run):
    async def heard_by():
        return signal.set_wakeup_fd(-1)

    assert run(heard_by()) != -1
    assert signal.set_wakeup_fd(-1) == -1


def test_who_reads_signals_already_goes_on_to_read_them(loop, run, usr1):
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.signal(usr1, lambda *_: None)
    signal.set_wakeup_fd(write_end)
    for _ in range(2):
        run(asyncio.sleep(0))
        loop.call_soon(send, usr1)
        run(asyncio.sleep(0.01))
        assert os.read(read_end, 100) == bytes([usr1])
    assert signal.set_wakeup_fd(-1) == write_end
    os.close(read_end)
    os.close(write_end)


def test_a_loop_is_woken_also_where_another_has_callbacks(loop, usr1):
    other = quiesce.new_event_loop()
    seen = []
    other.add_signal_handler(signal.SIGUSR2, seen.append, "other's")
    signal.signal(usr1, lambda *_: loop.call_soon_threadsafe(loop.stop))
    loop.call_soon(send, signal.SIGUSR2, usr1)
    loop.run_forever()
    other.call_later(0.01, other.stop)
    other.run_forever()
    assert seen == ["other's"]
    other.close()
    assert signal.set_wakeup_fd(-1) == -1


def test_a_callback_hears_of_no_signal_that_came_before_it(loop, run, usr1):
    seen = []
    signal.signal(usr1, lambda *_: seen.append("the handler before"))

    async def replace():
        send(usr1)
        loop.add_signal_handler(usr1, seen.append, "the callback")
        await asyncio.sleep(0.01)

    run(replace())
    assert seen == ["the handler before"]


def test_a_callback_of_one_loop_hears_of_no_signal_of_anothers_former_run(loop, usr1):
    other = quiesce.new_event_loop()
    seen = []
    signal.signal(usr1, lambda *_: None)
    # The last that a run does: it does not look outside any more.
    loop.call_later(0.001, lambda: (send(usr1), loop.stop()))
    loop.run_forever()
    other.add_signal_handler(usr1, seen.append, "the callback")
    loop.run_until_complete(asyncio.sleep(0.001))
    other.run_until_complete(asyncio.sleep(0.001))
    other.close()
    assert seen == []


def test_a_loop_that_has_run_can_be_closed_in_another_thread():
    loop = quiesce.new_event_loop()
    loop.run_until_complete(asyncio.sleep(0))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(loop.close).result()
    assert loop.is_closed()


# Since 3.12 Python warns of a fork in a process with threads, such as pytest may have.
may_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@may_fork
def test_callbacks_are_called_in_a_forked_child_that_runs_the_loop(loop):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    if (child := os.fork()) == 0:
        loop.call_later(20, os._exit, 1)
        loop.call_soon(send, signal.SIGUSR1)
        try:
            loop.run_forever()
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@may_fork
def test_a_forked_child_does_not_wake_its_parent_by_its_signals(loop, run):
    seen = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "parent's")

    def fork():
        if (child := os.fork()) == 0:
            try:
                send(signal.SIGUSR1)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        loop.call_later(0.01, seen.put_nowait, "nothing")

    loop.call_soon(fork)
    assert run(seen.get()) == "nothing"


def test_a_second_callback_takes_the_place_of_the_first(loop, run):
    seen = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "first")
    loop.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "second")
    send(signal.SIGUSR1)
    assert run(seen.get()) == "second"
    assert seen.empty()


def test_removing_a_callback_restores_the_usual_effect(loop):
    for number, usual in [
        (signal.SIGUSR1, signal.SIG_DFL),
        (signal.SIGINT, signal.default_int_handler),
    ]:
        loop.add_signal_handler(number, print)
        assert signal.getsignal(number) is not usual
        assert loop.remove_signal_handler(number) is True
        assert signal.getsignal(number) is usual
        assert loop.remove_signal_handler(number) is False


def test_closing_the_loop_restores_signals_and_wakeup():
    loop = quiesce.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(-1) == -1


def test_the_outer_of_two_loops_hears_again_when_the_inner_is_closed(loop, run):
    seen = asyncio.Queue()
    loop.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "outer")
    inner = quiesce.new_event_loop()
    inner.add_signal_handler(signal.SIGUSR2, seen.put_nowait, "inner")
    inner.close()
    send(signal.SIGUSR1)
    assert run(seen.get()) == "outer"


def test_the_inner_of_two_loops_hears_on_when_the_outer_is_closed(loop, run):
    seen = asyncio.Queue()
    outer = quiesce.new_event_loop()
    outer.add_signal_handler(signal.SIGUSR1, seen.put_nowait, "outer")
    loop.add_signal_handler(signal.SIGUSR2, seen.put_nowait, "inner")
    outer.close()
    send(signal.SIGUSR2)
    assert run(seen.get()) == "inner"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_signal_that_cannot_be_caught_is_refused(loop, number):
    with pytest.raises(RuntimeError, match=f"sig {int(number)} cannot be caught"):
        loop.add_signal_handler(number, print)
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(
    ("number", "error", "message"),
    [
        ("SIGINT", TypeError, "sig must be an int, not 'SIGINT'"),
        (0, ValueError, "invalid signal number 0"),
        (10_000, ValueError, "invalid signal number 10000"),
    ],
)
def test_what_is_no_signal_is_refused(loop, number, error, message):
    for use in (
        lambda: loop.add_signal_handler(number, print),
        lambda: loop.remove_signal_handler(number),
    ):
        with pytest.raises(error, match=message):
            use()


def test_a_coroutine_is_refused(loop):
    async def handle():
        pass

    coro = handle()
    for callback in (handle, coro):
        with pytest.raises(
            TypeError, match="coroutines cannot be used with add_signal"
        ):
            loop.add_signal_handler(signal.SIGUSR1, callback)
    coro.close()


def test_only_the_main_thread_can_add_a_handler(loop):
    errors = []

    def add():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert errors == ["set_wakeup_fd only works in main thread of the main interpreter"]


def test_a_closed_loop_takes_no_handler():
    loop = quiesce.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)
