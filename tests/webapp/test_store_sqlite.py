"""The SQLite file: which files are rejected, its permissions, and the statements of a page."""

import asyncio
import errno
import os
import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from quart import Quart

from client import Visitor
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.errors import DatabaseRefused
from quartlogin.accounts.database.models import Event, NewUser, User
from quartlogin.accounts.database.sqlite import SQLiteDatabase
from quartlogin.accounts.store import Store

ALICE = NewUser(User(id="A" * 22, username="Alice"), "alice", "hash")
REGISTERED = Event("1", "registered", ALICE.user.id, 1, "", "")


async def test_the_file_is_its_owners_only_and_commits_are_durable(
    durable_commits: None, store: Store, database: str
) -> None:
    assert stat.S_IMODE(Path(database).stat().st_mode) == 0o600
    assert isinstance(store.database, SQLiteDatabase)
    for connection in (store.database._reader, store.database._writer):
        assert connection is not None
        values = [
            next(iter(await connection.execute_fetchall(f"PRAGMA {name}")))[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
        assert values == ["wal", 2, 1, 5000]


async def refusal(path: Path) -> str:
    database = SQLiteDatabase(str(path))
    with pytest.raises(DatabaseRefused) as error:
        await database.open()
    assert "\n" not in str(error.value)
    return str(error.value)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no database at all " * 100)

    assert "not a SQLite database" in await refusal(path)


async def test_a_truncated_database_is_refused(store: Store, database: str) -> None:
    await store.database.close()
    path = Path(database)
    path.write_bytes(path.read_bytes()[:5000])

    assert str(path) in await refusal(path)


async def test_a_read_only_database_is_refused(store: Store, database: str) -> None:
    """The file's format version says so, which binds root as well as everybody else."""
    await store.database.close()
    path = Path(database)
    content = bytearray(path.read_bytes())
    content[18] = 9  # the file format's write version: newer than this SQLite, so only to be read
    content[19] = 1
    path.write_bytes(content)

    assert "read-only" in await refusal(path)


async def test_a_folder_that_is_missing_or_is_the_file_is_refused(tmp_path: Path) -> None:
    assert os.strerror(errno.ENOENT).lower() in await refusal(tmp_path / "missing" / "people.sqlite3")
    assert "not a file" in await refusal(tmp_path)


async def test_a_file_that_is_too_small_to_be_a_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("x")

    assert "not a SQLite database" in await refusal(path)
    assert path.read_text() == "x"


@pytest.mark.slow
async def test_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "not a file" in await refusal(tmp_path / "pipe")


async def test_the_file_behind_a_link_is_its_owners_only_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.sqlite3")
    database = SQLiteDatabase(str(tmp_path / "link"))

    await database.open()

    assert stat.S_IMODE((tmp_path / "real.sqlite3").stat().st_mode) == 0o600
    await database.close()


@pytest.mark.requirement("13.3.1")
@pytest.mark.parametrize("mode", [0o666, 0o660, 0o620, 0o602, 0o604, 0o644, 0o664, 0o777, 0o601])
@pytest.mark.parametrize("ending", ["", "-wal"])
async def test_a_database_that_others_can_read_or_write_is_refused_and_left_as_it_is(
    store: Store, database: str, ending: str, mode: int
) -> None:
    await store.database.close()
    path = Path(f"{database}{ending}")
    path.touch()
    path.chmod(mode)

    said = await refusal(Path(database))

    assert re.search(rf"chmod 600 {re.escape(str(path))} .*\b640\b", said)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o600, 0o640])
async def test_a_database_may_be_read_by_its_group_as_for_backups(store: Store, database: str, mode: int) -> None:
    await store.database.close()
    Path(database).chmod(mode)

    await store.database.open()

    assert await store.database.read("SELECT 1")


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


@pytest.mark.parametrize("path", ["/", "/api/me", "/logout"])
async def test_a_page_of_a_signed_in_user_costs_one_statement_and_one_trip(
    app: Quart, visitor: Visitor, trips: list[Any], path: str
) -> None:
    await visitor.register()
    await visitor.get("/")
    database = get_accounts(app).store.database
    assert isinstance(database, SQLiteDatabase)
    assert database._reader is not None
    statements: list[str] = []
    await database._reader.set_trace_callback(statements.append)
    trips.clear()

    await visitor.get(path)

    assert len(trips) == 1
    assert len(statements) == 1
    assert "FROM quartlogin_logins" in statements[0]
    assert "JOIN quartlogin_users" in statements[0]


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
    adding = asyncio.create_task(store.users.add(ALICE, REGISTERED))

    meanwhile = await store.users.find_credentials("alice")
    other.execute("COMMIT")
    await adding

    assert meanwhile is None
    assert await store.users.find_credentials("alice") is not None
    other.close()
