"""A request that calls the accounts while it holds a transaction of its own gets a clear error."""

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from quart import Quart
from test_app_users import People, Person, is_in
from test_app_users import make_app as make_users_app

from client import KEY, NEW_PASSWORD, PASSWORD, Page, Visitor, with_cheap_hashes
from databases import on_postgresql, run_sql
from killed_app import PostgresPeople
from quartlogin.accounts import Accounts, get_accounts
from quartlogin.accounts.database import sqlite
from slow import mostly_slow

ADA, BOB = "ada@example.org", "bob@example.org"

#: The coroutines, each with arguments with which it succeeds for Ada, who is signed in.
CALLS = {
    "register": (BOB, NEW_PASSWORD),
    "sign_in": (ADA, PASSWORD),
    "change_password": (PASSWORD, NEW_PASSWORD),
    "delete": (PASSWORD,),
}
call_each = pytest.mark.parametrize("call", mostly_slow(CALLS, quick=2))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a moment for another transaction, instead of five seconds."""
    pragmas = tuple(pragma for pragma in sqlite._PRAGMAS if "busy_timeout" not in pragma)
    monkeypatch.setattr(sqlite, "_PRAGMAS", ("PRAGMA busy_timeout = 50", *pragmas))
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT", 50)


def make_app(file: str) -> Quart:
    app = Quart("shop", root_path=str(Path(__file__).parent))
    app.config["SECRET_KEY"] = KEY
    accounts = Accounts(app, database=file)
    accounts.users(People(Path(file)))

    @app.post("/<when>/<call>")
    async def write_and_call(when: str, call: str) -> str:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("BEGIN")
            connection.execute("INSERT INTO notes (text) VALUES ('of this request')")
            if when == "committed":
                connection.execute("COMMIT")
            await getattr(accounts, call)(*CALLS[call])
            if when == "open":
                connection.execute("COMMIT")
        return "done"

    return with_cheap_hashes(app)


def everything_in(file: str) -> dict[str, list[Any]]:
    tables = run_sql(file, "SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name: run_sql(file, f"SELECT * FROM {name}") for (name,) in tables if name != "quartlogin_logins"}


async def post(visitor: Visitor, path: str) -> Page:
    return await visitor.request("POST", path)


@pytest.mark.usefixtures("soon")
@call_each
async def test_a_call_inside_of_an_open_transaction_is_a_clear_error(
    tmp_path: Path, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = str(tmp_path / "app.sqlite3")
    app = make_app(file)
    Path(file).chmod(0o600)
    run_sql(file, "CREATE TABLE notes (text TEXT)")
    async with app.test_app():
        ada = Visitor(app.test_client())
        await ada.register(ADA)
        before = everything_in(file)

        refused = await post(ada, f"/open/{call}")
        after = everything_in(file)
        done = await post(ada, f"/committed/{call}")

    assert (refused.status, done.status) == (503, 200)
    assert after == before
    [line] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "open transaction" in line.getMessage()
    assert "commit" in line.getMessage()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("is_committed", [False, True])
async def test_a_create_that_does_not_commit_loses_no_user(tmp_path: Path, is_committed: bool) -> None:
    """It leaves the transaction open until the end of the request, as sessions of a request do."""

    class Uncommitted(People):
        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            self.open = sqlite3.connect(file, isolation_level=None)
            self.open.execute("BEGIN")
            number = self.open.execute("INSERT INTO people (address) VALUES (?)", (name,)).lastrowid
            return Person(number or 0, name)

        async def by_name(self, name: str) -> Person | None:
            found = None if self.open is None else self.open.execute("SELECT number, address FROM people").fetchone()
            return Person(*found) if found else await super().by_name(name)

    Uncommitted.open = None  # type: ignore[attr-defined]
    file = str(tmp_path / "app.sqlite3")
    people = Uncommitted(Path(file))
    Path(file).chmod(0o600)
    app = make_users_app(people, file)
    async with app.test_app():
        ada = Visitor(app.test_client())
        assert (await ada.register(ADA)).status == 503
        people.open.execute("COMMIT" if is_committed else "ROLLBACK")
        people.open.close()
        people.open = None
        run_sql(file, "UPDATE quartlogin_registrations SET created_at = created_at - 60")

        stranger = Visitor(app.test_client())
        await stranger.sign_in(ADA, NEW_PASSWORD)
        await stranger.register(ADA, NEW_PASSWORD)
        people.create = partial(People.create, people)  # type: ignore[method-assign]
        await (ada.sign_in(ADA) if is_committed else ada.register(ADA))

        assert not await is_in(stranger)
        assert await is_in(ada)


@pytest.mark.slow
@on_postgresql
async def test_a_call_while_a_row_of_the_app_is_locked_is_an_error(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has locked the user's row, which the app's `delete` waits for in another connection."""
    run_sql(database, "CREATE TABLE people (number SERIAL PRIMARY KEY, name TEXT UNIQUE)")
    app = make_users_app(PostgresPeople(database), database)
    accounts = get_accounts(app)

    @app.post("/locked")
    async def lock_and_delete() -> str:
        connection = await asyncpg.connect(database)
        try:
            async with connection.transaction():
                await connection.execute("SELECT number FROM people FOR UPDATE")
                with monkeypatch.context() as patch:
                    patch.setattr("quartlogin.accounts.users.checked.TIMEOUT", 0.2)
                    await accounts.delete(PASSWORD)
        finally:
            await connection.close()
        return "done"

    async with app.test_app():
        ada = Visitor(app.test_client())
        await ada.register("ada")
        refused = await post(ada, "/locked")
        run_sql(database, "UPDATE quartlogin_accounts SET deleting_at = 0")
        await accounts.cleanup.clean()

        again = Visitor(app.test_client())
        await again.sign_in("ada")
        assert refused.status == 503
        assert await again.is_signed_in()
