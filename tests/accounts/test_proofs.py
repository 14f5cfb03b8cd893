"""Step-up: what is proved in a login stands in its row, with its time (NIST SP 800-63B, RFC 9470)."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from client import KEY, NEW_PASSWORD, PASSWORD, Visitor, change_password
from databases import run_sql
from quartlogin import QuartLoginClient, login_user
from quartlogin.accounts import Accounts
from quartlogin.accounts.security.proofs import Proofs
from quartlogin.accounts.testing import create_user, use_cheap_hashes

NOW = 1_900_000_000
TEN_MINUTES = timedelta(minutes=10)


class Clock:
    """The time, which stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return float(self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "app.sqlite3")


@pytest.fixture
def app(database: str, clock: Clock) -> Quart:
    made = Quart("shop", root_path=str(Path(database).parent))
    made.config["SECRET_KEY"] = KEY
    Accounts(made, database=database)
    use_cheap_hashes(made)
    return made


@pytest.fixture
async def ada(app: Quart) -> AsyncIterator[Any]:
    async with app.test_app():
        yield await create_user(app, "Ada", password=PASSWORD)


def proved(database: str) -> list[str]:
    """What is proved in each login, as it is stored."""
    return [proofs for (proofs,) in run_sql(database, "SELECT proofs FROM quartlogin_logins ORDER BY made_at")]


def test_proofs_are_read_as_they_were_written() -> None:
    proofs = Proofs({}).after(["password"], NOW).after(["totp", "passkey"], NOW + 5)

    assert proofs.write() == f"password:{NOW} totp:{NOW + 5} passkey:{NOW + 5}"
    assert Proofs.read(proofs.write()) == proofs
    assert Proofs({}).write() == ""


@pytest.mark.parametrize("text", ["", "password", "password:", "password:-5", "Password:5", "pass word", "a:5:6"])
def test_a_text_that_is_no_proof_proves_nothing(text: str) -> None:
    assert Proofs.read(text).made == {}


def test_a_proof_made_again_has_the_later_time() -> None:
    assert Proofs.read("password:5 totp:6").after(["password"], 9).made == {"password": 9, "totp": 6}


def test_a_proof_holds_up_to_its_age() -> None:
    proofs = Proofs({"password": NOW})

    assert proofs.holds("password", TEN_MINUTES, NOW + 600)
    assert not proofs.holds("password", TEN_MINUTES, NOW + 600.5)
    assert proofs.holds("password", None, NOW + 10**6)
    assert not proofs.holds("totp", None, NOW)


# --- what stands in the login's row


async def test_a_sign_in_by_password_proves_it(app: Quart, ada: Any, database: str) -> None:
    await Visitor(app.test_client()).sign_in("Ada")

    assert proved(database) == [f"password:{NOW}"]


async def test_a_registration_proves_the_password(app: Quart, ada: Any, database: str) -> None:
    await Visitor(app.test_client()).register("Bob")

    assert proved(database) == [f"password:{NOW}"]


@pytest.mark.parametrize("path", ["/reauthenticate", "/account/password"])
async def test_a_password_that_is_entered_again_is_proved_again(
    app: Quart, ada: Any, database: str, clock: Clock, path: str
) -> None:
    visitor = Visitor(app.test_client())
    await visitor.sign_in("Ada")
    run_sql(database, f"UPDATE quartlogin_logins SET proofs = 'totp:{NOW} password:{NOW}'")
    clock.now += 60

    if path == "/reauthenticate":
        await visitor.fill_in(path, password=PASSWORD)
    else:
        await change_password(visitor, PASSWORD, NEW_PASSWORD)

    assert proved(database) == [f"totp:{NOW} password:{NOW + 60}"]


async def test_a_remember_cookie_proves_nothing(app: Quart, ada: Any, database: str) -> None:
    visitor = Visitor(app.test_client())
    await visitor.fill_in("/login", username="Ada", password=PASSWORD, remember="y")
    visitor.client.delete_cookie("localhost", "session")  # the browser was closed

    assert await visitor.is_signed_in()
    assert proved(database) == [""]


async def test_an_api_token_proves_nothing(app: Quart, ada: Any, database: str) -> None:
    visitor = Visitor(app.test_client())
    await visitor.sign_in("Ada")
    page = await visitor.get("/account")
    await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})

    assert run_sql(database, "SELECT proofs FROM quartlogin_logins WHERE kind = 'bearer'") == [("",)]


@pytest.mark.parametrize(("fresh", "expected"), [(True, f"app:{NOW}"), (False, "")])
async def test_an_app_that_signs_a_user_in_by_itself_proves_no_password(
    app: Quart, ada: Any, database: str, fresh: bool, expected: str
) -> None:
    async with app.test_request_context("/"):
        await login_user(ada, fresh=fresh)

    assert proved(database) == [expected]


async def test_a_test_client_that_is_not_fresh_has_proved_nothing(app: Quart, ada: Any, database: str) -> None:
    await Visitor(QuartLoginClient(app, user=ada, fresh_login=False)).get("/account")

    assert proved(database) == [""]
