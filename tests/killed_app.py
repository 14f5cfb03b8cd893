"""An app with users of its own, whose process ends by SIGKILL at a chosen moment of a request.

Run as a program, this file is a server for the tests of kills: it listens on a socket that it is given, and each line
that it reads makes it fork a process that serves the app, or wait for one to end. Forking keeps what is imported, so
that a start takes a few milliseconds.

A request with the header `Kill-At` ends its process where the header says: at a point of this name, or at the point
with this number. Any other response has the points that its request passed, in the header `Points`.
"""

import asyncio
import os
import re
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
from hypercorn.asyncio import serve
from hypercorn.config import Config
from jinja2 import FileSystemBytecodeCache
from quart import Quart, Response, g, has_request_context, request

from client import KEY
from quartlogin import UserMixin, current_user, login_required
from quartlogin.accounts import (
    Accounts,
    Deletion,
    Logins,
    NameTaken,
    Passwords,
    Registration,
    get_accounts,
)
from quartlogin.accounts.database import batches
from quartlogin.accounts.testing import use_cheap_hashes

#: The file in the current folder that says where the last process ended.
KILLED_AT = "killed-at"


def passed(point: str) -> None:
    """Note that this request has passed a point, and end the process if it was to be killed there."""
    if not has_request_context():
        return
    points = g.setdefault("points", [])
    points.append(point)
    if request.headers.get("Kill-At") in {point, str(len(points))}:
        Path(KILLED_AT).write_text(point)
        os.kill(os.getpid(), signal.SIGKILL)


# --- the app's users


@dataclass(eq=False)
class Person(UserMixin):
    number: int
    name: str

    def get_id(self) -> str:
        return str(self.number)


class SQLitePeople:
    """Users in a file. An id is used again for the next user once the user with the highest one is deleted."""

    table = "people"

    def __init__(self, path: str) -> None:
        self._path = path

    async def by_id(self, user_id: str) -> Person | None:
        return await self._find("SELECT number, name FROM people WHERE number = ?", int(user_id))

    async def by_name(self, name: str) -> Person | None:
        return await self._find("SELECT number, name FROM people WHERE name = ?", name)

    async def create(self, name: str, _: Mapping[str, Any]) -> Person:
        try:
            async with self._transaction("create") as connection:
                cursor = await connection.execute("INSERT INTO people (name) VALUES (?)", (name,))
        except sqlite3.IntegrityError:
            raise NameTaken from None
        return Person(cursor.lastrowid or 0, name)

    def name_of(self, user: Person) -> str:
        return user.name

    async def delete(self, user: Person) -> None:
        async with self._transaction("delete") as connection:
            await connection.execute("DELETE FROM people WHERE number = ?", (user.number,))

    async def _find(self, statement: str, value: Any) -> Person | None:
        async with aiosqlite.connect(self._path) as connection:
            rows = [*await connection.execute_fetchall(statement, (value,))]
        return Person(*rows[0]) if rows else None

    @asynccontextmanager
    async def _transaction(self, what: str) -> AsyncIterator[aiosqlite.Connection]:
        passed(f"before {what}")
        async with aiosqlite.connect(self._path) as connection:
            yield connection
            passed(f"inside {what}")
            await connection.commit()
        passed(f"after {what}")


class PostgresPeople:
    """Users on a PostgreSQL server."""

    table = "people"

    def __init__(self, url: str) -> None:
        self._url = url

    async def by_id(self, user_id: str) -> Person | None:
        return await self._find("SELECT number, name FROM people WHERE number = $1", int(user_id))

    async def by_name(self, name: str) -> Person | None:
        return await self._find("SELECT number, name FROM people WHERE name = $1", name)

    async def create(self, name: str, _: Mapping[str, Any]) -> Person:
        try:
            async with self._transaction("create") as connection:
                row = await connection.fetchrow("INSERT INTO people (name) VALUES ($1) RETURNING number, name", name)
        except asyncpg.UniqueViolationError:
            raise NameTaken from None
        return Person(*row)

    def name_of(self, user: Person) -> str:
        return user.name

    async def delete(self, user: Person) -> None:
        async with self._transaction("delete") as connection:
            await connection.execute("DELETE FROM people WHERE number = $1", user.number)

    async def _find(self, statement: str, value: Any) -> Person | None:
        async with self._connection() as connection:
            row = await connection.fetchrow(statement, value)
        return None if row is None else Person(*row)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self._url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def _transaction(self, what: str) -> AsyncIterator[Any]:
        passed(f"before {what}")
        async with self._connection() as connection, connection.transaction():
            yield connection
            passed(f"inside {what}")
        passed(f"after {what}")


# --- the accounts' commits


class _Watched:
    """A transaction that notes what it writes."""

    def __init__(self, transaction: Any) -> None:
        self._transaction = transaction
        self.tables: list[str] = []

    async def run(self, statement: str, *values: Any) -> Any:
        rows = await self._transaction.run(statement, *values)
        self.tables += [table for table in [_written(statement)] if table and table not in self.tables]
        return rows

    async def run_many(self, statement: str, rows: Any) -> None:
        await self._transaction.run_many(statement, rows)


def watch(database: Any) -> None:
    """Let each commit of the accounts' database be a point."""
    write, transact = database.write, database.transaction

    async def watched_write(statement: str, *values: Any) -> Any:
        rows = await write(statement, *values)
        passed(f"after {_written(statement)}")
        return rows

    async def watched_transaction(work: Callable[[Any], Awaitable[Any]]) -> Any:
        tables: list[str] = []

        async def watched_work(transaction: Any) -> Any:
            watched = _Watched(transaction)
            result = await work(watched)
            tables[:] = watched.tables
            passed(f"inside {' + '.join(tables)}")
            return result

        result = await transact(watched_work)
        passed(f"after {' + '.join(tables)}")
        return result

    database.write, database.transaction = watched_write, watched_transaction


def _written(statement: str) -> str:
    found = re.match(r"(?:INSERT INTO|UPDATE|DELETE FROM) quartlogin_(\w+)", statement)
    return found[1] if found else ""


# --- the app


def from_address(app: Any) -> Any:
    """Take the client's address from a header: each browser has one, and no rate limit stands in the way."""

    async def with_address(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        if b"address" in headers:
            scope["client"] = (headers[b"address"].decode(), 1)
        await app(scope, receive, send)

    return with_address


def make_app(accounts_database: str, people_database: str) -> Quart:
    app = Quart("killed")
    app.config["SECRET_KEY"] = KEY
    features = [Passwords(rate_limit_per_account=50), Logins(), Registration(), Deletion()]
    accounts = Accounts(app, database=accounts_database, features=features)
    is_server = people_database.startswith("postgresql://")
    accounts.users((PostgresPeople if is_server else SQLitePeople)(people_database))
    use_cheap_hashes(app)
    app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(Path.cwd()))  # each process would compile them
    watch(get_accounts(app).store.database)

    @app.get("/me")
    @login_required
    async def me() -> str:
        return str(current_user.name)

    @app.get("/clean")
    async def clean() -> str:
        return str(await get_accounts(app).cleanup.clean())

    @app.after_request
    async def tell_points(response: Response) -> Response:
        passed("before the response")
        response.headers["Points"] = ", ".join(g.points)
        return response

    app.asgi_app = from_address(app.asgi_app)  # type: ignore[method-assign]
    return app


async def _serve(listener: int, *databases: str) -> None:
    batches.PAUSE = 0  # type: ignore[misc]  # between two batches, for others to write
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.loglevel = "WARNING"
    await serve(make_app(*databases), config)


def main(listener: str, *databases: str) -> None:
    for line in sys.stdin:
        command, *arguments = line.split()
        if command == "wait":
            _, status = os.waitpid(int(arguments[0]), 0)
            answer(os.waitstatus_to_exitcode(status))
            continue
        process = os.fork()
        if process == 0:
            asyncio.run(_serve(int(listener), *databases))
            os._exit(0)
        answer(process)


def answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
