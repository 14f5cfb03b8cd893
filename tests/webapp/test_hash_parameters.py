"""The cost of a stored hash, and the costs that are never computed."""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from hypothesis import example, given
from hypothesis import strategies as st

from client import CHEAP, PASSWORD
from quartlogin.accounts.features.passwords.hash_parameters import TODAY, HashParameters, read_parameters

MIB = 1024


@pytest.mark.parametrize(
    ("passes", "memory", "lanes"),
    [
        (TODAY.passes, TODAY.memory, TODAY.lanes),
        (3, 64 * MIB, 4),
        (2, 100 * MIB, 8),
        (4, 64 * MIB, 1),
        (2, 19 * MIB, 1),
        (5, 7 * MIB, 1),
        (1, 46 * MIB, 1),
        (2, 64 * MIB, 1),
        (3, 256 * MIB, 1),
    ],
    ids=[
        "today",
        "argon2-cffi",
        "argon2-cffi before 21.2, and Django",
        "PHP",
        "OWASP",
        "OWASP, least memory",
        "OWASP, least time",
        "libsodium interactive",
        "libsodium moderate",
    ],
)
def test_what_is_in_use_elsewhere_is_within_the_limits(passes: int, memory: int, lanes: int) -> None:
    assert HashParameters("id", 19, passes, memory, lanes).is_within_limits


@pytest.mark.parametrize(
    ("passes", "memory", "lanes"),
    [
        (100, 1024 * MIB, 1),
        (1, 2048 * MIB, 4),
        (4, 1024 * MIB, 1),
        (1, 256 * MIB + 1, 1),
        (13, 64 * MIB, 1),
        (4, 256 * MIB, 1),
        (33, 8, 1),
        (6144, 128, 16),
        (999_999_999, 8, 1),
        (1, 64 * MIB, 17),
        (0, 64 * MIB, 1),
        (1, 64 * MIB, 0),
        (1, 15, 2),
    ],
)
def test_what_costs_more_or_cannot_be_is_not(passes: int, memory: int, lanes: int) -> None:
    assert not HashParameters("id", 19, passes, memory, lanes).is_within_limits


@pytest.mark.parametrize("variant", ["id", "i", "d"])
@pytest.mark.parametrize("version", [16, 19])
@pytest.mark.parametrize("lanes", [1, 4])
def test_a_dummy_hash_has_its_parameters_and_is_of_no_password(variant: str, version: int, lanes: int) -> None:
    parameters = HashParameters(variant, version, 2, 64, lanes)

    dummy = parameters.dummy_hash()

    assert read_parameters(dummy) == parameters
    assert dummy != parameters.dummy_hash()
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(dummy, PASSWORD)


def test_a_dummy_hash_is_like_a_hash_of_todays() -> None:
    hasher = PasswordHasher(TODAY.passes, 64, TODAY.lanes)

    dummy = TODAY._replace(memory=64).dummy_hash()

    assert extract_parameters(dummy) == extract_parameters(hasher.hash(PASSWORD))
    assert not hasher.check_needs_rehash(dummy)


def test_argon2s_first_version_wrote_no_version() -> None:
    stored = "$argon2i$m=64,t=1,p=2$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"

    assert read_parameters(stored) == HashParameters("i", 16, 1, 64, 2)


@given(st.text() | st.text("$argon2id=v19m,tp0"))
@example(CHEAP.hash(PASSWORD) + "\n")
@example(CHEAP.hash(PASSWORD) + "A" * 100)
@example("$argon2id$v=19$m=" + "9" * 5000 + ",t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
@example("$argon2id$v=19$m=٨,t=1,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
def test_anything_else_has_no_parameters(text: str) -> None:
    assert read_parameters(text) is None
