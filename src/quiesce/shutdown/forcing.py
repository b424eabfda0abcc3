"""What happens to that which has not ended in time: it is named and given up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from quiesce.shutdown import children, exit_status

if TYPE_CHECKING:
    from quiesce.shutdown.sequence import Sequence

# Seconds that children have where the process ends at once.
BETWEEN_SIGNALS = 0.1
# Coroutines that refuse to be closed: to drop one is to be told so again, so they stay.
UNCLOSED: list[Any] = []


def give_up(sequence: Sequence) -> None:
    """Name what is left, and close its coroutines: nothing is dropped pending."""
    if sequence.has_survivors() and (left := sequence.survivors()):
        if not sequence.hurried:
            sequence.forced = True
            sequence.report.forced(left)
        elif not sequence.said_hurried:
            sequence.say_hurried()
    if sequence.asking.look():
        # In the running loop: code that finds none may take that for one more reason to
        # try again for ever.
        sequence.loop.call_soon(close_coroutines, sequence)
        sequence.turn(sequence.budget.deadline)
    children.let_go(sequence.loop)


def close_coroutines(sequence: Sequence) -> None:
    """Close the coroutine of every task that is left."""
    for task in sequence.asking.left:
        close_coroutine(task)
    sequence.loop.stop()


def end_process(sequence: Sequence) -> NoReturn:
    """Name what is left and end the process; called outside the loop, in any thread."""
    left = sequence.survivors()
    sequence.report.forced(left)
    status = sequence.reason.forced_status
    sequence.report.write(status)
    children.terminate(sequence.loop)
    time.sleep(BETWEEN_SIGNALS)
    children.kill(sequence.loop)
    exit_status.leave(status, sequence.reason.signum)


def close_coroutine(task: Any) -> None:
    """Let the coroutine of `task` end where it waits, as far as it does."""
    task._log_destroy_pending = False
    coroutine = task.get_coro()
    if coroutine is None:
        return
    try:
        coroutine.close()
    except BaseException:  # noqa: BLE001 - named already, and nobody is there to be told
        keep_for_ever(coroutine)


def keep_for_ever(coroutine: Any) -> None:
    """Keep an object beyond the end of the interpreter."""
    import ctypes

    UNCLOSED.append(coroutine)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))
