"""Signals as callbacks of a loop: what `add_signal_handler` does.

The numbers of signals arrive in a channel (`signal_channel`) that the loop's poller
watches, so that a sleeping loop wakes and the callbacks run in the loop, in the order
in which the signals came, and not between two arbitrary bytecodes.

Also without any callback a loop that runs in the main thread listens on its channel, so
that no signal finds it asleep: Python runs a signal's handler between two bytecodes,
and one that comes after the last of these and before the system call in which the loop
sleeps would not be noticed until something else wakes the loop.
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
from quiesce.system.signal_channel import SignalChannel

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def default_handler(sig: int) -> Any:
    """Return the handler that Python begins with."""
    return signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL


class Usual:
    """What a signal does that nobody handles: who ends programs has an answer."""

    handler_of: Callable[[int], Any] = staticmethod(default_handler)


class SignalHandlers(Watcher):
    """The signal callbacks of one loop; made by its first use, ended by `close`.

    Only Python's main thread can handle signals: elsewhere `add` raises RuntimeError.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._handles: dict[int, Handle] = {}
        self._channel: SignalChannel | None = None
        # Whether signals without a callback wake the loop, and whether for a run only.
        self._listening = False
        self._listening_in_run = False

    def listen(self) -> None:
        """Let every signal wake the loop from now on, also those without a callback.

        Does nothing outside the main thread.
        """
        if self._can_open_channel():
            self._listening = True

    def begin_run(self) -> None:
        """Do what `listen` does, until `end_run`; unless a stranger reads signals."""
        if self._is_used:
            if self._handles and not self._is_heard:
                # In a forked child, which shares its parent's channel no longer.
                self._can_open_channel()
        elif self._can_open_channel():
            channel: Any = self._channel
            self._listening_in_run = not channel.is_above_a_stranger
            if not self._listening_in_run:
                channel.release()

    def end_run(self) -> None:
        """Undo `begin_run`, but for the channel, which the next run needs again."""
        if self._listening_in_run:
            self._listening_in_run = False
            if self._channel is not None and not self._is_used:
                self._channel.release()

    @property
    def _is_used(self) -> bool:
        return bool(self._handles or self._listening or self._listening_in_run)

    @property
    def _is_heard(self) -> bool:
        return self._channel is not None and self._channel.is_claimed

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

    def unread(self) -> bytes:
        """Return the numbers of the signals that the loop is to read. Thread-safe."""
        channel = self._channel
        return b"" if channel is None else channel.peek()

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
        if replaced is None:
            # Those that came before are not for this callback.
            self.on_ready(READABLE)
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
        try:
            signal.signal(sig, Usual.handler_of(sig))
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
        channel = self._channel
        if channel is None:
            return
        unknown: list[int] = []
        for sig in channel.drain():
            handle = self._handles.get(sig)
            if handle is None:
                unknown.append(sig)
            elif handle.cancelled():
                self.remove(sig)
            else:
                self._loop.ready.push(handle)
        channel.pass_on(bytes(unknown))

    def _open_channel(self) -> None:
        """Let signals wake the loop; where the channel is open, only claim it."""
        channel = self._channel
        is_new = channel is None or channel.is_inherited
        if channel is None or is_new:
            channel = SignalChannel()
        try:
            channel.claim()
            if is_new:
                self._loop.poller.watch(channel.read_fd, READABLE, self)
        except (ValueError, OSError) as error:
            if is_new:
                channel.release()
                channel.close()
            raise RuntimeError(str(error)) from error
        self._channel = channel

    def _close_channel_if_unused(self) -> None:
        """Give the channel up with the last callback."""
        if self._is_used or self._channel is None:
            return
        channel = self._channel
        channel.release()
        self._channel = None
        if not channel.is_inherited:
            # Else the parent's poller is the same one, and would lose the channel too.
            self._loop.poller.unwatch(channel.read_fd)
        channel.close()


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
