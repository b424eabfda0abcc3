"""The threads in which a loop runs blocking functions.

They are daemon threads, so that one which never comes back cannot hold the process: who
ends the program decides how long to wait for them. At the exit of an interpreter that
nobody has bounded they are waited for, as `concurrent.futures` does.

A worker is idle, which means parked on a lock of its own, or it has a job. Invariant,
under the pool's lock: no job is queued while a worker is idle or another may be made.
"""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
from collections import deque
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from weakref import WeakSet

from quiesce.offload.worker_pool import BusyWorker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPool(Executor):
    """Runs functions in threads that are made as needed and then reused.

    At most `max_workers` threads, by default as many as a ThreadPoolExecutor has; they
    are named `name` with a number. They end with `shutdown`, and not before.
    """

    def __init__(self, name: str = "asyncio", max_workers: int | None = None) -> None:
        self.name = name
        self.max_workers = default_size() if max_workers is None else max_workers
        self.ends = False
        self.given_up = False
        self.begin()

    def begin(self) -> None:
        """Begin without threads and jobs, as also a forked child does."""
        self.lock = threading.Lock()
        self.jobs: deque[Job] = deque()
        # All that were ever made, and how many of them have not ended.
        self.workers: list[Worker] = []
        self.alive = 0
        # The one that worked last is the first to work again: its memory is warm.
        self.idle: list[Worker] = []
        self.when_gone: list[Callable[[], object]] = []

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Return a future for ``fn(*args, **kwargs)``, called in a thread.

        Raises RuntimeError once the pool or the interpreter is shutting down.
        """
        with self.lock:
            if self.ends:
                raise RuntimeError("cannot schedule new futures after shutdown")
            job = Job(fn, args, kwargs)
            if self.idle:
                self.idle.pop().take(job)
            elif len(self.workers) < self.max_workers:
                self.start_worker(job)
            else:
                self.jobs.append(job)
        return job.future

    def start_worker(self, job: Job) -> None:
        """Make a thread that begins with `job`; the lock is held."""
        all_pools.add(self)
        worker = Worker(self, f"{self.name}_{len(self.workers)}")
        worker.take(job)
        worker.start()
        self.workers.append(worker)
        self.alive += 1

    def next_job(self, worker: Worker) -> bool:
        """Give `worker` what it does next, which may be to wait; False: it ends."""
        with self.lock:
            # Invariant: an idle worker keeps nothing alive.
            worker.job = None
            if self.jobs:
                worker.take(self.jobs.popleft())
            elif not self.ends:
                self.idle.append(worker)
            else:
                return False
        return True

    def leave(self) -> None:
        """Note that a worker ends; the last one says that all have gone."""
        with self.lock:
            self.alive -= 1
            when_gone = self.taken_if_gone()
        call_each(when_gone)

    def taken_if_gone(self) -> list[Callable[[], object]]:
        """Return what is to be called now, and never again; the lock is held."""
        if not self.ends or self.alive:
            return []
        when_gone, self.when_gone = self.when_gone, []
        return when_gone

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return once the workers have ended.

        What was submitted still runs, unless `cancel_futures` and it has not begun.
        """
        with self.lock:
            self.ends = True
            cancelled = list(self.jobs) if cancel_futures else []
            if cancel_futures:
                self.jobs.clear()
            while self.idle:
                self.idle.pop().take(None)
        for job in cancelled:
            # Callbacks of the future run here, and may ask for the lock.
            job.future.cancel()
        if wait:
            for worker in self.workers:
                worker.join()

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call `callback`, in any thread, once the pool is shut down and empty."""
        with self.lock:
            self.when_gone.append(callback)
            when_gone = self.taken_if_gone()
        call_each(when_gone)

    def busy(self) -> list[BusyWorker]:
        """Return the workers that have a job, and where each of them is.

        Who has done the last job and only comes back from it is not busy.
        """
        with self.lock:
            working = [
                (worker, job)
                for worker in self.workers
                if (job := worker.job) is not None
                and (self.jobs or not job.future.done())
            ]
        frames = sys._current_frames()
        return [
            BusyWorker(worker.name, ident, unwrapped(job), frames.get(ident))
            for worker, job in working
            if (ident := worker.ident) is not None
        ]

    def give_up(self) -> None:
        """Let the process end without those that are busy; drop what has not begun."""
        self.given_up = True
        self.shutdown(wait=False, cancel_futures=True)


class Job:
    """A call that was submitted, and the future for its result."""

    __slots__ = ("args", "fn", "future", "kwargs")

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.future: Future[Any] = Future()

    def run(self) -> None:
        """Call the function, unless its future was cancelled meanwhile."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.fn(*self.args, **self.kwargs)
        except BaseException as error:  # noqa: BLE001 - whoever awaits it gets it
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Worker(threading.Thread):
    """A thread of a pool."""

    def __init__(self, pool: ThreadPool, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.pool = pool
        self.job: Job | None = None
        # Released when there is something to do, or when it is time to end.
        self.wake = threading.Lock()
        self.wake.acquire()

    def take(self, job: Job | None) -> None:
        """Run `job` next, or end if there is none."""
        self.job = job
        self.wake.release()

    def run(self) -> None:
        """Run one job after the other."""
        # Nothing of `threading` waits for this thread any more. Threads that a job
        # makes inherit the flag, and the interpreter is to wait for those.
        self._daemonic = False
        pool = self.pool
        try:
            while True:
                self.wake.acquire()
                if self.job is None:
                    return
                self.job.run()
                if not pool.next_job(self):
                    return
        finally:
            pool.leave()


def default_size() -> int:
    """Return how many threads a ThreadPoolExecutor has by default."""
    # What this process may use, since 3.13; earlier what the machine has.
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return min(32, (count() or 1) + 4)


def unwrapped(job: Job) -> Callable[..., Any]:
    """Return the function that the user handed to ``to_thread`` or to the pool."""
    call, args = job.fn, job.args
    while isinstance(call, functools.partial):
        call, args = call.func, (*call.args, *args)
    if args and isinstance(getattr(call, "__self__", None), contextvars.Context):
        # Its method `run` was called.
        return args[0]
    return call


def call_each(callbacks: Iterable[Callable[[], object]]) -> None:
    """Call `callbacks`."""
    for callback in callbacks:
        callback()


class AllPools:
    """The pools that have threads, for what concerns the whole process."""

    def __init__(self) -> None:
        self.pools: WeakSet[ThreadPool] = WeakSet()
        self.at_exit: Callable[[], None] | None = None
        self.exits = False

    def add(self, pool: ThreadPool) -> None:
        """Have the interpreter wait for the jobs of `pool` before it exits.

        Raises RuntimeError once the exit has begun.
        """
        if self.exits:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self.at_exit is None:
            # Called before `threading` joins what the jobs may have started.
            threading._register_atexit(self.finish)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            self.at_exit = self.finish
        self.pools.add(pool)

    def shut_down(self) -> None:
        """Take no more work in this process, and let the idle threads end."""
        self.exits = True
        for pool in list(self.pools):
            pool.shutdown(wait=False)

    def finish(self) -> None:
        """Wait for the jobs of all pools, however long they take."""
        self.shut_down()
        for pool in list(self.pools):
            if not pool.given_up:
                pool.shutdown(wait=True)

    def busy(self) -> list[BusyWorker]:
        """Return the workers that have something to do."""
        return [worker for pool in list(self.pools) for worker in pool.busy()]

    def begin_in_child(self) -> None:
        """Forget the threads, which a forked child does not have."""
        for pool in list(self.pools):
            pool.begin()


all_pools = AllPools()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=all_pools.begin_in_child)
