"""The tables: one `schema.sql` for both databases."""

import sqlite3

import asyncpg
import pytest

from databases import on_postgresql
from quartlogin.accounts.database.schema import SCHEMA_VERSION
from quartlogin.accounts.paths import find_resource

SCHEMA = find_resource("schema.sql").read_text(encoding="utf-8")
ADD_ALICE = "INSERT INTO quartlogin_users VALUES ('1', 'Alice', 'alice', 4102444800)"
ADD_ACCOUNT = "INSERT INTO quartlogin_accounts (user_id, created_at) VALUES ('1', 4102444800)"


@pytest.mark.slow
@on_postgresql
async def test_the_schema_loads_on_postgresql(database: str) -> None:
    connection = await asyncpg.connect(database)

    await connection.execute(SCHEMA)
    await connection.execute(ADD_ALICE)
    await connection.execute(ADD_ACCOUNT)

    assert await connection.fetchval("SELECT version FROM quartlogin_schema") == SCHEMA_VERSION
    row = await connection.fetchrow("SELECT must_change_password, created_at FROM quartlogin_accounts")
    assert tuple(row) == (False, 4102444800)
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(ADD_ALICE.replace("'1'", "'2'"))
    await connection.close()


def test_the_schema_loads_on_sqlite() -> None:
    connection = sqlite3.connect(":memory:")

    connection.executescript(SCHEMA)
    connection.execute(ADD_ALICE)
    connection.execute(ADD_ACCOUNT)

    assert connection.execute("SELECT version FROM quartlogin_schema").fetchone() == (SCHEMA_VERSION,)
    assert connection.execute("SELECT must_change_password, created_at FROM quartlogin_accounts").fetchone() == (
        0,
        4102444800,
    )
    with pytest.raises(sqlite3.IntegrityError):
        connection.execute(ADD_ALICE.replace("'1'", "'2'"))
    connection.close()
