"""The network between the application and PostgreSQL: dead connections, several hosts, conflicts."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
import pytest

from client import KEY, Visitor, with_cheap_hashes
from databases import on_postgresql, run_sql, until_somebody_waits
from lines import line_to
from quartlogin.accounts.database import postgres_connections
from quartlogin.accounts.database.errors import Conflict, NamesTaken, StoreUnavailable
from quartlogin.accounts.database.interface import Transaction
from quartlogin.accounts.database.models import NewUser, User
from quartlogin.accounts.database.postgres import PostgresDatabase
from quartlogin.accounts.users.table import OwnUsers
from quartlogin.webapp import create_app
from servers import Postgres, postgres, postgres_binaries, standby_of

pytestmark = pytest.mark.alone

pytestmark = pytest.mark.slow


@pytest.fixture
def folders() -> Iterator[tuple[Path, Path]]:
    """Two folders for servers: not tmp_path, whose parents are closed to the servers' user."""
    folders = Path(mkdtemp()), Path(mkdtemp())
    yield folders
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartlogin.accounts.database.postgres._TIMEOUT", 4.0)


@pytest.fixture
async def opened(database: str) -> AsyncIterator[PostgresDatabase]:
    opened = PostgresDatabase(database)
    await opened.open()
    yield opened
    await opened.close()


def through(database: str, *ports: int) -> PostgresDatabase:
    """The same database, at the end of one or several lines."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return PostgresDatabase(f"postgresql://test@{hosts}/{database.rpartition('/')[2]}")


async def works(database: PostgresDatabase) -> bool:
    try:
        await database.read("SELECT 1")
    except StoreUnavailable:
        return False
    return True


@on_postgresql
async def test_a_host_that_says_nothing_does_not_keep_from_the_next_one(
    database: str, postgres_server: Postgres
) -> None:
    async with line_to(postgres_server.port, dead=True) as dead, line_to(postgres_server.port) as line:
        opened = through(database, dead.port, line.port)

        await opened.open()
        assert await works(opened)
        tried = dead.connections
        line.cut()
        assert [await works(opened) for _ in range(2)] == [False, True]

        assert (tried, dead.connections) == (1, 1)  # the one that was found is tried first
        await opened.close()


@on_postgresql
async def test_without_any_host_that_answers_the_start_is_refused_in_time(
    database: str, postgres_server: Postgres
) -> None:
    async with line_to(postgres_server.port, dead=True) as dead, line_to(postgres_server.port, dead=True) as other:
        async with asyncio.timeout(60):  # dead hosts never answer
            with pytest.raises(Exception, match="did not respond"):
                await through(database, dead.port, other.port).open()


@on_postgresql
async def test_connections_that_went_dead_together_cost_one_request_and_not_one_each(
    database: str, postgres_server: Postgres
) -> None:
    async with line_to(postgres_server.port) as line:
        opened = through(database, line.port)
        await opened.open()
        await asyncio.gather(*(opened.read("SELECT pg_sleep(0.1)") for _ in range(10)))
        assert line.connections == 10

        line.cut()
        answers = [await works(opened) for _ in range(12)]

        assert answers == [False] + [True] * 11
        await opened.close()


@on_postgresql
async def test_a_statement_that_the_server_has_forgotten_costs_one_request(opened: PostgresDatabase) -> None:
    assert await works(opened)
    await opened.write("DEALLOCATE ALL")  # as a pooler does, or a server that took over

    assert [await works(opened) for _ in range(3)] == [False, True, True]


@on_postgresql
async def test_transactions_that_wait_for_each_other_are_both_done(opened: PostgresDatabase) -> None:
    await opened.write("CREATE TABLE pair (name TEXT PRIMARY KEY, count BIGINT)")
    await opened.write("INSERT INTO pair VALUES ('a', 0), ('b', 0)")
    tries, both_have_a_row = 0, asyncio.Barrier(2)

    async def both(first: str, second: str, transaction: Transaction) -> None:
        nonlocal tries
        tries += 1
        await transaction.run("UPDATE pair SET count = count + 1 WHERE name = $1", first)
        if tries <= 2:
            await both_have_a_row.wait()
        await transaction.run("UPDATE pair SET count = count + 1 WHERE name = $1", second)

    await opened.write("SET deadlock_timeout = '100ms'")
    await asyncio.gather(
        opened.transaction(lambda transaction: both("a", "b", transaction)),
        opened.transaction(lambda transaction: both("b", "a", transaction)),
    )

    assert 3 <= tries <= 6  # each at most three times; which one the server undoes is its own choice
    assert [tuple(row) for row in await opened.read("SELECT count FROM pair")] == [(2,), (2,)]


@on_postgresql
async def test_a_transaction_with_endless_conflicts_is_given_up(opened: PostgresDatabase, database: str) -> None:
    tries = 0

    async def work(transaction: Transaction) -> None:
        nonlocal tries
        tries += 1
        await transaction.run("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(StoreUnavailable):
        await opened.transaction(work)

    assert 3 <= tries <= 6  # each at most three times; which one the server undoes is its own choice
    assert run_sql(database, "SELECT 1") == [(1,)]


@on_postgresql
async def test_a_conflict_is_not_tried_again(opened: PostgresDatabase) -> None:
    tries = 0

    async def work(transaction: Transaction) -> None:
        nonlocal tries
        tries += 1
        await transaction.run("INSERT INTO quartlogin_events VALUES ('x', 'x', 'nobody', 0, '', '', NULL)")

    with pytest.raises(Conflict):
        await opened.transaction(work)

    assert tries == 1


@on_postgresql
async def test_a_name_that_is_registered_during_an_import_is_taken(opened: PostgresDatabase, database: str) -> None:
    users, newcomer = OwnUsers(opened), NewUser(User("a" * 22, "Ada"), "ada", "hash")
    stranger = await asyncpg.connect(database)
    registering = stranger.transaction()
    await registering.start()
    await stranger.execute("INSERT INTO quartlogin_users VALUES ('stranger', 'Ada', 'ada', 0)")

    importing = asyncio.create_task(users.add_many(lambda: [newcomer], 0, lambda _: None, skip_taken=False))
    await until_somebody_waits(stranger)
    await registering.commit()
    await stranger.close()

    with pytest.raises(NamesTaken) as refused:
        await importing
    assert refused.value.keys == ["ada"]
    assert run_sql(database, "SELECT id FROM quartlogin_users") == [("stranger",)]


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_each_host_has_its_share_of_the_time(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, float]] = []

    async def connect(address: str, *, timeout: float) -> None:
        tried.append((address, timeout))
        raise OSError("nobody is there")

    monkeypatch.setattr(postgres_connections, "_connect", connect)
    hosts = ["one", "two:5433", "[::1]:5434"][:count]

    with pytest.raises(OSError, match="nobody is there"):
        await postgres_connections.Hosts(f"postgresql://me:x@{','.join(hosts)}/name?a=b").connect("", timeout=30)

    assert tried == [(f"postgresql://me:x@{host}/name?a=b", 30 / count) for host in hosts]


async def test_after_a_failover_to_another_server_pages_are_as_before(
    folders: tuple[Path, Path], missing: Callable[[str], None]
) -> None:
    binaries = postgres_binaries()
    if binaries is None:
        missing("A PostgreSQL server (initdb, pg_basebackup)")
    assert binaries is not None
    with postgres(binaries, folders[0]) as one, standby_of(one, binaries, folders[1]) as two:
        hosts = f"127.0.0.1:{one.port},127.0.0.1:{two.port}"
        address = f"postgresql://test@{hosts}/postgres?target_session_attrs=read-write"
        app = with_cheap_hashes(create_app(DATABASE=address, SECRET_KEY=KEY))
        async with app.test_app():
            visitor = Visitor(app.test_client())
            await visitor.register("Alice")
            await asyncio.to_thread(until_it_has_followed, one, two)
            await asyncio.to_thread(one.stop)
            between = await visitor.get("/account")
            await asyncio.to_thread(two.promote)
            afterwards, signed_in = await visitor.get("/account"), await Visitor(app.test_client()).sign_in("Alice")

    assert (between.status, between.headers["Retry-After"]) == (503, "5")
    assert (afterwards.status, signed_in.status) == (200, 302)


def until_it_has_followed(primary: Postgres, standby: Postgres) -> None:
    """Wait until a standby has all that was written."""
    [(written,)] = run_sql(primary.url, "SELECT pg_current_wal_lsn()::text")
    while run_sql(standby.url, f"SELECT pg_last_wal_replay_lsn() >= '{written}'") != [(True,)]:
        time.sleep(0.05)
