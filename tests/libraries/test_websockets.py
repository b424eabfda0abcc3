"""websockets: its server and its client, both on our loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

connect = pytest.importorskip("websockets.asyncio.client").connect
serve = pytest.importorskip("websockets.asyncio.server").serve
exceptions = pytest.importorskip("websockets.exceptions")

MUCH = bytes(range(256)) * 16 * 1024
"""More than a socket takes at once, 4 MiB."""


async def echo(socket):
    async for message in socket:
        await socket.send(message)


@asynccontextmanager
async def connected(handler=echo, *, server_tls=None, client_tls=None):
    """A client's end of a connection to a server that has this handler."""
    # Compressed, what the tests send would fit into a socket.
    plain = {"compression": None, "max_size": None}
    async with serve(handler, "127.0.0.1", 0, ssl=server_tls, **plain) as server:
        port = server.sockets[0].getsockname()[1]
        scheme = "wss" if server_tls else "ws"
        url = f"{scheme}://127.0.0.1:{port}"
        async with connect(url, ssl=client_tls, **plain) as socket:
            yield socket


def test_messages_come_back_in_order(run):
    words = [str(number) for number in range(500)]

    async def talk():
        async with connected() as socket:
            for word in words:
                await socket.send(word)
            return [await socket.recv() for _ in words]

    assert run(talk()) == words


def test_a_large_message_comes_back(run):
    async def talk():
        async with connected() as socket:
            await socket.send(MUCH)
            return await socket.recv()

    assert run(talk()) == MUCH


def test_a_large_message_comes_back_over_tls(run, server_side, client_side):
    async def talk():
        tls = {"server_tls": server_side, "client_tls": client_side}
        async with connected(**tls) as socket:
            await socket.send(MUCH)
            return await socket.recv()

    assert run(talk()) == MUCH


def test_many_connections_talk_at_once(run):
    async def talk(url, word):
        async with connect(url) as socket:
            await socket.send(word)
            return await socket.recv()

    async def talk_all():
        async with serve(echo, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await asyncio.gather(*(talk(url, str(n)) for n in range(100)))

    assert run(talk_all()) == [str(number) for number in range(100)]


def test_a_ping_is_answered(run):
    async def ping():
        async with connected() as socket:
            return await (await socket.ping())

    assert run(ping()) >= 0


def test_the_reason_of_a_close_arrives(run):
    async def close(socket):
        await socket.close(4000, "enough")

    async def listen():
        async with connected(close) as socket:
            with pytest.raises(exceptions.ConnectionClosedError) as ended:
                await socket.recv()
        return ended.value.rcvd

    received = run(listen())
    assert (received.code, received.reason) == (4000, "enough")


def test_a_receiver_that_is_cancelled_loses_no_message(run):
    async def listen():
        async with connected() as socket:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await socket.recv()
            await socket.send("later")
            return await socket.recv()

    assert run(listen()) == "later"


def test_a_sender_waits_for_a_receiver_that_does_not_read(run):
    part, parts = MUCH[: 256 * 1024], 200

    async def talk():
        reading = asyncio.Event()

        async def read_late(socket):
            await reading.wait()
            received = [await socket.recv() for _ in range(parts)]
            await socket.send("all" if received == [part] * parts else "not all")

        async with connected(read_late) as socket:

            async def send():
                for _ in range(parts):
                    await socket.send(part)

            sending = asyncio.ensure_future(send())
            # Nothing tells of it, so there is no event to wait for.
            while not socket.transport.get_write_buffer_size():  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert not sending.done()
            reading.set()
            await sending
            return await socket.recv()

    assert run(talk()) == "all"
