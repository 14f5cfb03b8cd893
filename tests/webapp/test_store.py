"""The database: what it keeps, what it refuses, and what a page costs in it."""

import asyncio
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from quart import Quart

from databases import run_sql
from quartlogin.webapp.services import services_of
from quartlogin.webapp.store import DatabaseRefused, SQLiteStore, Store, StoreUnavailable, User, UsernameTaken
from visitors import Visitor

ALICE = User(id="A" * 22, username="Alice")


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    store = SQLiteStore(database)
    await store.open()
    yield store
    await store.close()


async def test_a_user_is_found_by_id_and_by_name(store: Store) -> None:
    await store.add_user(ALICE, "alice", "hash", 1)

    found = await store.find_user(ALICE.id)
    credentials = await store.find_credentials("alice")

    assert found == ALICE
    assert found is not None
    assert found.username == "Alice"
    assert credentials is not None
    assert (credentials.user, credentials.password_hash, credentials.is_active) == (ALICE, "hash", True)


async def test_nobody_is_found_under_another_id_or_name(store: Store) -> None:
    await store.add_user(ALICE, "alice", "hash", 1)

    assert await store.find_user("B" * 22) is None
    assert await store.find_credentials("Alice") is None


async def test_a_name_can_be_taken_once(store: Store) -> None:
    await store.add_user(ALICE, "alice", "hash", 1)

    with pytest.raises(UsernameTaken):
        await store.add_user(User(id="B" * 22, username="ALICE"), "alice", "other", 2)

    assert await store.find_user("B" * 22) is None


async def test_a_disabled_user_is_not_found_by_id_until_enabled_again(store: Store) -> None:
    await store.add_user(ALICE, "alice", "hash", 1)

    assert await store.set_active("alice", active=False)
    while_disabled = await store.find_user(ALICE.id)
    assert await store.set_active("alice", active=True)

    assert while_disabled is None
    assert await store.find_user(ALICE.id) == ALICE
    assert not await store.set_active("bob", active=False)


async def test_what_was_stored_is_there_after_opening_again(store: Store, database: str) -> None:
    await store.add_user(ALICE, "alice", "hash", 1)
    await store.close()

    again = SQLiteStore(database)
    await again.open()

    assert await again.find_user(ALICE.id) == ALICE
    await again.close()


async def test_many_that_open_a_new_database_together_create_it_once(database: str) -> None:
    stores = [SQLiteStore(database) for _ in range(8)]

    await asyncio.gather(*(store.open() for store in stores))

    assert run_sql(database, "SELECT count(*) FROM quartlogin_schema") == [(1,)]
    for store in stores:
        await store.close()


async def test_the_file_is_its_owners_only_and_commits_are_durable(store: SQLiteStore, database: str) -> None:
    assert stat.S_IMODE(Path(database).stat().st_mode) == 0o600
    for connection in (store._reader, store._writer):
        assert connection is not None
        values = [
            next(iter(await connection.execute_fetchall(f"PRAGMA {name}")))[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
        assert values == ["wal", 2, 1, 5000]


async def test_a_store_that_is_not_open_is_unavailable(database: str) -> None:
    store = SQLiteStore(database)

    with pytest.raises(StoreUnavailable, match="is not open"):
        await store.find_user(ALICE.id)


async def test_a_table_that_is_gone_makes_the_store_unavailable(store: Store, database: str) -> None:
    run_sql(database, "DROP TABLE users")

    with pytest.raises(StoreUnavailable):
        await store.find_user(ALICE.id)


async def refusal(path: Path) -> str:
    store = SQLiteStore(str(path))
    with pytest.raises(DatabaseRefused) as error:
        await store.open()
    assert "\n" not in str(error.value)
    return str(error.value)


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite3"
    run_sql(path, "CREATE TABLE users (id INTEGER)")
    before = path.read_bytes()

    assert "belongs to another program" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_database_of_another_version_is_refused(store: Store, database: str) -> None:
    run_sql(database, "UPDATE quartlogin_schema SET version = 99")

    assert "has version 99 of the tables" in await refusal(Path(database))


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all " * 100)

    assert "it is not an SQLite database" in await refusal(path)


async def test_a_truncated_database_is_refused(store: Store, database: str) -> None:
    await store.close()
    path = Path(database)
    path.write_bytes(path.read_bytes()[:5000])

    assert "cannot be used" in await refusal(path)


async def test_a_read_only_database_is_refused(store: Store, database: str) -> None:
    """The file's format version says so, which binds root as well as everybody else."""
    await store.close()
    path = Path(database)
    content = bytearray(path.read_bytes())
    content[18] = 9  # the file format's write version: newer than this SQLite, so only to be read
    content[19] = 1
    path.write_bytes(content)

    assert "it is read-only" in await refusal(path)


async def test_a_folder_that_is_missing_or_is_the_file_is_refused(tmp_path: Path) -> None:
    assert "no such file or directory" in await refusal(tmp_path / "missing" / "people.sqlite3")
    assert "it is not a file" in await refusal(tmp_path)


async def test_a_file_that_is_too_small_to_be_a_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")

    assert "it is not an SQLite database" in await refusal(path)
    assert path.read_text() == "x"


async def test_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "it is not a file" in await refusal(tmp_path / "pipe")


async def test_the_file_behind_a_link_is_its_owners_only_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.sqlite3")
    store = SQLiteStore(str(tmp_path / "link"))

    await store.open()

    assert stat.S_IMODE((tmp_path / "real.sqlite3").stat().st_mode) == 0o600
    await store.close()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was handed to the database threads, one entry a trip."""
    execute = aiosqlite.Connection._execute
    made: list[Any] = []

    async def count(connection: aiosqlite.Connection, function: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(args)
        return await execute(connection, function, *args, **kwargs)

    monkeypatch.setattr(aiosqlite.Connection, "_execute", count)
    return made


@pytest.mark.parametrize("path", ["/", "/account", "/logout"])
async def test_a_page_of_somebody_signed_in_costs_one_statement_and_one_trip(
    app: Quart, visitor: Visitor, trips: list[Any], path: str
) -> None:
    await visitor.register()
    await visitor.get("/")
    store = services_of(app).store
    assert isinstance(store, SQLiteStore)
    assert store._reader is not None
    statements: list[str] = []
    await store._reader.set_trace_callback(statements.append)
    trips.clear()

    await visitor.get(path)

    assert len(trips) == 1
    assert len(statements) == 1
    assert statements[0].startswith("SELECT id, username FROM users WHERE id = ")


@pytest.mark.parametrize("path", ["/", "/login", "/healthz", "/nowhere"])
async def test_a_page_of_an_anonymous_visitor_costs_no_statement(visitor: Visitor, trips: list[Any], path: str) -> None:
    await visitor.get("/login")
    trips.clear()

    await visitor.get(path)

    assert trips == []


async def test_a_writer_elsewhere_is_waited_for(store: Store, database: str) -> None:
    """The busy timeout: another process in the middle of a transaction is no error."""
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    adding = asyncio.create_task(store.add_user(ALICE, "alice", "hash", int(time.time())))

    meanwhile = await store.find_user(ALICE.id)
    other.execute("COMMIT")
    await adding

    assert meanwhile is None
    assert await store.find_user(ALICE.id) == ALICE
    other.close()
