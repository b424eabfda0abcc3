"""redis-py on our loop (redis.asyncio), against a real Redis server."""

from __future__ import annotations

import asyncio

import pytest

from tests.libraries.databases import redis_server
from tests.libraries.servers import IDENTITY

redis = pytest.importorskip("redis.asyncio")

MUCH = bytes(range(256)) * 32 * 1024
"""More than a socket takes at once, 8 MiB."""


@pytest.fixture(scope="module")
def server():
    with redis_server() as address:
        yield address


@pytest.fixture(params=["tcp", "unix", "tls"])
def options(request, server):
    """How to connect: over TCP, a Unix socket, or TCP with TLS."""
    if request.param == "unix":
        return {"unix_socket_path": str(server.folder / "redis.sock")}
    if request.param == "tls":
        tls = {"ssl": True, "ssl_ca_certs": str(IDENTITY)}
        return {"host": "127.0.0.1", "port": server.tls_port, **tls}
    return {"host": "127.0.0.1", "port": server.port}


@pytest.fixture
def connected(run, options):
    """Run a coroutine function with a client of an empty database."""

    async def with_client(use):
        async with redis.Redis(**options) as client:
            await client.flushall()
            return await use(client)

    return lambda use: run(with_client(use))


def test_a_large_value_is_stored_and_read(connected):
    async def use(client):
        await client.set("key", MUCH)
        return await client.get("key")

    assert connected(use) == MUCH


def test_a_pipeline_gets_an_answer_for_each_command(connected):
    async def use(client):
        async with client.pipeline() as pipeline:
            for _ in range(1000):
                pipeline.incr("count")
            return await pipeline.execute()

    assert connected(use) == list(range(1, 1001))


def test_many_tasks_share_a_client(connected):
    async def use(client):
        await asyncio.gather(*(client.incr("count") for _ in range(20)))
        return await client.get("count")

    assert connected(use) == b"20"


def test_who_waits_for_an_item_gets_it_from_another(connected):
    async def use(client):
        waiting = asyncio.ensure_future(client.blpop("queue"))
        while not (await client.info("clients"))["blocked_clients"]:
            pass
        await client.rpush("queue", "item")
        return tuple(await waiting)

    assert connected(use) == (b"queue", b"item")


def test_a_published_message_reaches_who_has_subscribed(connected):
    async def use(client):
        async with client.pubsub() as subscriber:
            await subscriber.subscribe("news")
            messages = subscriber.listen()
            assert (await anext(messages))["type"] == "subscribe"
            await client.publish("news", "hear, hear")
            return (await anext(messages))["data"]

    assert connected(use) == b"hear, hear"


def test_a_cancelled_command_does_not_disturb_the_next_one(connected):
    async def use(client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await client.blpop("nothing")
        await client.set("key", "value")
        return await client.get("key")

    assert connected(use) == b"value"


def test_a_transaction_fails_when_what_it_watched_has_changed(connected):
    async def use(client):
        async with client.pipeline() as transaction:
            await transaction.watch("key")
            await client.set("key", "changed")
            transaction.multi()
            transaction.set("key", "mine")
            await transaction.execute()

    with pytest.raises(redis.WatchError):
        connected(use)
