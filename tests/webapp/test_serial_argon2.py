"""argon2 in one thread: the same hashes as argon2-cffi's, and the same errors."""

import logging
import threading
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher, Type
from argon2.exceptions import HashingError, InvalidHashError, VerificationError, VerifyMismatchError
from argon2.low_level import hash_secret

from quartlogin.webapp import serial_argon2
from quartlogin.webapp.passwords import Passwords
from quartlogin.webapp.serial_argon2 import SerialHasher, is_sound
from visitors import CHEAP, PASSWORD

SALT = b"0123456789abcdef"


@pytest.mark.requirement("11.2.1")
@pytest.mark.parametrize(("passes", "lanes", "kind"), list(product((1, 3), (1, 2, 4, 7), Type)))
def test_a_hash_is_the_one_that_argon2_makes(passes: int, lanes: int, kind: Type) -> None:
    parameters = {"time_cost": passes, "memory_cost": 64, "parallelism": lanes, "hash_len": 24, "type": kind}
    serial, threaded = SerialHasher(**parameters), PasswordHasher(**parameters)  # type: ignore[arg-type]

    made = serial.hash(PASSWORD, salt=SALT)

    assert made == threaded.hash(PASSWORD, salt=SALT)
    assert threaded.verify(serial.hash("pässwörd 😀"), "pässwörd 😀")
    assert serial.verify(threaded.hash("pässwörd 😀"), "pässwörd 😀")
    assert serial.verify(threaded.hash(b"").encode("ascii"), b"")
    assert not serial.check_needs_rehash(made)


@pytest.mark.parametrize("parameters", ["default", "outdated version"])
def test_hashes_of_other_parameters_and_of_argon2s_older_version_are_verified(parameters: str) -> None:
    stored = {
        "default": PasswordHasher().hash(PASSWORD),
        "outdated version": hash_secret(PASSWORD.encode(), SALT, 1, 64, 2, 16, Type.I, 16).decode("ascii"),
    }[parameters]
    hasher = SerialHasher(time_cost=1, memory_cost=8, parallelism=1)

    assert hasher.verify(stored, PASSWORD)
    with pytest.raises(VerifyMismatchError):
        hasher.verify(stored, PASSWORD + " ")


def test_two_hashes_of_one_password_differ() -> None:
    hasher = SerialHasher(time_cost=1, memory_cost=8, parallelism=1)

    assert hasher.hash(PASSWORD) != hasher.hash(PASSWORD)


GOOD = CHEAP.hash(PASSWORD)
HEAD, SALTED, HASHED = GOOD.rsplit("$", 2)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        "é",
        GOOD.encode("ascii").decode("utf-16-le", "replace"),
        GOOD[:-1],
        GOOD[:-8],
        GOOD + "A",
        GOOD + "$",
        GOOD + "\n",
        GOOD + "=",
        f"{HEAD}${SALTED}$",
        f"{HEAD}$${HASHED}",
        f"{HEAD}${SALTED[:4]}${HASHED}",
        GOOD.replace("m=8", "m=7"),
        GOOD.replace("m=8", "m=-8"),
        GOOD.replace("m=8", "m=99999999999"),
        GOOD.replace("t=1", "t=0"),
        GOOD.replace("p=1", "p=0"),
        GOOD.replace("p=1", "p=99999999"),
        GOOD.replace("v=19", "v=99999999999"),
        GOOD.replace("argon2id", "argon2x"),
        GOOD.replace("argon2id", "bcrypt"),
    ],
    ids=lambda stored: "hash",
)
def test_what_argon2_does_not_take_is_an_error_of_its_own_and_never_a_match(stored: str) -> None:
    hasher = SerialHasher(time_cost=1, memory_cost=8, parallelism=1)

    with pytest.raises((InvalidHashError, VerificationError)):
        hasher.verify(stored, PASSWORD)


@pytest.mark.parametrize("stored", [f"{HEAD}$é{SALTED}${HASHED}", f"{HEAD}$    {SALTED}${HASHED}"], ids=["é", "space"])
def test_what_is_not_base64_is_no_hash(stored: str) -> None:
    with pytest.raises(InvalidHashError):
        SerialHasher().verify(stored, PASSWORD)


def test_parameters_that_argon2_does_not_take_make_no_hash() -> None:
    with pytest.raises(HashingError):
        SerialHasher(time_cost=1, memory_cost=8, parallelism=2).hash(PASSWORD)


def test_a_hash_is_computed_without_further_threads() -> None:
    """Counted by the system while a hash with four lanes is computed in one thread."""
    tasks, seen, done = Path("/proc/self/task"), [], threading.Event()
    if not tasks.exists():
        pytest.skip("only Linux tells which threads there are")
    hasher = SerialHasher(time_cost=2, memory_cost=65536, parallelism=4)

    def compute() -> None:
        hasher.hash(PASSWORD)
        done.set()

    before = len(list(tasks.iterdir()))
    worker = threading.Thread(target=compute)
    worker.start()
    while not done.is_set():
        seen.append(len(list(tasks.iterdir())))
    worker.join()

    assert len(seen) > 10
    assert max(seen) <= before + 1


def test_what_is_installed_can_be_told_to_use_one_thread() -> None:
    assert is_sound()


@pytest.mark.requirement("11.2.5")
@pytest.mark.parametrize("change", ["raises", "computes something else", "fails"])
async def test_an_argon2_whose_structure_has_changed_gets_its_threads_back(
    change: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    core = serial_argon2.core

    def changed(context: Any, kind: int) -> int:
        if change == "raises":
            raise AttributeError("lanes")
        if change == "fails":
            return -1
        context.t_cost += 1
        return core(context, kind)

    monkeypatch.setattr(serial_argon2, "core", changed)
    with caplog.at_level(logging.WARNING):
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=32, parallelism=4), cores=8)

    stored = await passwords.hash(PASSWORD)

    assert "does not compute a hash in one thread" in caplog.text
    assert passwords.threads == 2
    assert PasswordHasher().verify(stored, PASSWORD)
    assert (await passwords.check(stored, PASSWORD)).is_right
    passwords.close()
