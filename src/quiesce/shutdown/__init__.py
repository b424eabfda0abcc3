"""How a program stops.

For programs: `drain` registers what a service does before it is cancelled; `shielded`
protects a cleanup from being cut short; `is_ending`, `why`, `deadline` and `time_left`
tell about the end that goes on.

For readers: `triggers` comes first (what asks for the end), then `phases` (what happens
then, in which order) and `sequence` (how one end goes through them in one budget),
`rounds` and `asking` (which tasks are asked, when), `watchdog` (who holds the
deadline), `report` (what is said of it) and `exit_status` (how the process tells its
parent why it ended).
Everything here acts on the loop it is handed, ours or another.
"""

from __future__ import annotations

# typing.TYPE_CHECKING, without the price of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from quiesce.shutdown.draining import Registration, drain
    from quiesce.shutdown.ending import deadline, is_ending, time_left, why
    from quiesce.shutdown.protection import Protection, shielded

__all__ = [
    "Protection",
    "Registration",
    "deadline",
    "drain",
    "is_ending",
    "shielded",
    "time_left",
    "why",
]

HOMES = {
    "Protection": "quiesce.shutdown.protection",
    "Registration": "quiesce.shutdown.draining",
    "deadline": "quiesce.shutdown.ending",
    "drain": "quiesce.shutdown.draining",
    "is_ending": "quiesce.shutdown.ending",
    "shielded": "quiesce.shutdown.protection",
    "time_left": "quiesce.shutdown.ending",
    "why": "quiesce.shutdown.ending",
}


def __getattr__(name: str) -> Any:
    """Find a public name when it is first asked for: few programs ask for any."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})
