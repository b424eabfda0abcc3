"""Signals as callbacks of a loop: what `add_signal_handler` does.

Python's own C handler writes the number of each signal into a channel (`set_wakeup_fd`)
that the loop's poller watches, so that a sleeping loop wakes and the callbacks run in
the loop, in the order in which the signals came, and not between two arbitrary
bytecodes.

Also without any callback a loop that runs in the main thread listens on such a channel,
so that no signal finds it asleep.

A process has one such channel at a time. Loops that handle signals one inside the other
therefore keep the order in which they claimed it: when the last one lets go, the one
before hears of its signals again.
"""

from __future__ import annotations

import errno
import inspect
import os
import signal
import sys
import threading
import warnings
from asyncio import coroutines
from typing import TYPE_CHECKING, Any

from quiesce.core.handle import Handle
from quiesce.core.poller import READABLE, Watcher
from quiesce.system.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

NOBODY = -1


class SignalHandlers(Watcher):
    """The signal callbacks of one loop; made by its first use, ended by `close`.

    Only Python's main thread can handle signals: elsewhere `add` raises RuntimeError.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._handles: dict[int, Handle] = {}
        self._channel: Wakeup | None = None
        # Whether signals without a callback wake the loop, and whether for a run only.
        self._listening = False
        self._listening_in_run = False

    def listen(self) -> None:
        """Let every signal wake the loop from now on, also those without a callback.

        Python runs a signal's handler between two bytecodes. A signal that comes after
        the last one of these and before the system call in which the loop sleeps would
        not be noticed until something else wakes the loop. Does nothing outside the
        main thread.
        """
        self._listening = self._can_open_channel()

    def begin_run(self) -> None:
        """Do what `listen` does, until `end_run`; unless signals wake somebody else."""
        if self._is_used or claims or not self._can_open_channel():
            return
        channel: Any = self._channel
        if claims.get(channel.write_fd, NOBODY) == NOBODY:
            self._listening_in_run = True
        else:
            # Somebody else reads them, and may not expect to miss one.
            release(channel.write_fd)

    def end_run(self) -> None:
        """Undo `begin_run`, but for the channel, which the next run needs again."""
        if self._listening_in_run:
            self._listening_in_run = False
            if self._channel is not None and not self._is_used:
                release(self._channel.write_fd)

    @property
    def _is_used(self) -> bool:
        return bool(self._handles or self._listening or self._listening_in_run)

    def _can_open_channel(self) -> bool:
        """Open the channel if signals are handled in this thread; tell whether so."""
        if threading.current_thread() is not threading.main_thread():
            return False
        try:
            self._open_channel()
        except (RuntimeError, OSError):
            # An embedded interpreter may have a main thread without signals, and a
            # process no descriptor left.
            return False
        return True

    def fileno(self) -> int:
        """Return the descriptor from which the loop reads signals; -1 without one."""
        return -1 if self._channel is None else self._channel.read_fd

    def add(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(*args)`` in the loop whenever `sig` arrives.

        Raises ValueError if there is no such signal, RuntimeError if it cannot be
        caught or this is not the main thread, and TypeError for a coroutine.
        """
        if coroutines.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        check_signal(sig)
        self._open_channel()
        replaced = self._handles.get(sig)
        self._handles[sig] = Handle(callback, args, self._loop)
        try:
            signal.signal(sig, leave_it_to_the_loop)
            # System calls of other libraries need not fail because a loop is told.
            signal.siginterrupt(sig, False)
        except OSError as error:
            if replaced is None:
                del self._handles[sig]
            else:
                self._handles[sig] = replaced
            self._close_channel_if_unused()
            raise cannot_be_caught(sig, error) from error

    def remove(self, sig: int) -> bool:
        """Give `sig` its usual effect again; return False if it had no callback."""
        check_signal(sig)
        if self._handles.pop(sig, None) is None:
            return False
        usual = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        try:
            signal.signal(sig, usual)
        except OSError as error:
            raise cannot_be_caught(sig, error) from error
        self._close_channel_if_unused()
        return True

    def close(self) -> None:
        """Remove all callbacks; harmless if repeated."""
        if sys.is_finalizing() and self._handles:
            # Python has taken its own handlers away by now and refuses new ones.
            warnings.warn(
                f"Closing the loop {self._loop!r} on interpreter shutdown stage, "
                "skipping signal handlers removal",
                ResourceWarning,
                stacklevel=2,
                source=self._loop,
            )
            self._handles.clear()
            return
        for sig in list(self._handles):
            self.remove(sig)
        self._listening = self._listening_in_run = False
        self._close_channel_if_unused()

    def on_ready(self, events: int) -> None:  # noqa: ARG002 - it can only be readable
        """Queue the callbacks of the signals that arrived, in their order."""
        if self._channel is None:
            return
        for sig in self._channel.drain():
            handle = self._handles.get(sig)
            if handle is None:
                continue
            if handle.cancelled():
                self.remove(sig)
            else:
                self._loop.ready.push(handle)

    def _open_channel(self) -> None:
        """Let signals wake the loop; where the channel is open, only claim it."""
        channel = self._channel or Wakeup()
        try:
            claim(channel.write_fd)
        except (ValueError, OSError) as error:
            if self._channel is None:
                channel.close()
            raise RuntimeError(str(error)) from error
        if self._channel is None:
            self._channel = channel
            self._loop.poller.watch(channel.read_fd, READABLE, self)

    def _close_channel_if_unused(self) -> None:
        """Give the channel up with the last callback."""
        if self._is_used or self._channel is None:
            return
        channel, self._channel = self._channel, None
        release(channel.write_fd)
        self._loop.poller.unwatch(channel.read_fd)
        channel.close()


# The channels of this process's loops, each with the one that signals were written to
# before it was claimed. Signals are the process's own, so there can be only one record.
claims: dict[int, int] = {}


def claim(fd: int) -> None:
    """Let signals be written to `fd` from now on."""
    found = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    if found != fd:
        forget(fd)
        claims[fd] = found


def release(fd: int) -> None:
    """Let signals no longer be written to `fd`, but to whom it was before."""
    before = forget(fd)
    found = signal.set_wakeup_fd(NOBODY)
    try:
        signal.set_wakeup_fd(before if found == fd else found)
    except (ValueError, OSError):
        # Whoever had it before has closed it without a word.
        return


def forget(fd: int) -> int:
    """Drop a claim from among the others; return what came before it."""
    before = claims.pop(fd, NOBODY)
    for other, found in claims.items():
        if found == fd:
            claims[other] = before
    return before


def let_go_in_child() -> None:
    """Let no signal of a forked child wake its parent, which shares the channel."""
    claims.clear()
    signal.set_wakeup_fd(NOBODY)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=let_go_in_child)


def check_signal(sig: Any) -> None:
    """Refuse what is not the number of a signal."""
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def cannot_be_caught(sig: int, error: OSError) -> Exception:
    """Return what to raise where the system refuses a handler for `sig`."""
    if error.errno == errno.EINVAL:
        return RuntimeError(f"sig {sig} cannot be caught")
    return error


def leave_it_to_the_loop(signum: int, frame: FrameType | None) -> None:
    """Do nothing: the signal's number has been written where the loop reads it."""
