"""A program loads what it uses: early where later may be too late."""

from __future__ import annotations

import textwrap

from tests.programs.children import PYTHON, outcome_of

HEAD = """
import sys
import quiesce as asyncio

def ours():
    return {name for name in sys.modules if name.startswith("quiesce.")}
"""


def printed_by(text):
    """Return what a program prints, which begins with `HEAD`."""
    outcome = outcome_of(*PYTHON, "-c", HEAD + textwrap.dedent(text))
    assert outcome.status == 0, outcome
    return outcome.out


def test_a_program_of_tasks_loads_nothing_for_connections_and_children():
    out = printed_by("""
    async def main():
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(asyncio.sleep(0))

    asyncio.run(main())
    print(*ours(), sep="\\n")
    """)
    assert "quiesce.loop" in out
    packages = ("quiesce.tls", "quiesce.process")
    assert [name for name in out if name.startswith(packages)] == []
    transports = ("listen", "accept", "connect", "transport", "stream", "pipe")
    assert {f"quiesce.net.{name}" for name in transports}.isdisjoint(out)


def test_a_client_without_tls_loads_none():
    out = printed_by("""
    import socket

    async def main():
        one, other = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=one)
        writer.close()
        await writer.wait_closed()
        other.close()

    asyncio.run(main())
    print(*ours(), sep="\\n")
    """)
    assert "quiesce.net.stream" in out
    assert "quiesce.tls.stream" not in out


def test_with_a_server_comes_all_that_its_program_may_call():
    out = printed_by("""
    import os

    async def main():
        loop = asyncio.get_running_loop()
        def close(_, writer):
            writer.close()

        server = await asyncio.start_server(close, "127.0.0.1", 0)
        before = ours()
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("localhost", port)
        with open(os.devnull, "rb") as file:
            await loop.sendfile(writer.transport, file)
        writer.close()
        datagrams, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, ("127.0.0.1", 0)
        )
        datagrams.close()
        reading, writing = os.pipe()
        await loop.connect_read_pipe(asyncio.Protocol, os.fdopen(reading, "rb"))
        os.close(writing)
        child = await asyncio.create_subprocess_exec(sys.executable, "-S", "-c", "")
        await child.wait()
        server.close()
        await server.wait_closed()
        print(*(ours() - before), sep="\\n")

    asyncio.run(main())
    """)
    assert [name for name in out if name] == []
