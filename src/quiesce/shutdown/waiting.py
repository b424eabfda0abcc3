"""What a task waits for, in words, as far as that can be told from outside."""

# What a coroutine awaits, and what lies in its frame, can be anything.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from quiesce.core.awaited_by import held_by
from quiesce.shutdown.await_chain import code_of, frame_of, is_own_file, is_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Names that one line shows before it only counts.
SHOWN = 3

# Functions of asyncio and quiesce that say nothing by themselves: what they await does.
SEEN_THROUGH = frozenset(
    {
        "wait_for",
        "timeout",
        "Countdown.run",
        "Runner.run",
        # Of locks, semaphores and conditions.
        "_ContextManagerMixin.__aenter__",
    }
)

WORDS = {
    "Event.wait": "an event",
    "Lock.acquire": "a lock",
    "Semaphore.acquire": "a semaphore",
    "BoundedSemaphore.acquire": "a semaphore",
    "Condition.wait": "a condition",
    "Condition.wait_for": "a condition",
    "Barrier.wait": "a barrier",
    "Get": "an item from a queue",
    "Queue.get": "an item from a queue",
    "Put": "room in a queue",
    "Queue.put": "room in a queue",
    "Queue.join": "a queue to be worked off",
    "Exchange.join": "a queue to be worked off",
    "SocketCall": "a socket",
    "StreamReader.read": "data from a peer",
    "StreamReader.readexactly": "data from a peer",
    "StreamReader.readline": "data from a peer",
    "StreamReader.readuntil": "data from a peer",
    "StreamWriter.drain": "a peer to read what was written",
    "StreamWriter.wait_closed": "a connection to close",
    "Server.serve_forever": "the end of a server",
    "Server.wait_closed": "a server's connections to end",
    "Process.wait": "a child process",
    "Process.communicate": "a child process",
    "to_thread": "a function in a thread",
}


def waits_for(task: Any, links: list[Any], awaited: Any) -> str:
    """Say what `task`, with this chain of coroutines, waits for; "" if nobody knows."""
    if links and is_running(links[-1]):
        return "nothing: it is running"
    future = getattr(task, "_fut_waiter", None)
    if links and awaited is None and future is None:
        return "its first step"
    return of_chain(links, awaited, future)


def generator_waits_for(links: list[Any], awaited: Any) -> str:
    """Say what a generator with this chain waits for; "" where it is not being run."""
    if awaited is None:
        return ""
    # Compiled, a future of ours is awaited itself; it holds the task that awaits it.
    for thing in (awaited, *gc.get_referents(awaited)):
        if hasattr(thing, "_asyncio_future_blocking"):
            return of_chain(links, awaited, thing)
    return of_chain(links, awaited, None)


def of_chain(links: list[Any], awaited: Any, future: Any) -> str:
    """Say what a chain of coroutines waits for at its end."""
    for link in foreign(links):
        words = in_words(link)
        if words:
            return words
    return of_object(awaited, future)


def foreign(links: list[Any]) -> list[Any]:
    """Return the end of a chain that is in no code of the program's own."""
    last = 0
    for place, link in enumerate(links):
        code = code_of(link)
        if code is not None and is_own_file(code.co_filename):
            last = place + 1
    return links[last:]


def in_words(link: Any) -> str:
    """Say what a coroutine of asyncio or quiesce waits for; "" sees through it."""
    name = getattr(link, "__qualname__", "")
    if name in SEEN_THROUGH:
        return ""
    if name in IN_FRAME:
        frame = frame_of(link)
        return "" if frame is None else IN_FRAME[name](frame.f_locals)
    return WORDS.get(name) or f"{name}()"


def of_object(awaited: Any, future: Any) -> str:
    """Say what is awaited by a coroutine of the program itself."""
    name = type(awaited).__name__
    if name == "Sleep":
        return of_sleep(gc.get_referents(awaited))
    if name in WORDS:
        return WORDS[name]
    if future is None:
        return "its next step"
    return of_future(future)


def of_future(future: Any) -> str:
    """Say what a future stands for."""
    if hasattr(future, "get_coro"):
        return f"task {future.get_name()!r}"
    # What `gather` of asyncio and of quiesce waits for.
    children = getattr(future, "_children", None) or getattr(future, "children", None)
    if children is not None:
        return of_several(children, "all of")
    for callback, _ in getattr(future, "_callbacks", None) or ():
        words = of_callback(callback, getattr(callback, "__qualname__", ""))
        if words:
            return words
    return "a future"


def of_callback(callback: Any, name: str) -> str:
    """Say what a future waits for that asyncio or quiesce has tied to another one."""
    if name.startswith(("_chain_future.", "chain.")):
        return "a function in a thread or process"
    if name.startswith("shield."):
        inner = held_by(callback).get("inner")
        return "" if inner is None else f"{of_future(inner)}, shielded"
    return ""


def of_sleep(held: Iterable[Any]) -> str:
    """Say how long a sleep is, from the objects it holds: its delay and its timer."""
    delay = timer = None
    for thing in held:
        if hasattr(thing, "when"):
            timer = thing
        elif delay is None and isinstance(thing, (int, float)):
            delay = thing
    return sleep_of(delay, timer)


def of_asyncio_sleep(variables: dict[str, Any]) -> str:
    """Say how long asyncio's own sleep is."""
    return sleep_of(variables.get("delay"), variables.get("h"))


def sleep_of(delay: Any, timer: Any) -> str:
    """Say how long a sleep is and how much of it is left."""
    text = "a sleep" if delay is None else f"a sleep of {delay:g} s"
    loop = getattr(timer, "_loop", None)
    if loop is None:
        return text
    return f"{text}, {max(0.0, timer.when() - loop.time()):.1f} s left"


def of_task_group(variables: dict[str, Any]) -> str:
    """Say which tasks a task group waits for."""
    tasks = getattr(variables.get("self"), "_tasks", None)
    return of_several(tasks, "the group of") if tasks else "a task group"


def of_wait(variables: dict[str, Any]) -> str:
    """Say what ``wait`` waits for."""
    waited = variables.get("fs") or variables.get("futures") or ()
    return of_several([each for each in waited if not is_done(each)], "some of")


def is_done(future: Any) -> bool:
    """Tell whether a future is done."""
    done = getattr(future, "done", None)
    return done is not None and done()


def of_several(futures: Iterable[Any], how: str) -> str:
    """Name a few of some futures that are pending, and say how many there are."""
    pending = [each for each in futures if not is_done(each)]
    names = [
        repr(each.get_name()) for each in pending[:SHOWN] if hasattr(each, "get_name")
    ]
    if len(pending) == 1 and names:
        return f"task {names[0]}"
    if not names:
        return f"{how} {len(pending)} futures"
    more = (
        "" if len(pending) == len(names) else f" and {len(pending) - len(names)} more"
    )
    return f"{how} {', '.join(names)}{more}"


IN_FRAME: dict[str, Callable[[dict[str, Any]], str]] = {
    "sleep": of_asyncio_sleep,
    "TaskGroup.__aexit__": of_task_group,
    "TaskGroup._aexit": of_task_group,
    "wait": of_wait,
    "_wait": of_wait,
}
