"""The child processes that a loop has started, when it ends."""

from __future__ import annotations

import os
from typing import Any

from quiesce.core.running import all_of
from quiesce.loop import Loop


def running(loop: Any) -> list[Any]:
    """Return the transports of the children that have not ended."""
    if not isinstance(loop, Loop):
        return []
    return [child for child in all_of(loop.children) if child.get_returncode() is None]


def is_on_its_own(child: Any) -> bool:
    """Tell whether a child is in a session of its own, and so meant to outlive us."""
    try:
        return os.getsid(child.get_pid()) != os.getsid(0)
    except OSError:
        # It has ended meanwhile.
        return False


def to_end(loop: Any) -> list[Any]:
    """Return the children that end with the program."""
    return [child for child in running(loop) if not is_on_its_own(child)]


def drop_output(loop: Any) -> None:
    """Let the children say their last words to nobody, instead of to a closed pipe."""
    for child in to_end(loop):
        child.drop_output()


def terminate(loop: Any, asked: set[Any]) -> None:
    """Ask the children to end, by SIGTERM, but for those in `asked`; add them to it."""
    for child in to_end(loop):
        if child not in asked:
            asked.add(child)
            child.terminate()


def kill(loop: Any) -> None:
    """End the children, by SIGKILL."""
    for child in to_end(loop):
        child.kill()


def let_go(loop: Any) -> None:
    """Leave those that outlive the program, without a word when they are dropped."""
    for child in running(loop):
        child.leave()
