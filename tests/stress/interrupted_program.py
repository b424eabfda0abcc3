"""A program that Ctrl-C hits again and again, anywhere, and that must stay whole.

``python interrupted_program.py COUNT SEED`` lets dozens of tasks work, interrupts the
loop COUNT times and checks now and then, without signals, that nothing was lost: every
task ends, every timer fires, and the loop answers as a new one does. An interrupt
may end the task in whose code it is raised; no other.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import quiesce

sys.path.insert(0, str(Path(__file__).parent))

from interrupter import Interrupter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

WORKERS = 5
"""How many tasks of each kind."""

CHECK_EVERY = 500
"""Interrupts between two checks."""

PATIENCE = 20.0
"""Seconds after which a task that should end is taken for lost."""

LONGEST_WAIT = 300e-6


class Program:
    """The tasks, the loop they run on, and what is known to have happened."""

    def __init__(self, seed: int) -> None:
        self.loop = quiesce.new_event_loop()
        self.chance = random.Random(seed)
        self.interrupter = Interrupter(seed, LONGEST_WAIT)
        self.winding_up = False
        self.tasks: list[asyncio.Task[Any]] = []
        self.mains: list[asyncio.Future[Any]] = []
        self.rounds: collections.Counter[str] = collections.Counter()
        self.interrupts = 0
        self.runs: list[Callable[[], None]] = []
        self.asked = False
        self.errors: list[dict[str, Any]] = []
        self.loop.set_exception_handler(self.note_error)
        self.posted = 0
        self.received: collections.deque[int] = collections.deque()

    def note_error(self, _: object, context: dict[str, Any]) -> None:
        """Remember an error; that nobody awaits an interrupted task is none."""
        if not isinstance(context.get("exception"), KeyboardInterrupt):
            self.errors.append(context)

    # -- what the tasks do: whoever wakes them is the loop, and no code of ours

    async def give_way(self) -> None:
        await quiesce.sleep(0)

    async def wait_for_a_timer(self) -> None:
        future = self.loop.create_future()
        self.loop.call_later(self.chance.random() * 1e-4, future.set_result, None)
        await future

    async def wait_for_a_callback(self) -> None:
        future = self.loop.create_future()
        self.loop.call_soon(future.set_result, None)
        await future

    async def wait_for_a_task(self) -> None:
        await self.loop.create_task(quiesce.sleep(0))

    async def cancel_a_timer(self) -> None:
        future = self.loop.create_future()
        # An interrupt may leave it behind: it must not come in this program's time.
        late = self.loop.call_later(86_400, future.set_result, None)
        self.loop.call_soon(future.cancel)
        try:
            await future
        except asyncio.CancelledError:
            late.cancel()

    async def wait_under_a_timeout(self) -> None:
        future = self.loop.create_future()
        self.loop.call_soon(future.set_result, None)
        async with quiesce.timeout(60):
            await future

    async def pass_through_a_queue(self) -> None:
        queue: Any = quiesce.Queue(1)
        self.loop.call_soon(queue.put_nowait, None)
        await queue.get()

    async def wait_in_a_foreign_future(self) -> None:
        future: asyncio.Future[None] = asyncio.Future(loop=self.loop)
        self.loop.call_soon(future.set_result, None)
        await future

    async def gather_some(self) -> None:
        await quiesce.gather(quiesce.sleep(0), quiesce.sleep(1e-5), quiesce.sleep(0))

    async def work(self, once: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self.winding_up:
            await once()
            self.rounds[once.__name__] += 1

    def kinds(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        return [
            self.give_way,
            self.wait_for_a_timer,
            self.wait_for_a_callback,
            self.wait_for_a_task,
            self.cancel_a_timer,
            self.wait_under_a_timeout,
            self.pass_through_a_queue,
            self.wait_in_a_foreign_future,
            self.gather_some,
        ]

    # -- what interrupts them

    def interrupt(self) -> None:
        """Run the loop until one signal has come, however often it interrupts.

        While it may come, nothing is asked of the loop but to run.
        """
        self.runs = [self.next_run()]
        self.asked = False
        try:
            self.run_until_signalled()
        except KeyboardInterrupt:
            # It came between two runs; only tasks can still raise it.
            self.interrupts += 1
            self.run_until_signalled()

    def run_until_signalled(self) -> None:
        while True:
            try:
                if not self.asked:
                    self.asked = True
                    self.interrupter.request()
                while not self.interrupter.has_sent():
                    run = self.runs.pop() if self.runs else self.run_for_a_moment
                    run()
                time.sleep(0)  # where a signal that has just come is noticed
            except KeyboardInterrupt:
                self.interrupts += 1
            else:
                return

    def next_run(self) -> Callable[[], None]:
        """Prepare one of the ways to run a loop."""
        way = self.chance.randrange(5)
        if way == 0:
            return self.run_for_a_moment
        if way == 1:
            self.loop.call_soon(self.loop.stop)
            return self.loop.run_forever
        if way == 2:
            self.loop.call_later(self.chance.random() * 1e-4, self.loop.stop)
            return self.loop.run_forever
        if way == 3:
            main: asyncio.Future[Any] = self.loop.create_future()
            self.loop.call_soon(main.set_result, None)
        else:
            main = self.loop.create_task(self.wait_for_a_timer())
            self.mains.append(main)
        return functools.partial(self.run_until, main)

    def run_for_a_moment(self) -> None:
        self.run_until(quiesce.sleep(self.chance.random() * 1e-4))

    def run_until(self, main: Awaitable[Any]) -> None:
        try:
            self.loop.run_until_complete(main)
        except RuntimeError as error:
            # A stop that an interrupt kept from taking effect takes effect here.
            if "stopped before Future completed" not in str(error):
                raise

    def post_from_thread(self) -> None:
        """Hand over numbers from another thread while signals come."""
        while not self.winding_up:
            self.loop.call_soon_threadsafe(self.received.append, self.posted)
            self.posted += 1
            time.sleep(2e-4)

    # -- what must hold

    def storm(self, count: int) -> None:
        """Interrupt `count` times, then wind up and check that all is well."""
        self.winding_up = False
        workers = [once for once in self.kinds() for _ in range(WORKERS)]
        tasks = [self.loop.create_task(self.work(once)) for once in workers]
        thread = threading.Thread(target=self.post_from_thread, daemon=True)
        thread.start()
        target = self.interrupts + count
        while self.interrupts < target:
            self.interrupt()
            for index, task in enumerate(tasks):
                if task.done():
                    self.tasks.append(task)
                    tasks[index] = self.loop.create_task(self.work(workers[index]))
        self.winding_up = True
        thread.join()
        self.tasks += tasks
        self.finish(self.tasks + self.mains)
        self.check()

    def finish(self, everybody: list[Any]) -> None:
        """Run until all tasks have ended; fail if one does not."""
        deadline = time.monotonic() + PATIENCE
        # A task that was made when an interrupt came is on no list of ours.
        everybody += asyncio.all_tasks(self.loop) - set(everybody)
        while pending := [each for each in everybody if not each.done()]:
            if time.monotonic() > deadline:
                fail(f"lost: {[describe(task) for task in pending]}")
            self.run_for(0.01)
        for each in everybody:
            if not each.cancelled() and each.exception() is not None:
                expect(isinstance(each.exception(), KeyboardInterrupt), repr(each))
        self.tasks.clear()
        self.mains.clear()
        self.run_for(0.01)

    def run_for(self, seconds: float) -> None:
        """Run, although a stop may be left over, and an interrupt among the tasks.

        A task that awaits one that was interrupted raises the interrupt again.
        """
        end = self.loop.time() + seconds
        while self.loop.time() < end:
            stop = self.loop.call_at(end, self.loop.stop)
            try:
                self.loop.run_forever()
            except KeyboardInterrupt:
                pass
            stop.cancel()

    def check(self) -> None:
        """Ask the loop to do each thing it does, now that nothing interrupts it."""
        loop = self.loop
        expect(list(self.received) == list(range(self.posted)), "lost from a thread")
        self.received.clear()
        self.posted = 0
        expect(not loop.is_running(), "it thinks it runs")
        expect(asyncio._get_running_loop() is None, "a loop is left running")
        expect(asyncio.current_task(loop) is None, "a task is left current")
        for task in asyncio.all_tasks(loop):
            fail(f"left over: {describe(task)}")
        order: list[int] = []
        delays = [0.004, 0.001, 0.003, 0.001, 0.002]
        now = loop.time()
        for delay in delays:
            loop.call_at(now + delay, order.append, int(delay * 1000))
        loop.call_at(now + 0.01, loop.stop)
        loop.run_forever()
        expect(order == sorted(order) and len(order) == len(delays), f"timers: {order}")
        numbers: list[int] = []
        for number in range(200):
            loop.call_soon(numbers.append, number)
        loop.call_soon(loop.stop)
        loop.run_forever()
        expect(numbers == list(range(200)), f"callbacks: {numbers}")
        threading.Timer(0.01, loop.call_soon_threadsafe, (loop.stop,)).start()
        loop.run_forever()
        expect(not self.errors, f"errors: {self.errors[:3]}")


def describe(task: Any) -> str:
    """Say where a task hangs and what it waits for."""
    waits_for = getattr(task, "_fut_waiter", None)
    where = getattr(getattr(task, "_coro", None), "cr_await", None)
    return f"{task!r} waits for {waits_for!r} at {where!r}"


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        fail(otherwise)


def fail(why: str) -> None:
    raise SystemExit(f"BROKEN: {why}")


def main(count: int, seed: int) -> None:
    """Interrupt a loop `count` times; status 1 and a line if something breaks."""
    program = Program(seed)
    try:
        while program.interrupts < count:
            program.storm(min(CHECK_EVERY, count - program.interrupts))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        program.interrupter.close()
    program.loop.close()
    mode = "compiled" if quiesce.COMPILED else "interpreted"
    sys.stdout.write(f"{program.interrupts} interrupts, {mode}: {program.rounds}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
