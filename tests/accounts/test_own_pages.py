"""Attacks on the line between the accounts' pages and the app's: spellings of paths, bodies, hosts, middleware."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import quart_wtf
from hypothesis import given
from hypothesis import strategies as st
from quart import Quart, request
from werkzeug.exceptions import HTTPException

from client import KEY, Visitor
from databases import run_sql
from quartlogin import current_user, login_required
from quartlogin.accounts import Accounts, StoreUnavailable, get_accounts
from quartlogin.accounts.security.hardening import MAX_BODY, OwnPages
from quartlogin.accounts.testing import PASSWORD, create_user, signed_in_client, use_cheap_hashes

#: A header that no view sets by itself.
NOSNIFF = "x-content-type-options"
FORM = "application/x-www-form-urlencoded"
CHUNK = 16 * 1024
MAX_READ = 2 * MAX_BODY
TEN_MEGABYTES = 10 * 1024 * 1024


def make_app(tmp_path: Path, prefix: str = "", **options: Any) -> Quart:
    """An app with an upload, a form and a catch-all of its own."""
    app = Quart("shop", root_path=str(tmp_path), **options)
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(tmp_path / "app.sqlite3"), prefix=prefix)
    use_cheap_hashes(app)

    @app.post("/upload")
    async def upload() -> str:
        return str(len(await request.get_data()))

    @app.get("/whoami")
    async def whoami() -> str:
        user = await current_user
        return str(user.username) if user.is_authenticated else "nobody"

    @app.get("/members")
    @login_required
    async def members() -> str:
        return "members"

    return app


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Quart]:
    made = make_app(tmp_path)
    async with made.test_app():
        yield made


@dataclass
class Answer:
    """What a server sees of one request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    bytes_read: int = 0


async def send(  # noqa: PLR0913 -- by name
    app: Quart,
    path: str,
    *,
    method: str = "POST",
    size: int = 0,
    length: int | None = None,
    root_path: str = "",
    scheme: str = "http",
    **headers: str,
) -> Answer:
    """Send one request as a server would: in chunks, with this `Content-Length`, or none."""
    answer, left, is_read, is_answered = Answer(), size, False, asyncio.Event()
    sent = {"host": "localhost", "content-type": FORM, **headers}
    if length is not None:
        sent["content-length"] = str(length)

    async def receive() -> Any:
        nonlocal left, is_read
        if is_read:
            await is_answered.wait()
        await asyncio.sleep(0)
        if is_answered.is_set():
            return {"type": "http.disconnect"}
        part = min(CHUNK, left)
        left -= part
        answer.bytes_read += part
        is_read = left == 0
        return {"type": "http.request", "body": b"x" * part, "more_body": left > 0}

    async def take(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                is_answered.set()

    scope = {
        "type": "http",
        "method": method,
        "scheme": scheme,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in sent.items()],
        "root_path": root_path,
        "http_version": "1.1",
        "client": ("192.0.2.1", 1),
        "extensions": {},
    }
    await app(scope, receive, take)  # type: ignore[arg-type]  # less than a server's
    return answer


# --- bodies


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "OPTIONS", "DELETE", "PUT"])
@pytest.mark.parametrize("length", [TEN_MEGABYTES, None])
async def test_a_large_body_to_the_login_page_is_not_read_whole(app: Quart, method: str, length: int | None) -> None:
    answer = await send(app, "/login", method=method, size=TEN_MEGABYTES, length=length)

    assert answer.bytes_read <= MAX_READ + CHUNK
    assert NOSNIFF in answer.headers
    if method == "POST":
        assert answer.status == 413


async def test_a_body_that_is_announced_as_too_large_is_refused_with_a_page_and_not_read(app: Quart) -> None:
    answer = await send(app, "/login", size=TEN_MEGABYTES, length=TEN_MEGABYTES)

    assert answer.status == 413
    assert answer.bytes_read == 0
    assert b"accounts/style.css" in answer.body


@pytest.mark.parametrize("length", [None, MAX_BODY + 1])
async def test_a_body_that_is_a_little_too_large_is_refused_with_a_page(app: Quart, length: int | None) -> None:
    answer = await send(app, "/login", size=MAX_BODY + 1, length=length)

    assert answer.status == 413
    assert b"accounts/style.css" in answer.body


@pytest.mark.parametrize("length", [0, 10, MAX_BODY])
async def test_a_content_length_that_lies_opens_nothing(app: Quart, length: int) -> None:
    answer = await send(app, "/login", size=TEN_MEGABYTES, length=length)

    assert answer.status == 413
    assert answer.bytes_read <= MAX_READ + CHUNK


@pytest.mark.parametrize("length", [TEN_MEGABYTES, None])
async def test_an_upload_of_ten_megabytes_to_the_app_is_read_whole(app: Quart, length: int | None) -> None:
    answer = await send(app, "/upload", size=TEN_MEGABYTES, length=length)

    assert (answer.status, answer.body) == (200, str(TEN_MEGABYTES).encode())
    assert NOSNIFF not in answer.headers


@pytest.mark.parametrize("limit", [1000, None])
async def test_our_limit_holds_beside_any_max_content_length(app: Quart, limit: int | None) -> None:
    app.config["MAX_CONTENT_LENGTH"] = limit

    answers = [await send(app, "/login", size=size, length=size) for size in (2000, MAX_BODY + 1)]

    assert [answer.status for answer in answers] == ([413, 413] if limit else [400, 413])


async def test_a_larger_limit_of_a_hardened_app_is_not_that_of_our_pages(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    get_accounts(app).harden(app, max_body=1_000_000)
    async with app.test_app():
        for length in (500_000, None):
            assert (await send(app, "/login", size=500_000, length=length)).status == 413
            assert (await send(app, "/upload", size=500_000, length=length)).status == 200
            assert (await send(app, "/upload", size=1_500_000, length=length)).status == 413


# --- which pages are ours


@pytest.mark.parametrize("path", ["/login", "//login", "///login", "http://localhost/login", "login"])
async def test_every_spelling_that_reaches_a_page_of_ours_is_limited_and_has_its_headers(app: Quart, path: str) -> None:
    page = await send(app, path, method="GET")
    large = await send(app, path, size=TEN_MEGABYTES)

    assert b'name="password"' in page.body
    assert NOSNIFF in page.headers
    assert large.status == 413
    assert large.bytes_read <= MAX_READ + CHUNK


@pytest.mark.parametrize("path", ["/login/", "/LOGIN", "/./login", "/x/../login", "/login;x", "/%6cogin", "/login\0"])
async def test_no_other_spelling_reaches_a_page_of_ours(app: Quart, path: str) -> None:
    page = await send(app, path, method="GET")

    assert page.status in {301, 308, 404}
    assert NOSNIFF not in page.headers


PIECES = ["login", "account", "logins", "revoke", "me", "static", "accounts", "upload", "", ".", "..", "//", "%2f", "x"]


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=5),
    begin=st.sampled_from(["/", "", "//", "/me/", "http://localhost/", "/site/", "/site/me/"]),
    method=st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PATCH"]),
    root=st.sampled_from(["", "/site", "/site/me", "/login"]),
)
async def test_ours_are_the_requests_that_quart_gives_to_our_endpoints(
    pieces: list[str], begin: str, method: str, root: str
) -> None:
    app = mapped()
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": begin + "/".join(pieces),
        "root_path": root,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "http_version": "1.1",
        "client": None,
    }
    if not scope["path"]:
        return  # no server sends it
    connection: Any = BARE_CONNECTION(app, scope)  # type: ignore[arg-type]
    context = app.request_context(connection._create_request_from_scope(None))
    if context.request.url_rule is None and context.request.routing_exception is None:
        context.match_request()
    rule, refused = context.request.url_rule, context.request.routing_exception

    if rule is not None:
        assert OwnPages(app).include(scope) == rule.endpoint.startswith("accounts.")
    elif isinstance(refused, HTTPException) and refused.code == 404:
        assert not OwnPages(app).include(scope)


BARE_CONNECTION = Quart.asgi_http_class
_MAPPED: list[Quart] = []


def mapped() -> Quart:
    if not _MAPPED:
        _MAPPED.append(make_app(Path("/nowhere"), prefix="/me"))
    return _MAPPED[0]


async def test_our_pages_are_found_when_the_app_matches_hosts(tmp_path: Path) -> None:
    app = make_app(tmp_path, host_matching=True, static_folder=None)
    for rule in app.url_map.iter_rules():
        assert not rule.host
    async with app.test_app():
        page = await send(app, "/login", method="GET")
        large = await send(app, "/login", size=TEN_MEGABYTES)

    assert (page.status == 200) == (NOSNIFF in page.headers)
    assert large.bytes_read <= MAX_READ + CHUNK or page.status == 404


async def test_our_pages_are_found_behind_middleware_that_changes_the_path(tmp_path: Path) -> None:
    class Stripping(Quart):
        async def asgi_app(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "path": scope["path"].removeprefix("/v1")}
            await super().asgi_app(scope, receive, send)

    app = Stripping("shop", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=str(tmp_path / "app.sqlite3"))
    async with app.test_app():
        page = await send(app, "/v1/login", method="GET")
        large = await send(app, "/v1/login", size=TEN_MEGABYTES, length=TEN_MEGABYTES)

    assert page.status == 200
    assert NOSNIFF in page.headers
    assert (large.status, large.bytes_read) == (413, 0)


async def test_each_of_several_apps_protects_its_own_pages(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = make_app(tmp_path), make_app(tmp_path / "other", prefix="/me")
    async with first.test_app(), second.test_app():
        answers = {
            (app, path): NOSNIFF in (await send(app, path, method="GET")).headers
            for app in (first, second)
            for path in ("/login", "/me/login")
        }

    assert answers == {
        (first, "/login"): True,
        (first, "/me/login"): False,
        (second, "/login"): False,
        (second, "/me/login"): True,
    }


# --- headers


async def test_strict_transport_security_is_for_the_app_to_decide(tmp_path: Path) -> None:
    """It would hold for all pages of the host and of its subdomains."""
    app = make_app(tmp_path)
    async with app.test_app():
        scoped = await send(app, "/login", method="GET", scheme="https")
    (tmp_path / "other").mkdir()
    app = make_app(tmp_path / "other")
    get_accounts(app).harden(app)
    async with app.test_app():
        hardened = await send(app, "/login", method="GET", scheme="https")

    assert "strict-transport-security" not in scoped.headers
    assert "strict-transport-security" in hardened.headers


@pytest.mark.parametrize("path", ["/login", "/register", "/logout", "/account", "/.well-known/change-password"])
async def test_our_pages_are_not_stored_by_caches(app: Quart, path: str) -> None:
    assert "no-store" in (await send(app, path, method="GET")).headers["cache-control"]


async def test_a_method_that_a_page_of_ours_refuses_has_the_headers(app: Quart) -> None:
    answer = await send(app, "/account/tokens", method="GET")

    assert answer.status == 405
    assert NOSNIFF in answer.headers


# --- cross-site requests


def posts_of_ours(app: Quart) -> list[str]:
    rules = [rule for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())]
    return [rule.rule.replace("<public_id>", "0" * 16) for rule in rules if rule.endpoint.startswith("accounts.")]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost.evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://localhost"},
    ],
    ids=str,
)
async def test_csrf_a_cross_site_post_is_refused_on_each_page_of_ours(app: Quart, headers: dict[str, str]) -> None:
    paths = posts_of_ours(app)
    statuses = {path: (await send(app, path, size=10, length=10, **headers)).status for path in paths}

    assert len(paths) > 5
    assert set(statuses.values()) == {403}


@pytest.mark.parametrize("name", ["x_http_method_override", "x_method_override", "x_http_method"])
async def test_csrf_a_method_override_makes_no_get_of_a_post(app: Quart, name: str) -> None:
    forged = await send(app, "/logout", size=10, length=10, origin="https://evil.example", **{name: "GET"})

    assert forged.status == 403


async def test_csrf_in_a_hardened_app_cross_site_requests_reach_none_of_its_functions(tmp_path: Path) -> None:
    app, seen = make_app(tmp_path), []

    @app.before_request
    async def count() -> None:
        seen.append(request.path)

    get_accounts(app).harden(app)
    async with app.test_app():
        answer = await send(app, "/upload", size=10, length=10, origin="https://evil.example")

    assert answer.status == 403
    assert seen == []


async def test_csrf_pages_of_ours_work_beside_quart_wtf(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    quart_wtf.CSRFProtect(app)
    async with app.test_app():
        await create_user(app, "Ada")
        ada = Visitor(app.test_client())
        signed_in = await ada.sign_in("Ada", PASSWORD)
        forged = await ada.post("/logout", {"csrf_token": "forged"})
        own = await ada.post("/upload", {"a": "b"})

    assert (signed_in.status, forged.status, own.status) == (302, 400, 400)
    assert "accounts/style.css" in forged.text
    assert "accounts/style.css" not in own.text


# --- errors


async def test_a_database_that_is_down_shows_no_page_of_ours_on_the_apps_routes(app: Quart) -> None:
    ada = Visitor(signed_in_client(app, await create_user(app, "Ada")))
    assert (await ada.get("/whoami")).text == "Ada"
    await get_accounts(app).store.database.close()

    theirs, ours = await ada.get("/whoami"), await ada.get("/account")
    await get_accounts(app).store.database.open(create_tables=True, is_shared=True)

    assert (theirs.status, ours.status) == (503, 503)
    assert theirs.headers["Retry-After"] == "5"
    assert "accounts/style.css" not in theirs.text
    assert "accounts/style.css" in ours.text


async def test_a_handler_of_the_app_for_our_errors_stays(tmp_path: Path) -> None:
    app = Quart("shop", root_path=str(tmp_path))
    app.config["SECRET_KEY"] = KEY

    @app.errorhandler(StoreUnavailable)
    async def down(_: StoreUnavailable) -> tuple[str, int]:
        return "the shop is closed", 503

    @app.get("/")
    async def shop() -> str:
        raise StoreUnavailable("gone")

    Accounts(app, database=str(tmp_path / "app.sqlite3"))
    async with app.test_app():
        assert (await Visitor(app.test_client()).get("/")).text == "the shop is closed"


# --- a password that must be changed


async def remembered_but_must_change(app: Quart) -> Visitor:
    await create_user(app, "Ada")
    ada = Visitor(app.test_client())
    await ada.fill_in("/login", username="Ada", password=PASSWORD, remember="y")
    run_sql(get_accounts(app).store.database.label, "UPDATE quartlogin_accounts SET must_change_password = TRUE")
    return ada


async def test_a_login_that_is_nobodys_on_the_apps_pages_is_still_remembered(app: Quart) -> None:
    ada = await remembered_but_must_change(app)
    before = set(ada.cookies)

    assert (await ada.get("/whoami")).text == "nobody"
    assert set(ada.cookies) == before
    ada.client.delete_cookie("localhost", "session")
    assert (await ada.get("/whoami")).text == "nobody"
    assert (await ada.get("/account")).location == "/account/password"


async def test_a_login_that_is_nobodys_is_not_logged_as_a_refused_token(
    app: Quart, caplog: pytest.LogCaptureFixture
) -> None:
    ada = Visitor(signed_in_client(app, await create_user(app, "Ada")))
    page = await ada.get("/account")
    made = await ada.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    token = made.text.partition('id="new-token"')[2].partition("<code>")[2].partition("</code>")[0]
    run_sql(get_accounts(app).store.database.label, "UPDATE quartlogin_accounts SET must_change_password = TRUE")

    with caplog.at_level(logging.INFO):
        answer = await send(app, "/members", method="GET", authorization=f"Bearer {token}", accept="application/json")

    assert answer.status == 401
    assert "bearer_refused" not in caplog.text
