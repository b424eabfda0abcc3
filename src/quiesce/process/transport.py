"""What users hold of a child process: `ChildTransport`.

A child runs, then has ended, then is over: ended, and all its pipes closed on our side.
The protocol hears of it in this order, each in a callback of its own:

- ``connection_made``, before everything else;
- ``pipe_data_received`` and one ``pipe_connection_lost`` for each pipe, and one
  ``process_exited``, in the order in which they happen: a child may close its pipes
  long before it ends, and what it has started may keep them open long after;
- one ``connection_lost``, when the child is over.

Read `reap` and `pipe_ends` before this, `spawn` after it.
"""

from __future__ import annotations

import asyncio
import signal
import warnings
from asyncio.log import logger
from functools import partial
from typing import TYPE_CHECKING, Any

from quiesce.combinators.sleep import sleep
from quiesce.process import reap
from quiesce.process.pipe_ends import InputEnd, OutputEnd
from quiesce.system import last_resort

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable


class ChildTransport(asyncio.SubprocessTransport):
    """A child process of a loop, and the protocol that is told about it.

    The loop keeps it alive as long as the child runs. Its extra info ``"subprocess"``
    is the `subprocess.Popen` object, which may be asked and waited for at any time.
    """

    def __init__(
        self, loop: Any, protocol: Any, process: subprocess.Popen[bytes]
    ) -> None:
        super().__init__({"subprocess": process})
        # The names are asyncio's: what stands in them is what programs look for there.
        self._loop: Any = loop
        self._protocol: Any = protocol
        self._proc: Any = process
        self._pid = process.pid
        self._returncode: int | None = None
        self._closed = False
        self._exit_waiters: set[asyncio.Future[int]] = set()
        # What happened before `connection_made`; None from then on.
        self._pending_calls: list[tuple[Any, ...]] | None = []
        self._pipes: dict[int, InputEnd | OutputEnd] = {}
        if process.stdin is not None:
            self._pipes[0] = InputEnd(self, 0, process.stdin)
        if process.stdout is not None:
            self._pipes[1] = OutputEnd(self, 1, process.stdout)
        if process.stderr is not None:
            self._pipes[2] = OutputEnd(self, 2, process.stderr)

    def __repr__(self) -> str:
        status = self._returncode
        words = [
            type(self).__name__,
            *(["closed"] if self._closed else []),
            f"pid={self._pid}",
            "running" if status is None else f"returncode={status}",
        ]
        names = ("stdin", "stdout", "stderr")
        words += [f"{names[fd]}={end.pipe!r}" for fd, end in self._pipes.items()]
        return f"<{' '.join(words)}>"

    def __del__(self) -> None:
        # Nothing is open any more in a child that is over.
        if not self._closed and self._proc is not None:
            warnings.warn(
                f"unclosed transport {self!r}",
                ResourceWarning,
                stacklevel=1,
                source=self,
            )
            self.close()

    # -- what spawn and the pipes ask for

    def watch(self) -> None:
        """Begin to wait for the child's end; see `reap.call_at_exit` for its errors."""
        reap.call_at_exit(self._loop, self._proc, self._ended)
        self._loop.children.add(self)
        last_resort.note_child(self._pid)

    async def connect(self) -> None:
        """Connect the pipes, then let the protocol hear of all that has happened.

        Returns after `connection_made`. If this is cancelled, `close` is still needed.
        """
        loop = self._loop
        for fd, end in self._pipes.items():
            connect = loop.connect_read_pipe if fd else loop.connect_write_pipe
            await connect(partial(itself, end), end.file)
        loop.call_soon(self._protocol.connection_made, self)
        for call in self._pending_calls or ():
            loop.call_soon(*call)
        self._pending_calls = None
        await sleep(0)

    def pipe_data(self, fd: int, data: bytes) -> None:
        """Tell the protocol what the child wrote to its descriptor `fd`."""
        self._call(self._protocol.pipe_data_received, fd, data)

    def pipe_lost(self, fd: int, error: Exception | None) -> None:
        """Tell the protocol that a pipe is closed."""
        self._call(self._protocol.pipe_connection_lost, fd, error)
        self._finish_if_over()

    # -- the end

    def _ended(self) -> None:
        """Reap the child, and tell the protocol and those who wait."""
        # Order matters: the number may be another process's as soon as it is reaped.
        last_resort.forget_child(self._pid)
        status = self._returncode = reap.exit_status(self._proc)
        self._loop.children.discard(self)
        if self._loop.get_debug():
            logger.info("%r exited with return code %r", self, status)
        for end in self._outputs():
            if end.is_dropped:
                # Others may keep it open as long as they like.
                end.close(self._loop)
        self._call(self._protocol.process_exited)
        for waiter in self._exit_waiters:
            if not waiter.done():
                waiter.set_result(status)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        # Invariant: true at one call only, that for the last of the pipes and the end.
        if self._returncode is not None and all(
            end.disconnected for end in self._pipes.values()
        ):
            self._call(self._finish)

    def _finish(self) -> None:
        try:
            self._protocol.connection_lost(None)
        finally:
            self._loop = self._proc = self._protocol = None

    def _call(self, callback: Callable[..., object], *args: Any) -> None:
        """Queue a call of the protocol, behind `connection_made` and all before it."""
        if self._pending_calls is None:
            self._loop.call_soon(callback, *args)
        else:
            self._pending_calls.append((callback, *args))

    # -- for users

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let `protocol` hear of everything from now on."""
        self._protocol = protocol

    def get_protocol(self) -> Any:
        """Return the protocol; None once the child is over."""
        return self._protocol

    def get_pid(self) -> int:
        """Return the number of the process."""
        return self._pid

    def get_returncode(self) -> int | None:
        """Return the exit status, negative for a signal; None while the child runs."""
        return self._returncode

    def get_pipe_transport(self, fd: int) -> Any:
        """Return the transport to the child's descriptor `fd`; None if no pipe."""
        end = self._pipes.get(fd)
        return None if end is None else end.pipe

    def send_signal(self, signal: int) -> None:
        """Send a signal; does nothing to a child that has ended meanwhile.

        Raises ProcessLookupError once the child is over.
        """
        if self._proc is None:
            raise ProcessLookupError
        self._proc.send_signal(signal)

    def terminate(self) -> None:
        """Send SIGTERM; see `send_signal`."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL; see `send_signal`."""
        self.send_signal(signal.SIGKILL)

    def is_closing(self) -> bool:
        """Tell whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Close the pipes and kill the child if it runs; harmless if repeated.

        What the child wrote and nobody has read is lost. The protocol still hears that
        the child has ended.
        """
        if self._closed:
            return
        self._closed = True
        if self._proc is None:
            return
        for end in self._pipes.values():
            end.close(self._loop)
        if self._proc.poll() is not None:
            return
        if self._loop.get_debug():
            logger.warning("Close running child process: kill %r", self)
        try:
            self._proc.kill()
        except PermissionError:
            # It runs as another user now. Nobody may kill it; it has lost its pipes.
            pass

    def drop_output(self) -> None:
        """Read what the child writes until it ends, and give it to nobody any more.

        A closed pipe would cut short what it does when it is asked to end, and so would
        one that is full.
        """
        for end in self._outputs():
            end.drop()

    def _outputs(self) -> list[OutputEnd]:
        return [end for end in self._pipes.values() if isinstance(end, OutputEnd)]

    def leave(self) -> None:
        """Let go of a child that is to outlive the program."""
        self._closed = True
        for end in self._pipes.values():
            end.close(self._loop)

    async def _wait(self) -> int:
        """Return the exit status, as soon as there is one; asyncio's `Process` asks."""
        if self._returncode is not None:
            return self._returncode
        waiter = self._loop.create_future()
        self._exit_waiters.add(waiter)
        try:
            return await waiter
        finally:
            self._exit_waiters.discard(waiter)


def itself(protocol: asyncio.BaseProtocol) -> asyncio.BaseProtocol:
    """Return `protocol`, which was made before its factory is asked for it."""
    return protocol
