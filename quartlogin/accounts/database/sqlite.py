"""A SQLite file as a database, through aiosqlite."""

import asyncio
import errno
import os
import re
import sqlite3
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

import aiosqlite

from quartlogin import tracing

from .errors import Conflict, DatabaseRefused, StoreUnavailable
from .interface import Row, Transaction, shield
from .schema import prepare
from .statements import tell_error, tell_statement

T = TypeVar("T")

_SYSTEM: Final = "sqlite"
_SMALLEST_DATABASE: Final = 512  # bytes: one page of the smallest size
_PAUSE: Final = 0.02  # seconds before the next try
_BUSY_TIMEOUT: Final = 5000  # milliseconds to wait for another process that is writing

#: A placeholder: its number starts at 1.
_VALUE: Final = re.compile(r"\$([0-9]+)")
_OTHERS: Final = stat.S_IWGRP | stat.S_IRWXO
_STATEMENTS: Final = 256  # more than there are
_PRIMARY_CODE: Final = 0xFF  # of an extended result code
_LOCKED: Final = (
    f"database is locked. For {_BUSY_TIMEOUT // 1000} seconds, another connection has had an open transaction that "
    "writes to this file: a request must commit before it lets the accounts write."
)

#: The driver's errors; the last two are for values that no row can hold.
_EXPECTED: Final = (sqlite3.Error, UnicodeEncodeError, OverflowError)

#: Settings of every connection: reads run while one connection writes, and commits survive a power failure.
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {_BUSY_TIMEOUT}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class SQLiteDatabase:
    """A `Database` in one file. Reads have a separate connection, so that a slow write does not delay them."""

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)  # the mode of a link says nothing about the file's
        self._reader: aiosqlite.Connection | None = None
        self._writer: aiosqlite.Connection | None = None
        #: Held while a transaction is open on the one connection that writes.
        self._turn = asyncio.Lock()

    @property
    def label(self) -> str:
        return self._path

    @property
    def reads_at_once(self) -> int:
        return 1  # the read connection has one thread

    async def open(self, *, create_tables: bool = True, is_shared: bool = False) -> None:
        try:
            _check_file(self._path)
            self._writer = await aiosqlite.connect(self._path, isolation_level=None)
            await self._prepare(self._writer, create_tables=create_tables, is_shared=is_shared)
            self._reader = await aiosqlite.connect(self._path, isolation_level=None)
            await _configure(self._reader)
        except (sqlite3.Error, OSError, StoreUnavailable) as error:
            await self.close()
            raise DatabaseRefused(f"Cannot use the database {self._path}: {_reason(error)}.") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        async with self._turn:  # after the open transaction, if any
            connections = (self._reader, self._writer)
            self._reader = self._writer = None
            for connection in connections:
                if connection is not None:
                    await connection.close()

    async def read(self, statement: str, *values: Any) -> list[Row]:
        work = _opened(self._reader).execute_fetchall(*_by_position(statement, values))
        try:
            return [*await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work)]
        except _EXPECTED as error:
            raise _translated(error) from error

    async def write(self, statement: str, *values: Any) -> list[Row]:
        with _translated_errors():
            async with self._turn:
                return await _run(_opened(self._writer), statement, values)

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await shield(self._transact(work))

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        with _translated_errors():
            async with self._turn:
                return await _in_transaction(_opened(self._writer), work)

    async def _prepare(self, connection: aiosqlite.Connection, *, create_tables: bool, is_shared: bool) -> None:
        """Upgrade the tables to this version; leave another program's database as it is, including `journal_mode`."""
        tables = await _table_names(connection)
        if tables and "quartlogin_schema" not in tables and not is_shared:
            raise DatabaseRefused(f"The database {self._path} belongs to another program. Use the path of a new file.")
        _check_mode(self._path)
        await _configure(connection)

        async def work(transaction: Transaction) -> None:
            tables = await _table_names(connection)
            await prepare(transaction, tables, self._path, create_tables=create_tables, is_shared=is_shared)

        await _in_transaction(connection, work)


@dataclass(frozen=True)
class _Transaction:
    connection: aiosqlite.Connection

    async def run(self, statement: str, *values: Any) -> list[Row]:
        with _translated_errors():
            return await _run(self.connection, statement, values)

    async def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated_errors():
            text, positions = _with_positions(statement)
            work = self.connection.executemany(text, [[row[position] for position in positions] for row in rows])
            await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work)


async def _in_transaction(connection: aiosqlite.Connection, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run a block with the exclusive right to write, also against other processes."""
    await connection.execute_fetchall("BEGIN IMMEDIATE")
    try:
        result = await work(_Transaction(connection))
        await connection.execute_fetchall("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors, such as a full disk, have rolled it back already
            await connection.execute_fetchall("ROLLBACK")
        raise
    return result


async def _run(connection: aiosqlite.Connection, statement: str, values: Sequence[Any]) -> list[Row]:
    work = connection.execute_fetchall(*_by_position(statement, values))
    return list(await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work))


def _by_position(statement: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return a statement and its values as SQLite takes them fastest: by position instead of by name."""
    text, positions = _with_positions(statement)
    return text, [*map(values.__getitem__, positions)]


@lru_cache(_STATEMENTS)
def _with_positions(statement: str) -> tuple[str, tuple[int, ...]]:
    """Replace each `$1`, `$2` and so on by `?`; also return which value belongs at each position."""
    return _VALUE.sub("?", statement), tuple(int(number) - 1 for number in _VALUE.findall(statement))


def _check_file(path: str) -> None:
    """Raise now if the file cannot be opened: aiosqlite would leave a thread behind that may outlive the event loop.

    A new file is readable by its owner only; SQLite gives its helper files the same mode.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    status = os.stat(path)  # noqa: PTH116 -- beside os.open
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "It is not a file")
    if 0 < status.st_size < _SMALLEST_DATABASE:  # SQLite would take it for an empty one and overwrite it
        raise sqlite3.DatabaseError("file is not a database")
    for ending in ("-wal", "-shm", "-journal"):  # SQLite's own files, which it recreates when it opens the database
        _check_mode(f"{path}{ending}")
    sqlite3.connect(path).close()


def _check_mode(path: str) -> None:
    """Reject a file that others can read or its group can write: it holds all password hashes and logins.

    The group may read it, as for backups.
    """
    if os.name == "posix" and os.path.exists(path) and os.stat(path).st_mode & _OTHERS:  # noqa: PTH110, PTH116 -- SQLite takes text
        raise DatabaseRefused(
            f"Cannot use the database {path}: users other than its owner can write it, or any user can read it. "
            f"Check whether anyone has, and restrict it: chmod 600 {path} (640 if its group must read it)."
        )


async def _configure(connection: aiosqlite.Connection) -> None:
    for pragma in _PRAGMAS:
        await _run_when_unlocked(connection, pragma)


async def _run_when_unlocked(connection: aiosqlite.Connection, pragma: str) -> None:
    """Run a pragma while others may open the same new file: SQLite's busy timeout does not cover `journal_mode`."""
    deadline = time.monotonic() + _BUSY_TIMEOUT / 1000
    while True:
        try:
            await connection.execute_fetchall(pragma)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _table_names(connection: aiosqlite.Connection) -> set[str]:
    return {row[0] for row in await connection.execute_fetchall("SELECT name FROM sqlite_master")}


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate the driver's errors into the package's own."""
    try:
        yield
    except _EXPECTED as error:
        raise _translated(error) from error


def _translated(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict(str(error))
    if tracing.listeners:
        tell_error(_SYSTEM, error)
    is_busy = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE == sqlite3.SQLITE_BUSY
    return StoreUnavailable(_LOCKED if is_busy else str(error))


def _opened(connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
    if connection is None:
        raise StoreUnavailable("The database is not open: the server has not started, or is stopping.")
    return connection


def _reason(error: Exception) -> str:
    """Return a short reason why a file cannot be opened."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    text = str(error)
    if "not a database" in text:
        return "it is not a SQLite database"
    if "readonly" in text:
        return "it is read-only"
    return text
