"""Work that must not run on the loop, and where it runs instead.

`worker_pool` says what a loop asks of a pool, `thread_pool` is the one that runs
blocking functions, and `threads` is how a loop and its users come by it.
"""

from __future__ import annotations

from quiesce.offload.threads import DefaultExecutor, to_thread

__all__ = ("DefaultExecutor", "to_thread")
