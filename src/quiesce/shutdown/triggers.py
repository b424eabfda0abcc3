"""What asks a program to stop: SIGINT, SIGTERM and SIGHUP.

A signal that the program handles itself, or that was ignored when the program was
started (``nohup``), is left alone. Read `sequence` next: what happens once one was
heard.
"""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from quiesce.core import interrupts
from quiesce.errors import Terminated
from quiesce.shutdown.exit_status import keep_quiet
from quiesce.shutdown.forks import forks, put_off
from quiesce.shutdown.reason import signum_of
from quiesce.system.signals import Usual, default_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from quiesce.shutdown.oversight import Oversight

    Handler = Callable[[int, FrameType | None], Any]

# What asks for the end unless a program says otherwise. No SIGHUP on Windows.
SIGNALS: tuple[int, ...] = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
)
# A terminal and the tools between it and the program each pass on the same Ctrl-C.
SAME_CTRL_C = 0.5

HELD: list[HeldSignals] = []


def terminate(signum: int, frame: FrameType | None) -> None:
    """Raise `Terminated` where the program happens to be, as Ctrl-C does.

    From a running loop it comes out between two callbacks, so that none is cut in half.
    """
    from asyncio import events

    from quiesce.shutdown import own_ends

    if put_off(signum, frame):
        return
    if not own_ends.request.begin(signum):
        # Supervisors repeat themselves.
        own_ends.guard.let_go()
        return
    loop = events._get_running_loop()
    if loop is None:
        own_ends.guard.let_go()
        error = Terminated(signum)
        if interrupts.hold_error(error, frame):
            return
        raise error
    own_ends.terminate(loop, signum)


# The handlers that `quiesce run` has in place of the default ones.
STAND_INS: list[Handler] = [terminate]


def is_default(signum: int, handler: Any) -> bool:
    """Tell whether nobody but Python and quiesce has said what `signum` shall do."""
    return handler is default_handler(signum) or handler in STAND_INS


class HeldSignals:
    """Some signals' handlers, held as long as the default ones would be in place.

    Outside the main thread, where Python installs no handlers, it holds none.
    """

    def __init__(self, handlers: dict[int, Handler]) -> None:
        self.handlers = handlers
        self.replaced: dict[int, Any] = {}

    def hold(self, *, below: HeldSignals | None = None) -> None:
        """Install the handlers of those signals that have their default one.

        Those that are held in `below` now get theirs when that is released.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        held = {} if below is None else below.replaced
        for signum, handler in self.handlers.items():
            if signum in held:
                self.replaced[signum], held[signum] = held[signum], handler
                continue
            former = signal.getsignal(signum)
            if not is_default(signum, former):
                continue
            try:
                signal.signal(signum, handler)
            except ValueError:
                # An embedded interpreter may have a main thread without signals.
                continue
            self.replaced[signum] = former
        HELD.insert(HELD.index(below) if below in HELD else len(HELD), self)

    def release(self) -> None:
        """Put the former handlers back, except where the program installed another."""
        for signum, former in self.replaced.items():
            handler = self.handlers[signum]
            if signal.getsignal(signum) == handler:
                signal.signal(signum, former)
            for held in HELD:
                # Held above ours, and still is: it is to put back what we would have.
                if held.replaced.get(signum) == handler:
                    held.replaced[signum] = former
        self.replaced.clear()
        if self in HELD:
            HELD.remove(self)


def handler_without_the_programs(signum: int) -> Any:
    """Return what `signum` does where the program has removed its own handler."""
    for held in reversed(HELD):
        if signum in held.handlers:
            held.replaced.setdefault(signum, default_handler(signum))
            return held.handlers[signum]
    return default_handler(signum)


Usual.handler_of = handler_without_the_programs


def ignore(signum: int) -> None:
    """Let `signum` do nothing from now on, unless the program handles it itself.

    Not by SIG_IGN, which what is started meanwhile would inherit.
    """
    HeldSignals({signum: nothing}).hold()


def nothing(*_: object) -> None:
    """Do nothing, where a function is asked for."""


def release_in_child() -> None:
    """Let a forked child die of a signal as if its parent had held none."""
    for held in HELD.copy():
        for signum in held.replaced:
            held.replaced[signum] = default_handler(signum)
        held.release()


def ending_in_child() -> set[int]:
    """Return the signals that are held and would end a forked child on the spot."""
    return {signum for held in HELD for signum in held.replaced} - {signal.SIGINT}


forks.ending = ending_in_child
forks.after_in_child.append(release_in_child)


class Triggers:
    """The requests to stop that arrive during one run.

    A context manager that may be entered again while it is entered; the signals are
    held from the first entry to the last exit. `ask` is called, in the main thread
    between any two instructions, at the first request, and `hurry` at a Ctrl-C after
    that; a repeated SIGTERM changes nothing. The `oversight` stands as long as the
    signals are held.

    Invariant: a request is answered once, with an exception or by the program itself,
    which `answered` notes; the last exit answers one that is still open.
    """

    def __init__(
        self,
        ask: Callable[[], None],
        hurry: Callable[[], None],
        signums: Iterable[int] = SIGNALS,
        oversight: Oversight | None = None,
    ) -> None:
        self.ask = ask
        self.hurry = hurry
        self.oversight = oversight
        self.signals = HeldSignals(dict.fromkeys(signums, self.heard))
        self.entries = 0
        self.last_heard_at = 0.0
        # Whether the next entry goes on with the request before it.
        self.keeps_request = False
        self.forget()

    def forget(self) -> None:
        """Begin anew, with no request."""
        self.signum: int | None = None
        self.heard_at = 0.0
        self.hurried = False
        self.answered = False
        self.is_answered_by_main = False

    def keep_request(self, error: BaseException | None) -> None:
        """Let the next entry go on with the last request, if `error` is its answer."""
        if self.entries == 0 and self.answered and self.signum is not None:
            self.keeps_request = signum_of(error) == self.signum

    def __enter__(self) -> Self:
        if self.entries == 0:
            if not self.keeps_request:
                self.forget()
            self.keeps_request = False
            self.signals.hold()
            if self.oversight is not None:
                self.oversight.stand(self.signals.replaced)
        self.entries += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.entries -= 1
        if self.entries == 0:
            try:
                # Order matters: what is heard until now has it stand.
                self.signals.release()
            finally:
                if self.oversight is not None:
                    self.oversight.stand_down()
            if self.signum is not None and not self.answered:
                raise self.answer()

    def heard(self, signum: int, _frame: FrameType | None) -> None:
        """Note the first signal and ask for the end; a later Ctrl-C means at once."""
        self.last_heard_at = now = time.monotonic()
        if self.signum is None:
            self.signum = signum
            self.heard_at = now
            self.ask()
        elif signum == signal.SIGINT and now - self.heard_at >= SAME_CTRL_C:
            self.hurried = True
            if self.is_answered_by_main:
                # What main has made of the first does not go for this one.
                self.is_answered_by_main = self.answered = False
            self.hurry()

    def main_has_answered(self) -> None:
        """Note that main has dealt with the signal by itself, and has returned."""
        self.answered = self.is_answered_by_main = True

    def asks(self, signum: int, since: float) -> bool:
        """Tell whether `signum` is to end the run, and none was heard. Thread-safe.

        Nor may one have been heard `since` then, in the run before.
        """
        return (
            self.signum is None
            and self.last_heard_at < since
            and signum in self.signals.replaced
            and signal.getsignal(signum) == self.heard
        )

    def answer(self) -> BaseException:
        """Return the exception that tells the caller why the run ended."""
        assert self.signum is not None
        self.answered = True
        if self.signum != signal.SIGINT:
            return Terminated(self.signum)
        interrupt = KeyboardInterrupt()
        if self.hurried:
            keep_quiet(interrupt)
        return interrupt
