"""Telling systemd, or whoever started a service, that it has begun to stop."""

from __future__ import annotations

import os

VARIABLE = "NOTIFY_SOCKET"
STOPPING = "STOPPING=1"


def stopping() -> None:
    """Tell the service manager that the service stops, if one asked to be told."""
    if os.environ.get(VARIABLE):
        notify(STOPPING)


def notify(state: str) -> None:
    """Send `state` as sd_notify(3) does, without waiting.

    Nothing is raised: whoever listens, or does not, must not change how a program ends.
    """
    import socket

    path = os.environ[VARIABLE]
    if path.startswith("@"):
        # An abstract socket, which has no file.
        path = f"\0{path[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(state.encode(), path)
    except OSError:
        # No such socket, or one that is full.
        pass
