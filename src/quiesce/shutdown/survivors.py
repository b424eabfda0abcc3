"""What is left when a program is to end, as data: tasks, threads, children and more.

A `Survivor` can be shown in any thread, written as JSON and kept after the thing itself
is gone. Read `await_chain` and `waiting` for what is told of a task, and `report` for
how it is shown.
"""

# What is described comes from the program and can be of any make.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import os
import sys
import time
from functools import wraps
from types import CodeType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from quiesce.core import places
from quiesce.core.interrupts import OURS
from quiesce.shutdown import await_chain
from quiesce.shutdown.await_chain import Place
from quiesce.shutdown.processes import content_of
from quiesce.shutdown.survivor import Survivor
from quiesce.shutdown.task_state import requests_of
from quiesce.shutdown.waiting import generator_waits_for, waits_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from threading import Thread
    from types import FrameType

P = ParamSpec("P")

# So many tasks that wait alike are described one by one; the others are counted.
ONE_BY_ONE = 10
# Beyond so many tasks none is looked at: a report must not take longer than the rest.
LOOKED_AT = 2_000


def whatever_happens(
    kind: str,
) -> Callable[
    [Callable[Concatenate[Any, P], Survivor]], Callable[Concatenate[Any, P], Survivor]
]:
    """Make a function that describes a thing never raise: the end must go on."""

    def decorate(
        describe: Callable[Concatenate[Any, P], Survivor],
    ) -> Callable[Concatenate[Any, P], Survivor]:
        @wraps(describe)
        def of(thing: Any, /, *args: P.args, **kwargs: P.kwargs) -> Survivor:
            try:
                return describe(thing, *args, **kwargs)
            except Exception:  # noqa: BLE001 - of the program's own classes
                return Survivor(kind, object.__repr__(thing))

        return of

    return decorate


@whatever_happens("task")
def of_task(
    task: Any, *, swallowed: int | None = None, request: Any = None
) -> Survivor:
    """Describe a task of ours or asyncio's that is not done.

    `swallowed` is how many requests to cancel it are known to have been caught; without
    it, all those that reached it but the last. `request` is the last one made to a task
    that does not keep it, if that is known.
    """
    coroutine = task.get_coro()
    links, awaited = await_chain.await_chain(coroutine)
    places = await_chain.places_of(links)
    request = getattr(task, "_cancel_request", request)
    asked_at = getattr(request, "at", None)
    created = creation_of(task, coroutine)
    return Survivor(
        kind="task",
        name=task.get_name(),
        runs=qualified_name(coroutine),
        where=await_chain.own_place(places),
        frames=places,
        waits_for=waits_for(task, links, awaited),
        created=created,
        defined=definition_of(links) if created is None else None,
        asked=requests_of(task),
        held=held_requests(task),
        swallowed=swallowed_by(task) if swallowed is None else swallowed,
        asked_by="" if request is None else asker_of(request),
        asked_ago=None if asked_at is None else max(0.0, time.monotonic() - asked_at),
    )


def of_tasks(
    tasks: Iterable[Any],
    *,
    swallowed: Callable[[Any], int | None] | None = None,
    requests: Mapping[Any, Any] | None = None,
) -> list[Survivor]:
    """Describe many tasks: of those that wait alike the first few, with a count.

    `swallowed` tells of a task how many requests to cancel it has caught, if it can;
    `requests` has the last ones made to tasks that do not keep them.
    """
    swallowed = swallowed or swallowed_by
    requests = requests or {}
    alike: dict[Any, list[Any]] = {}
    counts: dict[Any, int] = {}
    looked_at = 0
    beyond = 0
    for task in tasks:
        if looked_at == LOOKED_AT:
            beyond += 1
            continue
        looked_at += 1
        try:
            state = state_of(task)
        except Exception:  # noqa: BLE001 - of the program's own classes
            state = (type(task),)
        counts[state] = counts.get(state, 0) + 1
        if counts[state] <= ONE_BY_ONE:
            alike.setdefault(state, []).append(task)
    found: list[Survivor] = []
    for state, some in alike.items():
        found += [
            of_task(task, swallowed=swallowed(task), request=requests.get(task))
            for task in some
        ]
        found[-1].more = counts[state] - len(some)
    if beyond:
        found.append(Survivor("task", "", more=beyond))
    return found


def state_of(task: Any) -> tuple[Any, ...]:
    """Return what is equal for tasks that are in the middle of the same."""
    coroutine = task.get_coro()
    links, awaited = await_chain.await_chain(coroutine)
    if not links:
        return (type(coroutine), None, None)
    frame = await_chain.frame_of(links[-1])
    line = None if frame is None else frame.f_lineno
    codes = tuple(map(await_chain.code_of, links))
    return (*codes, line, type(awaited), requests_of(task))


def held_requests(task: Any) -> int:
    """Return how many requests to cancel `task` wait until a block is left."""
    # A program that protects a block has imported this.
    protection = sys.modules.get("quiesce.shutdown.protection")
    return 0 if protection is None else protection.number_held(task)


def swallowed_by(task: Any, *, also_the_last: bool = False) -> int:
    """Return how many requests reached `task` before the last one that did.

    With `also_the_last` that one counts too.
    """
    # asyncio's own tasks count only how many there were.
    reached = getattr(task, "_cancels_thrown", None)
    number: int = requests_of(task) if reached is None else reached
    return number if also_the_last else max(0, number - 1)


def asker_of(request: Any) -> str:
    """Say who made a request to cancel, and from which line if that is known."""
    asker = getattr(request, "by", None)
    if asker is None:
        return str(request)
    where, why = getattr(request, "where", None), getattr(request, "why", None)
    if where:
        return f"{asker}, {where}"
    return str(asker) if why is None else f"{asker}: {why}"


def qualified_name(thing: Any) -> str:
    """Return the name of a function or coroutine as its module has it."""
    name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
    return name or type(thing).__qualname__


def creation_of(task: Any, coroutine: Any) -> Place | None:
    """Return the line that made a task: the program's own one, in debug mode."""
    for frame in reversed(getattr(task, "_source_traceback", None) or ()):
        if await_chain.is_own_file(frame.filename):
            return Place(frame.filename, frame.lineno or 0, frame.name)
    for file, line, function in getattr(coroutine, "cr_origin", None) or ():
        if await_chain.is_own_file(file):
            return Place(file, line, function)
    loop = task.get_loop()
    origin = origin_of(task, loop)
    if origin is None or origin == getattr(loop, "run_from", None):
        # Who runs the loop: it was made by a callback that is no code of the program.
        return None
    code, offset = origin
    line = places.line_at(code, offset)
    return Place(code.co_filename, line or 0, code.co_qualname)


def origin_of(task: Any, loop: Any) -> tuple[CodeType, int] | None:
    """Return what made a task, as code and offset; None if nobody knows."""
    code = getattr(task, "_origin", None)
    if isinstance(code, CodeType):
        return code, task._origin_offset
    others = getattr(loop, "other_tasks", None)
    return None if others is None else others.pending.get(task)


def definition_of(links: list[Any]) -> Place | None:
    """Return where the first coroutine of a chain is defined."""
    code = await_chain.code_of(links[0]) if links else None
    if code is None:
        return None
    return Place(code.co_filename, code.co_firstlineno, code.co_qualname)


@whatever_happens("thread")
def of_thread(
    thread: Thread,
    innermost: FrameType | None = None,
    *,
    function: Callable[..., Any] | None = None,
) -> Survivor:
    """Describe a living thread, which is at the frame `innermost` if that is given.

    `function` is what its pool has been handed to run in it.
    """
    if innermost is None:
        innermost = sys._current_frames().get(thread.ident or 0)
    frames = await_chain.frames_down_to(innermost)
    places = tuple(map(await_chain.place_of, frames))
    return Survivor(
        kind="thread",
        name=thread.name,
        runs=function_of(thread, places, function),
        where=place_in_thread(places),
        frames=places,
        ident=thread.ident,
    )


def function_of(
    thread: Thread, places: tuple[Place, ...], function: Callable[..., Any] | None
) -> str:
    """Return the name of the program's function that runs in `thread`.

    Where it is none of the program's, it is the one that the program has called there.
    """
    for place in places:
        if await_chain.is_own_file(place.file):
            return place.function
    if function is None:
        function = getattr(thread, "_target", None)
    return "" if function is None else name_with_module(function)


def name_with_module(function: Callable[..., Any]) -> str:
    """Return the name under which a program finds a function of another module."""
    name = qualified_name(function)
    module = getattr(function, "__module__", None)
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"


def place_in_thread(places: tuple[Place, ...]) -> Place | None:
    """Return where a thread is, unless that is only where ours called a C function."""
    place = await_chain.own_place(places)
    return None if place is None or place.file.startswith(OURS) else place


@whatever_happens("child")
def of_child(child: Any) -> Survivor:
    """Describe a child process.

    It is given as its pid or as what Python has of it: an object of `subprocess`,
    `asyncio.subprocess` or `multiprocessing`, or a transport.
    """
    if isinstance(child, int):
        return Survivor("child", "", command_of(child), pid=child)
    if hasattr(child, "get_extra_info"):
        child = child.get_extra_info("subprocess")
    pid = getattr(child, "pid", None)
    words = getattr(child, "args", None)
    command = in_shell(words) if words else command_of(pid)
    return Survivor("child", getattr(child, "name", ""), command, pid=pid)


def command_of(pid: int | None) -> str:
    """Return the command line of a process, where the system tells."""
    words = content_of(f"/proc/{pid}/cmdline").rstrip(b"\0").split(b"\0")
    # One that has ended and that nobody has asked for its status has no words left.
    return in_shell(words) if any(words) else ""


def in_shell(words: Any) -> str:
    """Return a command as one types it, in one line; `words` may be one text."""
    import shlex

    if isinstance(words, (str, bytes, os.PathLike)):
        command = os.fsdecode(words)
    else:
        command = shlex.join(map(os.fsdecode, words))
    return " ".join(command.split())


@whatever_happens("async generator")
def of_generator(generator: Any, *, asked_at: float | None = None) -> Survivor:
    """Describe a suspended asynchronous generator, and when it began to be closed."""
    links, awaited = await_chain.await_chain(generator)
    places = await_chain.places_of(links)
    name = qualified_name(generator)
    return Survivor(
        "async generator",
        name,
        name,
        await_chain.own_place(places),
        places,
        waits_for=generator_waits_for(links, awaited),
        asked=0 if asked_at is None else 1,
        asked_ago=None if asked_at is None else max(0.0, time.monotonic() - asked_at),
    )


def of_generators(
    generators: Iterable[Any], *, asked_at: float | None = None
) -> list[Survivor]:
    """Describe many generators: of those at one line the first few, with a count.

    `asked_at` is when they began to be closed.
    """
    alike: dict[Any, list[Any]] = {}
    for generator in generators:
        line = getattr(getattr(generator, "ag_frame", None), "f_lineno", None)
        state = (getattr(generator, "ag_code", None), line)
        alike.setdefault(state, []).append(generator)
    found: list[Survivor] = []
    for some in alike.values():
        found += [
            of_generator(generator, asked_at=asked_at)
            for generator in some[:ONE_BY_ONE]
        ]
        found[-1].more = max(0, len(some) - ONE_BY_ONE)
    return found


@whatever_happens("connection")
def of_connection(transport: Any) -> Survivor:
    """Describe an open transport: its peer, and the bytes that are still to be sent."""
    peer = transport.get_extra_info("peername")
    if not peer:
        peer = transport.get_extra_info("sockname")
    if isinstance(peer, tuple):
        peer = ":".join(str(part) for part in peer[:2])
    size = getattr(transport, "get_write_buffer_size", None)
    queued = None if size is None else size()
    return Survivor("connection", str(peer or transport), queued=queued)


def of_drain_step(name: str, task: Any) -> Survivor:
    """Describe a drain step, which runs in `task`."""
    survivor = of_task(task)
    survivor.kind, survivor.name = "drain step", name
    return survivor
