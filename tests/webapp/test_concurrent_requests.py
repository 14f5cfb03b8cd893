"""Race conditions of concurrent requests for one account: each completes, and none blocks another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from random import Random
from secrets import token_hex
from typing import Any

import asyncpg
import pytest

from databases import both_databases, on_postgresql, run_sql, until_somebody_waits
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.database.interface import Transaction
from quartlogin.accounts.database.locking import lock_for
from quartlogin.accounts.database.models import ActingLogin, Event, Moment, NewLogin, NewUser, Seen, User
from quartlogin.accounts.features.logins.table import Logins
from quartlogin.accounts.store import Store, store_at

ADA = User("a" * 22, "Ada")
NOW = 1_800_000_000
SIGN_IN = NewLogin("", "", ADA.id, "session", 0, None, "old", NOW, NOW + 1000, "", "")
AT = Moment(NOW, NOW - 1000)
LOGINS = [replace(SIGN_IN, id_hash=f"hash {number}", public_id=f"ref {number}") for number in range(10)]


@pytest.fixture
async def stores(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Store, Store]]:
    """The same database, as two processes use it; with Ada, who is signed in ten times."""
    monkeypatch.setattr("quartlogin.accounts.database.postgres._TRIES", 1)  # whoever is in the way is seen
    one, two = store_at(database), store_at(database)
    await one.database.open()
    await two.database.open()
    await one.users.add(NewUser(ADA, "ada", "a hash"), event("registered"))
    await one.database.transaction(signing_in)
    yield one, two
    await one.database.close()
    await two.database.close()


def by(number: int) -> ActingLogin:
    return ActingLogin(f"hash {number}", ADA.id, 10**9)


def event(kind: str) -> Event:
    return Event(token_hex(14), kind, ADA.id, NOW, "", "")


def seen(login: NewLogin) -> Seen:
    return Seen(login.id_hash, login.user_id, NOW + 60)


async def signing_in(transaction: Transaction) -> None:
    for login in LOGINS:
        await Logins.insert(transaction, login)


def everything(one: Store, two: Store) -> list[Awaitable[Any]]:
    """Return what can be done with the sign-ins of an account, some of it in another process."""

    async def sign_in(transaction: Transaction) -> None:
        new = replace(SIGN_IN, id_hash="new", public_id="new")
        await lock_for(transaction, ADA.id, None)
        await one.logins.insert(transaction, new)
        await one.events.insert(transaction, event("signed_in"))
        await one.logins.evict_oldest(transaction, new, 5)

    async def type_again(transaction: Transaction) -> None:
        await lock_for(transaction, ADA.id, by(5))
        await two.events.insert(transaction, event("reauthenticated"))
        await two.logins.renew(transaction, "hash 5", replace(LOGINS[5], id_hash="renewed"), AT)

    visits = [seen(login) for login in LOGINS]
    return [
        one.logins.end("hash 1", event("signed_out")),
        two.logins.end("hash 2", event("signed_out")),
        two.logins.end_by_public_id(ADA.id, "ref 3", "session", event("login_revoked")),
        one.logins.revoke_reused("hash 4", event("token_reuse_detected")),
        one.logins.end_sessions(ADA.id, event("logins_revoked"), AT, by(5)),
        two.logins.end_sessions(ADA.id, event("logins_revoked"), AT, by(6)),
        two.logins.replace_secrets("hash 7", "old", "new", AT, event=event("login_resumed")),
        one.logins.touch(visits, 60, AT),
        two.logins.touch([*reversed(visits)], 60, AT),
        one.database.transaction(sign_in),
        two.database.transaction(type_again),
    ]


def what_an_operator_does(one: Store, two: Store) -> list[Awaitable[Any]]:
    return [
        one.passwords.set(ADA.id, "another hash", event("password_set")),
        two.accounts.set_enabled(ADA.id, event("user_disabled"), enabled=False),
    ]


@both_databases
@pytest.mark.parametrize("order", range(6))
async def test_race_concurrent_operations_on_one_account_all_complete(stores: tuple[Store, Store], order: int) -> None:
    done = [*everything(*stores), *what_an_operator_does(*stores)]
    Random(order).shuffle(done)

    answers = await asyncio.gather(*done, return_exceptions=True)

    assert [answer for answer in answers if isinstance(answer, StoreUnavailable)] == []


@both_databases
@pytest.mark.parametrize("order", range(6))
async def test_race_an_account_deleted_meanwhile_blocks_nothing_and_leaves_nothing(
    stores: tuple[Store, Store], database: str, order: int
) -> None:
    done = [*everything(*stores), stores[1].users.delete(ADA.id, 0)]
    Random(order).shuffle(done)

    answers = await asyncio.gather(*done, return_exceptions=True)

    assert [answer for answer in answers if isinstance(answer, StoreUnavailable)] == []
    assert (
        run_sql(database, "SELECT id FROM quartlogin_users")
        == run_sql(database, "SELECT public_id FROM quartlogin_logins")
        == []
    )


@pytest.mark.slow
@on_postgresql
async def test_deadlock_a_waiting_last_seen_write_blocks_no_other_login(
    stores: tuple[Store, Store], database: str
) -> None:
    stranger = await asyncpg.connect(database)
    async with stranger.transaction():
        await stranger.execute("SELECT public_id FROM quartlogin_logins WHERE public_id = 'ref 2' FOR UPDATE")

        noting = asyncio.create_task(stores[0].logins.touch([seen(LOGINS[1]), seen(LOGINS[2])], 60, AT))
        await until_somebody_waits(stranger)

        await stranger.execute("SELECT public_id FROM quartlogin_logins WHERE public_id = 'ref 1' FOR UPDATE NOWAIT")
    await noting
    await stranger.close()
