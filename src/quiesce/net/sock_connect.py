"""Connecting a bare socket: what `loop.sock_connect` does.

It waits as the calls of `sock_calls` do; read that first.
"""

from __future__ import annotations

import socket
from typing import Any

from quiesce.net.resolve import ensure_resolved
from quiesce.net.sock_calls import change_to_writable, check_socket

RESOLVED_FAMILIES = (socket.AF_INET, socket.AF_INET6)


async def sock_connect(loop: Any, sock: socket.socket, address: Any) -> None:
    """Connect to `address`, in which a host's name is looked up first."""
    check_socket(loop, sock)
    if sock.family in RESOLVED_FAMILIES:
        found = await ensure_resolved(
            loop, address, family=sock.family, type=sock.type, proto=sock.proto
        )
        address = found[0][4]
    try:
        sock.connect(address)
    except (BlockingIOError, InterruptedError):
        # Also after EINTR: the connection is being made all the same.
        pass
    else:
        return
    await change_to_writable(loop, sock)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, f"Connect call failed {address}")
