"""Loads of users that coincide share a statement, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from databases import both_databases, run_sql
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.database.models import ActiveLogin, Event, NewLogin, NewUser, User
from quartlogin.accounts.store import Store, store_at
from quartlogin.accounts.users.own import OwnDirectory

pytestmark = both_databases

NOW = 1_900_000_000
PEOPLE = 100


def user(number: int) -> User:
    return User(f"{number:022}", f"user {number}")


def login(number: int, **changes: Any) -> NewLogin:
    first = NewLogin(
        id_hash="0",
        public_id="",
        user_id="",
        kind="session",
        security_stamp=0,
        name=None,
        secrets="",
        made_at=NOW,
        expires_at=NOW + 1000,
        address="192.0.2.1",
        browser="a browser",
    )
    return replace(first, id_hash=f"{number:064}", public_id=f"ref{number}", user_id=user(number).id, **changes)


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """A hundred people with a sign-in each, of which those with an odd number have expired."""
    store = store_at(database)
    await store.database.open()
    for number in range(PEOPLE):
        new = NewUser(user(number), f"user {number}", "hash")
        await store.users.add(new, Event(f"event {number}", "registered", new.user.id, NOW, "", ""))
        await begin(store, login(number, expires_at=NOW + (-1 if number % 2 else 1000)))
    yield store
    await store.database.close()


async def begin(store: Store, new: NewLogin) -> None:
    await store.database.transaction(lambda transaction: store.logins.insert(transaction, new))


@pytest.fixture
def users(store: Store) -> OwnDirectory:
    return OwnDirectory(store)


async def find(users: OwnDirectory, number: int, *, of: int | None = None) -> ActiveLogin | None:
    owner = user(number if of is None else of)
    return await users.find_login(login(number).id_hash, owner.id, NOW, NOW - 100)


async def test_each_of_many_gets_the_own_user_or_none(users: OwnDirectory) -> None:
    found = await asyncio.gather(*(find(users, number) for number in range(PEOPLE)))

    assert [one and one.user.username for one in found] == [
        None if number % 2 else f"user {number}" for number in range(PEOPLE)
    ]


async def test_race_no_request_gets_a_user_by_another_requests_login(users: OwnDirectory) -> None:
    found = await asyncio.gather(*(find(users, number, of=number + 1) for number in range(PEOPLE - 1)))

    assert found == [None] * (PEOPLE - 1)


async def test_one_login_with_the_right_and_a_wrong_user_at_the_same_moment(users: OwnDirectory) -> None:
    right, wrong, again = await asyncio.gather(find(users, 0), find(users, 0, of=2), find(users, 0))

    assert (right and right.user, wrong, again and again.user) == (user(0), None, user(0))


async def test_many_loads_are_few_statements(
    store: Store, users: OwnDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    read = store.database.read

    async def counting(statement: str, *values: Any) -> Any:
        statements.append(statement)
        return await read(statement, *values)

    monkeypatch.setattr(store.database, "read", counting)
    await asyncio.gather(*(find(users, number) for number in range(PEOPLE)))

    at_once = store.database.reads_at_once
    assert 1 < len(statements) <= 2 * (at_once + 1)
    assert len(set(statements)) <= 3


async def test_a_login_that_is_ended_while_others_are_loaded_counts_no_more(users: OwnDirectory, database: str) -> None:
    loads = [asyncio.ensure_future(find(users, number)) for number in range(0, PEOPLE, 2)]
    await asyncio.sleep(0)
    run_sql(database, f"DELETE FROM quartlogin_logins WHERE id_hash = '{login(0).id_hash}'")

    late = await find(users, 0)

    assert late is None
    await asyncio.gather(*loads)


async def test_a_load_that_is_cancelled_takes_no_other_with_it(users: OwnDirectory) -> None:
    loads = [asyncio.ensure_future(find(users, number)) for number in range(0, PEOPLE, 2)]
    await asyncio.sleep(0)
    for cancelled in loads[::3]:
        cancelled.cancel()

    found = await asyncio.gather(*loads, return_exceptions=True)

    for number, one in zip(range(0, PEOPLE, 2), found, strict=True):
        assert isinstance(one, asyncio.CancelledError) or (one and one.user == user(number))  # type: ignore[union-attr]


async def test_each_request_learns_that_the_database_does_not_answer(users: OwnDirectory, database: str) -> None:
    run_sql(database, "ALTER TABLE quartlogin_logins RENAME TO moved")

    found = await asyncio.gather(*(find(users, number) for number in range(10)), return_exceptions=True)

    assert [type(one) for one in found] == [StoreUnavailable] * 10
    run_sql(database, "ALTER TABLE moved RENAME TO quartlogin_logins")
    assert (await find(users, 0)) is not None
