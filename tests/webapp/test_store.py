"""The store: one suite for both kinds of database."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from databases import both_databases_always, run_sql
from quartlogin.accounts.database.errors import (
    Conflict,
    LoginEnded,
    NamesTaken,
    NameTaken,
    ReauthenticationRequired,
    StoreUnavailable,
)
from quartlogin.accounts.database.interface import Transaction
from quartlogin.accounts.database.models import NEVER, ActingLogin, Event, Moment, NewLogin, NewUser, Seen, User
from quartlogin.accounts.security.proofs import Requirement
from quartlogin.accounts.store import Store, store_at
from quartlogin.accounts.users.own import OwnDirectory

pytestmark = both_databases_always

ALICE = User(id="A" * 22, username="Alice")
BOB = User(id="B" * 22, username="Bob")
NEW_ALICE = NewUser(ALICE, "alice", "hash of alice")
NEW_BOB = NewUser(BOB, "bob", "hash of bob")
NOW = 1_900_000_000
LOGIN = NewLogin(
    id_hash="1" * 64,
    public_id="ref1",
    user_id=ALICE.id,
    kind="session",
    security_stamp=0,
    name=None,
    secrets="aa+1",
    made_at=NOW,
    expires_at=NOW + 1000,
    address="192.0.2.1",
    browser="a browser",
)
AT = Moment(NOW, NOW - 100)
#: Alice's first sign-in, on whose behalf something is done; idle times are another test's.
BY_ALICE = ActingLogin(LOGIN.id_hash, ALICE.id, 10**9)
OTHER_LOGIN = replace(LOGIN, id_hash="2" * 64, public_id="ref2")
TOKEN = replace(LOGIN, id_hash="3" * 64, public_id="ref3", kind="bearer", name="a program")
BOBS_LOGIN = replace(LOGIN, id_hash="4" * 64, public_id="ref4", user_id=BOB.id)


def event(number: int = 1, user: User = ALICE, at: int = NOW, kind: str = "signed_in") -> Event:
    return Event(f"event {number}", kind, user.id, at, "192.0.2.1", "a browser", None)


def seen(login: NewLogin, at: int) -> Seen:
    return Seen(login.id_hash, login.user_id, at)


@pytest.fixture
async def people(store: Store) -> None:
    """Alice with two sign-ins and a token, Bob with one sign-in."""
    await store.users.add(NEW_ALICE, event(901, kind="registered"))
    await store.users.add(NEW_BOB, event(902, BOB, kind="registered"))
    for login in (LOGIN, OTHER_LOGIN, TOKEN, BOBS_LOGIN):
        await begin(store, login)


async def begin(store: Store, login: NewLogin) -> None:
    async def work(transaction: Transaction) -> None:
        await store.logins.insert(transaction, login)

    await store.database.transaction(work)


async def is_found(store: Store, login: NewLogin, *, now: int = NOW, idle_since: int = NOW - 100) -> bool:
    return await OwnDirectory(store).find_login(login.id_hash, login.user_id, now, idle_since) is not None


async def public_ids(store: Store, user: User = ALICE) -> set[str]:
    return {row.public_id for row in await store.logins.list_of(user.id, AT)}


# --- users


@pytest.mark.usefixtures("people")
async def test_a_user_is_found_by_name_and_by_a_login(store: Store) -> None:
    by_name, by_id = await store.users.find_credentials("alice"), await store.passwords.find_of(ALICE, BY_ALICE)

    assert by_name == by_id
    assert by_name is not None
    assert (by_name.user, by_name.user.username, by_name.password_hash, by_name.is_active) == (
        ALICE,
        "Alice",
        "hash of alice",
        True,
    )


@pytest.mark.usefixtures("people")
async def test_no_user_is_found_under_another_name_or_by_another_login(store: Store) -> None:
    assert await store.users.find_credentials("Alice") is None
    assert await store.passwords.find_of(ALICE, replace(BY_ALICE, user_id=BOB.id)) is None
    await store.logins.end(LOGIN.id_hash, event())
    assert await store.passwords.find_of(ALICE, BY_ALICE) is None


async def test_race_for_one_name_one_registration_wins(store: Store, database: str) -> None:
    async def register(number: int) -> None:
        new = NewUser(User(f"{number:022}", "Alice"), "alice", "hash")
        await store.users.add(new, replace(event(number), user_id=new.user.id))

    results = await asyncio.gather(*(register(number) for number in range(20)), return_exceptions=True)

    assert [type(result) for result in results].count(NameTaken) == 19
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(1,)]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == [(1,)]


@pytest.mark.usefixtures("people")
async def test_rehash_in_the_database_never_overwrites_a_changed_password(store: Store) -> None:
    await store.passwords.replace_hash(ALICE.id, "hash of another", "renewed")
    await store.passwords.replace_hash(BOB.id, "hash of bob", "renewed")

    alice, bob = await store.users.find_credentials("alice"), await store.users.find_credentials("bob")
    assert alice is not None
    assert bob is not None
    assert (alice.password_hash, bob.password_hash) == ("hash of alice", "renewed")


@pytest.mark.usefixtures("people")
async def test_another_password_ends_every_login_of_its_user_only(store: Store) -> None:
    assert await store.passwords.set(ALICE.id, "another hash", event(kind="password_set"))

    assert (await public_ids(store), await public_ids(store, BOB)) == (set(), {"ref4"})
    assert not await is_found(store, TOKEN)
    assert not await store.passwords.set("C" * 22, "another hash", event(2))


@pytest.mark.usefixtures("people")
async def test_disabling_ends_every_login_and_enabling_revives_none(store: Store) -> None:
    await store.accounts.set_enabled(ALICE.id, event(1), enabled=False)
    begun_meanwhile = replace(LOGIN, id_hash="5" * 64, public_id="ref5")
    with pytest.raises(Conflict):
        await begin(store, begun_meanwhile)  # by a process that checked the password before
    await store.accounts.set_enabled(ALICE.id, event(2), enabled=True)
    with pytest.raises(Conflict):
        await begin(store, begun_meanwhile)

    assert [await is_found(store, login) for login in (LOGIN, OTHER_LOGIN, TOKEN, begun_meanwhile)] == [False] * 4
    assert not await store.accounts.set_enabled("C" * 22, event(3), enabled=True)


@pytest.mark.usefixtures("people")
async def test_a_deleted_user_leaves_nothing(store: Store, database: str) -> None:
    assert await store.users.delete(ALICE.id, 1) is None
    deleted = await store.users.delete(ALICE.id, 0, BY_ALICE)

    assert sorted(deleted or []) == [LOGIN.id_hash, OTHER_LOGIN.id_hash, TOKEN.id_hash]
    assert await store.users.delete(ALICE.id, 0) is None
    for table in ("quartlogin_logins", "quartlogin_events"):
        assert run_sql(database, f"SELECT DISTINCT user_id FROM {table}") == [(BOB.id,)]


@pytest.mark.usefixtures("people")
async def test_users_are_listed_with_the_logins_that_count(store: Store) -> None:
    alice, bob = await store.users.list_all(NOW, NOW - 100)

    assert (alice.username, alice.is_active, alice.seen_at, alice.logins) == ("Alice", True, NOW, 3)
    assert (bob.username, bob.logins) == ("Bob", 1)
    assert [row.logins for row in await store.users.list_all(NOW + 1000, NOW - 100)] == [0, 0]


# --- logins


@pytest.mark.usefixtures("people")
async def test_a_login_is_found_with_its_user(store: Store) -> None:
    found = await OwnDirectory(store).find_login(LOGIN.id_hash, ALICE.id, NOW, NOW - 100)

    assert found is not None
    assert (found.user, found.user.username) == (ALICE, "Alice")
    assert (found.login.security_stamp, found.login.public_id) == (0, "ref1")
    assert (found.seen_at, found.secrets) == (NOW, "aa+1")


@pytest.mark.usefixtures("people")
async def test_a_login_is_found_for_its_own_user_only(store: Store) -> None:
    assert await OwnDirectory(store).find_login(LOGIN.id_hash, BOB.id, NOW, NOW - 100) is None


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("now", "idle_since", "session", "token"),
    [
        (NOW + 999, NOW - 1, True, True),
        (NOW + 1000, NOW - 1, False, False),
        (NOW + 1, NOW, False, True),
    ],
    ids=["in time", "expired", "idle"],
)
async def test_a_login_counts_to_the_second(
    store: Store, now: int, idle_since: int, session: bool, token: bool
) -> None:
    assert await is_found(store, LOGIN, now=now, idle_since=idle_since) is session
    assert await is_found(store, TOKEN, now=now, idle_since=idle_since) is token


@pytest.mark.usefixtures("people")
async def test_an_ended_login_is_reported_once(store: Store) -> None:
    told = await store.logins.end(LOGIN.id_hash, event(1, kind="signed_out"))
    again = await store.logins.end(LOGIN.id_hash, event(2, kind="signed_out"))

    assert told is not None
    assert (told.user_id, told.subject) == (ALICE.id, "ref1")
    assert again is None
    assert await public_ids(store) == {"ref2", "ref3"}


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("user", "public_id", "kind"), [(BOB, "ref1", "session"), (ALICE, "ref1", "bearer"), (ALICE, "ref9", "session")]
)
async def test_idor_another_users_login_cannot_be_ended(store: Store, user: User, public_id: str, kind: str) -> None:
    assert await store.logins.end_by_public_id(user.id, public_id, kind, event()) is None  # type: ignore[arg-type]

    assert await public_ids(store) == {"ref1", "ref2", "ref3"}


@pytest.mark.usefixtures("people")
async def test_a_login_is_ended_by_its_ref(store: Store) -> None:
    ended = await store.logins.end_by_public_id(ALICE.id, "ref3", "bearer", event())

    assert ended is not None
    assert (ended.id_hash, ended.name, ended.seen_at) == (TOKEN.id_hash, "a program", NEVER)
    assert await public_ids(store) == {"ref1", "ref2"}


@pytest.mark.usefixtures("people")
async def test_all_other_sign_ins_are_ended_and_tokens_go_on(store: Store) -> None:
    ended = await store.logins.end_sessions(ALICE.id, event(), AT, BY_ALICE)
    assert ended == {OTHER_LOGIN.id_hash: True}

    assert (await public_ids(store), await public_ids(store, BOB)) == ({"ref1", "ref3"}, {"ref4"})


@pytest.mark.usefixtures("people")
async def test_all_logins_of_all_users_are_ended(store: Store) -> None:
    assert await store.logins.revoke_all() == 4

    assert await public_ids(store) | await public_ids(store, BOB) == set()


@pytest.mark.usefixtures("people")
async def test_a_renewed_login_counts_under_its_new_id_only(store: Store) -> None:
    renewed = replace(LOGIN, id_hash="9" * 64, secrets="bb+2", expires_at=NOW + 2000)

    async def work(transaction: Transaction) -> str | None:
        return await store.logins.renew(transaction, LOGIN.id_hash, renewed, AT)

    assert await store.database.transaction(work) == "ref1"
    assert await store.database.transaction(work) is None
    assert (await is_found(store, LOGIN), await is_found(store, renewed, now=NOW + 1500)) == (False, True)


@pytest.mark.usefixtures("people")
async def test_race_to_rotate_a_remember_token_one_wins(store: Store) -> None:
    won = await asyncio.gather(
        *(
            store.logins.replace_secrets(LOGIN.id_hash, "aa+1", f"b{number}+2", AT, event=event(number))
            for number in range(10)
        )
    )

    found = await store.logins.find_remembered(LOGIN.id_hash, AT)
    assert won.count(True) == 1
    assert found is not None
    assert found.secrets == f"b{won.index(True)}+2"


@pytest.mark.usefixtures("people")
async def test_cookie_theft_a_copied_login_ends_and_its_user_is_notified_once(store: Store) -> None:
    assert await store.logins.revoke_reused(LOGIN.id_hash, event(kind="token_reuse_detected"))

    assert not await store.logins.revoke_reused(LOGIN.id_hash, event(2, kind="token_reuse_detected"))
    assert [await store.accounts.take_token_reuse_at(ALICE.id) for _ in range(2)] == [NOW, None]
    assert await store.accounts.take_token_reuse_at(BOB.id) is None


@pytest.mark.usefixtures("people")
async def test_when_a_login_was_seen_moves_on_but_not_more_often_than_asked(store: Store, database: str) -> None:
    noted = [seen(LOGIN, NOW + 59), seen(OTHER_LOGIN, NOW + 60), Seen("unknown", "nobody", NOW)]
    await store.logins.touch(noted, 60, AT)
    await store.logins.touch([seen(OTHER_LOGIN, NOW + 50)], 60, AT)

    kept = dict(run_sql(database, "SELECT public_id, seen_at FROM quartlogin_logins WHERE kind = 'session'"))
    assert (kept["ref1"], kept["ref2"]) == (NOW, NOW + 60)


@pytest.mark.usefixtures("people")
async def test_logins_are_listed_by_when_they_were_seen(store: Store) -> None:
    await store.logins.touch([seen(OTHER_LOGIN, NOW + 60)], 60, AT)

    assert [row.public_id for row in await store.logins.list_of(ALICE.id, AT)] == ["ref2", "ref1", "ref3"]


@pytest.mark.usefixtures("people")
async def test_on_behalf_of_a_login_that_has_ended_nothing_is_changed(store: Store, database: str) -> None:
    await store.logins.end(LOGIN.id_hash, event())
    before = run_sql(database, "SELECT id_hash FROM quartlogin_logins ORDER BY public_id")

    for done in (
        store.logins.end_by_public_id(ALICE.id, "ref2", "session", event(2), BY_ALICE),
        store.logins.end_sessions(ALICE.id, event(3), AT, BY_ALICE),
        store.users.delete(ALICE.id, 0, BY_ALICE),
        store.events.add_by(BY_ALICE, event(4)),
    ):
        with pytest.raises(LoginEnded):
            await done

    assert run_sql(database, "SELECT id_hash FROM quartlogin_logins ORDER BY public_id") == before
    assert run_sql(database, "SELECT id FROM quartlogin_events WHERE id IN ('event 2', 'event 3', 'event 4')") == []


@pytest.mark.usefixtures("people")
async def test_step_up_on_behalf_of_a_login_whose_proof_is_gone_nothing_is_changed(store: Store) -> None:
    proved = replace(LOGIN, id_hash="5" * 64, public_id="ref5", proofs=f"password:{int(time.time())}")
    await begin(store, proved)
    acting = replace(BY_ALICE, id_hash=proved.id_hash, requirements=(Requirement(("password",), timedelta(hours=1)),))
    assert await store.logins.end_by_public_id(ALICE.id, "ref2", "session", event(2), acting) is not None
    assert await store.logins.replace_secrets(proved.id_hash, "aa+1", "bb+2", AT, proofs="")

    for done in (
        store.logins.end_by_public_id(ALICE.id, "ref1", "session", event(3), acting),
        store.logins.end_sessions(ALICE.id, event(4), AT, acting),
        store.users.delete(ALICE.id, 0, acting),
    ):
        with pytest.raises(ReauthenticationRequired):
            await done

    assert await public_ids(store) == {"ref1", "ref3", "ref5"}
    await store.events.add_by(acting, event(5))  # such as that of a wrong password


@pytest.mark.usefixtures("people")
async def test_no_login_acts_for_another_user(store: Store) -> None:
    with pytest.raises(LoginEnded):
        await store.logins.end_by_public_id(BOB.id, "ref4", "session", event(), BY_ALICE)

    assert await public_ids(store, BOB) == {"ref4"}


@pytest.mark.usefixtures("people")
async def test_expired_logins_are_removed_in_batches(store: Store, database: str) -> None:
    removed = [await store.logins.remove_expired(NOW + 1000, 3) for _ in range(3)]

    assert removed == [3, 1, 0]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]


@pytest.mark.usefixtures("people")
async def test_whose_a_ref_is(store: Store) -> None:
    assert await store.logins.user_of_public_id("ref4", "session") == BOB.id
    assert await store.logins.user_of_public_id("ref4", "bearer") is None


# --- events


@pytest.mark.usefixtures("people")
async def test_events_are_listed_newest_first_and_those_of_the_user_only(store: Store) -> None:
    for number in range(3):
        await store.events.add(event(number, at=NOW + number))
    await store.events.add(replace(event(5), user_id=None))

    assert [row.id for row in await store.events.list_of(ALICE.id, 2)] == ["event 2", "event 1"]


@pytest.mark.usefixtures("people")
async def test_events_since_a_moment_are_listed_oldest_first(store: Store) -> None:
    for number in range(3):
        await store.events.add(event(number, at=NOW + 10 + number))
    await store.events.add(replace(event(5), user_id=None, happened_at=NOW + 20))
    await store.events.add(replace(event(6), user_id=BOB.id, happened_at=NOW + 20))

    listed = await store.events.list_since(NOW + 11, [ALICE.id], 10)
    assert [row.id for row in listed] == ["event 1", "event 2"]
    both = await store.events.list_since(NOW + 11, [ALICE.id, BOB.id], 1)
    assert [row.id for row in both] == ["event 2", "event 6"]  # the last one of each
    assert await store.events.list_since(NOW, [], 2) == []


@pytest.mark.usefixtures("people")
async def test_old_events_are_removed_in_batches(store: Store) -> None:
    for number in range(5):
        await store.events.add(event(number, at=NOW - 10))

    assert [await store.events.remove_before(NOW, 3) for _ in range(3)] == [3, 2, 0]
    assert len(await store.events.list_of(ALICE.id, 10)) == 1


# --- many at once, transactions, what no driver may choke on


async def test_many_users_are_added_at_once_or_not_at_all(store: Store, database: str) -> None:
    await store.users.add(NEW_ALICE, event())
    people = [NewUser(User(f"{number:022}", f"User {number}"), f"user {number}", "hash") for number in range(2500)]
    told: list[int] = []

    with pytest.raises(NamesTaken) as refused:
        await store.users.add_many(lambda: [*people, replace(NEW_ALICE, user=BOB)], NOW, told.append, skip_taken=False)
    after_refusal = run_sql(database, "SELECT count(*) FROM quartlogin_users")
    told.clear()
    left_out = await store.users.add_many(
        lambda: [*people, replace(NEW_ALICE, user=BOB)], NOW, told.append, skip_taken=True
    )

    assert refused.value.keys == left_out == ["alice"]
    assert after_refusal == [(1,)]
    assert told == [1000, 1000, 501]
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(2501,)]


async def test_a_transaction_that_fails_leaves_nothing(store: Store, database: str) -> None:
    async def work(transaction: Transaction) -> None:
        await store.users.insert(transaction, NEW_ALICE, NOW)
        raise RuntimeError("not this one")

    with pytest.raises(RuntimeError, match="not this one"):
        await store.database.transaction(work)

    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(0,)]
    await store.users.add(NEW_ALICE, event())


async def test_a_transaction_is_finished_though_its_caller_has_gone(store: Store, database: str) -> None:
    begun = asyncio.Event()

    async def work(transaction: Transaction) -> None:
        await store.users.insert(transaction, NEW_ALICE, NOW)
        begun.set()
        await store.users.insert(transaction, NEW_BOB, NOW)

    caller = asyncio.create_task(store.database.transaction(work))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller

    async with asyncio.timeout(60):
        while run_sql(database, "SELECT count(*) FROM quartlogin_users") != [(2,)]:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "text", ["\0", "'; DROP TABLE quartlogin_users; --", "\ud800", "x" * 1_000_000, "😀", "$1", "%s"]
)
async def test_sql_injection_text_of_any_kind_is_stored_as_it_is(store: Store, text: str) -> None:
    """It is found, or not; or the driver says that it cannot be asked for. The application asks for none of them."""
    try:
        assert await store.users.find_credentials(text) is None
        assert await OwnDirectory(store).find_login(text, text, NOW, NOW) is None
    except StoreUnavailable:
        assert text in {"\0", "\ud800"}
    await store.ping()


async def test_a_store_that_is_not_open_is_unavailable(database: str) -> None:
    with pytest.raises(StoreUnavailable, match="is not open"):
        await store_at(database).ping()


async def test_a_store_can_be_closed_twice_and_opened_again(store: Store) -> None:
    await store.users.add(NEW_ALICE, event())
    await store.database.close()
    await store.database.close()
    await store.database.open()

    assert await store.users.find_credentials("alice") is not None


async def test_many_that_open_a_new_database_together_create_it_once(database: str) -> None:
    stores = [store_at(database) for _ in range(6)]

    await asyncio.gather(*(store.database.open() for store in stores))

    assert run_sql(database, "SELECT count(*) FROM quartlogin_schema") == [(1,)]
    for store in stores:
        await store.database.close()


async def test_a_table_that_is_gone_makes_the_store_unavailable(store: Store, database: str) -> None:
    run_sql(database, "DROP TABLE quartlogin_events")

    with pytest.raises(StoreUnavailable):
        await store.events.list_of(ALICE.id, 1)
