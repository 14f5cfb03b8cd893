"""A database of another version: upgraded, or left unchanged."""

import asyncio

import pytest

from databases import both_databases, run_sql
from event_kinds import KINDS
from quartlogin.accounts.database.errors import DatabaseRefused
from quartlogin.accounts.database.schema import SCHEMA_VERSION
from quartlogin.accounts.store import store_at
from quartlogin.accounts.users.own import OwnDirectory
from schemas import columns, drop_everything, make_version, make_version_1

pytestmark = both_databases


async def test_an_older_database_is_upgraded_and_keeps_its_users(database: str) -> None:
    make_version_1(database)
    store = store_at(database)

    await store.database.open()

    found = await store.users.find_credentials("alice")
    await store.database.close()
    assert found is not None
    assert (found.account.security_stamp, found.is_active, found.password_hash) == (0, True, "hash")
    assert run_sql(database, "SELECT version FROM quartlogin_schema") == [(SCHEMA_VERSION,)]


async def test_an_upgraded_database_is_built_as_a_new_one(database: str) -> None:
    store = store_at(database)
    await store.database.open()
    await store.database.close()
    new = columns(database)
    drop_everything(database)
    make_version_1(database)

    await store.database.open()
    await store.database.close()

    assert columns(database) == new


async def test_events_of_version_5_get_the_names_that_they_have_now(database: str) -> None:
    make_version(5, database)
    store = store_at(database)
    former = ("signed_in", "came_back", "login_copied", "login_crowded_out", "everyone_signed_out")
    for number, kind in enumerate(former):
        run_sql(database, f"INSERT INTO events VALUES ('{number}', '{kind}', NULL, 5, '', '', NULL)")

    await store.database.open()
    await store.database.close()

    kinds = [kind for (kind,) in run_sql(database, "SELECT kind FROM quartlogin_events ORDER BY id")]
    assert kinds == ["signed_in", "login_resumed", "token_reuse_detected", "login_evicted", "all_logins_revoked"]
    assert {*kinds} <= KINDS.keys()


async def test_step_up_what_was_proved_before_version_8_is_not_known(database: str) -> None:
    make_version(7, database)
    insert = (
        "INSERT INTO quartlogin_logins (id_hash, public_id, user_id, kind, security_stamp, secrets, made_at, seen_at,"
        " expires_at, address, browser) VALUES ('hash', 'ref', '1', 'session', 0, '', 5, 5, 99, '', '')"
    )
    run_sql(database, insert)
    store = store_at(database)

    await store.database.open()
    found = await OwnDirectory(store).find_login("hash", "1", 6, 4)
    await store.database.close()

    assert found is not None
    assert found.login.proofs == ""


async def test_an_upgrade_that_fails_leaves_everything_as_it_was_and_says_why(database: str) -> None:
    make_version_1(database)
    run_sql(database, "CREATE TABLE events (somebody_elses TEXT)")
    before = columns(database)

    with pytest.raises(DatabaseRefused, match="events") as refusal:
        await store_at(database).database.open()

    assert "\n" not in str(refusal.value)
    assert columns(database) == before
    assert run_sql(database, "SELECT version FROM quartlogin_schema") == [(1,)]


@pytest.mark.parametrize("version", [99, 0])
async def test_a_database_of_an_unknown_version_is_refused(database: str, version: int) -> None:
    make_version_1(database)
    run_sql(database, f"UPDATE quartlogin_schema SET version = {version}")

    with pytest.raises(DatabaseRefused, match=rf"\bversion {version}\b"):
        await store_at(database).database.open()


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(database: str) -> None:
    run_sql(database, "CREATE TABLE users (id INTEGER)")
    before = columns(database)

    with pytest.raises(DatabaseRefused, match="another program"):
        await store_at(database).database.open()

    assert columns(database) == before


async def test_many_that_open_an_older_database_together_upgrade_it_once(database: str) -> None:
    make_version_1(database)
    stores = [store_at(database) for _ in range(5)]

    await asyncio.gather(*(store.database.open() for store in stores))

    for store in stores:
        await store.ping()
        await store.database.close()
