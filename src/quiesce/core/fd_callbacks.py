"""Who wants to know of one descriptor: `add_reader`, `add_writer`, and calls that wait.

Read `poller` before this. There is no table here: the poller knows who watches what,
and a descriptor belongs either to an `FdWatcher` or to a transport.

A callback is told as asyncio tells it, again and again while the descriptor is ready.
A call that waits for a socket is told once. As long as nobody has a callback, and the
poller can report changes only, such a watcher stays with its socket when the wait is
over, so that the next wait costs no system call (docs/design/readiness.md).
"""

# asyncio's inner names have no types, and neither have fields that only the .pxd knows.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from quiesce.core import native
from quiesce.core.poller import (
    FAILED,
    HALF_CLOSED,
    READABLE,
    URGENT,
    WRITABLE,
    Poller,
    Watcher,
)

if TYPE_CHECKING:
    from quiesce.core.future import Future
    from quiesce.core.handle import Handle
    from quiesce.core.ready import ReadyQueue

# What makes a call that receives worth a try.
WORTH_A_TRY = READABLE | HALF_CLOSED | FAILED | URGENT
# After one of these, a receive that got little need not have got all there is.
BEHIND_WHICH_MORE_HIDES = HALF_CLOSED | FAILED | URGENT


class FdWatcher(Watcher):
    """The callbacks of one descriptor, and the futures of calls that wait for it.

    Invariant: what the poller was asked for, `_asked`, includes what anybody here waits
    for. `may_read` is false only if changes are reported, and since the last one
    nothing was left to receive.
    """

    __slots__ = (
        "_asked",
        "_edge",
        "_fd",
        "_file",
        "_knows_all",
        "_poller",
        "_reading",
        "_ready",
        "_writing",
        "may_read",
        "reader",
        "writer",
    )

    def __init__(self, fd: int, poller: Poller, ready: ReadyQueue) -> None:
        self._fd = fd
        self._poller = poller
        self._ready = ready
        self._asked = 0
        self._edge = False
        # A weak reference: it is the user who decides when the file is let go.
        self._file: Any = None
        self._knows_all = False
        self._reading: Future | None = None
        self._writing: Future | None = None
        self.may_read = True
        self.reader: Handle | None = None
        self.writer: Handle | None = None

    def owner(self) -> Any:
        """Return whose method the reading or the writing callback is, or None."""
        for handle in (self.reader, self.writer):
            if handle is not None:
                owner = getattr(handle._callback, "__self__", None)
                if owner is not None:
                    return owner
        return None

    def on_ready(self, events: int) -> None:
        """Tell those whom `events` concern; trouble concerns all."""
        if events & WORTH_A_TRY:
            self.may_read = True
            if events & BEHIND_WHICH_MORE_HIDES:
                self._knows_all = False
            if self._reading is not None:
                wake(self._reading)
                self._reading = None
        if events & (WRITABLE | FAILED) and self._writing is not None:
            wake(self._writing)
            self._writing = None
        if self.reader is not None or self.writer is not None:
            self.queue_callbacks(events)

    # -- callbacks

    def queue_callbacks(self, events: int) -> None:
        """Queue the callbacks that `events` concern."""
        reader = self.reader
        if reader is not None and events & (READABLE | FAILED):
            if reader.cancelled():
                self.replace(None, self.writer)
            else:
                self._ready.push(reader)
        writer = self.writer
        if writer is not None and events & (WRITABLE | FAILED):
            if writer.cancelled():
                self.replace(self.reader, None)
            else:
                self._ready.push(writer)

    def replace(self, reader: Handle | None, writer: Handle | None) -> None:
        """Replace the callbacks, and ask the poller for what is needed and no more."""
        self.ask_for_states(reader is not None, writer is not None)
        self.reader = reader
        self.writer = writer

    def ask_for_states(self, read: bool, write: bool) -> None:
        """Ask the poller to report again and again what callbacks and calls want."""
        self._edge = False
        self.may_read = True
        events = 0
        if read or is_pending(self._reading):
            events = READABLE
        if write or is_pending(self._writing):
            events |= WRITABLE
        if events:
            self._poller.watch(self._fd, events, self)
        elif self._poller.watcher_of(self._fd) is self:
            self._poller.unwatch(self._fd)
        self._asked = events

    # -- calls that wait

    def is_of(self, file: Any) -> bool:
        """Tell whether it is the descriptor of this very file that is watched."""
        return self._file is not None and self._file() is file

    def belong_to(self, file: Any, is_tcp: bool) -> None:
        """Watch for `file` from now on: the poller has to be asked anew."""
        self.forget_closed()
        if self._poller.watcher_of(self._fd) is self:
            # Perhaps for a file that is closed: the system may know nothing of it.
            self._poller.unwatch(self._fd)
        self._file = weak(file)
        self._knows_all = is_tcp
        self._edge = False
        self._asked = 0
        self.may_read = True

    def forget_closed(self) -> None:
        """Wake who waits for a file that had this descriptor and was closed."""
        if self._file is not None:
            file = self._file()
            if file is None or file.fileno() != self._fd:
                self._file = None
                self.wake_all()

    def wake_all(self) -> None:
        """Let every call that waits try again."""
        reading, self._reading = self._reading, None
        writing, self._writing = self._writing, None
        if reading is not None:
            wake(reading)
        if writing is not None:
            wake(writing)

    def wait_to_read(self, future: Future) -> None:
        """Set `future` at the next change that makes it worth a try to receive."""
        if not wait_behind(self._reading, future):
            self._reading = future
        if not self._edge:
            self.ask_for_calls()
        self.may_read = not self._edge

    def wait_to_write(self, future: Future) -> None:
        """Set `future` at the next change that makes it worth a try to send."""
        if not wait_behind(self._writing, future):
            self._writing = future
        if not (self._edge and self._asked & WRITABLE):
            self.ask_for_calls()

    def ask_for_calls(self) -> None:
        """Ask the poller for what calls wait for, where it is not asked already."""
        has_callbacks = self.reader is not None or self.writer is not None
        if has_callbacks or not self._poller.edge_triggered:
            self.ask_for_states(self.reader is not None, self.writer is not None)
        else:
            self.ask_for_changes()

    def ask_for_changes(self) -> None:
        """Ask the poller for what calls may wait for, where it is not asked already."""
        events = self._asked if self._edge else 0
        events |= READABLE | HALF_CLOSED | URGENT
        # A TCP socket reports that it can be written to only after it refused to take
        # more; one of another family, whenever its peer reads.
        if self._writing is not None or self._knows_all:
            events |= WRITABLE
        if events != self._asked or not self._edge:
            self._poller.watch(self._fd, events, self, True)
            self._asked = events
            self._edge = True

    def leave(self) -> None:
        """Take note that a call waits no more."""
        if not self._edge and self._poller.watcher_of(self._fd) is self:
            self.ask_for_states(self.reader is not None, self.writer is not None)

    def note_received(self, count: int, room: int) -> None:
        """Learn from how much arrived: less than there was room for is all there is.

        Not where the end of the stream or urgent data was reported, for which there is
        no new event, nor with other sockets than TCP's, which keep messages apart.
        """
        if self._knows_all and self._edge and 0 < count < room:
            self.may_read = False


def is_pending(future: Future | None) -> bool:
    """Tell whether somebody waits in `future`."""
    return future is not None and future._status == native.PENDING


def wait_behind(first: Future | None, future: Future) -> bool:
    """Set `future` after `first`, if somebody waits in that; return whether so."""
    if first is None or first._status != native.PENDING:
        return False
    first.add_done_callback(partial(wake_after, future))
    return True


def wake(future: Future) -> None:
    """Set `future`, unless it was cancelled meanwhile."""
    if future._status == native.PENDING:
        future.finish(None)


def wake_after(future: Future, _before: Any) -> None:
    """Set `future` after the one of another call for the same socket."""
    wake(future)


def weak(file: Any) -> Any:
    """Return a weak reference, or None to what allows none."""
    try:
        return ref(file)
    except TypeError:
        return None


class FdCallbacks:
    """The callbacks of one loop's descriptors, and who waits for them.

    A descriptor may be given as a number or as an object with a ``fileno()``. What is
    neither, or is closed, raises ValueError; one that a transport uses, RuntimeError.
    """

    __slots__ = ("_poller", "_ready")

    def __init__(self, poller: Poller, ready: ReadyQueue) -> None:
        self._poller = poller
        self._ready = ready

    def add_reader(self, fileobj: Any, handle: Handle) -> None:
        """Queue `handle` whenever `fileobj` can be read; cancel the one before it."""
        watcher = self._watcher_for(fileobj)
        replaced = watcher.reader
        watcher.replace(handle, watcher.writer)
        if replaced is not None:
            replaced.cancel()

    def add_writer(self, fileobj: Any, handle: Handle) -> None:
        """Queue `handle` whenever `fileobj` can be written to, as `add_reader`."""
        watcher = self._watcher_for(fileobj)
        replaced = watcher.writer
        watcher.replace(watcher.reader, handle)
        if replaced is not None:
            replaced.cancel()

    def remove_reader(self, fileobj: Any) -> bool:
        """Cancel the reader callback; return False if there is none."""
        watcher = self._watcher_for(fileobj)
        removed = watcher.reader
        if removed is None:
            return False
        watcher.replace(None, watcher.writer)
        removed.cancel()
        return True

    def remove_writer(self, fileobj: Any) -> bool:
        """Cancel the writer callback; return False if there is none."""
        watcher = self._watcher_for(fileobj)
        removed = watcher.writer
        if removed is None:
            return False
        watcher.replace(watcher.reader, None)
        removed.cancel()
        return True

    def known_watcher(self, file: Any, fd: int) -> FdWatcher | None:
        """Return who watches `fd` since an earlier call for this file, if anybody."""
        known = self._poller.watcher_of(fd)
        if isinstance(known, FdWatcher):
            watcher = known
            if watcher.is_of(file):
                return watcher
        return None

    def watcher_to_wait(self, file: Any, fd: int, is_tcp: bool) -> FdWatcher:
        """Return who watches the descriptor `fd` of `file`, a new one if nobody does.

        Raises RuntimeError where a transport does.
        """
        watcher = self._watcher_for(fd)
        if not watcher.is_of(file):
            watcher.belong_to(file, is_tcp)
        return watcher

    def _watcher_for(self, fileobj: Any) -> FdWatcher:
        """Return who watches a descriptor, a new one if nobody does."""
        fd = descriptor(fileobj)
        known = self._poller.watcher_of(fd)
        if known is None:
            return FdWatcher(fd, self._poller, self._ready)
        if not isinstance(known, FdWatcher):
            raise RuntimeError(  # noqa: TRY004 - as asyncio
                f"File descriptor {fileobj!r} is used by transport {known!r}"
            )
        watcher = known
        watcher.forget_closed()
        return watcher


def descriptor(fileobj: Any) -> int:
    """Return the number of a descriptor given as a number or as an open file."""
    fd = fileobj
    if not isinstance(fd, int):
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd
