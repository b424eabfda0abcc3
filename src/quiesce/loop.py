"""The loop that users hold: a table of contents.

`Scheduler` runs callbacks, tasks and timers. What is here are the methods through which
asyncio's users reach everything else; each calls the module that does it. What makes
connections, servers and children is imported where it is called: a program pays for
what it uses. What is called for each message is imported at once.
"""

# The stubs of asyncio are narrower here than asyncio itself, or than the truth.
# pyright: reportIncompatibleMethodOverride=false
from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import warnings
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from quiesce.core import runs
from quiesce.core.debug_checks import check_call
from quiesce.core.scheduler import Scheduler
from quiesce.net import sock_calls
from quiesce.offload.threads import DefaultExecutor
from quiesce.system import new_poller
from quiesce.system.signals import SignalHandlers

if TYPE_CHECKING:
    import ssl as tls
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Executor

    from quiesce.core.clock import Clock
    from quiesce.core.poller import Poller
    from quiesce.net.listen import Server
    from quiesce.process.transport import ChildTransport


class Loop(Scheduler, asyncio.AbstractEventLoop):
    """An event loop with the whole of asyncio's interface.

    `clock` and `poller` replace where time and readiness come from; tests that must
    repeat exactly give simulated ones.
    """

    # asyncio's base class leaves room for a dictionary. As long as nothing is stored in
    # it, Python finds the methods of a loop without binding them, which every call pays
    # for.
    __slots__ = ("children", "executor", "signal_handlers")

    def __init__(
        self, *, clock: Clock | None = None, poller: Poller | None = None
    ) -> None:
        super().__init__(new_poller() if poller is None else poller, clock)
        self.executor = DefaultExecutor(self)
        self.signal_handlers = SignalHandlers(self)
        if poller is None:
            # One that is simulated does not sleep.
            self.interrupts.wakeup = self.signal_handlers
        # Those that have not ended.
        self.children: WeakSet[ChildTransport] = WeakSet()

    def __del__(self) -> None:
        if hasattr(self, "children") and not self.is_closed():
            warnings.warn(
                f"unclosed event loop {self!r}",
                ResourceWarning,
                source=self,
                stacklevel=1,
            )
            if not self.is_running():
                self.close()

    def close(self) -> None:
        """Forget all callbacks, give signals their usual effect, free all resources.

        Threads of the default executor are left to end by themselves. Raises
        `RuntimeError` while the loop runs; harmless if repeated.
        """
        if not self.is_running():
            if runs.on_close is not None and not self.is_closed():
                runs.on_close(self)
            self.signal_handlers.close()
            self.executor.abandon()
        super().close()

    async def shutdown_asyncgens(self) -> None:
        """Close every live asynchronous generator that was iterated in this loop."""
        await self.async_generators.close_all()

    # -- blocking functions

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> Any:
        """Return a future for ``func(*args)`` in `executor`, or in the default one.

        Cancelling it does not stop a function that has begun. Raises `RuntimeError` on
        a closed loop, and once the default executor was shut down.
        """
        self.check_closed()
        if self.get_debug():
            check_call(func, "run_in_executor")
        return self.executor.submit(executor, func, *args)

    def set_default_executor(self, executor: Executor) -> None:
        """Run blocking functions in `executor`, a ThreadPoolExecutor, from now on."""
        self.executor.replace(executor)  # pyright: ignore[reportArgumentType]

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait until the default executor's threads end, `timeout` seconds at most."""
        await self.executor.shut_down(timeout)

    # -- signals

    def add_signal_handler(
        self, sig: int, callback: Callable[..., object], *args: Any
    ) -> None:
        """Call ``callback(*args)`` in the loop on `sig`; see `SignalHandlers`."""
        self.check_closed()
        self.signal_handlers.add(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Give `sig` its usual effect again; return False if it had no callback."""
        return self.signal_handlers.remove(sig)

    # -- child processes

    async def subprocess_exec(
        self,
        protocol_factory: Callable[[], Any],
        program: Any,
        *args: Any,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        **options: Any,
    ) -> tuple[Any, Any]:
        """Start a program; return its transport and protocol; see `process.spawn`."""
        from quiesce.process import spawn

        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        command = (program, *args)
        return await spawn.run_program(
            self, protocol_factory, command, **streams, **options
        )

    async def subprocess_shell(
        self,
        protocol_factory: Callable[[], Any],
        cmd: Any,
        *,
        stdin: Any = subprocess.PIPE,
        stdout: Any = subprocess.PIPE,
        stderr: Any = subprocess.PIPE,
        **options: Any,
    ) -> tuple[Any, Any]:
        """Run `cmd` in a shell; return transport and protocol; see `process.spawn`."""
        from quiesce.process import spawn

        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
        return await spawn.run_command(
            self, protocol_factory, cmd, **streams, **options
        )

    # -- net

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Any]:
        """Return what `socket.getaddrinfo` gives, asked in a thread."""
        from quiesce.net import resolve

        return await resolve.getaddrinfo(
            partial(self.run_in_executor, None),
            host,
            port,
            family=family,
            type=type,
            proto=proto,
            flags=flags,
        )

    async def getnameinfo(
        self, sockaddr: tuple[Any, ...], flags: int = 0
    ) -> tuple[str, str]:
        """Return what `socket.getnameinfo` gives, asked in a thread."""
        from quiesce.net import resolve

        return await resolve.getnameinfo(
            partial(self.run_in_executor, None), sockaddr, flags
        )

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: Any = None,
        *,
        ssl: tls.SSLContext | bool | None = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: socket.socket | None = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[Any, Any]:
        """Return a transport to a TCP server and its protocol; see `net.connect`."""
        from quiesce.net import connect
        from quiesce.tls import openers

        opener = openers.client_opener(
            ssl, host, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        return await connect.create_connection(
            self,
            protocol_factory,
            host,
            port,
            opener=opener,
            family=family,
            proto=proto,
            flags=flags,
            sock=sock,
            local_addr=local_addr,
            happy_eyeballs_delay=happy_eyeballs_delay,
            interleave=interleave,
            all_errors=all_errors,
        )

    async def create_server(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: tls.SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Return a TCP server; see `net.listen`."""
        from quiesce.net import listen
        from quiesce.tls import openers

        load_what_servers_use()
        return await listen.create_server(
            self,
            protocol_factory,
            host,
            port,
            opener=openers.server_opener(
                ssl, ssl_handshake_timeout, ssl_shutdown_timeout
            ),
            family=family,
            flags=flags,
            sock=sock,
            backlog=backlog,
            reuse_address=reuse_address,
            reuse_port=reuse_port,
            keep_alive=keep_alive,
            start_serving=start_serving,
        )

    async def connect_accepted_socket(
        self,
        protocol_factory: Callable[[], Any],
        sock: socket.socket,
        *,
        ssl: tls.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """Return a transport over a connection that was accepted elsewhere."""
        from quiesce.net import connect
        from quiesce.tls import openers

        sock_calls.refuse_tls_socket(sock)
        opener = openers.accepted_opener(
            ssl, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        sock = connect.stream_socket(sock)
        return await connect.adopt(self, protocol_factory, sock, opener)

    async def create_unix_connection(
        self,
        protocol_factory: Callable[[], Any],
        path: Any = None,
        *,
        ssl: tls.SSLContext | bool | None = None,
        sock: socket.socket | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """Return a transport to a server at `path`; see `net.unix_socket`."""
        from quiesce.net import unix_socket
        from quiesce.tls import openers

        opener = openers.unix_client_opener(
            ssl, server_hostname, ssl_handshake_timeout, ssl_shutdown_timeout
        )
        return await unix_socket.create_unix_connection(
            self, protocol_factory, path, opener=opener, sock=sock
        )

    async def create_unix_server(
        self,
        protocol_factory: Callable[[], Any],
        path: Any = None,
        *,
        sock: socket.socket | None = None,
        backlog: int = 100,
        ssl: tls.SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
        cleanup_socket: bool = sys.version_info >= (3, 13),
    ) -> Server:
        """Return a server at `path`; see `net.unix_socket`."""
        from quiesce.net import unix_socket
        from quiesce.tls import openers

        load_what_servers_use()
        return await unix_socket.create_unix_server(
            self,
            protocol_factory,
            path,
            opener=openers.server_opener(
                ssl, ssl_handshake_timeout, ssl_shutdown_timeout
            ),
            sock=sock,
            backlog=backlog,
            start_serving=start_serving,
            cleanup_socket=cleanup_socket,
        )

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], Any],
        local_addr: Any = None,
        remote_addr: Any = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: socket.socket | None = None,
    ) -> tuple[Any, Any]:
        """Return a transport for datagrams and its protocol; see `net.endpoint`."""
        from quiesce.net import endpoint

        return await endpoint.create_datagram_endpoint(
            self,
            protocol_factory,
            local_addr,
            remote_addr,
            family=family,
            proto=proto,
            flags=flags,
            reuse_port=reuse_port,
            allow_broadcast=allow_broadcast,
            sock=sock,
        )

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: tls.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """Return the TLS transport that takes the place of `transport`."""
        from quiesce.tls import start_tls

        return await start_tls.start_tls(
            self,
            transport,
            protocol,
            sslcontext,
            server_side=server_side,
            server_hostname=server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )

    async def sendfile(
        self,
        transport: Any,
        file: Any,
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool = True,
    ) -> int:
        """Send a file on `transport`, return how many bytes; see `net.sendfile`."""
        from quiesce.net import sendfile

        return await sendfile.sendfile(
            self, transport, file, offset, count, fallback=fallback
        )

    async def connect_read_pipe(
        self, protocol_factory: Callable[[], Any], pipe: Any
    ) -> tuple[Any, Any]:
        """Return a transport that reads the open file `pipe`, and its protocol."""
        from quiesce.net import pipe as pipes

        return await pipes.connect_read_pipe(self, protocol_factory, pipe)

    async def connect_write_pipe(
        self, protocol_factory: Callable[[], Any], pipe: Any
    ) -> tuple[Any, Any]:
        """Return a transport that writes to the open file `pipe`, and its protocol."""
        from quiesce.net import pipe as pipes

        return await pipes.connect_write_pipe(self, protocol_factory, pipe)

    def sock_recv(self, sock: socket.socket, n: int) -> Coroutine[Any, Any, bytes]:
        """Return up to `n` bytes, b"" at the end of the stream."""
        return sock_calls.sock_recv(self, sock, n)

    def sock_recv_into(self, sock: socket.socket, buf: Any) -> Coroutine[Any, Any, int]:
        """Receive into `buf`; return how many bytes."""
        return sock_calls.sock_recv_into(self, sock, buf)

    def sock_recvfrom(
        self, sock: socket.socket, bufsize: int
    ) -> Coroutine[Any, Any, tuple[bytes, Any]]:
        """Return one datagram of up to `bufsize` bytes, and where it came from."""
        return sock_calls.sock_recvfrom(self, sock, bufsize)

    def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> Coroutine[Any, Any, tuple[int, Any]]:
        """Receive one datagram into `buf`; return its size, and where it came from."""
        return sock_calls.sock_recvfrom_into(self, sock, buf, nbytes)

    def sock_sendall(self, sock: socket.socket, data: Any) -> Coroutine[Any, Any, None]:
        """Send all of `data`."""
        return sock_calls.sock_sendall(self, sock, data)

    def sock_sendto(
        self, sock: socket.socket, data: Any, address: Any
    ) -> Coroutine[Any, Any, int]:
        """Send one datagram to `address`; return how many bytes."""
        return sock_calls.sock_sendto(self, sock, data, address)

    async def sock_sendfile(
        self,
        sock: socket.socket,
        file: Any,
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool | None = True,
    ) -> int:
        """Send a file on `sock`, return how many bytes; see `net.sendfile`."""
        from quiesce.net import sendfile

        return await sendfile.sock_sendfile(
            self, sock, file, offset, count, fallback=fallback
        )

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect to `address`."""
        from quiesce.net import sock_connect

        await sock_connect.sock_connect(self, sock, address)

    def sock_accept(
        self, sock: socket.socket
    ) -> Coroutine[Any, Any, tuple[socket.socket, Any]]:
        """Return a new connection, non-blocking, and the address of its other end."""
        return sock_calls.sock_accept(self, sock)


# What is imported at its first use, and whatever that imports.
AT_FIRST_USE = (
    "quiesce.combinators.threadsafe",
    "quiesce.net.endpoint",
    "quiesce.net.pipe",
    "quiesce.net.sendfile",
    "quiesce.net.sock_connect",
    "quiesce.net.unix_socket",
    "quiesce.offload.thread_pool",
    "quiesce.process.spawn",
    "quiesce.tls.openers",
    "quiesce.tls.start_tls",
)


def load_what_servers_use() -> None:
    """Import all that a loop else imports at its first use.

    Where clients have taken the last descriptor no module can be opened either, and
    what a program then calls for the first time shall fail, if it does, with `OSError`.
    """
    for name in AT_FIRST_USE:
        import_module(name)


def new_event_loop() -> Loop:
    """Return a new loop."""
    return Loop()
