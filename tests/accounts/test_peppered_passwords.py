"""Old hashes of peppered passwords, such as Flask-Security's: it hashes an HMAC of the password."""

import hmac
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from test_app_users import make_app
from test_old_passwords import PASSWORD, movers

from client import CHEAP, WRONG, Visitor
from databases import run_sql
from quartlogin import ConfigurationError
from quartlogin.accounts import Logins, Passwords

PEPPER = b"SECURITY_PASSWORD_SALT of the app"


def peppered(password: str) -> str:
    """Return what Flask-Security hashes, by its documented format."""
    return b64encode(hmac.digest(PEPPER, password.encode(), "sha512")).decode()


HASHES = {
    "argon2": CHEAP.hash(peppered(PASSWORD)),
    "bcrypt": bcrypt.hashpw(peppered(PASSWORD).encode()[:72], bcrypt.gensalt(4)).decode(),
}


@pytest.mark.parametrize("stored", HASHES.values(), ids=HASHES)
async def test_rehash_a_peppered_password_is_verified_and_kept_without_the_pepper(tmp_path: Path, stored: str) -> None:
    database = str(tmp_path / "accounts.sqlite3")
    app = make_app(movers(tmp_path, stored), database, features=[Passwords(old_pepper=peppered), Logins()])

    async with app.test_app():
        pages = [
            await Visitor(app.test_client()).sign_in("ada@example.org", typed)
            for typed in (WRONG, peppered(PASSWORD), PASSWORD, PASSWORD)
        ]

    [(kept,)] = run_sql(database, "SELECT password_hash FROM quartlogin_passwords")
    assert [page.status for page in pages] == [400, 400, 302, 302]
    assert CHEAP.verify(kept, PASSWORD)


async def test_a_password_that_is_too_long_is_not_peppered(tmp_path: Path) -> None:
    long = "x" * 1025
    people = movers(tmp_path, CHEAP.hash(peppered(long)))
    app = make_app(people, str(tmp_path / "a.sqlite3"), features=[Passwords(old_pepper=peppered), Logins()])

    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", long)).status == 400


async def test_enumeration_a_pepper_that_fails_is_a_wrong_password(tmp_path: Path) -> None:
    def fails_late(password: str) -> str:
        if password == WRONG:
            raise ValueError("not this one")
        return peppered(password)

    app = make_app(
        movers(tmp_path, HASHES["argon2"]),
        str(tmp_path / "a.sqlite3"),
        features=[Passwords(old_pepper=fails_late), Logins()],
    )

    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org", WRONG)).status == 400


async def no_text(_: str) -> str:
    return ""


@pytest.mark.parametrize("pepper", ["SECURITY_PASSWORD_SALT", no_text, str.encode, lambda text: text[99]])
def test_a_pepper_that_returns_no_text_is_refused(pepper: Callable[..., Any]) -> None:
    with pytest.raises(ConfigurationError, match="old_pepper"):
        Passwords(old_pepper=pepper)
