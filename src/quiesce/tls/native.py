"""Plain-Python stand-ins for what TLS needs in C.

Compiled modules cimport these names from ``native.pxd``, so this file runs only where
nothing is compiled.
"""

from __future__ import annotations


def beginning(memory: bytearray, count: int) -> bytes:
    """Return a copy of the first `count` bytes of `memory`, made without a second."""
    return bytes(memoryview(memory)[:count])
