"""asyncio's event loop policy, as far as it decides which loop is made.

Policies end with Python 3.16, so quiesce has none of its own: it lets asyncio's default
one make our loops, by the factory that its class holds.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events
from typing import Any

from quiesce.loop import new_event_loop

# Since 3.14 asyncio warns of the names without an underscore.
PREFIX = "_" if sys.version_info >= (3, 14) else ""
# The system's own module of asyncio, which has its default policy and loop.
ASYNCIO_SYSTEM: Any = sys.modules[asyncio.SelectorEventLoop.__module__]
DEFAULT_POLICY: Any = getattr(ASYNCIO_SYSTEM, f"{PREFIX}DefaultEventLoopPolicy")
# What a policy calls to make a loop, which must not become its method.
NEW_LOOP = staticmethod(new_event_loop)

current_policy: Any = getattr(events, f"{PREFIX}get_event_loop_policy")
set_policy: Any = getattr(events, f"{PREFIX}set_event_loop_policy")


def default_loop() -> Any:
    """Return a new loop of ours, unless the program has set a policy of its own."""
    policy = current_policy()
    return new_event_loop() if is_default(policy) else policy.new_event_loop()


def is_default(policy: Any) -> bool:
    """Tell whether `policy` is the one asyncio comes with."""
    return type(policy) is DEFAULT_POLICY
