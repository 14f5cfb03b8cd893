"""A PostgreSQL server as a database, through asyncpg with a connection pool."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from quartlogin import tracing

from .errors import Conflict, DatabaseRefused, StoreUnavailable
from .interface import Row, Transaction, shield
from .schema import prepare
from .statements import tell_error, tell_statement

T = TypeVar("T")

_SYSTEM: Final = "postgresql"
_MAX_CONNECTIONS: Final = 10  # of one process
#: Connections reserved for loading users; the rest of the pool is for everything else.
_READS_AT_ONCE: Final = 4
_TIMEOUT: Final = 3.0  # seconds for a connection, and as many again for a statement
_UPGRADE_TIMEOUT: Final = 60.0  # seconds for a statement that upgrades the tables
#: A key for PostgreSQL's advisory locks: only one process upgrades the tables.
_SCHEMA_LOCK: Final = 0x71756172746C6F67
#: How often a transaction that deadlocks is tried, at most.
_TRIES: Final = 3
#: Shown instead of an address that cannot be parsed, since any part of it may be a password.
_UNREADABLE: Final = "check the address, in which a password's /, ?, # and @ are written %2F, %3F, %23 and %40"


class PostgresDatabase:
    """A `Database` on a PostgreSQL server.

    Args:
        address: Such as `postgresql://user:password@host/name`; any connection URI of libpq.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._pool: Any = None

    @property
    def label(self) -> str:
        parts = _parts(self._address)
        if parts is None:
            return "at this address"
        return f"{parts.path.lstrip('/') or 'at'} on {parts.netloc.rpartition('@')[2] or 'localhost'}"

    @property
    def reads_at_once(self) -> int:
        return _READS_AT_ONCE

    async def open(self, *, create_tables: bool = True, is_shared: bool = False) -> None:
        try:
            import asyncpg  # noqa: PLC0415 -- an extra, which only PostgreSQL needs

            from .postgres_connections import DRIVER_ERRORS, Connection, Hosts  # noqa: PLC0415 -- the extra again
        except ImportError:
            raise DatabaseRefused("PostgreSQL needs one more package: pip install 'quartlogin[postgres]'.") from None
        expected: tuple[type[Exception], ...] = (*DRIVER_ERRORS, ValueError, OverflowError, Conflict, StoreUnavailable)
        try:
            self._pool = await asyncpg.create_pool(
                self._address,
                connect=Hosts(self._address).connect,
                connection_class=Connection,
                min_size=0,  # or the pool would reconnect while the server is down, and log a traceback each time
                max_size=_MAX_CONNECTIONS,
                timeout=_TIMEOUT,
                command_timeout=_TIMEOUT,
                reset=_skip_reset,
            )
            await self._prepare(create_tables=create_tables, is_shared=is_shared)
        except expected as error:
            await self.close()
            reason = _reason(_driver_error(error)) if _parts(self._address) else _UNREADABLE
            raise DatabaseRefused(f"Cannot use the database {self.label}: {reason}.") from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    async def read(self, statement: str, *values: Any) -> list[Row]:
        async with self._connection() as connection:
            work = connection.fetch(statement, *values)
            return list(await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work))

    async def write(self, statement: str, *values: Any) -> list[Row]:
        return await _retry_after_deadlock(lambda: self.read(statement, *values))

    async def transaction(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await shield(_retry_after_deadlock(lambda: self._transact(work)))

    async def _transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        async with self._connection() as connection, connection.transaction():
            return await work(_Transaction(connection))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        if self._pool is None:
            raise StoreUnavailable("The database is not open: the server has not started, or is stopping.")
        pool, is_taken = self._pool, False
        try:
            with _translated_errors():
                async with pool.acquire(timeout=_TIMEOUT) as connection:
                    is_taken = True
                    yield connection
        except _UnusableConnection:
            if is_taken:  # whatever broke this connection broke all of them: the next caller gets a new one
                await pool.expire_connections()
            raise

    async def _prepare(self, *, create_tables: bool, is_shared: bool) -> None:
        async with self._connection() as connection, connection.transaction():
            await connection.execute(f"SET LOCAL statement_timeout = {int(_UPGRADE_TIMEOUT * 1000)}")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _SCHEMA_LOCK, timeout=_UPGRADE_TIMEOUT)
            rows = await connection.fetch(
                "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()"
            )
            await prepare(
                _Transaction(connection, _UPGRADE_TIMEOUT),
                {row[0] for row in rows},
                self.label,
                create_tables=create_tables,
                is_shared=is_shared,
            )


class _UnusableConnection(StoreUnavailable):
    """A connection is unusable: it is broken, or leads to a server that accepts no writes, as after a failover."""


class _Deadlock(StoreUnavailable):
    """Two transactions deadlocked, and the server has rolled this one back."""


async def _retry_after_deadlock(work: Callable[[], Awaitable[T]]) -> T:
    """Do work, and repeat it if the server rolls it back because of a deadlock."""
    for _ in range(_TRIES - 1):
        with suppress(_Deadlock):
            return await work()
    return await work()


async def _skip_reset(_: Any) -> None:
    """Reset nothing when a connection is returned: nothing was changed, and a reset would cost a round trip."""


@dataclass(frozen=True)
class _Transaction:
    connection: Any
    timeout: float | None = None

    async def run(self, statement: str, *values: Any) -> list[Row]:
        with _translated_errors():
            work = self.connection.fetch(statement, *values, timeout=self.timeout)
            return list(await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work))

    async def run_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated_errors():
            work = self.connection.executemany(statement, list(rows), timeout=self.timeout)
            await (tell_statement(_SYSTEM, statement, work) if tracing.listeners else work)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate the driver's errors into the package's own."""
    import asyncpg  # noqa: PLC0415 -- it imports the extra

    from .postgres_connections import DRIVER_ERRORS  # noqa: PLC0415 -- it imports the extra

    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        raise Conflict(str(error)) from error
    except asyncpg.TransactionRollbackError as error:
        _tell(error)
        raise _Deadlock(str(error)) from error
    except (
        asyncpg.ReadOnlySQLTransactionError,
        asyncpg.PostgresConnectionError,
        asyncpg.InvalidSQLStatementNameError,  # a prepared statement that another server, or a pooler's, does not know
        asyncpg.InterfaceError,
        OSError,
    ) as error:
        _tell(error)
        raise _UnusableConnection(str(error) or type(error).__name__) from error
    except DRIVER_ERRORS as error:
        _tell(error)
        raise StoreUnavailable(str(error) or type(error).__name__) from error


def _tell(error: BaseException) -> None:
    if tracing.listeners:
        tell_error(_SYSTEM, error)


def _parts(address: str) -> SplitResult | None:
    """Return the parts of an address; `None` where one of them may be part of a password."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return None if "@" in parts.path + parts.query or parts.fragment else parts


def _driver_error(error: Exception) -> BaseException:
    return (error.__cause__ or error) if isinstance(error, StoreUnavailable) else error


def _reason(error: BaseException) -> str:
    """Return a short reason why a server cannot be used."""
    if isinstance(error, TimeoutError):
        return f"it did not respond within {_TIMEOUT:.0f} seconds"
    if isinstance(error, OSError) and error.strerror:  # asyncio adds its own words to the system's
        number = error.errno or 0
        return (os.strerror(number) if number in errno.errorcode else error.strerror).lower()
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
