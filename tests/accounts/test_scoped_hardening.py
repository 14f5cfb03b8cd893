"""What the accounts protect in somebody's app, and what they leave alone."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, abort, request

from client import KEY, NEW_PASSWORD, Visitor
from databases import run_sql
from quartlogin import ConfigurationError, current_user, login_required
from quartlogin.accounts import Accounts, get_accounts
from quartlogin.accounts.testing import PASSWORD as TEST_PASSWORD
from quartlogin.accounts.testing import create_user, signed_in_client, use_cheap_hashes
from sockets import open_socket

ELSEWHERE = {"Origin": "https://evil.example"}
POLICY = "Content-Security-Policy"
LARGE = {"data": b"password=" + b"x" * 100_000, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}


def make_app(tmp_path: Path, **options: Any) -> Quart:
    app = Quart("shop", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(tmp_path / "app.sqlite3"), **options)
    use_cheap_hashes(app)

    @app.post("/upload")
    async def upload() -> str:
        return str(len(await request.get_data()))

    @app.get("/account/orders")
    async def orders() -> tuple[str, dict[str, str]]:
        return "orders", {"Cache-Control": "public, max-age=60"}

    @app.get("/me")
    @login_required
    async def me() -> str:
        return str(current_user.username)

    @app.get("/public")
    async def public() -> str:
        user = await current_user
        return "somebody" if user.is_authenticated else "nobody"

    @app.websocket("/chat")
    @login_required
    async def chat() -> None:
        pass

    @app.get("/broken")
    async def broken() -> str:
        abort(409)

    @app.errorhandler(404)
    async def not_found(_: Any) -> tuple[str, int]:
        return "the shop's 404", 404

    return app


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    made = make_app(tmp_path)
    async with made.test_app():
        yield made


@pytest.fixture
async def hardened(tmp_path: Path) -> AsyncIterator[Quart]:
    made = make_app(tmp_path)
    get_accounts(made).harden(made)
    async with made.test_app():
        yield made


@pytest.fixture
def visitor(app: Quart) -> Visitor:
    return Visitor(app.test_client())


# --- headers


@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/static/accounts/style.css"])
async def test_our_pages_have_the_security_headers(visitor: Visitor, path: str) -> None:
    page = await visitor.get(path)

    assert "frame-ancestors 'none'" in page.headers[POLICY]
    assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/public", "/account/orders", "/nowhere", "/broken"])
async def test_the_apps_pages_get_no_headers(visitor: Visitor, path: str) -> None:
    assert POLICY not in (await visitor.get(path)).headers


async def test_the_apps_cache_headers_stay(visitor: Visitor) -> None:
    assert (await visitor.get("/account/orders")).headers["Cache-Control"] == "public, max-age=60"


# --- bodies


async def test_an_upload_of_the_app_is_as_large_as_the_app_allows(visitor: Visitor) -> None:
    page = await visitor.request("POST", "/upload", data=b"x" * 10_000_000)

    assert page.text == "10000000"


@pytest.mark.parametrize("path", ["/login", "/register"])
async def test_a_large_body_is_refused_on_our_pages(visitor: Visitor, path: str) -> None:
    page = await visitor.request("POST", path, **LARGE)

    assert page.status == 413
    assert POLICY in page.headers


@pytest.mark.parametrize("path", ["//login", "/login/", "/LOGIN", "/./login", "/login%00", "/x/../login"])
async def test_no_other_spelling_of_a_path_reaches_our_pages(visitor: Visitor, path: str) -> None:
    page = await visitor.request("POST", path, **LARGE)

    assert page.status in {301, 308, 404, 413}
    assert 'name="password"' not in page.text


async def test_the_limit_holds_below_a_prefix_and_a_root(tmp_path: Path) -> None:
    app = make_app(tmp_path, prefix="/my")
    async with app.test_app():
        visitor = Visitor(app.test_client())
        below = await visitor.request("POST", "/my/login", **LARGE)
        mounted = await visitor.request("POST", "/site/my/login", **LARGE, root_path="/site")
        other = await visitor.request("POST", "/upload", **LARGE)

    assert (below.status, mounted.status, other.status) == (413, 413, 200)


# --- requests from other sites


@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/account/tokens", "/account/logins/revoke-others"])
async def test_csrf_from_another_site_is_refused_on_our_pages(visitor: Visitor, path: str) -> None:
    token = (await visitor.get("/login")).token

    page = await visitor.post(path, {"csrf_token": token, "username": "a", "password": "b"}, headers=ELSEWHERE)

    assert page.status == 403


async def test_requests_from_other_sites_reach_the_apps_own_views(visitor: Visitor) -> None:
    assert (await visitor.request("POST", "/upload", data=b"x", headers=ELSEWHERE)).status == 200


class Extension:
    """A CSRF extension, as quart-wtf's."""

    def __init__(self) -> None:
        self.exempted: list[str] = []

    def exempt(self, blueprint: Any) -> None:
        self.exempted.append(blueprint.name)


async def test_our_pages_are_exempt_from_a_csrf_extension_of_the_app(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    app.extensions["csrf"] = extension = Extension()

    async with app.test_app():
        assert extension.exempted == ["accounts"]


async def test_a_csrf_extension_that_cannot_exempt_them_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path)
    app.extensions["csrf"] = object()

    async with app.test_app():
        assert "CSRF extension" in caplog.text


# --- errors


async def test_the_apps_error_pages_stay(visitor: Visitor) -> None:
    assert (await visitor.get("/nowhere")).text == "the shop's 404"
    assert "accounts/style.css" not in (await visitor.get("/broken")).text


async def test_our_pages_answer_errors_in_their_own_style(app: Quart) -> None:
    ada = Visitor(signed_in_client(app, await create_user(app)))
    token = (await ada.get("/account")).token

    page = await ada.post("/account/logins/0123456789abcdef/revoke", {"csrf_token": token})

    assert page.status == 404
    assert "accounts/style.css" in page.text


# --- a password that must be changed


async def require_change(app: Quart) -> Visitor:
    user = await create_user(app, "Ada")
    ada = Visitor(app.test_client())
    await ada.sign_in("Ada", TEST_PASSWORD)
    run_sql(get_accounts(app).store.database.label, "UPDATE quartlogin_accounts SET must_change_password = TRUE")
    assert user is not None
    return ada


async def test_who_must_change_the_password_is_nobody_outside_our_pages(app: Quart) -> None:
    ada = await require_change(app)

    assert (await ada.get("/public")).text == "nobody"
    assert (await ada.get("/me")).location.startswith("/login")  # type: ignore[union-attr]
    cookie = "; ".join(f"{name}={value}" for name, value in ada.cookies.items())
    async with open_socket(app, "/chat", cookie=cookie, host="localhost") as socket:
        assert (await socket.first())["type"] != "websocket.accept"


async def test_who_must_change_the_password_can_do_so(app: Quart) -> None:
    ada = await require_change(app)
    await ada.get("/public")

    assert (await ada.get("/account")).location == "/account/password"
    await ada.fill_in("/account/password", current_password=TEST_PASSWORD, new_password=NEW_PASSWORD)

    assert (await ada.get("/public")).text == "somebody"
    assert (await ada.get("/account")).status == 200


# --- the whole app


async def test_a_hardened_app_is_protected_like_our_pages(hardened: Quart) -> None:
    visitor = Visitor(hardened.test_client())
    ada = await require_change(hardened)

    assert POLICY in (await visitor.get("/public")).headers
    assert (await visitor.request("POST", "/upload", data=b"x", headers=ELSEWHERE)).status == 403
    assert "accounts/style.css" in (await visitor.get("/broken")).text
    assert (await visitor.get("/nowhere")).text == "the shop's 404"
    assert (await ada.get("/me")).location == "/account/password"
    assert (await visitor.request("POST", "/upload", data=b"x" * 1_000_000)).text == "1000000"
    assert (await visitor.request("POST", "/login", **LARGE)).status == 413


async def test_a_header_that_a_view_sets_stays(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    get_accounts(app).harden(app)

    @app.get("/framed")
    async def framed() -> tuple[str, dict[str, str]]:
        return "", {POLICY: "frame-ancestors *"}

    async with app.test_app():
        assert (await Visitor(app.test_client()).get("/framed")).headers.getlist(POLICY) == ["frame-ancestors *"]


async def test_an_app_can_limit_all_bodies(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    get_accounts(app).harden(app, max_body=1000)

    async with app.test_app():
        visitor = Visitor(app.test_client())
        chunked = {"Transfer-Encoding": "chunked"}
        # In chunks, announced, and both: then the body is not read, and Werkzeug knows no length.
        for headers in ({}, {"Content-Length": "1001"}, {"Content-Length": "1001", **chunked}):
            assert (await visitor.request("POST", "/upload", data=b"x" * 1001, headers=headers)).status == 413


def test_an_app_is_hardened_once_and_with_accounts(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    accounts = get_accounts(app)
    accounts.harden(app)

    for other in (app, Quart("other")):
        with pytest.raises(ConfigurationError):
            accounts.harden(other)


def test_each_of_two_apps_with_the_same_accounts_is_hardened_by_itself(tmp_path: Path) -> None:
    accounts = Accounts(database=str(tmp_path / "app.sqlite3"))
    first, second = Quart("first"), Quart("second")
    accounts.init_app(first)
    accounts.harden(first)
    accounts.init_app(second)

    accounts.harden(second)
