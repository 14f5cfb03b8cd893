"""Passwords that people have: hashes of Werkzeug, Django and bcrypt, imported or kept by the app."""

import hashlib
import inspect
from base64 import b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st
from test_app_users import People, Person, make_app
from werkzeug.security import generate_password_hash

from client import CHEAP, NEW_PASSWORD, WRONG, Visitor
from databases import run_sql
from quartlogin import ConfigurationError
from quartlogin.accounts import Logins, Passwords, Registration, get_accounts
from quartlogin.accounts.features.passwords import old_schemes
from quartlogin.accounts.features.passwords.hash_parameters import TODAY, ParametersInUse
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.accounts.features.passwords.old_schemes import (
    MAX_ITERATIONS,
    read_beginning,
    read_old_parameters,
    verify_old,
)

PASSWORD = "pässword of old"


def django(password: str, iterations: int = 1000, name: str = "sha256", salt: str = "NaCl") -> str:
    """Return what Django's PBKDF2PasswordHasher keeps, by its documented format."""
    digest = hashlib.pbkdf2_hmac(name, password.encode(), salt.encode(), iterations)
    return f"pbkdf2_{name}${iterations}${salt}${b64encode(digest).decode()}"


HASHES = {
    "Werkzeug's scrypt": generate_password_hash(PASSWORD, "scrypt:1024:8:1"),
    "Werkzeug's default": generate_password_hash(PASSWORD),
    "Werkzeug's PBKDF2": generate_password_hash(PASSWORD, "pbkdf2:sha256:1000"),
    "Werkzeug's PBKDF2 with SHA-1": generate_password_hash(PASSWORD, "pbkdf2:sha1:1000"),
    "Werkzeug's PBKDF2 with SHA-512": generate_password_hash(PASSWORD, "pbkdf2:sha512:1000"),
    "Django's PBKDF2": django(PASSWORD),
    "Django's PBKDF2 with SHA-1": django(PASSWORD, name="sha1"),
    "bcrypt": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode(),
    "bcrypt 2y": bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"),
}


@pytest.mark.parametrize("stored", HASHES.values(), ids=HASHES)
def test_a_hash_is_verified(stored: str) -> None:
    assert verify_old(stored, PASSWORD)
    assert not verify_old(stored, PASSWORD + "x")
    assert not verify_old(stored, "")


@pytest.mark.parametrize("stored", HASHES.values(), ids=HASHES)
async def test_a_verified_hash_is_renewed_with_argon2(stored: str) -> None:
    hashing = PasswordHashing(CHEAP)

    right, wrong = await hashing.check(stored, PASSWORD), await hashing.check(stored, WRONG)

    assert right.is_right
    assert right.new_hash is not None
    assert (await hashing.check(right.new_hash, PASSWORD)).is_right
    assert not wrong.is_right
    hashing.close()


def test_a_long_password_is_truncated_as_bcrypt_did() -> None:
    stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()

    assert verify_old(stored, "x" * 100)
    assert not verify_old(stored, "x" * 71)
    assert not verify_old(stored, "x" * 72 + "\0")


async def test_rehash_of_a_long_password_that_bcrypt_truncated_is_of_all_of_it() -> None:
    hashing = PasswordHashing(CHEAP)
    stored = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()

    renewed = (await hashing.check(stored, "x" * 100)).new_hash

    assert (await hashing.check(renewed, "x" * 100)).is_right
    assert not (await hashing.check(renewed, "x" * 72)).is_right
    hashing.close()


@pytest.mark.parametrize("stored", HASHES.values(), ids=HASHES)
def test_a_damaged_hash_is_none(stored: str) -> None:
    damaged = {
        stored[:-2],
        stored + "00",
        stored + "\n",
        " " + stored,
        stored.rpartition("$")[0] + "$",
        stored.rpartition("$")[0],
        stored.upper(),
        stored.replace("$", "$$", 1),
    } - {stored}

    assert {text for text in damaged if read_old_parameters(text) is not None} == set()
    assert not any(verify_old(text, PASSWORD) for text in damaged)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pbkdf2:md5:1000$salt$" + "00" * 16,
        "pbkdf2:sha256$salt$" + "00" * 32,
        "scrypt:-1:8:1$salt$" + "00" * 64,
        "scrypt:1024:8$salt$" + "00" * 64,
        "scrypt:1024:8:1$$" + "00" * 64,
        "scrypt:1024:8:1$sält$" + "00" * 64,
        "pbkdf2_sha256$1000$salt$" + "A" * 43,
        "pbkdf2_sha256$1000$salt$AAAA",
        "pbkdf2_md5$1000$salt$" + "A" * 24,
        "$2x$04$" + "a" * 53,
        "$2b$4$" + "a" * 53,
        "$2b$04$" + "a" * 52,
        "sha1$salt$" + "0" * 40,
        "md5$salt$" + "0" * 32,
        "{SSHA}" + "A" * 32,
        "1" * 100_000,
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_hash_of_a_known_scheme_is_none(text: str) -> None:
    assert read_old_parameters(text) is None
    assert not verify_old(text, PASSWORD)


@given(st.text() | st.sampled_from([*HASHES.values()]).map(lambda text: text[:-5]) | st.from_regex(r"\$2b\$..\$.{53}"))
def test_no_text_is_an_error(text: str) -> None:
    parameters = read_old_parameters(text)

    assert parameters is None or isinstance(parameters.is_within_limits, bool)


@pytest.mark.parametrize(
    "beginning",
    [
        "scrypt:1048576:8:16",
        "scrypt:1024:9999:9999",
        "scrypt:1000:8:1",
        "scrypt:1:8:1",
        "scrypt:1024:0:1",
        "scrypt:65536:1:1",  # RFC 7914, 6: N is less than 2^(128 * r / 8)
        f"pbkdf2:sha256:{MAX_ITERATIONS + 1}",
        "pbkdf2:sha256:0",
        "pbkdf2_sha256$999999999",
        "$2b$15",
        "$2b$31",
        "$2b$03",
    ],
)
async def test_denial_of_service_by_a_planted_hash_is_prevented(
    beginning: str, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = read_beginning(beginning)
    assert parameters is not None
    assert not parameters.is_within_limits

    hashing = PasswordHashing(CHEAP)
    assert not (await hashing.check(parameters.dummy_hash(), PASSWORD)).is_right
    hashing.close()
    assert "limits" in caplog.text


@pytest.mark.parametrize("numbers", [(2, 9999, 1), (4, 9999, 1), (2, 8, 9999), (32768, 1, 1), (2, 1, 1)])
def test_unusual_parameters_within_the_limits_are_verified(numbers: tuple[int, int, int]) -> None:
    n, r, p = numbers
    digest = hashlib.scrypt(PASSWORD.encode(), salt=b"NaCl", n=n, r=r, p=p, maxmem=64 * 1024 * 1024)
    stored = f"scrypt:{n}:{r}:{p}$NaCl${digest.hex()}"
    parameters = read_old_parameters(stored)

    assert parameters is not None
    assert parameters.is_within_limits
    assert verify_old(stored, PASSWORD)
    assert not verify_old(stored, WRONG)


@pytest.mark.parametrize("stored", HASHES.values(), ids=HASHES)
def test_a_dummy_costs_the_same_and_matches_nothing(stored: str) -> None:
    parameters = read_old_parameters(stored)
    assert parameters is not None

    dummy = parameters.dummy_hash()

    assert read_old_parameters(dummy) == parameters
    assert read_beginning(parameters.beginning) == parameters
    assert not verify_old(dummy, PASSWORD)


def test_username_enumeration_unknown_names_draw_the_declared_schemes_too() -> None:
    declared = read_beginning("scrypt:32768:8:1")
    assert declared is not None
    draws = ParametersInUse(TODAY, b"key", [declared])
    draws.learn({TODAY: 50})

    drawn = Counter(draws.draw(f"name {number}") for number in range(400))

    assert set(drawn) == {TODAY, declared}
    assert 120 < drawn[declared] < 280


@pytest.mark.parametrize("beginning", ["", "scrypt", "md5", "scrypt:1048576:8:16", "$2b$31", 5])
def test_a_scheme_that_cannot_be_is_refused(beginning: Any) -> None:
    with pytest.raises(ConfigurationError, match="old_schemes"):
        Passwords(old_schemes=(beginning,))


def test_bcrypt_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_schemes, "bcrypt", None)

    with pytest.raises(ConfigurationError, match="bcrypt"):
        Passwords(old_schemes=("$2b$12",))


# --- hashes that the app has


class Movers(People):
    """Users who come with hashes of the app's."""

    stored: str | None = None
    asked_for = 0

    def old_password_hash(self, user: Person) -> str | None:
        self.asked_for += 1
        return self.stored


class AsyncMovers(Movers):
    async def old_password_hash(self, user: Person) -> str | None:  # type: ignore[override]
        self.asked_for += 1
        return self.stored


FEATURES = [Passwords(min_length=8), Logins(), Registration()]


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    return str(tmp_path / "accounts.sqlite3")


def movers(tmp_path: Path, stored: str | None, kind: type[Movers] = Movers) -> Movers:
    people = kind(tmp_path / "people.sqlite3")
    people.run("INSERT INTO people (address) VALUES ('ada@example.org')")
    people.stored = stored
    return people


@pytest.mark.parametrize("stored", [*HASHES.values(), PasswordHasher(1, 8, 1).hash(PASSWORD)], ids=[*HASHES, "argon2"])
async def test_a_user_signs_in_with_the_password_that_the_app_has(
    tmp_path: Path, accounts_file: str, stored: str
) -> None:
    people = movers(tmp_path, stored)
    app = make_app(people, accounts_file, features=FEATURES)
    async with app.test_app():
        ada = Visitor(app.test_client())
        assert (await ada.sign_in("ada@example.org", WRONG)).status == 400
        assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []
        assert (await ada.sign_in("ada@example.org", PASSWORD)).status == 302
        assert (await ada.get("/me")).text == "ada@example.org"
        [(kept,)] = run_sql(accounts_file, "SELECT password_hash FROM quartlogin_passwords")
        asked_for, people.stored = people.asked_for, "nothing that could be checked"
        again = await Visitor(app.test_client()).sign_in("ada@example.org", PASSWORD)

    assert kept.startswith("$argon2id$")
    assert again.status == 302
    assert people.asked_for == asked_for  # never again


async def test_the_app_may_be_asked_by_a_coroutine(tmp_path: Path, accounts_file: str) -> None:
    app = make_app(movers(tmp_path, HASHES["bcrypt"], AsyncMovers), accounts_file, features=FEATURES)
    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", PASSWORD)).status == 302


async def test_a_changed_password_does_not_bring_the_old_one_back(tmp_path: Path, accounts_file: str) -> None:
    app = make_app(movers(tmp_path, HASHES["Django's PBKDF2"]), accounts_file, features=FEATURES)
    async with app.test_app():
        ada = Visitor(app.test_client())
        await ada.sign_in("ada@example.org", PASSWORD)
        await ada.fill_in("/account/password", current_password=PASSWORD, new_password=NEW_PASSWORD)
        run_sql(accounts_file, "UPDATE quartlogin_passwords SET password_hash = NULL")

        for password in (PASSWORD, NEW_PASSWORD):
            assert (await Visitor(app.test_client()).sign_in("ada@example.org", password)).status == 400


async def test_a_password_is_verified_as_typed_and_kept_in_nfc(tmp_path: Path, accounts_file: str) -> None:
    typed = "e\u0301" * 10  # as some keyboards send it
    people = movers(tmp_path, PasswordHasher(1, 8, 1).hash(typed))
    app = make_app(people, accounts_file, features=FEATURES)
    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", typed)).status == 302
        composed = await Visitor(app.test_client()).sign_in("ada@example.org", "é" * 10)

    assert composed.status == 302


@pytest.mark.parametrize("stored", [None, "", "plain text", "md5$salt$" + "0" * 32])
async def test_a_user_without_a_usable_hash_is_not_let_in(
    tmp_path: Path, accounts_file: str, stored: str | None
) -> None:
    app = make_app(movers(tmp_path, stored), accounts_file, features=FEATURES)
    async with app.test_app():
        for password in (PASSWORD, stored or "x", ""):
            assert (await Visitor(app.test_client()).sign_in("ada@example.org", password)).status == 400
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []


async def test_a_user_who_is_not_active_keeps_the_apps_hash(tmp_path: Path, accounts_file: str) -> None:
    people = movers(tmp_path, HASHES["bcrypt"])
    people.run("UPDATE people SET active = FALSE")
    app = make_app(people, accounts_file, features=FEATURES)
    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", PASSWORD)).status == 400
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []


@pytest.mark.parametrize("has_account", [True, False])
async def test_race_a_password_that_the_operator_sets_meanwhile_is_the_only_one(
    tmp_path: Path, accounts_file: str, has_account: bool
) -> None:
    """The operator sets it after the app was asked for its hash, and before the sign-in is complete."""

    class Slow(AsyncMovers):
        async def old_password_hash(self, user: Person) -> str | None:  # type: ignore[override]
            accounts = get_accounts(app)
            found = await accounts.directory.find_user("ada@example.org")
            assert found is not None

            async def add_account(transaction: Any) -> None:
                await accounts.directory.add_account(transaction, found, 1)

            event = accounts.audit_log.event("password_set", "1")
            await accounts.store.passwords.set("1", HASHES["Django's PBKDF2"], event, before=add_account)
            return self.stored

    people = movers(tmp_path, PasswordHasher(1, 8, 1).hash("another password"), Slow)
    app = make_app(people, accounts_file, features=FEATURES)
    async with app.test_app():
        if has_account:
            await Visitor(app.test_client()).request("POST", "/invited/ada@example.org")
        ada = Visitor(app.test_client())
        await ada.sign_in("ada@example.org", "another password")

        assert not await ada.is_signed_in()
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", PASSWORD)).status == 302


def test_every_scheme_of_werkzeug_is_known() -> None:
    default = inspect.signature(generate_password_hash).parameters["method"].default

    assert read_old_parameters(generate_password_hash("x", default)) is not None
