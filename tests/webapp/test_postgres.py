"""A PostgreSQL server that does not answer: 503 for a while, then recovery."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from functools import partial

import pytest
from quart import Quart

from client import Visitor
from databases import on_postgresql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.errors import DatabaseRefused, StoreUnavailable
from quartlogin.accounts.database.interface import Transaction
from quartlogin.accounts.database.postgres import PostgresDatabase
from quartlogin.accounts.store import store_at
from servers import Postgres

pytestmark = pytest.mark.slow


@pytest.fixture
async def opened(database: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(database)
    await opened.open()
    yield opened
    await opened.close()


@on_postgresql
async def test_a_page_of_a_signed_in_user_is_one_round_trip(app: Quart, visitor: Visitor) -> None:
    await visitor.register()
    await visitor.get("/")
    database = get_accounts(app).store.database
    assert isinstance(database, PostgresDatabase)
    sent: list[str] = []
    connections = [holder._con for holder in database._pool._holders if holder._con is not None]
    for connection in connections:
        connection.add_query_logger(lambda record: sent.append(record.query))

    await visitor.get("/")

    assert len(connections) == 1
    assert len(sent) == 1
    assert "FROM quartlogin_logins" in sent[0]
    assert "JOIN quartlogin_users" in sent[0]


@pytest.mark.requirement("13.1.2", "13.1.3", "13.2.6")
@on_postgresql
@pytest.mark.alone
async def test_an_exhausted_pool_is_unavailable_in_bounded_time_and_heals(opened: PostgresDatabase) -> None:
    let_go, held = asyncio.Event(), [asyncio.Event() for _ in range(10)]

    async def hold(is_held: asyncio.Event, _: Transaction) -> None:
        is_held.set()
        await let_go.wait()

    holding = [asyncio.create_task(opened.transaction(partial(hold, is_held))) for is_held in held]
    await asyncio.gather(*(is_held.wait() for is_held in held))
    with pytest.raises(StoreUnavailable):
        await opened.read("SELECT 1")
    is_still_exhausted = not any(one.done() for one in holding)
    let_go.set()
    await asyncio.gather(*holding)

    assert is_still_exhausted
    assert [tuple(row) for row in await opened.read("SELECT 1")] == [(1,)]


@on_postgresql
async def test_while_the_server_is_down_pages_are_503_and_afterwards_as_before(
    app: Quart, visitor: Visitor, postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    await visitor.register()
    postgres_server.stop()
    try:
        down, alive = await visitor.get("/account"), await visitor.get("/healthz")
        ready = await visitor.get("/readyz")
    finally:
        postgres_server.start()
    afterwards = await visitor.get("/account")

    assert (down.status, down.headers["Retry-After"], ready.status, alive.status) == (503, "5", 503, 200)
    assert "Set-Cookie" not in down.headers
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
    assert afterwards.status == 200


@on_postgresql
async def test_a_restarted_server_costs_no_visitor_a_503(
    app: Quart, visitor: Visitor, postgres_server: Postgres
) -> None:
    await visitor.register()
    await asyncio.gather(*(visitor.get("/account") for _ in range(10)))  # the pool has several connections
    await asyncio.to_thread(postgres_server.stop)  # meanwhile, the pool is told that its connections are closed
    await asyncio.to_thread(postgres_server.start)

    assert {(await visitor.get("/account")).status for _ in range(10)} == {200}


@on_postgresql
async def test_a_server_that_takes_no_changes_is_unavailable_and_its_connections_are_dropped(
    opened: PostgresDatabase,
) -> None:
    before = await opened.read("SELECT pg_backend_pid()")
    await opened.write("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    with pytest.raises(StoreUnavailable, match="read-only"):
        await opened.write("DELETE FROM quartlogin_events")

    after = await opened.read("SELECT pg_backend_pid()")
    assert tuple(before[0]) != tuple(after[0])


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://test:the-password@127.0.0.1:1/people",
        "postgresql://test:the-password@nowhere.invalid/people",
        "postgresql://test:the-password@127.0.0.1:{port}/no_such_database",
        "postgresql://nobody:the-password@127.0.0.1:{port}/postgres",
        "postgresql://test:the-password@127.0.0.1:port/people",
        "postgresql://test:the-password@[/people",
    ],
)
async def test_a_server_that_cannot_be_used_is_one_sentence_without_the_password(
    address: str, postgres_server: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(DatabaseRefused) as refusal:
        await PostgresDatabase(address.replace("{port}", str(postgres_server.port))).open()

    assert "\n" not in str(refusal.value)
    assert "the-password" not in str(refusal.value) + caplog.text


async def test_without_its_driver_the_start_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)

    with pytest.raises(DatabaseRefused, match=r"pip install 'quartlogin\[postgres\]'"):
        await PostgresDatabase("postgresql://test@127.0.0.1:1/people").open()


async def test_a_server_that_does_not_run_refuses_the_connection() -> None:
    with pytest.raises(DatabaseRefused, match=r"\bpeople\b.* 127\.0\.0\.1:1\b.*\brefused\b"):
        await PostgresDatabase("postgresql://test@127.0.0.1:1/people").open()


@on_postgresql
async def test_two_processes_share_nothing_but_the_database(app: Quart, visitor: Visitor, database: str) -> None:
    await visitor.register()
    elsewhere = store_at(database)
    await elsewhere.database.open()

    ended = await elsewhere.logins.revoke_all()

    await elsewhere.database.close()
    assert ended == 1
    assert not await visitor.is_signed_in()
