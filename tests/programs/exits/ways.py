"""The ways in which a scenario's program can be run."""

from __future__ import annotations

import importlib.util
import os

from tests.programs.children import PYTHON, QUIESCE_RUN

OURS = ("quiesce.run", "quiesce run")
# For comparison only: see table.py.
OTHERS = ("asyncio.run", "uvloop.run")
WAYS = {way: QUIESCE_RUN if way == "quiesce run" else PYTHON for way in OURS + OTHERS}


def chosen() -> list[str]:
    """Return the ways to test, ours unless the environment names others."""
    named = os.environ.get("QUIESCE_EXITS_WAYS", ",".join(OURS)).split(",")
    installed = importlib.util.find_spec("uvloop") is not None
    return [way for way in named if installed or way != "uvloop.run"]
