"""aiosqlite on our loop: a database in a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

aiosqlite = pytest.importorskip("aiosqlite")


@pytest.fixture
def database(tmp_path):
    """Connect to a database with a table."""
    path = tmp_path / "numbers.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("create table numbers (n integer)")
    connection.close()
    return path


def test_rows_that_were_written_are_read(run, database):
    async def write_and_read():
        async with aiosqlite.connect(database) as connection:
            rows = [(number,) for number in range(1000)]
            await connection.executemany("insert into numbers values (?)", rows)
            await connection.commit()
            async with connection.execute("select n from numbers") as cursor:
                return [number async for (number,) in cursor]

    assert run(write_and_read()) == list(range(1000))


def test_many_tasks_share_a_connection(run, database):
    async def write_and_count():
        async with aiosqlite.connect(database) as connection:
            insert = "insert into numbers values (?)"
            writes = [connection.execute(insert, (number,)) for number in range(200)]
            await asyncio.gather(*writes)
            async with connection.execute("select sum(n) from numbers") as cursor:
                return await cursor.fetchone()

    assert run(write_and_count()) == (sum(range(200)),)


def test_a_transaction_is_rolled_back(run, database):
    async def write_and_regret():
        async with aiosqlite.connect(database) as connection:
            await connection.execute("insert into numbers values (1)")
            await connection.rollback()
            async with connection.execute("select count(*) from numbers") as cursor:
                return await cursor.fetchone()

    assert run(write_and_regret()) == (0,)


def test_an_error_of_the_database_reaches_the_task(run, database):
    async def misspell():
        async with aiosqlite.connect(database) as connection:
            await connection.execute("selekt")

    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        run(misspell())


def test_a_query_is_interrupted_while_it_runs(run, database):
    begun = threading.Event()
    endless = """
        with recursive counted(n) as (select begun() union all select 1 from counted)
        select n from counted where n < 0
    """

    async def interrupt():
        async with aiosqlite.connect(database) as connection:
            await connection.create_function("begun", 0, begun.set)
            query = asyncio.ensure_future(connection.execute_fetchall(endless))
            await asyncio.to_thread(begun.wait)
            await connection.interrupt()
            await query

    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        run(interrupt())
