"""The processes that this one has started, when it ends.

`multiprocessing` promises that its children do not outlive their parent; they are asked
and then killed, the workers of pools only when the time for their jobs is over. Others
are named and left: whoever started them may mean them to stay.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from quiesce.shutdown.pools import workers_of_pools

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quiesce.shutdown.survivor import Survivor


# The share of the time for threads at which children are asked to end.
ASK_AT = 0.5
# Seconds that children have between the two signals where the process ends at once.
BETWEEN_SIGNALS = 0.1
# The children of `multiprocessing` that were asked.
ASKED: WeakSet[Any] = WeakSet()


def multiprocessing_children() -> list[Any]:
    """Return the children of `multiprocessing`, and of pools made of it, that live."""
    module: Any = sys.modules.get("multiprocessing.process")
    return [] if module is None else module.active_children()


def children_without_jobs() -> list[Any]:
    """Return those children that are no workers of a ProcessPoolExecutor."""
    workers = workers_of_pools()
    return [child for child in multiprocessing_children() if child not in workers]


def terminate(children: list[Any]) -> None:
    """Ask `children` to end, by SIGTERM; each once: a second may cut its cleanup."""
    for child in children:
        if child in ASKED:
            continue
        ASKED.add(child)
        try:
            child.terminate()
        except (OSError, ValueError, AttributeError):
            # It ended, was closed or is just being started.
            continue


def kill(children: list[Any]) -> None:
    """End `children`, by SIGKILL."""
    for child in children:
        try:
            child.kill()
        except (OSError, ValueError, AttributeError):
            continue


def end(children: list[Any]) -> None:
    """End `children` at once: by SIGTERM, and in a moment by SIGKILL."""
    terminate(children)
    until = time.monotonic() + BETWEEN_SIGNALS
    try:
        for child in children:
            wait_for(child, max(0.0, until - time.monotonic()))
    finally:
        kill(children)


def wait_for(child: Any, seconds: float) -> None:
    """Wait until `child` has ended, for so many seconds at most."""
    try:
        child.join(seconds)
    except (OSError, ValueError, AttributeError):
        # As above.
        return


def described(children: Iterable[Any]) -> list[Survivor]:
    """Describe children, given as they are to `survivors.of_child`."""
    from quiesce.shutdown import survivors

    return [survivors.of_child(child) for child in children]


def described_others() -> list[Survivor]:
    """Describe the children of which `multiprocessing` knows nothing."""
    return described(other_children())


def other_children() -> list[int]:
    """Return the pids of children of which neither `multiprocessing` nor we know."""
    known = {child.pid for child in multiprocessing_children()}
    known |= helpers_of_multiprocessing()
    return [
        pid for pid in pids_of_children() if pid not in known and not is_guardian(pid)
    ]


def is_guardian(pid: int) -> bool:
    """Tell whether a child is our guardian: it is that of whoever adopts orphans."""
    module: Any = sys.modules.get("quiesce.shutdown.guardian_process")
    if module is None:
        return False
    return os.fsencode(module.PROGRAM) in content_of(f"/proc/{pid}/cmdline")


def helpers_of_multiprocessing() -> set[int | None]:
    """Return the pids of what `multiprocessing` starts for itself, and ends."""
    tracker: Any = sys.modules.get("multiprocessing.resource_tracker")
    server: Any = sys.modules.get("multiprocessing.forkserver")
    return {
        getattr(getattr(tracker, "_resource_tracker", None), "_pid", None),
        getattr(getattr(server, "_forkserver", None), "_forkserver_pid", None),
    }


def pids_of_children() -> list[int]:
    """Return the pids of this process's children that have not ended.

    Only Linux tells; elsewhere the list is empty.
    """
    folder = "/proc/self/task"
    try:
        threads = os.listdir(folder)  # noqa: PTH208 - no import of pathlib for this
    except OSError:
        return []
    listed = b" ".join(content_of(f"{folder}/{thread}/children") for thread in threads)
    return [pid for pid in map(int, listed.split()) if not has_ended(pid)]


def has_ended(pid: int) -> bool:
    """Tell whether a child only waits for its parent to ask for its status."""
    # The state follows the name, which may have anything in it.
    state = content_of(f"/proc/{pid}/stat").rpartition(b")")[2].split()[:1]
    return state in ([], [b"Z"], [b"X"])


def content_of(path: str) -> bytes:
    """Return what is in a file; nothing if it has gone."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError:
        return b""
