"""The threads in which a loop runs blocking functions."""

from __future__ import annotations

import os
import threading

import pytest

import quiesce
from quiesce.offload.thread_pool import ThreadPool

TIMEOUT = 60


@pytest.fixture
def pool():
    pool = ThreadPool("test", max_workers=2)
    yield pool
    pool.shutdown()


class Gate:
    """A function that returns when the test says so."""

    def __init__(self):
        self.entered = threading.Event()
        self.opened = threading.Event()

    def pass_through(self):
        self.entered.set()
        assert self.opened.wait(TIMEOUT)
        return threading.current_thread().name


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


def test_a_result_comes_back(pool):
    assert pool.submit(divmod, 7, 2).result(TIMEOUT) == (3, 1)


def test_an_error_comes_back(pool):
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 7, 0).result(TIMEOUT)


def test_an_idle_thread_is_used_again(pool):
    for _ in range(5):
        ended = threading.Event()
        future = pool.submit(threading.get_ident)
        future.add_done_callback(lambda _, ended=ended: ended.set())
        assert ended.wait(TIMEOUT)
        while not pool.idle:
            pass
    assert len(pool.workers) == 1


def test_no_more_threads_are_made_than_allowed(pool, gate):
    futures = [pool.submit(gate.pass_through) for _ in range(4)]
    gate.opened.set()
    names = {future.result(TIMEOUT) for future in futures}
    assert names <= {"test_0", "test_1"}
    assert len(pool.workers) == 2


def test_what_waits_for_a_thread_can_be_cancelled(pool, gate):
    futures = [pool.submit(gate.pass_through) for _ in range(3)]
    assert futures[2].cancel()
    gate.opened.set()
    assert futures[1].result(TIMEOUT)


def test_shutdown_lets_what_was_submitted_finish(pool, gate):
    futures = [pool.submit(gate.pass_through) for _ in range(3)]
    pool.shutdown(wait=False)
    gate.opened.set()
    assert all(future.result(TIMEOUT) for future in futures)


def test_shutdown_can_cancel_what_has_not_begun(pool, gate):
    futures = [pool.submit(gate.pass_through) for _ in range(3)]
    pool.shutdown(wait=False, cancel_futures=True)
    gate.opened.set()
    assert futures[2].cancelled()
    assert futures[0].result(TIMEOUT)


def test_nothing_is_taken_after_shutdown(pool):
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)


def test_shutdown_ends_the_threads(pool):
    pool.submit(int).result(TIMEOUT)
    pool.shutdown()
    assert not any(worker.is_alive() for worker in pool.workers)


def test_the_end_is_told_once_the_last_thread_has_nothing_to_do(pool, gate):
    ended = threading.Event()
    pool.submit(gate.pass_through)
    pool.shutdown(wait=False)
    pool.when_ended(ended.set)
    assert not ended.is_set()
    gate.opened.set()
    assert ended.wait(TIMEOUT)


def test_the_end_of_a_pool_without_threads_is_told_at_once(pool):
    ended = threading.Event()
    pool.shutdown()
    pool.when_ended(ended.set)
    assert ended.is_set()


def test_busy_threads_are_listed_with_what_they_do(pool, gate):
    pool.submit(gate.pass_through)
    assert gate.entered.wait(TIMEOUT)
    (worker,) = pool.busy()
    assert worker.name == "test_0"
    assert worker.function == gate.pass_through
    names = []
    frame = worker.frame
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    assert "pass_through" in names


def test_the_function_handed_to_to_thread_is_what_is_listed(gate):
    async def main():
        loop = quiesce.get_running_loop()
        task = loop.create_task(quiesce.to_thread(gate.pass_through))
        await quiesce.to_thread(gate.entered.wait, TIMEOUT)
        listed = [worker.function for worker in loop.executor.busy()]
        gate.opened.set()
        await task
        return listed

    assert gate.pass_through in quiesce.run(main())


def test_threads_that_a_function_starts_are_no_daemons(pool):
    daemon = pool.submit(lambda: threading.Thread().daemon).result(TIMEOUT)
    assert daemon is False


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_forked_child_makes_threads_of_its_own(pool):
    pool.submit(int).result(TIMEOUT)
    child = os.fork()
    if child == 0:
        done = pool.submit(divmod, 7, 2).result(TIMEOUT) == (3, 1)
        os._exit(0 if done else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_pool_that_was_given_up_ends_when_its_threads_do(pool, gate):
    futures = [pool.submit(gate.pass_through) for _ in range(3)]
    pool.give_up()
    assert futures[2].cancelled()
    gate.opened.set()
    assert futures[0].result(TIMEOUT)
