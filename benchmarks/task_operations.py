"""The nine operations on tasks, each written as a program would write it.

Every operation takes the module the program calls ``asyncio`` (the standard
one, or quiesce under that name) and how many times to do the thing; its cost
is the time it takes divided by that count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

GATHER_WIDTH = 1_000
"""How many coroutines one ``gather`` is given."""

INTERLEAVED_TASKS = 100
"""How many tasks take turns in the interleaving row."""

TIMER_BATCH = 1_000
"""How many timers are pending before they are cancelled."""

QUEUE_SIZE = 10
"""Small, so that producer and consumer both have to wait."""

# Either module stands here; a type checker can describe only one of them.
Asyncio = Any


async def do_nothing() -> None:
    """Be the shortest coroutine there is."""


async def spawn_and_await(asyncio: Asyncio, count: int) -> None:
    """Start a task that does nothing and wait for it, one after the other."""
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.create_task(do_nothing())


async def gather_a_thousand(asyncio: Asyncio, count: int) -> None:
    """Gather a thousand coroutines that do nothing; one child is one operation."""
    for _ in range(count // GATHER_WIDTH):
        await asyncio.gather(*[do_nothing() for _ in range(GATHER_WIDTH)])


async def sleep_zero(asyncio: Asyncio, count: int) -> None:
    """Give way, in a program with only one task."""
    for _ in range(count):
        await asyncio.sleep(0)


async def interleave(asyncio: Asyncio, count: int) -> None:
    """Give way, in a program where a hundred tasks do the same."""

    async def take_turns() -> None:
        for _ in range(count // INTERLEAVED_TASKS):
            await asyncio.sleep(0)

    await asyncio.gather(*[take_turns() for _ in range(INTERLEAVED_TASKS)])


async def hand_over(asyncio: Asyncio, count: int) -> None:
    """Let one task finish the future that another one waits for."""
    loop = asyncio.get_running_loop()
    current = loop.create_future()

    async def receive() -> None:
        for _ in range(count // 2):
            await current

    async def send() -> None:
        nonlocal current
        for _ in range(count // 2):
            finished, current = current, loop.create_future()
            finished.set_result(None)
            await asyncio.sleep(0)

    await asyncio.gather(receive(), send())


async def call_soon(asyncio: Asyncio, count: int) -> None:
    """Let a callback schedule itself again."""
    loop = asyncio.get_running_loop()
    finished = loop.create_future()
    left = count

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(again)
        else:
            finished.set_result(None)

    loop.call_soon(again)
    await finished


async def set_and_cancel_timers(asyncio: Asyncio, count: int) -> None:
    """Set a thousand timers and cancel them all, as timeouts usually end."""
    loop = asyncio.get_running_loop()
    for _ in range(count // TIMER_BATCH):
        timers = [loop.call_later(10 + i % 7, do_nothing) for i in range(TIMER_BATCH)]
        for timer in timers:
            timer.cancel()
    await asyncio.sleep(0)


async def queue(asyncio: Asyncio, count: int) -> None:
    """Pass items through a short queue; put and get are one operation."""
    items = asyncio.Queue(QUEUE_SIZE)

    async def produce() -> None:
        for item in range(count):
            await items.put(item)

    async def consume() -> None:
        for _ in range(count):
            await items.get()

    await asyncio.gather(produce(), consume())


async def timeout(asyncio: Asyncio, count: int) -> None:
    """Put a limit on a wait that ends long before it."""
    for _ in range(count):
        async with asyncio.timeout(10):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Operation:
    """One row of the table: what it is called, and the program it stands for."""

    key: str
    title: str
    program: Callable[[Asyncio, int], Awaitable[None]]
    multiple: int = 1
    """Counts are rounded up to a multiple of this."""


OPERATIONS = (
    Operation("spawn", "spawn + await", spawn_and_await),
    Operation("gather", "gather of 1,000", gather_a_thousand, GATHER_WIDTH),
    Operation("sleep0", "sleep(0)", sleep_zero),
    Operation("interleave", "100 tasks, sleep(0)", interleave, INTERLEAVED_TASKS),
    Operation("handover", "future hand-over", hand_over, 2),
    Operation("call_soon", "call_soon", call_soon),
    Operation("timers", "set + cancel timers", set_and_cancel_timers, TIMER_BATCH),
    Operation("queue", "Queue put + get", queue),
    Operation("timeout", "timeout", timeout),
)
