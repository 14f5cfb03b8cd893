"""Users in an SQLite file, through aiosqlite."""

import errno
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import aiosqlite

from ..resources import find
from .protocol import SCHEMA_VERSION, Credentials, DatabaseRefused, StoreUnavailable, User, UsernameTaken

_SMALLEST_DATABASE: Final = 512  # bytes: one page of the smallest kind
_BUSY_TIMEOUT: Final = 5000  # milliseconds to wait for another process that is writing

#: How every connection works: others may read while one writes, and what is committed survives a power cut.
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class SQLiteStore:
    """A `Store` in one file. Reads have a connection of their own, so that a slow write is not in their way."""

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)  # a link's own mode would say nothing about the file's
        self._reader: aiosqlite.Connection | None = None
        self._writer: aiosqlite.Connection | None = None

    async def open(self) -> None:
        try:
            _check_file(self._path)
            self._writer = await aiosqlite.connect(self._path, isolation_level=None)
            await self._prepare(self._writer)
            self._reader = await aiosqlite.connect(self._path, isolation_level=None)
            await _configure(self._reader)
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise DatabaseRefused(f"The database {self._path} cannot be used: {_reason(error)}.") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        connections = (self._reader, self._writer)
        self._reader = self._writer = None
        for connection in connections:
            if connection is not None:
                await connection.close()

    async def ping(self) -> None:
        await self._read("SELECT version FROM quartlogin_schema")

    async def find_user(self, user_id: str) -> User | None:
        rows = await self._read("SELECT id, username FROM users WHERE id = ? AND is_active", user_id)
        return User(*rows[0]) if rows else None

    async def find_credentials(self, username_key: str) -> Credentials | None:
        rows = await self._read(
            "SELECT id, username, password_hash, is_active FROM users WHERE username_key = ?", username_key
        )
        if not rows:
            return None
        user_id, username, password_hash, is_active = rows[0]
        return Credentials(User(user_id, username), password_hash, bool(is_active))

    async def add_user(self, user: User, username_key: str, password_hash: str, now: int) -> None:
        try:
            await self._write(
                "INSERT INTO users (id, username, username_key, password_hash, created_at, password_changed_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                *(user.id, user.username, username_key, password_hash, now, now),
            )
        except sqlite3.IntegrityError as error:
            raise UsernameTaken from error

    async def replace_password_hash(self, user_id: str, old: str, new: str) -> None:
        await self._write("UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", new, user_id, old)

    async def set_active(self, username_key: str, *, active: bool) -> bool:
        rows = await self._write(
            "UPDATE users SET is_active = ? WHERE username_key = ? RETURNING id", active, username_key
        )
        return bool(rows)

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        with _unavailable():
            return list(await _opened(self._reader).execute_fetchall(statement, values))

    async def _write(self, statement: str, *values: Any) -> list[Any]:
        """Run one statement, which is its own transaction."""
        with _unavailable():
            return list(await _opened(self._writer).execute_fetchall(statement, values))

    async def _prepare(self, connection: aiosqlite.Connection) -> None:
        """Create the tables in an empty database; refuse one that is not ours, and leave it as it is."""
        tables = await _table_names(connection)
        if tables and "quartlogin_schema" not in tables:
            raise DatabaseRefused(f"The database {self._path} belongs to another program: give a new file's path.")
        await _configure(connection)
        async with _writing(connection):
            if not await _table_names(connection):
                for statement in _statements(find("schema.sql").read_text(encoding="utf-8")):
                    await connection.execute_fetchall(statement)
            [(version,)] = await connection.execute_fetchall("SELECT max(version) FROM quartlogin_schema")
        if version != SCHEMA_VERSION:
            raise DatabaseRefused(
                f"The database {self._path} has version {version} of the tables, and this is a quartlogin for "
                f"version {SCHEMA_VERSION}: use the release that made it."
            )


def _check_file(path: str) -> None:
    """Fail here if the file cannot be opened: aiosqlite leaves a thread behind that may outlive the event loop.

    A new file is readable by its owner only; SQLite gives its helper files the same mode.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    status = os.stat(path)  # noqa: PTH116 -- beside os.open
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "It is not a file")
    if 0 < status.st_size < _SMALLEST_DATABASE:  # SQLite would take it for an empty one, and overwrite it
        raise sqlite3.DatabaseError("file is not a database")
    sqlite3.connect(path).close()


async def _configure(connection: aiosqlite.Connection) -> None:
    for pragma in _PRAGMAS:
        await connection.execute_fetchall(pragma)


async def _table_names(connection: aiosqlite.Connection) -> set[str]:
    return {row[0] for row in await connection.execute_fetchall("SELECT name FROM sqlite_master")}


@asynccontextmanager
async def _writing(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """Run a block in a transaction that holds the only right to write: also from other processes."""
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        await connection.execute_fetchall("ROLLBACK")
        raise
    await connection.execute_fetchall("COMMIT")


@contextmanager
def _unavailable() -> Iterator[None]:
    """Turn the driver's errors into the protocol's, but for those that a caller tells apart."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise StoreUnavailable(str(error)) from error


def _opened(connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
    if connection is None:
        raise StoreUnavailable("The database is not open: the server has not started, or is stopping.")
    return connection


def _statements(script: str) -> Iterator[str]:
    """Split a script where SQLite says that a statement is complete."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _reason(error: Exception) -> str:
    """Say in a few words why a file cannot be opened, without a traceback's help."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    text = str(error)
    if "not a database" in text:
        return "it is not an SQLite database"
    if "readonly" in text:
        return "it is read-only"
    return text
