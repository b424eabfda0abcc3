"""Telling systemd, or whoever started a service, that it has begun to stop."""

from __future__ import annotations

import atexit
import os

VARIABLE = "NOTIFY_SOCKET"
STOPPING = "STOPPING=1"


# Has something in it once the service manager was told.
told: list[bool] = []


def tell(*, at_once: bool) -> None:
    """Tell the service manager, if one asked to be told, that the service stops.

    It is told once. Unless `at_once`, that is when the interpreter exits: after a run
    that only came to its end the process may go on.
    """
    if os.environ.get(VARIABLE):
        if at_once:
            stopping()
        else:
            atexit.register(stopping)


def stopping() -> None:
    """Tell the service manager that the service stops, if it has not been told."""
    atexit.unregister(stopping)
    if not told:
        told.append(True)
        notify(STOPPING)


def notify(state: str) -> None:
    """Send `state` as sd_notify(3) does, without waiting.

    Nothing is raised: whoever listens, or does not, must not change how a program ends.
    """
    import socket

    path = os.environ.get(VARIABLE, "")
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
