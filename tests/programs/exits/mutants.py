"""Each mutant switches one mechanism of the exit off; its scenarios must fail then."""

from __future__ import annotations

MUTANTS = {}


def apply(name: str) -> None:
    """Switch the mechanism off in this process, a scenario's program."""
    MUTANTS[name]()
