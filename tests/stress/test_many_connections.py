"""As many connections as descriptors allow, and more."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.net.recording import reset

TOTAL = 20_000
MOST = 8_000
"""Connections at once: they fit into what one address has of ports."""
CALLERS = 250
ROOM = 60
"""Descriptors that the server can have at once for its callers."""


class Telling(asyncio.Protocol):
    """Greets, sends back what it gets, and counts how often it was told of its end."""

    def __init__(self, made):
        made.append(self)
        self.lost = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"hello")

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, exc):
        self.lost += 1


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def files_allowed():
    """Allow as many descriptors as may be allowed; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def drop(sock, number):
    """End a connection in one of three ways."""
    if number % 3 == 0:
        reset(sock)
    elif number % 3 == 1:
        sock.shutdown(socket.SHUT_WR)
    sock.close()


async def call(loop, address):
    """Return a socket that the server has greeted."""
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, address)
    assert await loop.sock_recv(sock, 100) == b"hello"
    return sock


@pytest.mark.stress
def test_thousands_of_connections_dropped_at_once_are_told_so_once_each(
    loop, files_allowed
):
    made = []
    at_once = min(MOST, (files_allowed - open_files() - 50) // 2)
    # A loop's first run opens what all its runs use.
    loop.run_until_complete(asyncio.sleep(0))
    before = open_files()

    async def serve():
        server = await loop.create_server(lambda: Telling(made), "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        while len(made) < TOTAL:
            # As many as the listener's backlog takes in.
            sockets = []
            while len(sockets) < at_once:
                calls = [call(loop, address) for _ in range(100)]
                sockets += await asyncio.gather(*calls)
            for number, sock in enumerate(sockets):
                drop(sock, number)
            while any(not each.lost for each in made):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        server.close()
        await server.wait_closed()

    loop.run_until_complete(serve())
    assert {each.lost for each in made} == {1}
    assert open_files() == before


@pytest.mark.stress
def test_all_callers_are_served_though_descriptors_run_out_again_and_again(loop):
    made, reports = [], []
    loop.set_exception_handler(lambda _, context: reports.append(context))

    async def talk(sock):
        assert await loop.sock_recv(sock, 100) == b"hello"
        await loop.sock_sendall(sock, b"bye")
        assert await loop.sock_recv(sock, 100) == b"bye"
        sock.close()

    async def serve(stack):
        server = await loop.create_server(
            lambda: Telling(made), "127.0.0.1", 0, backlog=CALLERS
        )
        address = server.sockets[0].getsockname()
        callers = [
            stack.enter_context(socket.create_connection(address))
            for _ in range(CALLERS)
        ]
        for sock in callers:
            sock.setblocking(False)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(sock.fileno() for sock in callers)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + ROOM, limits[1]))
        try:
            await asyncio.gather(*map(talk, callers))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        server.close()
        await server.wait_closed()

    began = time.monotonic()
    with ExitStack() as stack:
        loop.run_until_complete(serve(stack))
    while any(not each.lost for each in made):
        loop.run_until_complete(asyncio.sleep(0))
    assert [each.lost for each in made] == [1] * CALLERS
    assert {report["exception"].errno for report in reports} == {errno.EMFILE}
    # Whoever tries again at once reports thousands.
    assert len(reports) <= time.monotonic() - began + 1
