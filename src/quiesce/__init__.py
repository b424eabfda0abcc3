"""An asyncio-compatible runtime that owns its whole stack and ends programs rightly.

``import quiesce as asyncio`` works: every public name and submodule that asyncio has is
an attribute here. `HOMES` says which are quiesce's own and where each lives; all others
are the standard library's own objects. A name is looked up when it is first asked for,
so that importing quiesce costs next to nothing.

Names that asyncio does not have: `install`, `Loop`, `Terminated`, `GraceExceeded`,
`COMPILED`, ``__version__`` and the module `shutdown`.
"""

from __future__ import annotations

# typing.TYPE_CHECKING, without the price of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from asyncio import *  # noqa: F403 # pyright: ignore[reportWildcardImportFromLibrary]

    # Python 3.11 left it out of asyncio's __all__.
    from asyncio import TaskGroup as TaskGroup
    from typing import Any

    from quiesce import shutdown as shutdown
    from quiesce.combinators.as_completed import as_completed
    from quiesce.combinators.ensure_future import ensure_future, isfuture
    from quiesce.combinators.gather import gather
    from quiesce.combinators.queues import (
        LifoQueue,
        PriorityQueue,
        Queue,
        QueueEmpty,
        QueueFull,
        QueueShutDown,
    )
    from quiesce.combinators.shield import shield
    from quiesce.combinators.sleep import sleep
    from quiesce.combinators.threadsafe import (
        run_coroutine_threadsafe,
        wrap_future,
    )
    from quiesce.combinators.timeouts import (
        Timeout,
        timeout,
        timeout_at,
    )
    from quiesce.combinators.wait import wait
    from quiesce.combinators.wait_for import wait_for
    from quiesce.core.future import Future
    from quiesce.core.handle import Handle
    from quiesce.core.running import (
        all_tasks,
        current_task,
    )
    from quiesce.core.scheduler import COMPILED
    from quiesce.core.task import Task
    from quiesce.core.timers import TimerHandle
    from quiesce.errors import GraceExceeded, Terminated
    from quiesce.installation import get_event_loop, install
    from quiesce.loop import Loop, new_event_loop
    from quiesce.offload.threads import to_thread
    from quiesce.runner import Runner, run

    EventLoop = Loop
    __version__: str
    __all__ = [
        "COMPILED",
        "EventLoop",
        "Future",
        "GraceExceeded",
        "Handle",
        "LifoQueue",
        "Loop",
        "PriorityQueue",
        "Queue",
        "QueueEmpty",
        "QueueFull",
        "QueueShutDown",
        "Runner",
        "Task",
        "Terminated",
        "Timeout",
        "TimerHandle",
        "all_tasks",
        "as_completed",
        "current_task",
        "ensure_future",
        "gather",
        "get_event_loop",
        "install",
        "isfuture",
        "new_event_loop",
        "run",
        "run_coroutine_threadsafe",
        "shield",
        "sleep",
        "timeout",
        "timeout_at",
        "to_thread",
        "wait",
        "wait_for",
        "wrap_future",
    ]
    __all__ += asyncio.__all__

HOMES = {
    "quiesce.combinators.as_completed": ("as_completed",),
    "quiesce.combinators.ensure_future": ("ensure_future", "isfuture"),
    "quiesce.combinators.gather": ("gather",),
    "quiesce.combinators.queues": (
        "LifoQueue",
        "PriorityQueue",
        "Queue",
        "QueueEmpty",
        "QueueFull",
        "QueueShutDown",
    ),
    "quiesce.combinators.shield": ("shield",),
    "quiesce.combinators.sleep": ("sleep",),
    "quiesce.combinators.threadsafe": ("run_coroutine_threadsafe", "wrap_future"),
    "quiesce.combinators.timeouts": ("Timeout", "timeout", "timeout_at"),
    "quiesce.combinators.wait": ("wait",),
    "quiesce.combinators.wait_for": ("wait_for",),
    "quiesce.core.future": ("Future",),
    "quiesce.core.handle": ("Handle",),
    "quiesce.core.running": ("all_tasks", "current_task"),
    "quiesce.core.scheduler": ("COMPILED",),
    "quiesce.core.task": ("Task",),
    "quiesce.core.timers": ("TimerHandle",),
    "quiesce.errors": ("GraceExceeded", "Terminated"),
    "quiesce.installation": ("get_event_loop", "install"),
    "quiesce.loop": ("Loop", "new_event_loop"),
    "quiesce.offload.threads": ("to_thread",),
    "quiesce.runner": ("Runner", "run"),
}
OWN = {name: home for home, names in HOMES.items() for name in names}
OWN["EventLoop"] = OWN["Loop"]


def __getattr__(name: str) -> Any:
    """Find a public name of quiesce or asyncio when it is first asked for."""
    from importlib import import_module

    if name in OWN:
        refuse_subinterpreter()
        # asyncio's name, since 3.13, for the class of its usual loop.
        at_home = "Loop" if name == "EventLoop" else name
        value = getattr(import_module(OWN[name]), at_home)
    elif name == "shutdown":
        value = import_module("quiesce.shutdown")
    elif name == "__version__":
        from importlib.metadata import version

        value = version("quiesce")
    elif name == "__all__":
        value = sorted({*import_module("asyncio").__all__, *OWN})
    else:
        return from_asyncio(name)
    globals()[name] = value
    return value


def from_asyncio(name: str) -> Any:
    """Return what asyncio has under `name`; keep it unless asyncio would warn of it."""
    import asyncio

    if name.startswith("__") or not hasattr(asyncio, name):
        raise AttributeError(f"module 'quiesce' has no attribute {name!r}")
    if name in vars(asyncio):
        globals()[name] = vars(asyncio)[name]
    return getattr(asyncio, name)


def __dir__() -> list[str]:
    import asyncio

    return sorted({*globals(), *dir(asyncio), *OWN, "__version__"})


def refuse_subinterpreter() -> None:
    """Raise `UnsupportedInterpreterError` in any interpreter but the main one."""
    from importlib import import_module

    try:
        interpreters = import_module("_interpreters")
    except ImportError:
        # Its name before Python 3.13.
        interpreters = import_module("_xxsubinterpreters")
    if interpreters.get_current() != interpreters.get_main():
        from quiesce.errors import UnsupportedInterpreterError

        raise UnsupportedInterpreterError(
            "quiesce runs in the main interpreter only, not in a subinterpreter"
        )
