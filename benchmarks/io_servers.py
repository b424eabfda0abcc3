"""The measured servers: ``io_servers.py CANDIDATE SERVER ADDRESS [CERTIFICATE KEY]``.

ADDRESS is a port of this machine, or a path for ``unix``. Says "ready" once it listens.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any

from measuring import candidates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HERE = "127.0.0.1"
BACKLOG = 4096
MOST = 256 * 1024


class Echo(asyncio.Protocol):
    """Answers with what it is given."""

    def connection_made(self, transport: Any) -> None:
        """Keep what to answer with."""
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """Answers from memory of its own."""

    def connection_made(self, transport: Any) -> None:
        """Make the memory."""
        self.write = transport.write
        self.memory = memoryview(bytearray(MOST))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - all there is
        """Give all of the memory."""
        return self.memory

    def buffer_updated(self, nbytes: int) -> None:
        """Answer."""
        self.write(self.memory[:nbytes])


class DatagramEcho(asyncio.DatagramProtocol):
    """Answers each message, to where it came from."""

    def connection_made(self, transport: Any) -> None:
        """Make room for the messages of many peers."""
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Answer."""
        self.transport.sendto(data, addr)


async def serve_protocol(
    address: str, *, kind: type[asyncio.BaseProtocol] = Echo, **options: Any
) -> None:
    """Echo over TCP."""
    loop = asyncio.get_running_loop()
    factory: Any = kind
    options["backlog"] = BACKLOG
    await started(await loop.create_server(factory, HERE, int(address), **options))


async def serve_tls(address: str, certificate: str, key: str) -> None:
    """Echo over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await serve_protocol(address, ssl=context)


async def serve_unix(address: str) -> None:
    """Echo at a path."""
    loop = asyncio.get_running_loop()
    await started(await loop.create_unix_server(Echo, address, backlog=BACKLOG))


async def serve_datagrams(address: str) -> None:
    """Echo over UDP."""
    loop = asyncio.get_running_loop()
    where = (HERE, int(address))
    await started(await loop.create_datagram_endpoint(DatagramEcho, local_addr=where))


async def serve_streams(address: str) -> None:
    """Echo with a reader and a writer."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(MOST):
            writer.write(data)
            await writer.drain()
        writer.close()

    await started(await asyncio.start_server(echo, HERE, int(address), backlog=BACKLOG))


async def serve_sock(address: str) -> None:
    """Echo with the loop's ``sock_*`` methods."""
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HERE, int(address)))
    listener.listen(BACKLOG)
    listener.setblocking(False)

    async def echo(sock: socket.socket) -> None:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := await loop.sock_recv(sock, MOST):
                await loop.sock_sendall(sock, data)

    async def accept() -> None:
        tasks: set[asyncio.Task[None]] = set()
        while True:
            sock, _ = await loop.sock_accept(listener)
            task = loop.create_task(echo(sock))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    await started(asyncio.ensure_future(accept()))


async def serve_uvicorn(address: str) -> None:
    """Answer HTTP requests with a few bytes."""
    import uvicorn

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"Hello, world!"})

    server = uvicorn.Server(
        uvicorn.Config(
            application,
            HERE,
            int(address),
            http="httptools",
            lifespan="off",
            log_level="critical",
            access_log=False,
            backlog=BACKLOG,
        )
    )
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    await started(serving)


async def started(_server: Any) -> None:
    """Say so, and stay until the process is ended."""
    print("ready", flush=True)
    await asyncio.Event().wait()


SERVERS: dict[str, Callable[..., Awaitable[None]]] = {
    "protocol": serve_protocol,
    "buffered": functools.partial(serve_protocol, kind=BufferedEcho),
    "streams": serve_streams,
    "sock": serve_sock,
    "unix": serve_unix,
    "udp": serve_datagrams,
    "tls": serve_tls,
    "uvicorn": serve_uvicorn,
}


async def main() -> None:
    """Serve as the command line says."""
    _, _, server, *rest = sys.argv
    # A peer that leaves in the middle is no news here.
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _report: None)
    await SERVERS[server](*rest)


if __name__ == "__main__":
    candidate = candidates.ALL[sys.argv[1]]
    make_loop = functools.partial(candidates.make_loop, candidate)
    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
