"""Signals as callbacks of a loop: what `add_signal_handler` does.

Python's own C handler writes the number of each signal into a channel (`set_wakeup_fd`)
that the loop's poller watches, so that a sleeping loop wakes and the callbacks run in
the loop, in the order in which the signals came, and not between two arbitrary
bytecodes.

A process has one such channel at a time. Loops that handle signals one inside the other
therefore keep the order in which they claimed it: when the last one lets go, the one
before hears of its signals again.
"""

from __future__ import annotations

import errno
import inspect
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
        self._listening = False

    def listen(self) -> None:
        """Let every signal wake the loop from now on, also those without a callback.

        Python runs a signal's handler between two bytecodes. A signal that comes after
        the last one of these and before the system call in which the loop sleeps would
        not be noticed until something else wakes the loop. Does nothing outside the
        main thread.
        """
        if threading.current_thread() is threading.main_thread():
            try:
                self._open_channel()
            except RuntimeError:
                # An embedded interpreter may have a main thread without signals.
                return
            self._listening = True

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
        self._listening = False
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
        if self._handles or self._listening or self._channel is None:
            return
        channel, self._channel = self._channel, None
        release(channel.write_fd)
        self._loop.poller.unwatch(channel.read_fd)
        channel.close()


# The channels of this process's loops and the one found before the first of them,
# oldest first; the last one is in use. Signals are the process's, so there can be only
# one list.
claims: list[int] = []


def claim(fd: int) -> None:
    """Let signals be written to `fd` from now on."""
    found = signal.set_wakeup_fd(fd, warn_on_full_buffer=False)
    if fd in claims:
        claims.remove(fd)
    if found not in (fd, NOBODY) and found not in claims:
        claims.append(found)
    claims.append(fd)


def release(fd: int) -> None:
    """Let signals no longer be written to `fd`, but to whom it was before."""
    if fd in claims:
        claims.remove(fd)
    found = signal.set_wakeup_fd(NOBODY)
    heir = found
    if found == fd:
        heir = claims[-1] if claims else NOBODY
    try:
        signal.set_wakeup_fd(heir)
    except (ValueError, OSError):
        # Whoever had it before has closed it without a word.
        if heir in claims:
            claims.remove(heir)


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
