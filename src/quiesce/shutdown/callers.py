"""What called a run that was ended, while its end is on its way out of the program.

A `with` or `finally` block around the run may wait for threads, pools and processes,
and so keep the interpreter from its exit, in which `process_wide` bounds them. So
somebody looks on. Children of `multiprocessing`, and runs in threads, are asked to end
at half of the time. When all of it is over and the main thread still waits, what is
left is named, and what says that the end is forced raised there.

What the block does by itself is its own business, and has what time it needs. So has a
program that caught the end and goes on.
"""

# What is known of other threads has no types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from quiesce.core.interrupts import STANDARD_LIBRARY
from quiesce.errors import GraceExceeded, Terminated
from quiesce.shutdown import processes
from quiesce.shutdown.await_chain import frames_down_to
from quiesce.shutdown.budget import LATEST, SLOW
from quiesce.shutdown.in_flight import is_caught
from quiesce.shutdown.processes import ASK_AT
from quiesce.shutdown.runs_in_threads import all_runs
from quiesce.shutdown.spare_signal import SpareSignal
from quiesce.shutdown.watch_thread import WatchThread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType

    from quiesce.shutdown.budget import Budget

# Seconds between two looks.
LOOK = 0.1
# The parts of the standard library in which one waits for threads and processes.
WAITING = tuple(
    os.path.join(STANDARD_LIBRARY[0], name)  # noqa: PTH118 - no import of pathlib for this
    for name in ("threading.py", "concurrent", "multiprocessing", "subprocess.py")
)


class Callers:
    """Looks on from the end of a run until the interpreter exits.

    `status` is that of a forced end, `signum` the signal that asked for the end, if one
    did. `say_slow` is called once if it takes long, `name_left` where it is forced.
    """

    def __init__(
        self,
        budget: Budget,
        status: int,
        signum: int | None,
        *,
        say_slow: Callable[[], object],
        name_left: Callable[[], object],
    ) -> None:
        self.budget = budget
        self.status = status
        self.asked_by = signum
        self.say_slow = say_slow
        self.name_left = name_left
        self.thread = WatchThread(self.look)
        self.signal = SpareSignal(self.heard)
        self.began_at = time.monotonic()
        # When the end was seen on its way last, and not caught.
        self.seen_at = 0.0
        # Where the main thread waited at the last look, and where it is to be raised.
        self.place: object = None
        self.wanted: object = None
        self.has_asked = self.has_said = False

    def look_on(self) -> None:
        """Begin; call this in the main thread."""
        if hasattr(signal, "SIGRTMIN"):
            # Not from the other end, where the guard takes one.
            self.signal.hold(range(signal.SIGRTMIN + 1, signal.SIGRTMAX))
        self.thread.start()

    def leave(self) -> None:
        """Look no more; call this in the main thread."""
        self.thread.stop()
        self.signal.give_back()
        # Frames lead to all that called them.
        self.place = self.wanted = None

    def has_just_seen_it(self) -> bool:
        """Tell whether the end was on its way a moment ago, and caught by nobody."""
        return time.monotonic() - self.seen_at < LATEST

    def look(self) -> float | None:
        """Do what is due, in the thread; return when to look again."""
        if on_its_way() is None:
            self.place = None
            return LOOK if self.budget.is_recent() else None
        frames = frames_down_to(innermost_frame())
        now = time.monotonic()
        if not is_caught_in(frames):
            self.seen_at = now
        # Also in an ``except``: programs wait for their pools there.
        place = place_of(frames[-1] if frames else None)
        if place is not None and place == self.place:
            self.act(now, place)
        self.place = place
        return LOOK

    def act(self, now: float, place: object) -> None:
        """Do what is due now that the main thread waits at `place`."""
        until = self.budget.deadline - self.budget.reserve
        if not self.has_said and self.budget.elapsed() >= SLOW:
            self.has_said = True
            self.say_slow()
        ask_at = self.began_at + ASK_AT * (until - self.began_at)
        if not self.has_asked and now >= ask_at:
            self.has_asked = True
            all_runs.ask_all()
            processes.terminate(processes.children_without_jobs())
        if now >= until:
            self.wanted = place
            self.signal.send(threading.main_thread().ident or 0)

    def heard(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Raise, in the main thread, if it is still where it waited."""
        wanted, self.wanted = self.wanted, None
        if wanted is not None and wanted == place_of(frame):
            self.name_left()
            raise self.forced()

    def forced(self) -> SystemExit:
        """Return what says that the end is forced, and why there is one."""
        if self.asked_by is None or self.asked_by == signal.SIGINT:
            return GraceExceeded(self.status)
        return Terminated(self.asked_by)


class LaterCtrlCHook:
    """A ``sys.excepthook`` that shows no Ctrl-C that came while the end was on its way.

    `hurry` is called for it, and tells whether it asks for more than the first one did.
    """

    def __init__(self, show: Any, hurry: Callable[[], bool]) -> None:
        self.show = show
        self.hurry = hurry

    def __call__(
        self, kind: type[BaseException], error: BaseException, traceback: Any
    ) -> None:
        """Show `error`, or what it has repeated, or nothing."""
        first = what_it_repeats(error)
        if first is None:
            self.show(kind, error, traceback)
        elif not self.hurry():
            self.show(type(first), first, first.__traceback__)


def keep_later_ctrl_c_quiet(hurry: Callable[[], bool]) -> None:
    """Show no Ctrl-C that comes while the end is on its way; call `hurry` for it."""
    if not isinstance(sys.excepthook, LaterCtrlCHook):
        sys.excepthook = LaterCtrlCHook(sys.excepthook, hurry)


def on_its_way() -> BaseException | None:
    """Return what ends the program, if the main thread is in a block that has it."""
    handled: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    # Up to 3.11 between its type and its traceback.
    error: Any = handled[1] if isinstance(handled, tuple) else handled
    ends = (KeyboardInterrupt, SystemExit)
    return next((each for each in with_contexts(error) if isinstance(each, ends)), None)


def is_caught_in(frames: Iterable[FrameType]) -> bool:
    """Tell whether an ``except`` in one of `frames` has what is on its way out."""
    return any(is_caught(frame.f_code, frame.f_lasti) for frame in frames)


def goes_on() -> bool:
    """Tell whether nothing ends the program just now, or somebody has caught that."""
    return on_its_way() is None or is_caught_in(frames_down_to(innermost_frame()))


def what_it_repeats(error: BaseException) -> BaseException | None:
    """Return what a signal had raised and was on its way when this Ctrl-C came."""
    if not isinstance(error, KeyboardInterrupt):
        return None
    raised = (KeyboardInterrupt, Terminated, GraceExceeded)
    before = with_contexts(error.__context__)
    return next((each for each in before if isinstance(each, raised)), None)


def with_contexts(error: BaseException | None) -> Iterator[BaseException]:
    """Yield `error`, what was handled when it was raised, and so on."""
    known: set[int] = set()
    # Nothing keeps a program from closing the circle.
    while error is not None and id(error) not in known:
        known.add(id(error))
        yield error
        error = error.__context__


def innermost_frame() -> FrameType | None:
    """Return where the main thread is."""
    return sys._current_frames().get(threading.main_thread().ident or 0)


def place_of(frame: FrameType | None) -> object:
    """Return the place of `frame`, if that is in a wait for a thread or process.

    The same place is the same wait, if it is found twice.
    """
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith(STANDARD_LIBRARY):
        if frame.f_code.co_filename.startswith(WAITING):
            assert innermost is not None
            # The frame itself: the number of one that is gone is soon another's.
            return innermost, innermost.f_lasti
        frame = frame.f_back
    return None
