"""What runs when, and what a loop refuses."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import quiesce
from tests.properties.virtual_time import iterate, virtual_loop


def test_callbacks_run_in_the_order_in_which_they_were_added(loop):
    ran: list[int] = []
    for number in range(5):
        loop.call_soon(ran.append, number)
    iterate(loop)
    assert ran == [0, 1, 2, 3, 4]


def test_what_a_callback_adds_runs_in_the_next_iteration(loop):
    ran: list[str] = []
    loop.call_soon(lambda: (ran.append("first"), loop.call_soon(ran.append, "second")))
    loop.call_soon(ran.append, "beside")
    iterate(loop)
    assert ran == ["first", "beside"]
    iterate(loop)
    assert ran == ["first", "beside", "second"]


def test_a_cancelled_callback_does_not_run(loop):
    ran: list[int] = []
    loop.call_soon(ran.append, 1).cancel()
    iterate(loop)
    assert ran == []


def test_a_loop_runs_again_after_it_was_stopped(loop):
    ran: list[int] = []
    iterate(loop)
    loop.call_soon(ran.append, 1)
    iterate(loop)
    assert ran == [1]


def test_a_loop_stopped_before_it_runs_makes_one_iteration(loop):
    ran: list[str] = []
    loop.stop()
    loop.call_soon(lambda: (ran.append("first"), loop.call_soon(ran.append, "second")))
    loop.run_forever()
    assert ran == ["first"]


def test_stop_lets_the_callbacks_of_its_iteration_run(loop):
    ran: list[int] = []
    loop.call_soon(loop.stop)
    loop.call_soon(ran.append, 1)
    loop.run_forever()
    assert ran == [1]


def test_what_an_error_kept_from_running_runs_in_the_next_run(loop):
    ran: list[int] = []

    def fail() -> None:
        raise SystemExit(3)

    loop.call_soon(fail)
    loop.call_soon(ran.append, 1)
    loop.call_soon(ran.append, 2)
    with pytest.raises(SystemExit):
        loop.run_forever()
    assert ran == []
    iterate(loop)
    assert ran == [1, 2]


def test_an_error_in_a_callback_goes_to_the_exception_handler_once(loop):
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    loop.call_soon(lambda: 1 / 0)
    iterate(loop)
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]


def test_an_exception_handler_that_fails_is_logged(loop, caplog):
    def handler(*_: object) -> None:
        raise ValueError("the handler's own")

    loop.set_exception_handler(handler)
    loop.call_exception_handler({"message": "something"})
    assert "Unhandled error in exception handler" in caplog.text


def test_a_callback_from_another_thread_wakes_the_loop(loop):
    threading.Timer(0, loop.call_soon_threadsafe, [loop.stop]).start()
    loop.run_forever()


def test_callbacks_added_from_the_thread_itself_keep_their_order(loop):
    ran: list[int] = []
    loop.call_soon_threadsafe(ran.append, 1)
    loop.call_soon(ran.append, 2)
    loop.call_soon_threadsafe(ran.append, 3)
    iterate(loop)
    iterate(loop)
    assert ran == [1, 2, 3]


def test_timers_fire_in_the_order_of_their_deadlines():
    loop, _, _ = virtual_loop()
    ran: list[int] = []
    for delay in (3, 1, 2):
        loop.call_later(delay, ran.append, delay)
    loop.run_forever()
    loop.close()
    assert ran == [1, 2, 3]


@pytest.mark.parametrize("delay", [Decimal("0.1"), "0.1", None, 1j])
def test_a_delay_that_cannot_be_added_to_a_time_is_refused(loop, delay):
    with pytest.raises(TypeError):
        loop.call_later(delay, list)


@pytest.mark.parametrize("delay", [1, True, Fraction(1, 2), float("inf")])
def test_any_number_that_can_be_added_to_a_time_is_a_delay(loop, delay):
    handle = loop.call_later(delay, list)
    assert handle.when() - loop.time() <= delay
    handle.cancel()


def test_timers_of_one_deadline_fire_in_the_order_in_which_they_were_added():
    loop, _, _ = virtual_loop()
    ran: list[int] = []
    for number in range(100):
        loop.call_at(1.0, ran.append, number)
    loop.run_forever()
    loop.close()
    assert ran == list(range(100))


@pytest.mark.parametrize("when", [123, 123.5])
def test_a_timer_shows_its_deadline_as_it_was_given(loop, when):
    # Where a timer was made is shown too in debug mode.
    loop.set_debug(False)
    timer = loop.call_at(when, list)
    assert f" when={when} " in repr(timer)
    timer.cancel()
    assert repr(timer) == f"<TimerHandle cancelled when={when}>"


def test_a_loop_sleeps_no_longer_than_until_the_next_timer():
    loop, _, poller = virtual_loop()
    loop.call_later(5, list)
    loop.call_later(7, list)
    loop.run_forever()
    loop.close()
    assert poller.sleeps == [5, 2]


def test_a_timer_that_is_due_already_does_not_wait_for_other_callbacks(loop):
    ran: list[str] = []
    left = [1000]

    def busy() -> None:
        left[0] -= 1
        if left[0]:
            loop.call_soon(busy)
        else:
            loop.stop()

    loop.call_soon(busy)
    loop.call_later(0, lambda: ran.append(f"after {1000 - left[0]}"))
    loop.run_forever()
    assert ran == ["after 1"]


def test_busy_callbacks_keep_a_descriptor_waiting_for_64_of_them_at_most(loop):
    import socket

    one, other = socket.socketpair()
    steps = [0]
    seen: list[int] = []

    def busy() -> None:
        steps[0] += 1
        if not seen:
            loop.call_soon(busy)
        else:
            loop.stop()

    with one, other:
        loop.add_reader(one, lambda: seen.append(steps[0]))
        other.send(b"x")
        loop.call_soon(busy)
        loop.run_forever()
        loop.remove_reader(one)
    assert seen[0] <= 66


def test_slow_callbacks_keep_a_descriptor_waiting_for_one_of_them_at_most(loop):
    import socket

    one, other = socket.socketpair()
    steps = [0]
    seen: list[int] = []

    def slow() -> None:
        steps[0] += 1
        if steps[0] == 1:
            other.send(b"x")
        until = time.monotonic() + 0.0002
        while time.monotonic() < until:
            pass
        if not seen:
            loop.call_soon(slow)
        else:
            loop.stop()

    with one, other:
        loop.add_reader(one, lambda: seen.append(steps[0]))
        loop.call_soon(slow)
        loop.run_forever()
        loop.remove_reader(one)
    assert seen[0] <= 2


def test_the_loop_is_the_running_one_only_while_it_runs(loop):
    seen: list[object] = []
    loop.call_soon(lambda: seen.append(asyncio.get_running_loop()))
    iterate(loop)
    assert seen == [loop]
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


def test_a_running_loop_refuses_to_run_again(loop):
    async def main() -> None:
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_forever()

    loop.run_until_complete(main())


def test_a_second_loop_refuses_to_run_inside_a_running_one(loop):
    async def main() -> None:
        other = quiesce.new_event_loop()
        with pytest.raises(RuntimeError, match="while another loop is running"):
            other.run_forever()
        other.close()

    loop.run_until_complete(main())


def test_a_running_loop_refuses_to_close(loop):
    async def main() -> None:
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())


def test_a_thread_that_cancels_a_running_callback_waits_for_its_end(loop):
    started, ended = threading.Event(), threading.Event()

    def callback() -> None:
        started.set()
        canceller.join(0.01)
        ended.set()

    def cancel() -> None:
        started.wait()
        handle.cancel()
        seen.append(ended.is_set())
        loop.call_soon_threadsafe(loop.stop)

    seen: list[bool] = []
    canceller = threading.Thread(target=cancel)
    handle = loop.call_soon_threadsafe(callback)
    canceller.start()
    loop.run_forever()
    canceller.join()
    assert seen == [True]


def test_a_callback_that_another_thread_cancelled_in_time_does_not_run(loop):
    ran: list[int] = []

    def cancel() -> None:
        handle = loop.call_soon_threadsafe(ran.append, 1)
        handle.cancel()
        assert handle.cancelled()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    canceller.join()
    iterate(loop)
    assert ran == []


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_loop_closes_although_a_callback_that_was_queued_is_gone(loop):
    class Callback:
        def __call__(self):
            pass

    callback = Callback()
    loop.call_soon(weakref.proxy(callback))
    del callback
    before = descriptors()
    loop.close()
    assert loop.is_closed()
    assert descriptors() < before


def test_a_closed_loop_refuses_callbacks(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon(list)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_later(1, list)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_soon_threadsafe(list)


def test_a_future_of_a_closed_loop_says_that_who_waits_cannot_hear_of_it(loop):
    future = loop.create_future()
    future.add_done_callback(list)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        future.set_result(1)
    assert future.result() == 1


def test_a_loop_that_was_forgotten_open_says_so():
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        quiesce.new_event_loop().__del__()


def test_run_until_complete_says_that_the_loop_was_stopped(loop):
    loop.call_soon(loop.stop)
    with pytest.raises(
        RuntimeError, match="Event loop stopped before Future completed"
    ):
        loop.run_until_complete(loop.create_future())


def test_debug_mode_refuses_a_callback_from_another_thread(loop):
    loop.set_debug(True)
    errors: list[str] = []

    def elsewhere() -> None:
        try:
            loop.call_soon(list)
        except RuntimeError as error:
            errors.append(str(error))

    async def main() -> None:
        await asyncio.to_thread(elsewhere)

    loop.run_until_complete(main())
    assert len(errors) == 1
    assert errors[0].startswith("Non-thread-safe operation")


def test_debug_mode_refuses_a_coroutine_as_a_callback(loop):
    loop.set_debug(True)

    async def coroutine() -> None: ...

    with pytest.raises(TypeError, match="coroutines cannot be used with call_soon"):
        loop.call_soon(coroutine)


def test_debug_mode_logs_a_slow_callback(loop, caplog):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.0
    loop.call_soon(list)
    iterate(loop)
    assert "Executing <Handle" in caplog.text
