"""The `quiesce` command: `main` reads it, `run` and `doctor` do what it says."""

from __future__ import annotations
