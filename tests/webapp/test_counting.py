"""A login that does not count, for one reason alone, is not found, not listed, not prolonged, and acts for nobody.

Signing out, disabling and changing a password remove rows, too; here each condition stands alone.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from databases import both_databases, run_sql
from quartlogin.webapp.store import (
    ActingLogin,
    Conflict,
    Event,
    LoginEnded,
    Moment,
    NewLogin,
    NewUser,
    Seen,
    Store,
    Transaction,
    User,
    lock_for,
    store_at,
)

pytestmark = both_databases

ALICE, BOB = User("A" * 22, "Alice"), User("B" * 22, "Bob")
IDLE = 1000
NOW = int(time.time())
AT = Moment(NOW, NOW - IDLE)
LOGIN = NewLogin("1" * 64, "ref1", ALICE.id, "session", 0, None, "aa+1", NOW, NOW + 10_000, "192.0.2.1", "a browser")
NEXT = replace(LOGIN, id_hash="2" * 64, ref="ref2", expires_at=NOW + 20_000)
BY_LOGIN = ActingLogin(LOGIN.id_hash, ALICE.id, IDLE)

#: What makes a login count no more, as SQL.
REASONS = {
    "another epoch": "UPDATE users SET epoch = epoch + 1",
    "a later epoch than the account's": "UPDATE logins SET epoch = epoch + 1",
    "a disabled account": "UPDATE users SET is_active = FALSE",
    "expired": f"UPDATE logins SET expires_at = {NOW - 1}",
    "idle": f"UPDATE logins SET seen_at = {NOW - IDLE - 1}",
}


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    store = store_at(database)
    await store.database.open()
    for user in (ALICE, BOB):
        registered = Event(f"event of {user.id}", "registered", user.id, NOW, "192.0.2.1", "a browser")
        await store.users.add(NewUser(user, user.username.lower(), "a hash"), registered)
    await in_transaction(store, lambda transaction: store.logins.insert(transaction, LOGIN))
    yield store
    await store.database.close()


async def in_transaction(store: Store, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
    return await store.database.transaction(work)


async def uses_that_succeed(store: Store) -> set[str]:
    """Use a login in each way that there is; returns those that worked."""
    worked = set()
    if await store.logins.find(LOGIN.id_hash, ALICE.id, *AT) is not None:
        worked.add("found by the loader")
    if await store.logins.list_of(ALICE.id, AT):
        worked.add("listed")
    if await store.logins.find_remembered(LOGIN.id_hash, AT) is not None:
        worked.add("found by a remember cookie")
    if await store.logins.replace_secrets(LOGIN.id_hash, LOGIN.secrets, "bb+2", AT):
        worked.add("its secrets replaced")
    if await store.users.find_credentials_of(BY_LOGIN) is not None:
        worked.add("its user's password checked")
    try:
        await in_transaction(store, lambda transaction: lock_for(transaction, ALICE.id, BY_LOGIN))
        worked.add("acted for")
    except LoginEnded:
        pass
    if await in_transaction(store, lambda transaction: store.logins.renew(transaction, LOGIN.id_hash, NEXT, AT)):
        worked.add("renewed")
    return worked


async def test_a_login_that_counts_is_of_every_use(store: Store) -> None:
    assert await uses_that_succeed(store) == {
        "found by the loader",
        "listed",
        "found by a remember cookie",
        "its secrets replaced",
        "its user's password checked",
        "acted for",
        "renewed",
    }


@pytest.mark.parametrize("reason", REASONS)
async def test_a_login_that_does_not_count_is_of_no_use(store: Store, database: str, reason: str) -> None:
    run_sql(database, REASONS[reason])

    assert await uses_that_succeed(store) == set()


@pytest.mark.parametrize("reason", REASONS)
async def test_a_visit_that_is_written_late_prolongs_no_login_that_does_not_count(
    store: Store, database: str, reason: str
) -> None:
    run_sql(database, f"UPDATE logins SET seen_at = {NOW - 500}")
    run_sql(database, REASONS[reason])
    before = run_sql(database, "SELECT seen_at FROM logins")

    await store.logins.touch([Seen(LOGIN.id_hash, ALICE.id, NOW)], 60, AT)

    assert run_sql(database, "SELECT seen_at FROM logins") == before


@pytest.mark.parametrize("reason", ["another epoch", "a disabled account"])
async def test_no_login_begins_in_an_account_that_was_changed_since_its_password_was_read(
    store: Store, database: str, reason: str
) -> None:
    run_sql(database, REASONS[reason])

    with pytest.raises(Conflict):
        await in_transaction(store, lambda transaction: store.logins.insert(transaction, NEXT))

    assert run_sql(database, "SELECT ref FROM logins") == [("ref1",)]


@pytest.mark.parametrize("reason", ["another epoch", "a disabled account"])
async def test_no_password_is_changed_that_was_read_before_the_account_was(
    store: Store, database: str, reason: str
) -> None:
    run_sql(database, REASONS[reason])

    changed = await in_transaction(
        store, lambda transaction: store.users.change_password(transaction, ALICE.id, 0, "a new hash", NOW)
    )

    assert changed is None
    assert run_sql(database, f"SELECT password_hash FROM users WHERE id = '{ALICE.id}'") == [("a hash",)]


async def test_an_account_is_deleted_only_with_the_password_that_was_checked(store: Store, database: str) -> None:
    run_sql(database, REASONS["another epoch"])

    assert await store.users.delete(ALICE.id, 0) is None
    assert len(run_sql(database, "SELECT id FROM users")) == 2


async def test_a_login_is_renewed_only_for_its_own_user(store: Store) -> None:
    of_bob = replace(NEXT, user_id=BOB.id)

    renewed = await in_transaction(
        store, lambda transaction: store.logins.renew(transaction, LOGIN.id_hash, of_bob, AT)
    )

    assert renewed is None


async def test_only_logins_of_the_epoch_before_are_carried_over(store: Store, database: str) -> None:
    run_sql(database, "UPDATE logins SET epoch = 3")

    await in_transaction(store, lambda transaction: store.logins.carry_over(transaction, ALICE.id, 4, 5))

    assert run_sql(database, "SELECT epoch FROM logins") == [(3,)]
