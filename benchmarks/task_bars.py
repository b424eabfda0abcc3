"""How much faster each row must be, as data.

A bar is a ratio: the peer's time divided by ours.  ``STOCK`` is a program that
says ``import asyncio`` and runs on our loop; ``OWN`` is one that says ``import
quiesce as asyncio``.  A peer that a row does not name must not be faster.
"""

from __future__ import annotations

Bars = dict[str, dict[str, float]]

STOCK: Bars = {
    "spawn": {"asyncio": 12, "uvloop": 5},
    "gather": {"asyncio": 2.5, "uvloop": 1.5},
    "sleep0": {"asyncio": 7, "uvloop": 3.5},
    "interleave": {"asyncio": 5, "uvloop": 2.2},
    "handover": {"asyncio": 6, "uvloop": 3.3},
    "call_soon": {"asyncio": 7, "uvloop": 3},
    "timers": {"asyncio": 10, "uvloop": 5},
    "queue": {"asyncio": 1.6, "uvloop": 1.3},
    "timeout": {"asyncio": 2.5, "uvloop": 2.2},
}

OWN: Bars = {
    "gather": {"asyncio": 8, "uvloop": 5},
    "sleep0": {"asyncio": 12, "uvloop": 7},
    "queue": {"asyncio": 4, "uvloop": 3},
    "timeout": {"asyncio": 5, "uvloop": 4},
}

NOT_BEHIND = 1.0
"""The bar wherever none is written."""


def bar(bars: Bars, operation: str, peer: str) -> float:
    """Return the ratio that ``operation`` must reach beside ``peer``."""
    return bars.get(operation, {}).get(peer, NOT_BEHIND)
