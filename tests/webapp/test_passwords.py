"""Hashing, verification and rehash of passwords."""

import asyncio
import os
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher
from quart import Quart

from client import CHEAP, PASSWORD, add_user, set_active
from databases import run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hash_parameters import TODAY, HashParameters, read_parameters
from quartlogin.accounts.features.passwords.hashing import PasswordHashing, Slots, has_too_many_marks

CHEAP_PARAMETERS = HashParameters("id", 19, 1, 8, 1)
OLD = HashParameters("id", 19, 2, 16, 1)


class Counting:
    """Counts what argon2 is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self.parameters: list[HashParameters | None] = []
        verify = PasswordHasher.verify

        def count(hasher: PasswordHasher, stored: str, *args: Any) -> Any:
            self.threads.append(threading.current_thread().name)
            self.parameters.append(read_parameters(stored))
            return verify(hasher, stored, *args)

        monkeypatch.setattr(PasswordHasher, "verify", count)
        #: How many hashes were made.
        self.made = 0
        hash_ = PasswordHasher.hash

        def count_made(hasher: PasswordHasher, *args: Any, **options: Any) -> str:
            self.made += 1
            return hash_(hasher, *args, **options)

        monkeypatch.setattr(PasswordHasher, "hash", count_made)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


@pytest.fixture
def verifications(counting: Counting) -> list[str]:
    return counting.threads


@pytest.mark.requirement("C11", "N12")
@pytest.mark.requirement("11.4.2")
async def test_the_default_is_todays_argon2id_profile() -> None:
    passwords = PasswordHashing()

    stored = await passwords.hash(PASSWORD)

    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert (await passwords.check(stored, PASSWORD)).is_right
    assert not (await passwords.check(stored, PASSWORD + "x")).is_right
    passwords.close()


@pytest.mark.requirement("V18")
@pytest.mark.requirement("15.4.4")
async def test_hashing_leaves_the_event_loop_and_the_default_threads_alone(verifications: list[str]) -> None:
    passwords = PasswordHashing(CHEAP, cores=1)

    await asyncio.gather(*(passwords.check(None, PASSWORD) for _ in range(8)))

    assert {name.rpartition("_")[0] for name in verifications} == {"quartlogin-argon2"}
    assert len(set(verifications)) == 1
    passwords.close()


@pytest.mark.requirement("11.2.5")
@pytest.mark.parametrize(
    "stored",
    [
        None,
        "",
        "plain text",
        "$2b$12$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzab",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=8,t=1,p=1$!!!!$!!!!",
        "$argon2id$v=19$m=8,t=33,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
        "é",
    ],
)
async def test_whatever_is_stored_a_check_costs_a_verification_that_is_in_use_and_never_fails(
    stored: str | None, counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    passwords = PasswordHashing(CHEAP)
    passwords.in_use.learn({OLD: 3, CHEAP_PARAMETERS: 3})

    verdicts = [await passwords.check(stored, PASSWORD, cost_key=f"name{number}") for number in range(30)]

    assert {verdict.is_right for verdict in verdicts} == {False}
    assert len(counting.parameters) == 30
    assert set(counting.parameters) == {OLD, CHEAP_PARAMETERS}
    assert len(caplog.records) == (0 if stored is None else 30)
    passwords.close()


async def test_a_hash_that_only_argon2_finds_fault_with_costs_a_verification_that_is_in_use(counting: Counting) -> None:
    """Its last letter holds bits that stand for nothing, so argon2 refuses it before it computes anything."""
    stored = CHEAP.hash(PASSWORD)[:-1] + "B"
    passwords = PasswordHashing(CHEAP)
    passwords.in_use.learn({OLD: 1000})

    verdict = await passwords.check(stored, PASSWORD, cost_key="somebody")

    assert not verdict.is_right
    assert counting.parameters == [CHEAP_PARAMETERS, OLD]
    passwords.close()


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize(
    "parameters", [OLD, OLD._replace(lanes=4, memory=64), OLD._replace(variant="i", version=16)], ids=str
)
async def test_a_wrong_password_costs_exactly_what_the_stored_hash_does(
    parameters: HashParameters, counting: Counting
) -> None:
    """What was made up for beside it was one-sided: nothing can be taken back from a hash that costs more."""
    passwords = PasswordHashing(PasswordHasher(2, 32, 1))

    assert not (await passwords.check(parameters.dummy_hash(), PASSWORD)).is_right

    assert (counting.parameters, counting.made) == ([parameters], 0)
    passwords.close()


@pytest.mark.requirement("2.4.1", "15.2.2")
async def test_denial_of_service_a_hash_beyond_the_cost_limit_is_not_computed_but_logged(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    """Denial of service: each guess at a hash of an old database would cost what is written in it."""
    passwords = PasswordHashing(CHEAP)
    stored = CHEAP_PARAMETERS._replace(passes=33).dummy_hash()

    assert not (await passwords.check(stored, PASSWORD)).is_right

    assert counting.parameters == [CHEAP_PARAMETERS]
    assert [record.levelname for record in caplog.records if record.module == "hashing"] == ["ERROR"]
    assert stored not in caplog.text
    passwords.close()


@pytest.mark.requirement("2.4.1", "15.2.2")
@pytest.mark.parametrize(
    ("parameters", "cores", "slots"),
    [
        (TODAY, 4, 1),
        (TODAY._replace(lanes=2), 4, 2),
        (TODAY._replace(lanes=4), 4, 4),
        (TODAY._replace(lanes=8, memory=100 * 1024), 4, 4),
        (TODAY._replace(lanes=4), 2, 2),
        (TODAY._replace(lanes=4), 1, 1),
        (TODAY._replace(memory=256 * 1024), 4, 4),
        (TODAY._replace(memory=64 * 1024 + 1), 4, 2),
        (OLD, 4, 1),
    ],
)
async def test_a_hash_takes_as_many_slots_as_it_has_lanes_or_memory_at_most_all(
    parameters: HashParameters, cores: int, slots: int
) -> None:
    passwords = PasswordHashing(CHEAP, cores=cores)
    seen = []

    def look() -> None:
        seen.append((cores - passwords._slots._free, passwords._taken + 1))

    await passwords._in_thread(look, parameters)

    assert seen == [(slots, slots)]
    assert passwords._taken == 0
    passwords.close()


@pytest.mark.requirement("6.3.8", "C1")
async def test_timing_an_unknown_name_waits_for_as_many_cores_as_an_account(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    run = Slots.run

    async def noted(slots: Slots, count: int, *args: Any) -> Any:
        asked.append(count)
        return await run(slots, count, *args)

    monkeypatch.setattr(Slots, "run", noted)
    four_lanes = OLD._replace(lanes=4, memory=64)
    passwords = PasswordHashing(CHEAP, cores=4)
    passwords.in_use.learn({four_lanes: 1000})

    await passwords.check(four_lanes.dummy_hash(), PASSWORD)
    await passwords.check(None, PASSWORD, cost_key="nobody")
    await passwords.check("unreadable", PASSWORD, cost_key="somebody")

    assert asked == [4, 4, 4]
    passwords.close()


async def test_denial_of_service_passwords_of_many_combining_marks_are_rejected_without_a_hash(
    verifications: list[str],
) -> None:
    passwords = PasswordHashing(CHEAP)

    assert not (await passwords.check(None, "a" + "\u0345" * 500 + "\u0334" * 500)).is_right
    assert verifications == []
    assert (await passwords.check(CHEAP.hash("e" + "\u0301" * 30), "é" + "\u0301" * 29)).is_right is False
    assert has_too_many_marks("e" + "\u0301" * 31)
    assert not has_too_many_marks(("e" + "\u0301" * 30) * 30)
    passwords.close()


@pytest.mark.requirement("C3")
@pytest.mark.requirement("V18")
async def test_denial_of_service_an_overlong_password_is_wrong_without_a_hash(verifications: list[str]) -> None:
    passwords = PasswordHashing(CHEAP)

    verdict = await passwords.check(None, "x" * 1025)

    assert not verdict.is_right
    assert verifications == []
    passwords.close()


@pytest.mark.requirement("V12")
@pytest.mark.parametrize("name", ["Alice", "Bob", "Carol", "", "\x00"])
@pytest.mark.requirement("6.3.8", "C1")
async def test_username_enumeration_wrong_unknown_and_disabled_cost_one_verification_each(
    app: Quart, verifications: list[str], name: str
) -> None:
    accounts = get_accounts(app).passwords
    await add_user(app, "Alice")
    await add_user(app, "Carol")
    await set_active(app, "carol", active=False)

    user = await accounts.authenticate(name, PASSWORD[::-1])

    assert user is None
    assert len(verifications) == 1


@pytest.mark.requirement("C11", "N12")
@pytest.mark.requirement("11.2.2")
async def test_rehash_of_an_outdated_hash_at_the_next_sign_in(app: Quart) -> None:
    parts = get_accounts(app)
    await add_user(app, "Alice")
    hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    stronger = replace(parts.passwords, hashing=PasswordHashing(hasher))

    await stronger.authenticate("Alice", PASSWORD[::-1])
    untouched = await parts.store.users.find_credentials("alice")
    user = await stronger.authenticate("Alice", PASSWORD)
    renewed = await parts.store.users.find_credentials("alice")

    assert user is not None
    assert untouched is not None
    assert renewed is not None
    assert "m=8,t=1" in untouched.password_hash
    assert "m=16,t=2" in renewed.password_hash
    again = await stronger.authenticate("Alice", PASSWORD)
    assert again is not None
    assert again.credentials.user == user.credentials.user
    stronger.hashing.close()


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize("state", ["accounts SET disabled_at = 1", "passwords SET expires_at = 1"])
async def test_username_enumeration_a_disabled_account_costs_the_same_for_right_and_wrong_passwords(
    app: Quart, database: str, counting: Counting, state: str
) -> None:
    """A renewed hash would tell, by the time it takes, that the password was right."""
    await add_user(app, "Alice")
    run_sql(database, f"UPDATE quartlogin_{state}")
    stored = run_sql(database, "SELECT password_hash FROM quartlogin_passwords")
    stronger = replace(get_accounts(app).passwords, hashing=PasswordHashing(PasswordHasher(2, 16, 1)))
    counting.made = 0

    assert await stronger.authenticate("Alice", PASSWORD) is None

    assert (counting.parameters, counting.made) == ([CHEAP_PARAMETERS], 0)
    assert run_sql(database, "SELECT password_hash FROM quartlogin_passwords") == stored
    stronger.hashing.close()


@pytest.mark.requirement("11.2.2")
async def test_rehash_of_a_hash_with_other_lanes_at_the_next_sign_in(
    app: Quart, database: str, counting: Counting
) -> None:
    await add_user(app, "Alice")
    four_lanes = PasswordHasher(1, 32, 4)
    run_sql(database, f"UPDATE quartlogin_passwords SET password_hash = '{four_lanes.hash(PASSWORD)}'")

    assert await get_accounts(app).passwords.authenticate("Alice", PASSWORD) is not None
    assert await get_accounts(app).passwords.authenticate("Alice", PASSWORD) is not None

    assert counting.parameters == [HashParameters("id", 19, 1, 32, 4), CHEAP_PARAMETERS]


async def test_rehash_never_overwrites_a_changed_password(app: Quart) -> None:
    store = get_accounts(app).store
    user = await add_user(app, "Alice")

    await store.passwords.replace_hash(user.id, "the hash of another password", "the renewed one")

    credentials = await store.users.find_credentials("alice")
    assert credentials is not None
    assert credentials.password_hash.startswith("$argon2id$")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
async def test_hashes_give_way_to_pages() -> None:
    passwords = PasswordHashing(CHEAP)

    nice = await passwords._in_thread(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()), TODAY)

    assert nice == min(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + 15, 19)
    passwords.close()
