"""The tables: one `schema.sql` for both databases."""

import sqlite3

import asyncpg
import pytest

from databases import on_postgresql
from quartlogin.accounts.database.schema import SCHEMA_VERSION
from quartlogin.accounts.paths import find_resource

SCHEMA = find_resource("schema.sql").read_text(encoding="utf-8")
ADD_ALICE = (
    "INSERT INTO users (id, username, username_key, password_hash, created_at, password_changed_at)"
    " VALUES ('1', 'Alice', 'alice', 'hash', 4102444800, 4102444800)"
)


@on_postgresql
async def test_the_schema_loads_on_postgresql(database: str) -> None:
    connection = await asyncpg.connect(database)

    await connection.execute(SCHEMA)
    await connection.execute(ADD_ALICE)

    assert await connection.fetchval("SELECT version FROM quartlogin_schema") == SCHEMA_VERSION
    assert dict(await connection.fetchrow("SELECT is_active, created_at FROM users WHERE id = $1", "1")) == {
        "is_active": True,
        "created_at": 4102444800,
    }
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(ADD_ALICE.replace("'1'", "'2'"))
    await connection.close()


def test_the_schema_loads_on_sqlite() -> None:
    connection = sqlite3.connect(":memory:")

    connection.executescript(SCHEMA)
    connection.execute(ADD_ALICE)

    assert connection.execute("SELECT version FROM quartlogin_schema").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT is_active, created_at FROM users").fetchone() == (1, 4102444800)
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(ADD_ALICE.replace("'1'", "'2'"))
    connection.close()
