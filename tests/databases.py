"""A look into a database from outside, past the application; and which tests run on both kinds."""

import asyncio
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

#: For tests that run on an SQLite file and, unless only quick tests run, on a PostgreSQL server.
both_databases = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
#: For the tests that check every statement: they are quick on both.
both_databases_always = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
#: For tests of what SQLite does not have.
on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def run_sql(database: str | Path, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in a transaction of its own; returns its rows."""
    if str(database).startswith("postgresql://"):
        with ThreadPoolExecutor(1) as thread:  # with a loop of its own, whatever runs here
            return thread.submit(asyncio.run, _ask(str(database), statement)).result()
    with closing(sqlite3.connect(database)) as connection, connection:
        return connection.execute(statement).fetchall()


async def _ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def until_somebody_waits(connection: Any) -> None:
    """Wait until a transaction waits for a lock, as seen through a connection of asyncpg to the server."""
    while not await connection.fetch("SELECT pid FROM pg_locks WHERE NOT granted"):
        await asyncio.sleep(0.02)
