"""`accounts.requires`: step-up to a proof, by guards and again by writes (RFC 9470; time of check, time of use)."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from quart import Blueprint, Quart, Request, request, websocket
from quart.testing.connections import WebsocketResponseError
from werkzeug.datastructures import WWWAuthenticate

from client import KEY, NEW_PASSWORD, PASSWORD, Page, Visitor, everything_stored
from databases import run_sql
from quartlogin import (
    ConfigurationError,
    QuartLoginClient,
    confirm_login,
    create_bearer_token,
    current_user,
    login_required,
    login_user,
)
from quartlogin.accounts import Accounts, Feature, current_accounts, proving
from quartlogin.accounts.accounts import default_features
from quartlogin.accounts.testing import create_user, use_cheap_hashes

TEN_MINUTES = timedelta(minutes=10)
JSON = {"Accept": "application/json"}


class Totp(Feature):
    """A feature that proves something else, on a page of its own."""

    name: ClassVar[str] = "totp"
    proofs: ClassVar[Mapping[str, str | None]] = {"totp": "views.code"}


accounts = Accounts(database="replaced", features=[*default_features(), Totp()])  # before there is an app
views = Blueprint("views", __name__)


@views.get("/code")
@login_required
async def code() -> str:
    with proving("totp"):  # after the code was checked
        await confirm_login()
    return "proved"


@views.get("/any")
@accounts.requires()
async def anything() -> str:
    return str(current_user.username)


@views.get("/password")
@accounts.requires("password", within=TEN_MINUTES)
def function() -> str:
    return str(current_user.username)


@views.get("/either")
@accounts.requires("password", "totp", within=TEN_MINUTES)
async def generator() -> AsyncIterator[str]:
    yield str(current_user.username)


@views.get("/both")
@accounts.requires("password")
@accounts.requires("totp")
async def both() -> str:
    return str(current_user.username)


@views.post("/mine/delete")
@accounts.requires()
async def delete_by_a_view_of_the_apps_own() -> str:
    await request.get_data()
    await current_accounts().delete(PASSWORD)
    return "deleted"


@views.websocket("/live")
@accounts.requires("password")
@accounts.requires("totp", within=TEN_MINUTES)
async def live() -> None:
    await websocket.send(str(current_user.username))


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "app.sqlite3")


@pytest.fixture
async def app(database: str) -> AsyncIterator[Quart]:
    made = Quart("shop", root_path=str(Path(database).parent))
    made.config["SECRET_KEY"] = KEY
    Accounts(made, database=database, features=[*default_features(), Totp()])
    made.register_blueprint(views)
    use_cheap_hashes(made)
    async with made.test_app():
        yield made


@pytest.fixture
async def ada(app: Quart) -> Any:
    return await create_user(app, "Ada", password=PASSWORD)


@pytest.fixture
async def visitor(app: Quart, ada: Any) -> Visitor:
    """Ada's browser, in which she has just entered the password."""
    signed_in = Visitor(app.test_client())
    await signed_in.sign_in("Ada")
    return signed_in


def set_proofs(database: str, proofs: str) -> None:
    run_sql(database, f"UPDATE quartlogin_logins SET proofs = '{proofs}' WHERE kind = 'session'")


def ago(minutes: int) -> int:
    return int(time.time()) - 60 * minutes


def challenge_of(page: Page) -> dict[str, str | None]:
    found = WWWAuthenticate.from_header(page.headers["WWW-Authenticate"])
    assert found is not None
    assert found.type == "bearer"
    return dict(found.parameters)


async def answers(visitor: Visitor, *paths: str) -> list[str | None]:
    """What each path answers: the text of its page, or where it leads."""
    pages = [await visitor.get(path) for path in paths]
    return [page.text if page.status == 200 else page.location for page in pages]


# --- pages


async def test_it_implies_being_signed_in(app: Quart) -> None:
    assert await answers(Visitor(app.test_client()), "/any", "/both") == ["/login?next=%2Fany", "/login?next=%2Fboth"]


async def test_a_page_leads_to_the_one_that_asks_for_the_password_and_back(visitor: Visitor, database: str) -> None:
    assert await answers(visitor, "/any", "/password", "/either") == ["Ada", "Ada", "Ada"]
    set_proofs(database, f"password:{ago(11)}")

    assert await answers(visitor, "/any", "/password", "/either") == [
        "Ada",
        "/reauthenticate?next=%2Fpassword",
        "/reauthenticate?next=%2Feither",
    ]
    page = await visitor.get("/reauthenticate?next=/password")
    done = await visitor.post("/reauthenticate", {"csrf_token": page.token, "password": PASSWORD, "next": "/password"})

    assert done.location == "/password"
    assert await answers(visitor, "/password", "/either") == ["Ada", "Ada"]


async def test_alternatives_are_met_by_one_and_stacked_decorators_by_all(visitor: Visitor, database: str) -> None:
    set_proofs(database, f"totp:{ago(1)}")
    assert await answers(visitor, "/either", "/password") == ["Ada", "/reauthenticate?next=%2Fpassword"]
    assert await answers(visitor, "/both") == ["/reauthenticate?next=%2Fboth"]

    set_proofs(database, f"password:{ago(60)}")
    assert await answers(visitor, "/both") == ["/code?next=%2Fboth"]


async def test_a_feature_of_ones_own_proves_what_it_has_checked(visitor: Visitor) -> None:
    assert await answers(visitor, "/both", "/code", "/both") == ["/code?next=%2Fboth", "proved", "Ada"]


async def test_replay_a_cookie_that_says_fresh_is_worth_nothing_if_the_row_does_not(
    app: Quart, visitor: Visitor, database: str
) -> None:
    """The cookie of a fresh login, copied before its proof was gone."""
    set_proofs(database, "")

    assert await answers(visitor, "/any", "/account/password") == [
        "/reauthenticate?next=%2Fany",
        "/reauthenticate?next=%2Faccount%2Fpassword",
    ]


async def test_a_login_that_a_remember_cookie_resumes_has_proved_nothing(app: Quart, ada: Any) -> None:
    visitor = Visitor(app.test_client())
    await visitor.fill_in("/login", username="Ada", password=PASSWORD, remember="y")
    visitor.client.delete_cookie("localhost", "session")

    assert await answers(visitor, "/any") == ["/reauthenticate?next=%2Fany"]
    assert await visitor.is_signed_in()
    await visitor.fill_in("/reauthenticate", password=PASSWORD)
    assert await answers(visitor, "/any", "/password") == ["Ada", "Ada"]


async def test_cookie_theft_a_copied_remember_cookie_takes_the_proof_from_the_login(app: Quart, ada: Any) -> None:
    """The login that the copy resumes is the one that was fresh, and its own browser is asked as well."""
    visitor, thief = Visitor(app.test_client()), Visitor(app.test_client())
    await visitor.fill_in("/login", username="Ada", password=PASSWORD, remember="y")
    thief.client.set_cookie("localhost", "remember_token", visitor.cookies["remember_token"])
    assert await answers(visitor, "/any") == ["Ada"]

    assert await answers(thief, "/any") == ["/reauthenticate?next=%2Fany"]
    assert await answers(visitor, "/any") == ["/reauthenticate?next=%2Fany"]


async def test_a_sign_in_of_the_apps_own_is_fresh_but_has_proved_no_password(app: Quart, ada: Any) -> None:
    client = QuartLoginClient(app, user=ada)

    assert await answers(Visitor(client), "/any", "/password") == ["Ada", "/reauthenticate?next=%2Fpassword"]


async def test_session_hijacking_a_proof_is_worth_nothing_in_another_browser(visitor: Visitor) -> None:
    page = await visitor.get("/any", headers={"User-Agent": "another browser"})

    assert page.location == "/reauthenticate?next=%2Fany"


async def test_a_sign_in_before_the_guard_of_the_same_request_counts_and_the_former_one_does_not(
    app: Quart, visitor: Visitor
) -> None:
    grace = await create_user(app, "Grace")

    @app.before_request
    async def sign_in_first() -> None:
        await current_user
        await login_user(grace)

    assert await answers(Visitor(app.test_client()), "/any") == ["Grace"]
    assert await answers(visitor, "/password") == ["/reauthenticate?next=%2Fpassword"]


async def test_what_is_proved_before_the_guard_of_the_same_request_counts(app: Quart, visitor: Visitor) -> None:
    @app.before_request
    async def prove_first() -> None:
        await current_user
        with proving("totp"):
            await confirm_login()

    assert await answers(visitor, "/both") == ["Ada"]


# --- other clients


async def test_an_api_client_gets_the_challenge_of_rfc_9470(visitor: Visitor, database: str) -> None:
    set_proofs(database, f"password:{ago(11)}")

    page = await visitor.get("/either", headers=JSON)

    assert (page.status, page.headers["Content-Type"]) == (401, "application/problem+json")
    assert challenge_of(page) == {
        "error": "insufficient_user_authentication",
        "max_age": "600",
        "acr_values": "password totp",
    }


async def test_a_bearer_token_cannot_prove_anything(app: Quart, ada: Any, visitor: Visitor) -> None:
    async with app.test_request_context("/"):
        await login_user(ada)
        token = await create_bearer_token(ada, duration=timedelta(days=1))

    page = await visitor.get("/any", headers={"Authorization": f"Bearer {token}"})

    assert page.status == 401
    assert challenge_of(page) == {"error": "insufficient_user_authentication"}


async def test_a_websocket_is_refused(visitor: Visitor, database: str) -> None:
    async def hear() -> Any:
        async with asyncio.timeout(60), visitor.client.websocket("/live") as connection:
            return await connection.receive()

    with pytest.raises(WebsocketResponseError) as refusal:
        await hear()
    set_proofs(database, f"password:{ago(60)} totp:{ago(1)}")

    assert refusal.value.response.status_code == 401
    assert await hear() == "Ada"


# --- arguments


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        (("pasword",), {}, "pasword"),
        ((3,), {}, "3"),
        ((function,), {}, "parentheses"),
        ((), {"within": 600}, "within"),
        ((), {"within": timedelta(0)}, "within"),
    ],
)
def test_what_no_feature_proves_is_refused_where_it_is_written(
    arguments: tuple[Any, ...], options: dict[str, Any], word: str
) -> None:
    with pytest.raises(ConfigurationError, match=word) as refusal:
        accounts.requires(*arguments, **options)

    assert str(refusal.value).count("\n") == 0


@pytest.mark.parametrize("name", ["app", "e-mail", "Totp", ""])
def test_a_proof_that_cannot_be_kept_is_refused(name: str) -> None:
    odd = type("Odd", (Totp,), {"proofs": {name: "views.code"}})()

    with pytest.raises(ConfigurationError, match=repr(name)):
        Accounts(database="app.sqlite3", features=[*default_features(), odd])
    with pytest.raises(ConfigurationError, match=repr(name)), proving(name):
        pass


async def test_a_proof_without_its_page_stops_the_start(app: Quart, database: str) -> None:
    odd = type("Odd", (Totp,), {"proofs": {"totp": "views.nowhere"}})()
    other = Quart("other")
    other.config["SECRET_KEY"] = KEY
    Accounts(other, database=database, features=[*default_features(), odd])

    with pytest.raises(ConfigurationError, match=r"views\.nowhere"):
        await other.startup()


# --- writes


WRITES = {
    "/account/password": {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "/account/delete": {"password": PASSWORD},
    "/account/tokens": {"name": "backup"},
    "/account/logins/revoke-others": {},
    "/account/logins/{other}/revoke": {},
    "/mine/delete": {"password": PASSWORD},
}


def interrupt(app: Quart, between: Callable[[], None]) -> None:
    """Let something happen between a request's guard and its body."""

    class Interrupted(app.request_class):  # type: ignore[misc,name-defined]  # it is a class, of Quart's requests
        async def get_data(self, *args: Any, **options: Any) -> Any:
            between()
            return await Request.get_data(self, *args, **options)

    app.request_class = Interrupted


@pytest.mark.requirement("7.5.1", "2.3.1")
@pytest.mark.parametrize("path", WRITES)
async def test_toctou_a_proof_that_is_gone_when_the_body_arrives_changes_nothing(
    app: Quart, ada: Any, visitor: Visitor, database: str, path: str
) -> None:
    await Visitor(app.test_client()).sign_in("Ada")
    account, before = await visitor.get("/account"), everything_stored(database)
    [*_, other] = re.findall(r"/account/logins/(\w{16})/revoke", account.text)
    interrupt(app, lambda: set_proofs(database, ""))

    page = await visitor.post(path.format(other=other), {"csrf_token": account.token, **WRITES[path]})

    assert (page.status, (page.location or "").partition("?")[0]) == (302, "/reauthenticate")
    assert everything_stored(database) == before
