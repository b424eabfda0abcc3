"""Who is measured: a loop, and the module its program calls ``asyncio``."""

from __future__ import annotations

import asyncio
import asyncio.futures
import asyncio.tasks
import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

FACTORY_NAMES = ("new_event_loop", "EventLoop", "RLoop", "Loop")
"""What the packages call their loop; the first one found is used."""


@dataclass(frozen=True)
class Candidate:
    """One column: ``name`` as printed, and what to import for it."""

    name: str
    loop_module: str
    program_imports: str = "asyncio"
    interpreted: bool = False
    """Whether Task and Future must be plain Python, not compiled."""
    watched: bool = False
    """Whether ``quiesce.run`` and its watchdog see to the end of what is measured."""


STOCK = Candidate("quiesce", "quiesce")
OWN = Candidate("quiesce (own)", "quiesce", program_imports="quiesce")
PEERS = tuple(
    Candidate(name, name) for name in ("asyncio", "uvloop", "blazio", "rloop", "talyn")
)
INTERPRETED = Candidate("quiesce (plain)", "quiesce", interpreted=True)
PURE_ASYNCIO = Candidate("asyncio (plain)", "asyncio", interpreted=True)

ALL = {
    candidate.name: candidate
    for candidate in (STOCK, OWN, *PEERS, INTERPRETED, PURE_ASYNCIO)
}

WATCHED = Candidate("quiesce.run", "quiesce", watched=True)
"""Only for counting: it has a loop for each run."""


class PurePythonLoop(asyncio.SelectorEventLoop):
    """asyncio's loop with CPython's own plain-Python Task and Future on it.

    The comparison for interpreted quiesce.  Everything else stays as fast as
    the standard library ships it, so that the comparison does not flatter.
    """

    def __init__(self) -> None:
        super().__init__()
        self.set_task_factory(self._plain_task)

    @staticmethod
    def _plain_task(loop: Any, coro: Any, **options: Any) -> Any:
        return getattr(asyncio.tasks, "_PyTask")(coro, loop=loop, **options)  # noqa: B009

    def create_future(self) -> Any:
        """Return a plain-Python future."""
        return getattr(asyncio.futures, "_PyFuture")(loop=self)  # noqa: B009


def make_loop(candidate: Candidate) -> asyncio.AbstractEventLoop:
    """Return a new loop; ImportError if the candidate is not installed."""
    if candidate is PURE_ASYNCIO:
        return PurePythonLoop()
    module = importlib.import_module(candidate.loop_module)
    for name in FACTORY_NAMES:
        factory = getattr(module, name, None)
        if factory is not None:
            return factory()
    message = f"{candidate.loop_module} offers no event loop"
    raise ImportError(message)


def program_module(candidate: Candidate) -> Any:
    """Return the module that the measured program calls ``asyncio``."""
    return importlib.import_module(candidate.program_imports)


def describe(candidate: Candidate) -> dict[str, str]:
    """Return the version and the mode, so that a result says what it measured."""
    if candidate.loop_module == "asyncio":
        version = "with Python"
    else:
        try:
            version = importlib.metadata.version(candidate.loop_module)
        except importlib.metadata.PackageNotFoundError:
            version = "unknown"
    facts = {"version": version}
    if candidate.loop_module == "quiesce":
        compiled = importlib.import_module("quiesce").COMPILED
        facts["mode"] = "compiled" if compiled else "interpreted"
    return facts
