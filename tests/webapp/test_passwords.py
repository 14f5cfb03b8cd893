"""Hashing and checking passwords."""

import asyncio
import os
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from quart import Quart

from quartlogin.webapp.passwords import Passwords
from quartlogin.webapp.serial_argon2 import SerialHasher
from quartlogin.webapp.services import services_of
from visitors import CHEAP, PASSWORD, add_user, set_active


class Counting:
    """Counts what argon2 is asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        verify = SerialHasher.verify

        def count(hasher: SerialHasher, *args: Any) -> Any:
            self.threads.append(threading.current_thread().name)
            return verify(hasher, *args)

        monkeypatch.setattr(SerialHasher, "verify", count)


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return Counting(monkeypatch).threads


@pytest.mark.requirement("C11", "N12")
@pytest.mark.requirement("11.4.2")
async def test_the_default_is_todays_argon2id_profile() -> None:
    passwords = Passwords()

    stored = await passwords.hash(PASSWORD)

    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert (await passwords.check(stored, PASSWORD)).is_right
    assert not (await passwords.check(stored, PASSWORD + "x")).is_right
    passwords.close()


@pytest.mark.requirement("V18")
@pytest.mark.requirement("15.4.4")
async def test_hashing_leaves_the_event_loop_and_the_default_threads_alone(verifications: list[str]) -> None:
    passwords = Passwords(CHEAP, cores=1)

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
        "$2b$12$abcdefghijklmnopqrstuuvwxyzabcdefghijklmnopqrstuvwxyzab",
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=8,t=1,p=1$!!!!$!!!!",
        "é",
    ],
)
async def test_whatever_is_stored_a_check_costs_a_verification_and_never_fails(
    stored: str | None, verifications: list[str]
) -> None:
    passwords = Passwords(CHEAP)

    verdict = await passwords.check(stored, PASSWORD)

    assert not verdict.is_right
    assert len(verifications) in {1, 2}  # a hash that cannot be read costs nothing, so the decoy follows it
    passwords.close()


async def test_the_decoy_has_the_parameters_of_a_real_hash() -> None:
    hasher = PasswordHasher(time_cost=2, memory_cost=1024, parallelism=2)
    passwords = Passwords(hasher)

    decoy = passwords._decoy

    assert extract_parameters(decoy) == extract_parameters(hasher.hash(PASSWORD))
    assert not hasher.check_needs_rehash(decoy)
    passwords.close()


@pytest.mark.requirement("C3")
@pytest.mark.requirement("V18")
async def test_a_password_that_is_too_long_is_wrong_without_a_hash(verifications: list[str]) -> None:
    passwords = Passwords(CHEAP)

    verdict = await passwords.check(None, "x" * 1025)

    assert not verdict.is_right
    assert verifications == []
    passwords.close()


@pytest.mark.requirement("V12")
@pytest.mark.parametrize("name", ["Alice", "Bob", "Carol", "", "\x00"])
@pytest.mark.requirement("6.3.8", "C1")
async def test_a_wrong_an_unknown_and_a_disabled_name_cost_one_verification_each(
    app: Quart, verifications: list[str], name: str
) -> None:
    accounts = services_of(app).accounts
    await add_user(app, "Alice")
    await add_user(app, "Carol")
    await set_active(app, "carol", active=False)

    user = await accounts.authenticate(name, PASSWORD[::-1])

    assert user is None
    assert len(verifications) == 1


@pytest.mark.requirement("C11", "N12")
@pytest.mark.requirement("11.2.2")
async def test_an_outdated_hash_is_renewed_at_the_next_sign_in(app: Quart) -> None:
    parts = services_of(app)
    await add_user(app, "Alice")
    hasher = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    stronger = replace(parts.accounts, passwords=Passwords(hasher))

    await stronger.authenticate("Alice", PASSWORD[::-1])
    untouched = await parts.store.users.find_credentials("alice")
    user = await stronger.authenticate("Alice", PASSWORD)
    renewed = await parts.store.users.find_credentials("alice")

    assert user is not None
    assert untouched is not None
    assert renewed is not None
    assert "m=8,t=1" in untouched.password_hash
    assert "m=16,t=2" in renewed.password_hash
    assert await stronger.authenticate("Alice", PASSWORD) == user
    stronger.passwords.close()


async def test_a_renewed_hash_never_overwrites_a_changed_password(app: Quart) -> None:
    store = services_of(app).store
    user = await add_user(app, "Alice")

    await store.users.replace_password_hash(user.id, "the hash of another password", "the renewed one")

    credentials = await store.users.find_credentials("alice")
    assert credentials is not None
    assert credentials.password_hash.startswith("$argon2id$")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a priority of its own")
async def test_hashes_give_way_to_pages() -> None:
    passwords = Passwords(CHEAP)

    nice = await passwords._in_thread(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    assert nice == min(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) + 15, 19)
    passwords.close()
