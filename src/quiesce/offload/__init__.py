"""Work that must not run on the loop, and where it runs instead.

`threads` holds the pool that every loop has for blocking functions.
"""

from __future__ import annotations

from quiesce.offload.threads import DefaultExecutor, to_thread

__all__ = ("DefaultExecutor", "to_thread")
