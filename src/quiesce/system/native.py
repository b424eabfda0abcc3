"""Plain-Python stand-ins for what `epoll` and `last_resort` need in C.

Compiled modules cimport these names from ``native.pxd`` (bodies: ``native_epoll.h``,
``native_last_resort.h``), so this file runs only where nothing is compiled. There the
standard library's epoll object stands for the descriptor, and a list of (fd, events)
pairs for the array of events. What happens without Python cannot be done by it: there
is no free signal for it.
"""

from __future__ import annotations

import select

# How many events one wait can return; the others come with the next.
BATCH = 256

ADD = 1
DELETE = 2
MODIFY = 3


def open_epoll() -> select.epoll:
    """Return a new epoll instance, closed on exec."""
    return select.epoll()


def close_epoll(epoll: select.epoll) -> None:
    """Close an epoll instance."""
    epoll.close()


def control(
    epoll: select.epoll, operation: int, fd: int, events: int, edge: bool
) -> int:
    """Add, modify or delete `fd`; return 0, or the number of the error."""
    if edge:
        events |= select.EPOLLET
    try:
        if operation == ADD:
            epoll.register(fd, events)
        elif operation == MODIFY:
            epoll.modify(fd, events)
        else:
            epoll.unregister(fd)
    except OSError as error:
        return error.errno or -1
    return 0


def new_batch() -> list[tuple[int, int]]:
    """Return room for the events of one wait."""
    return []


def wait(epoll: select.epoll, batch: list[tuple[int, int]], timeout: float) -> int:
    """Fill `batch` and return the number of events; `timeout` as in `Poller.poll`.

    A signal makes the C version return; here Python's own handlers run and the wait
    goes on, unless one of them raises.
    """
    batch[:] = epoll.poll(timeout, BATCH)
    return len(batch)


def ready_fd(batch: list[tuple[int, int]], index: int) -> int:
    """Return the descriptor of one event."""
    return batch[index][0]


def ready_events(batch: list[tuple[int, int]], index: int) -> int:
    """Return what happened to it."""
    return batch[index][1]


def free_signal() -> int:
    """Return the number of a real-time signal that nobody uses; 0 says: none."""
    return 0


def take_signal(signum: int) -> None:
    """Take the free signal."""


def give_signal_back(signum: int) -> None:
    """Give it its usual effect again."""


def prepare_end(signum: int, same: float, seconds_at_once: float) -> bool:  # noqa: ARG001
    """Make the timer, which sends `signum`; return whether that worked.

    `same` is how many seconds apart two Ctrl-C are one, `seconds_at_once` the time that
    is left from the second on.
    """
    return False


def start_at(signum: int, seconds: float) -> None:
    """Let the arrival of `signum` start the timer."""


def end_in(seconds: float, status: int) -> None:
    """Start or move the timer, at whose end the process ends with `status`."""


def do_not_end() -> None:
    """Stop the timer."""


def forget_end() -> None:
    """Put the signals' former handlers back, and let go of the timer."""


def note_child(pid: int) -> None:
    """Let the child `pid` be ended with the process."""


def forget_child(pid: int) -> None:
    """Note that the child `pid` has ended."""
