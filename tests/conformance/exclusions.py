"""The tests that are left out, from ``exclusions.toml``."""

from __future__ import annotations

import fnmatch
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("exclusions.toml")
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Entry:
    """One reason and the tests it leaves out."""

    tests: tuple[str, ...]
    reason: str
    versions: tuple[str, ...]
    namings: tuple[str, ...]

    def holds_for(self, naming: str, version: str = VERSION) -> bool:
        """Tell whether the entry says anything about this naming and version."""
        return naming in self.namings and (
            not self.versions or version in self.versions
        )

    def pattern_for(self, test_id: str) -> str | None:
        """Return which of the entry's patterns matches `test_id`."""
        for pattern in self.tests:
            if fnmatch.fnmatchcase(test_id, pattern):
                return pattern
        return None


def read() -> list[Entry]:
    """Return the entries of the list."""
    data = tomllib.loads(LIST.read_text())
    return [
        Entry(
            tests=tuple(entry["tests"]),
            reason=entry["reason"],
            versions=tuple(entry.get("versions", ())),
            namings=tuple(entry.get("namings", ("stock", "ours"))),
        )
        for entry in data.get("entry", ())
    ]


def ceilings() -> dict[str, int]:
    """Return how many tests may be left out, by version of Python."""
    return tomllib.loads(LIST.read_text())["ceilings"]


def reason_for(entries: list[Entry], naming: str, test_id: str) -> str | None:
    """Return why a test is left out under `naming`, or None if it runs."""
    for entry in entries:
        if entry.holds_for(naming) and entry.pattern_for(test_id):
            return entry.reason
    return None
