"""What `add_reader` and `add_writer` do: queue a handle when a descriptor is ready.

Read `poller` before this. There is no table here: the poller knows who watches what,
and a descriptor belongs either to a pair of such callbacks or to a transport.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quiesce.core.poller import FAILED, READABLE, WRITABLE, Poller, Watcher

if TYPE_CHECKING:
    from quiesce.core.handle import Handle
    from quiesce.core.ready import ReadyQueue


class FdWatcher(Watcher):
    """The reader and the writer callback of one descriptor; at least one is set."""

    __slots__ = ("_fd", "_poller", "_ready", "reader", "writer")

    def __init__(self, fd: int, poller: Poller, ready: ReadyQueue) -> None:
        self._fd = fd
        self._poller = poller
        self._ready = ready
        self.reader: Handle | None = None
        self.writer: Handle | None = None

    def on_ready(self, events: int) -> None:
        """Queue the callbacks that `events` concern; trouble concerns both."""
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
        """Replace the callbacks, and ask the poller for what they need and no more."""
        events = 0
        if reader is not None:
            events = READABLE
        if writer is not None:
            events |= WRITABLE
        if events:
            self._poller.watch(self._fd, events, self)
        else:
            self._poller.unwatch(self._fd)
        self.reader = reader
        self.writer = writer


class FdCallbacks:
    """The reader and writer callbacks of one loop.

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

    def _watcher_for(self, fileobj: Any) -> FdWatcher:
        """Return the callbacks of a descriptor, a pair of none if it has none."""
        fd = descriptor(fileobj)
        watcher = self._poller.watcher_of(fd)
        if watcher is None:
            return FdWatcher(fd, self._poller, self._ready)
        if not isinstance(watcher, FdWatcher):
            raise RuntimeError(  # noqa: TRY004 - as asyncio
                f"File descriptor {fileobj!r} is used by transport {watcher!r}"
            )
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
