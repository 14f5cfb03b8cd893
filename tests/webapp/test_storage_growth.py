"""Unbounded growth: what a signed-in or remembered visitor can make the server store, and its cost.

Judged by rows, statements and the databases' own plans, not by a clock.
"""

import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any
from unittest import mock

import asyncpg
import pytest
from quart import Quart

from client import PASSWORD, WRONG, Visitor, add_user, guess
from databases import both_databases, on_postgresql, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.audit import log
from quartlogin.accounts.audit.log import MAX_EVENTS, EventLimit
from quartlogin.accounts.cleanup import Cleanup
from quartlogin.accounts.database.models import Event
from quartlogin.accounts.store import Store
from sockets import open_socket

pytestmark = pytest.mark.usefixtures("no_pauses")

#: Of one account, in the tests of what is asked.
MANY = 20_000


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[str], int]:
    """Count the lines of a kind in the operator's log."""
    caplog.set_level(logging.INFO, "quartlogin.audit")
    return lambda kind: sum(
        json.loads(record.message)["event"] == kind for record in caplog.records if record.name == "quartlogin.audit"
    )


async def remembered(visitor: Visitor) -> Visitor:
    """Sign in as Alice, to be remembered."""
    assert (await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")).status == 302
    return visitor


async def come_back(visitor: Visitor) -> None:
    """Open a page with nothing but the remember cookie."""
    visitor.client.delete_cookie("localhost", "quartlogin")
    assert (await visitor.get("/account")).status == 200


# --- a remember cookie that is used again and again


@both_databases
async def test_a_login_that_comes_back_again_and_again_is_written_down_once_a_minute(
    app: Quart, visitor: Visitor, database: str, now: list[float], told: Callable[[str], int]
) -> None:
    await add_user(app, "Alice")
    await remembered(visitor)

    counts = []
    for pause in (0, 59, 1, 59, 1):
        now[0] += pause
        for _ in range(10):
            await come_back(visitor)
        counts.append(run_sql(database, "SELECT count(*) FROM quartlogin_events WHERE kind = 'login_resumed'")[0][0])

    assert counts == [1, 1, 2, 2, 3]
    assert told("login_resumed") == 3


@both_databases
async def test_what_is_kept_of_a_remember_cookie_does_not_grow_with_its_use(
    app: Quart, visitor: Visitor, database: str, now: list[float]
) -> None:
    await add_user(app, "Alice")
    await remembered(visitor)

    sizes = []
    for _ in range(60):
        await come_back(visitor)
        sizes.append(run_sql(database, "SELECT max(length(secrets)) FROM quartlogin_logins")[0][0])
    now[0] += 31
    await come_back(visitor)
    after = run_sql(database, "SELECT max(length(secrets)) FROM quartlogin_logins")[0][0]

    assert len(set(sizes[20:])) == 1  # it grows up to a point, and no further
    assert max(sizes) < 32 * 80
    assert after < 3 * 80  # and its secret changes again
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events WHERE kind = 'token_reuse_detected'") == [(0,)]


# --- events


async def write_events(store: Store, limit: EventLimit, user_id: str, kind: str, count: int) -> None:
    for number in range(count):
        event = Event(f"{kind} {number:08}", kind, user_id, 1_000_000 + number, "", "")
        await store.events.add(event)
        limit.note(event)


@both_databases
async def test_of_each_kind_of_event_an_account_keeps_the_last_hundred(app: Quart, database: str) -> None:
    store, limit = get_accounts(app).store, EventLimit(get_accounts(app).store.events)
    alice, bob = await add_user(app, "Alice"), await add_user(app, "Bob")
    await write_events(store, limit, alice.id, "token_created", 250)
    await write_events(store, limit, alice.id, "password_changed", 3)
    await write_events(store, limit, bob.id, "token_revoked", MAX_EVENTS)

    assert await limit.clean() == 150
    assert await limit.clean() == 0

    kept = run_sql(database, "SELECT kind, count(*), min(id) FROM quartlogin_events GROUP BY kind ORDER BY kind")
    assert kept == [
        ("password_changed", 3, "password_changed 00000000"),  # what is rare is not crowded out by what is not
        ("registered", 2, kept[1][2]),
        ("token_created", MAX_EVENTS, "token_created 00000150"),
        ("token_revoked", MAX_EVENTS, "token_revoked 00000000"),
    ]


@pytest.mark.slow
async def test_a_flood_of_events_is_cut_while_it_lasts(
    app: Quart, visitor: Visitor, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_MAX_UNCHECKED", 150)
    await visitor.register("Alice")
    token, most = (await visitor.get("/account")).token, 0
    for _ in range(300):
        made = await visitor.post("/account/tokens", {"csrf_token": token, "name": "one of many"})
        await visitor.post(re.search(r"/account/tokens/\w+/revoke", made.text)[0], {"csrf_token": token})  # type: ignore[index]
        most = max(most, run_sql(database, "SELECT count(*) FROM quartlogin_events")[0][0])

    assert most <= 2 * MAX_EVENTS + 2 * 150 + 10


async def test_each_round_of_housekeeping_cuts_the_events(app: Quart, database: str) -> None:
    store, limit = get_accounts(app).store, EventLimit(get_accounts(app).store.events)
    alice = await add_user(app, "Alice")
    await write_events(store, limit, alice.id, "token_created", 250)

    await Cleanup(store, timedelta(days=36500), limit).clean()

    assert run_sql(database, "SELECT count(*) FROM quartlogin_events WHERE kind = 'token_created'") == [(MAX_EVENTS,)]


# --- what is asked of an account with very many events


def fill(database: str, user_id: str, count: int) -> None:
    """Write very many failed sign-ins of an account at once, as an older version kept them."""
    numbers = (
        f"SELECT n FROM generate_series(1, {count}) AS n"
        if database.startswith("postgresql://")
        else f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
        " SELECT n FROM numbers"
    )
    run_sql(
        database,
        "INSERT INTO quartlogin_events (id, kind, user_id, happened_at, address, browser) SELECT"
        f" substr('0000000000000000' || n, length('' || n) + 1) || '{user_id}', 'sign_in_failed', '{user_id}',"
        f" 2000000000 + n, '', '' FROM ({numbers}) AS all_of_them",
    )


class Asked:
    """What a store asks its database."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[Any, ...]]] = []


@pytest.fixture
def asked(app: Quart, monkeypatch: pytest.MonkeyPatch) -> Asked:
    database, asked = get_accounts(app).store.database, Asked()
    for name in ("read", "write"):
        original = getattr(database, name)

        async def noting(statement: str, *values: Any, original: Any = original) -> Any:
            asked.statements.append((statement, values))
            return await original(statement, *values)

        monkeypatch.setattr(database, name, noting)
    return asked


QUESTIONS = {
    "failures since the last sign-in": lambda events, user_id, _: events.failures_since_last_sign_in(user_id),
    "the last of an account": lambda events, user_id, _: events.list_of(user_id, 20),
    "the news of some accounts": lambda events, user_id, count: events.list_since(
        2_000_000_000 + count - 30, [user_id], 100
    ),
    "what is too much": lambda events, user_id, _: events.remove_excess(user_id, "sign_in_failed", 100),
    "what is old": lambda events, *_: events.remove_before(0, 100),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.requirement("2.4.1")
async def test_sqlite_takes_as_many_steps_for_an_account_with_very_many_events(
    app: Quart, asked: Asked, database: str, question: str
) -> None:
    few, many = [await add_user(app, name) for name in ("Few", "Many")]
    fill(database, few.id, 400)
    fill(database, many.id, MANY)
    steps = {}
    for user, name, count in ((few, "few", 400), (many, "many", MANY)):
        asked.statements.clear()
        await QUESTIONS[question](get_accounts(app).store.events, user.id, count)
        statement, values = asked.statements[0]
        steps[name] = steps_of(database, statement, values)

    assert steps["many"] < 1.5 * steps["few"] + 500


def steps_of(database: str, statement: str, values: tuple[Any, ...]) -> int:
    """Count the steps of SQLite's machine."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with closing(sqlite3.connect(database)) as connection:
        connection.set_progress_handler(step, 1)
        connection.execute(re.sub(r"\$(\d+)", r"?\1", statement), values).fetchall()
        connection.rollback()
    return steps


@pytest.mark.parametrize("question", QUESTIONS)
async def test_sqlite_reads_events_by_an_index_and_sorts_none_for_the_last_ones(
    app: Quart, asked: Asked, database: str, question: str
) -> None:
    alice = await add_user(app, "Alice")
    await QUESTIONS[question](get_accounts(app).store.events, alice.id, MANY)
    statement, values = asked.statements[0]

    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("EXPLAIN QUERY PLAN " + re.sub(r"\$(\d+)", r"?\1", statement), values).fetchall()
    plan = [row[3] for row in rows]

    assert [line for line in plan if re.search(r"\bevents\b", line) and "USING" not in line] == []
    assert [line for line in plan if line.startswith("SCAN events") and "INDEX" not in line] == []
    if question == "the last of an account":
        assert plan == ["SEARCH quartlogin_events USING INDEX quartlogin_events_user (user_id=?)"]


@pytest.mark.slow
@on_postgresql
@pytest.mark.parametrize("question", QUESTIONS)
async def test_postgresql_reads_few_rows_of_an_account_with_very_many_events(
    app: Quart, asked: Asked, database: str, question: str
) -> None:
    alice, bob = await add_user(app, "Alice"), await add_user(app, "Bob")
    fill(database, alice.id, MANY)
    fill(database, bob.id, MANY)
    run_sql(database, "VACUUM ANALYZE quartlogin_events")
    await QUESTIONS[question](get_accounts(app).store.events, alice.id, MANY)
    statement, values = asked.statements[0]

    connection = await asyncpg.connect(database)
    async with connection.transaction():
        answer = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    await connection.close()

    nodes = list(nodes_of(json.loads(answer)[0]["Plan"]))
    assert [node["Node Type"] for node in nodes if node["Node Type"] == "Seq Scan"] == []
    assert max(rows_of(node) for node in nodes) <= 2 * MAX_EVENTS


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes_of(part)


def rows_of(node: dict[str, Any]) -> int:
    """Count the rows that a part of a plan has read."""
    return int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))


@both_databases
async def test_a_sign_in_after_very_many_failures_says_a_hundred_or_more(
    app: Quart, visitor: Visitor, database: str
) -> None:
    alice = await add_user(app, "Alice")
    fill(database, alice.id, 150)

    await visitor.sign_in("Alice")

    assert re.search(r"\b100 or more failed\b", (await visitor.get("/")).text)


# --- what else a visitor who is signed in can have kept


async def test_a_browser_with_a_new_user_agent_for_each_request_is_logged_ten_times(
    app: Quart, visitor: Visitor, told: Callable[[str], int]
) -> None:
    await visitor.register("Alice")

    for number in range(50):
        await visitor.get("/account", headers={"User-Agent": f"browser {number}"})

    assert told("login_context_changed") == 10


@both_databases
async def test_the_counters_of_logins_that_have_ended_are_removed(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor], database: str
) -> None:
    await visitor.register("Alice")
    await visitor.fill_in("/reauthenticate", password=WRONG)
    for _ in range(5):
        other = new_visitor()
        await other.sign_in("Alice")
        await other.fill_in("/reauthenticate", password=WRONG)
        await other.sign_out()

    assert await get_accounts(app).store.attempts.remove_of_ended_logins(100) == 5

    assert run_sql(database, "SELECT count(*) FROM quartlogin_attempt_counters WHERE name LIKE 'login:%'") == [(1,)]


async def test_counters_of_device_cookies_are_forgotten_after_days_but_not_what_they_add_up_to(
    app: Quart, visitor: Visitor, database: str, now: list[float]
) -> None:
    alice = await add_user(app, "Alice")
    await visitor.sign_in("Alice")
    await visitor.sign_out()
    await visitor.sign_in("Alice", WRONG)
    await guess(app)
    store, week, year = get_accounts(app).store, 7 * 24 * 60 * 60, 366 * 24 * 60 * 60

    await store.attempts.remove_before(int(now[0]) + week, int(now[0]) + week - year, 100)

    names = [name for (name,) in run_sql(database, "SELECT name FROM quartlogin_attempt_counters ORDER BY name")]
    assert names == [f"holders:{alice.id}", f"user:{alice.id}"]


async def test_an_account_has_so_many_open_pages_and_no_more(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
    with mock.patch("quartlogin.accounts.audit.account_updates._MAX_PAGES", 2):
        async with (
            open_socket(app, "/account/live", **cookies) as first,
            open_socket(app, "/account/live", **cookies) as second,
        ):
            await first.accepted()
            await second.accepted()
            async with open_socket(app, "/account/live", **cookies) as third:
                assert await third.status() == 429
        async with open_socket(app, "/account/live", **cookies) as again:
            await again.accepted()


async def test_open_pages_remember_the_events_of_their_own_accounts_only(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    await visitor.register("Alice")
    live = get_accounts(app).account_updates
    with live.listen("somebody"):
        for _ in range(3):
            await new_visitor().sign_in("Alice")

        assert live._sent == {}
