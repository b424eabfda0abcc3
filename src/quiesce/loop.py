"""The loop that users hold: a table of contents.

`Scheduler` runs callbacks, tasks and timers. What is here are the methods through which
asyncio's users reach everything else; each calls the module that does it.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

from quiesce.core.scheduler import Scheduler
from quiesce.system import new_poller

if TYPE_CHECKING:
    from quiesce.core.clock import Clock
    from quiesce.core.poller import Poller


class Loop(Scheduler, asyncio.AbstractEventLoop):
    """An event loop with the whole of asyncio's interface.

    `clock` and `poller` replace where time and readiness come from; tests that must repeat
    exactly give simulated ones.
    """

    def __init__(self, *, clock: Clock | None = None, poller: Poller | None = None) -> None:
        super().__init__(new_poller() if poller is None else poller, clock)

    def __del__(self) -> None:
        if not self.is_closed():
            warnings.warn(f"unclosed event loop {self!r}", ResourceWarning, source=self, stacklevel=1)
            if not self.is_running():
                self.close()


def new_event_loop() -> Loop:
    """Return a new loop."""
    return Loop()
