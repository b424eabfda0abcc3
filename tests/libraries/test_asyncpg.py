"""asyncpg on our loop, against a real PostgreSQL server."""

from __future__ import annotations

import asyncio

import pytest

from tests.libraries.databases import PASSWORD, postgresql

asyncpg = pytest.importorskip("asyncpg")


@pytest.fixture(scope="module")
def server():
    with postgresql() as address:
        yield address


@pytest.fixture(params=["tcp", "unix", "tls"])
def options(request, server, client_side):
    """How to connect: over TCP, a Unix socket, or TCP with TLS."""
    host = str(server.folder) if request.param == "unix" else "127.0.0.1"
    tls = client_side if request.param == "tls" else False
    user = {"user": "postgres", "password": PASSWORD, "database": "postgres"}
    return {"host": host, "port": server.port, "ssl": tls, **user}


@pytest.fixture
def connected(run, options):
    """Run a coroutine function with a connection."""

    async def with_connection(use):
        connection = await asyncpg.connect(**options)
        try:
            return await use(connection)
        finally:
            await connection.close()

    return lambda use: run(with_connection(use))


def test_values_travel_both_ways(connected):
    async def use(connection):
        return await connection.fetchrow(
            "select $1::int as number, $2::text as word, $3::bytea as raw",
            *(42, "wörd", bytes(range(256)) * 4096),
        )

    number, word, raw = connected(use)
    assert (number, word, raw) == (42, "wörd", bytes(range(256)) * 4096)


def test_a_transaction_is_rolled_back(connected):
    async def use(connection):
        await connection.execute("create temp table numbers (n int)")
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("insert into numbers values (1)")
        await transaction.rollback()
        return await connection.fetchval("select count(*) from numbers")

    assert connected(use) == 0


def test_a_hundred_thousand_rows_are_copied_in_and_out(connected):
    rows = [(number, f"row {number}") for number in range(100_000)]

    async def use(connection):
        await connection.execute("create temp table rows (n int, word text)")
        await connection.copy_records_to_table("rows", records=rows)
        return await connection.fetch("select n, word from rows order by n")

    assert [tuple(row) for row in connected(use)] == rows


def test_a_cursor_fetches_as_it_goes(connected):
    async def use(connection):
        async with connection.transaction():
            cursor = connection.cursor("select generate_series(1, 5000)", prefetch=50)
            return [number async for (number,) in cursor]

    assert connected(use) == list(range(1, 5001))


def test_a_notification_reaches_who_listens(connected):
    async def use(connection):
        heard = asyncio.get_running_loop().create_future()
        await connection.add_listener("news", lambda *news: heard.set_result(news[3]))
        await connection.execute("select pg_notify('news', 'hear, hear')")
        return await heard

    assert connected(use) == "hear, hear"


def test_a_query_beyond_its_time_limit_is_cancelled_at_the_server(connected):
    async def use(connection):
        with pytest.raises(TimeoutError):
            await connection.execute("select pg_sleep(3600)", timeout=0.01)
        return await connection.fetchval("select 'still here'")

    assert connected(use) == "still here"


def test_an_error_of_the_server_reaches_the_task(connected):
    async def use(connection):
        await connection.execute("select 1 / 0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        connected(use)


def test_many_tasks_share_the_connections_of_a_pool(run, options):
    async def share():
        async with asyncpg.create_pool(**options, min_size=2, max_size=4) as pool:
            queries = [pool.fetchval("select $1::int", n) for n in range(200)]
            return await asyncio.gather(*queries)

    assert run(share()) == list(range(200))


def test_a_wrong_password_is_refused(run, options):
    async def connect():
        await asyncpg.connect(**{**options, "password": "guessed"})

    with pytest.raises(asyncpg.InvalidPasswordError):
        run(connect())
