"""A PostgreSQL server that does not answer: 503 for a while, and then as before."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from quart import Quart

from databases import run_sql
from quartlogin.webapp.services import services_of
from quartlogin.webapp.store import DatabaseRefused, PostgresDatabase, StoreUnavailable, Transaction, store_at
from quartlogin.webapp.store.schema import SCHEMA_VERSION
from servers import LOCKED_USER, Postgres
from visitors import Visitor

on_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@pytest.fixture
async def opened(database: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(database)
    await opened.open()
    yield opened
    await opened.close()


@on_postgresql
async def test_a_page_of_somebody_signed_in_is_one_round_trip(app: Quart, visitor: Visitor) -> None:
    await visitor.register()
    await visitor.get("/")
    database = services_of(app).store.database
    assert isinstance(database, PostgresDatabase)
    sent: list[str] = []
    connections = [holder._con for holder in database._pool._holders if holder._con is not None]
    for connection in connections:
        connection.add_query_logger(lambda record: sent.append(record.query))

    await visitor.get("/")

    assert len(connections) == 1
    assert len(sent) == 1
    assert sent[0].startswith("SELECT u.username, u.epoch, l.ref, ")


@on_postgresql
async def test_an_exhausted_pool_is_unavailable_in_bounded_time_and_heals(opened: PostgresDatabase) -> None:
    let_go, held = asyncio.Event(), [asyncio.Event() for _ in range(10)]

    async def hold(is_held: asyncio.Event, _: Transaction) -> None:
        is_held.set()
        await let_go.wait()

    holding = [asyncio.create_task(opened.transaction(partial(hold, is_held))) for is_held in held]
    await asyncio.gather(*(is_held.wait() for is_held in held))
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await opened.read("SELECT 1")
    seconds = time.monotonic() - begun
    let_go.set()
    await asyncio.gather(*holding)

    assert seconds < 10
    assert [tuple(row) for row in await opened.read("SELECT 1")] == [(1,)]


@on_postgresql
async def test_while_the_server_is_down_pages_are_503_and_afterwards_as_before(
    app: Quart, visitor: Visitor, postgres_server: Postgres
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
    assert afterwards.status == 200


@on_postgresql
async def test_a_server_that_was_restarted_meanwhile_costs_nobody_a_503(
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
        await opened.write("DELETE FROM events")

    after = await opened.read("SELECT pg_backend_pid()")
    assert tuple(before[0]) != tuple(after[0])


@on_postgresql
async def test_a_server_that_is_set_read_only_is_unavailable_until_it_is_set_back(
    opened: PostgresDatabase, postgres_server: Postgres
) -> None:
    await opened.read("SELECT 1")
    try:
        set_everywhere(postgres_server, "ALTER SYSTEM SET default_transaction_read_only = on")
        await until_settings_are(opened, "on")
        with pytest.raises(StoreUnavailable, match="read-only"):
            await opened.write("DELETE FROM events")
        with pytest.raises(StoreUnavailable, match="read-only"):
            await opened.transaction(lambda transaction: transaction.run("DELETE FROM events"))
        still_read = await opened.read("SELECT version FROM quartlogin_schema")
    finally:
        set_everywhere(postgres_server, "ALTER SYSTEM RESET default_transaction_read_only")
    await until_settings_are(opened, "off")

    await opened.write("DELETE FROM events")
    assert len(still_read) == 1


def set_everywhere(server: Postgres, statement: str) -> None:
    run_sql(server.url, statement)
    run_sql(server.url, "SELECT pg_reload_conf()")


async def until_settings_are(opened: PostgresDatabase, value: str) -> None:
    """Wait until the connection has heard of a setting that was changed in the server's file."""
    async with asyncio.timeout(30):
        while tuple((await opened.read("SHOW default_transaction_read_only"))[0]) != (value,):
            await asyncio.sleep(0)


@on_postgresql
async def test_an_old_primary_is_left_for_the_new_one(database: str, postgres_server: Postgres) -> None:
    """Of several hosts, the one that takes changes is used; without any, that is a state of affairs like others."""
    address = f"{database}?target_session_attrs=read-write"
    opened = PostgresDatabase(address)
    await opened.open()
    try:
        set_everywhere(postgres_server, "ALTER SYSTEM SET default_transaction_read_only = on")
        await until_settings_are(opened, "on")
        with pytest.raises(StoreUnavailable, match="read-only"):
            await opened.write("DELETE FROM events")
        with pytest.raises(StoreUnavailable):  # the connection is dropped, and no other host is left
            await opened.read("SELECT 1")
        with pytest.raises(DatabaseRefused, match="cannot be used"):
            await PostgresDatabase(address).open()
    finally:
        set_everywhere(postgres_server, "ALTER SYSTEM RESET default_transaction_read_only")

    async with asyncio.timeout(30):  # new connections hear of it when the server's first process has
        while True:
            with suppress(StoreUnavailable):
                await opened.write("DELETE FROM events")
                break
    await opened.close()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="The server's processes are found in /proc.")
@on_postgresql
async def test_a_server_that_stands_still_is_503_in_bounded_time_and_heals(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], postgres_server: Postgres
) -> None:
    await visitor.register()
    page = await new_visitor().get("/register")
    begun = time.monotonic()
    with postgres_server.frozen():
        answers = await asyncio.gather(*(visitor.get("/account") for _ in range(12)), visitor.get("/healthz"))
        seconds = time.monotonic() - begun
    afterwards = await visitor.get("/account")

    assert page.status == 200
    assert [answer.status for answer in answers] == [503] * 12 + [200]
    assert seconds < 15
    assert afterwards.status == 200


@on_postgresql
async def test_a_transaction_on_a_server_that_stands_still_is_given_up_and_undone(
    opened: PostgresDatabase, postgres_server: Postgres
) -> None:
    with ExitStack() as stack:

        async def work(transaction: Transaction) -> None:
            await transaction.run("UPDATE quartlogin_schema SET version = 99")
            stack.enter_context(postgres_server.frozen())
            await transaction.run("SELECT 1")

        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await opened.transaction(work)
        seconds = time.monotonic() - begun

    assert seconds < 15
    assert [tuple(row) for row in await opened.read("SELECT version FROM quartlogin_schema")] == [(SCHEMA_VERSION,)]


async def test_a_wrong_password_is_one_sentence_without_the_password(postgres_server: Postgres) -> None:
    run_sql(postgres_server.url, f"CREATE ROLE {LOCKED_USER} LOGIN PASSWORD 'the right one'")
    address = f"postgresql://{LOCKED_USER}:the-password@127.0.0.1:{postgres_server.port}/postgres"
    try:
        with pytest.raises(DatabaseRefused, match="password authentication failed") as refusal:
            await PostgresDatabase(address).open()
    finally:
        run_sql(postgres_server.url, f"DROP ROLE {LOCKED_USER}")

    assert "\n" not in str(refusal.value)
    assert "the-password" not in str(refusal.value)


async def test_what_listens_but_never_answers_is_refused_within_seconds() -> None:
    async def be_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(be_silent, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(DatabaseRefused, match="did not answer within 3 seconds"):
        await PostgresDatabase(f"postgresql://test@127.0.0.1:{port}/people").open()
    silent.close()


@pytest.mark.parametrize(
    "address",
    [
        # A password that is not written as an address needs it: no piece of it may be shown.
        "postgresql://test:1/the-password@127.0.0.1/people",
        "postgresql://test:the-password/1@127.0.0.1/people",
        "postgresql://test:1?the-password@127.0.0.1/people",
        "postgresql://test:the-password#1@127.0.0.1/people",
        "postgresql://test:1@2/the-password@127.0.0.1/people",
        "postgresql://test:the-password@127.0.0.1:99999/people",
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

    with pytest.raises(DatabaseRefused, match="cannot be used") as refusal:
        await PostgresDatabase(address.replace("{port}", str(postgres_server.port))).open()

    assert "\n" not in str(refusal.value)
    assert "the-password" not in str(refusal.value) + caplog.text


@on_postgresql
async def test_two_processes_share_nothing_but_the_database(app: Quart, visitor: Visitor, database: str) -> None:
    await visitor.register()
    elsewhere = store_at(database)
    await elsewhere.database.open()

    ended = await elsewhere.logins.end_everyones()

    await elsewhere.database.close()
    assert ended == 1
    assert not await visitor.is_signed_in()
