"""All that differs between operating systems.

`new_poller` chooses how a loop waits: `epoll` on Linux, `any_selector` elsewhere.
`signals` forwards signals to a loop.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quiesce.core.poller import Poller


def new_poller() -> Poller:
    """Return the best poller this system has, closed by the loop that gets it."""
    if hasattr(select, "epoll"):
        from quiesce.system.epoll import EpollPoller

        return EpollPoller()
    from quiesce.system.any_selector import SelectorPoller

    return SelectorPoller()
