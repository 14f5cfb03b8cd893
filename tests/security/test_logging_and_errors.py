"""Security logging and error handling (ASVS V16): what is logged, log injection, information disclosure."""

import json
import logging
import re
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from quart import Quart

from client import KEY, PASSWORD, Visitor, add_user
from databases import both_databases, run_sql
from event_kinds import KINDS, LOGGED_ONLY
from quartlogin.accounts import get_accounts
from quartlogin.accounts.audit.account_updates import AccountUpdates
from quartlogin.accounts.audit.log import EventLimit
from quartlogin.accounts.cleanup import Cleanup
from quartlogin.accounts.features.logins.user_loader import LastSeen, UserLoader
from quartlogin.accounts.pages.error_pages import PAGES
from quartlogin.webapp import create_app
from sockets import open_socket
from waiting import eventually

PACKAGE = Path(__file__).parents[2] / "quartlogin"
SOURCES = sorted(PACKAGE.rglob("*.py"))
NewVisitor = Callable[[], Visitor]
Logged = Callable[[], list[dict[str, Any]]]

#: What ends a line somewhere, steers a terminal, or would be a record of its own.
INJECTIONS = [
    'x\n{"at": "2026-01-01T00:00:00Z", "event": "signed_in", "user": "root"}',
    "x\r\nevent=signed_in",
    "x\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029y",
    "x\x1b[2J\x1b]0;owned\x07",
    "x\x00y",
    '"}, {"event": "signed_in',
    "\u202egnorw",
    "%0a%0d${jndi:ldap://x}{{7*7}}",
    "\\n\\u000a",
    "x" * 5000,
]


def cookie_header(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


# --- attempts


@pytest.mark.requirement("16.3.2", "16.3.3", "16.2.1")
@pytest.mark.parametrize(
    ("request_", "headers", "event"),
    [
        ("GET /account", {}, "access_denied"),
        ("POST /account/tokens", {}, "access_denied"),
        ("GET /account", {"Cookie": "quartlogin=e30.aaaa.bbbb"}, "session_refused"),
        ("GET /", {"Cookie": "quartlogin=x"}, "session_refused"),
        ("GET /account", {"Cookie": "quartlogin_remember=x.y.z"}, "remember_refused"),
        ("GET /", {"Cookie": "quartlogin_remember=x.y.z"}, "remember_refused"),
        ("GET /api/me", {"Authorization": "Bearer x.y.z"}, "bearer_refused"),
        ("GET /", {"Authorization": "Bearer x.y.z"}, "bearer_refused"),
        ("POST /login", {}, "csrf_rejected"),
        ("POST /login", {"Origin": "https://evil.example"}, "cross_site_request_rejected"),
        ("POST /login", {"Sec-Fetch-Site": "cross-site"}, "cross_site_request_rejected"),
    ],
)
async def test_each_rejection_is_logged_once_and_stored_nowhere(
    app: Quart, logged: Logged, database: str, request_: str, headers: dict[str, str], event: str
) -> None:
    method, path = request_.split()
    form = {"form": {"username": "Alice"}} if method == "POST" else {}

    await Visitor(app.test_client(use_cookies=False)).request(method, path, headers=headers, **form)

    [told] = logged()
    assert (told["event"], told["route"]) == (event, request_)
    assert datetime.fromisoformat(told["at"]).tzinfo is not None
    assert {"address", "browser"} <= told.keys()
    assert run_sql(database, "SELECT count(*) FROM quartlogin_events") == [(0,)]


@pytest.mark.requirement("16.3.2", "8.2.2")
@pytest.mark.parametrize("path", ["/account/logins/{}/revoke", "/account/tokens/{}/revoke"])
async def test_idor_access_to_another_users_login_is_logged_once_with_the_user(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor, database: str, logged: Logged, path: str
) -> None:
    mallory = new_visitor()
    await visitor.register("Alice")
    await mallory.register("Mallory")
    [(public_id,)] = run_sql(
        database,
        "SELECT public_id FROM quartlogin_logins JOIN quartlogin_users u ON u.id = user_id WHERE username = 'Alice'",
    )
    [(who,)] = run_sql(database, "SELECT id FROM quartlogin_users WHERE username = 'Mallory'")
    token = (await mallory.get("/account")).token
    before = len(logged())

    answer = await mallory.post(path.format(public_id), {"csrf_token": token})

    [told] = logged()[before:]
    assert answer.status == 404
    assert (told["event"], told["user"], told["route"]) == (
        "object_access_denied",
        who,
        f"POST {path.format('<public_id>')}",
    )
    assert await visitor.is_signed_in()


@pytest.mark.requirement("16.3.3")
@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "javascript:alert(1)"])
async def test_open_redirect_attempts_are_logged_once_without_the_url(
    app: Quart, visitor: Visitor, logged: Logged, target: str
) -> None:
    await add_user(app, "Alice")

    await visitor.fill_in("/login", username="Alice", password=PASSWORD, next=target)

    assert [told["event"] for told in logged()] == ["signed_in", "open_redirect_blocked"]
    assert "evil" not in json.dumps(logged())


@pytest.mark.requirement("16.3.3", "4.4.2")
async def test_cross_site_websocket_hijacking_attempts_are_logged_once(
    app: Quart, visitor: Visitor, logged: Logged
) -> None:
    await visitor.register("Alice")
    before = len(logged())

    async with open_socket(
        app, "/account/live", Origin="https://evil.example", Cookie=cookie_header(visitor)
    ) as socket:
        status = await socket.status()

    [told] = logged()[before:]
    assert status == 403
    assert (told["event"], told["route"]) == ("cross_site_request_rejected", "WEBSOCKET /account/live")


@pytest.mark.requirement("16.3.3")
@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": ".."}, {"Host": "a", "Content-Length": "0", "Transfer-Encoding": "chunked"}],
)
async def test_malformed_requests_are_logged_once(database: str, logged: Logged, headers: dict[str, str]) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=["a"], TRUSTED_PROXIES=1)
    more = {"X-Forwarded-For": "192.0.2.7", "User-Agent": "x\x0b" + "y" * 999}

    answer = await Visitor(app.test_client()).get("/account?next=evil", headers={**headers, **more})

    [told] = logged()
    assert answer.status == 400
    assert (told["event"], told["address"], told["browser"][:3], len(told["browser"])) == (
        "malformed_request",
        "192.0.2.7",
        "x?y",
        256,
    )
    assert "evil" not in json.dumps(told)


@pytest.mark.requirement("16.3.3")
async def test_forged_device_cookies_are_logged_once(app: Quart, visitor: Visitor, logged: Logged) -> None:
    await add_user(app, "Alice")
    visitor.client.set_cookie("localhost", "quartlogin_browser", "made.up.cookie")

    await visitor.sign_in("Alice")

    assert [told["event"] for told in logged()] == ["invalid_device_cookie", "signed_in"]


@pytest.mark.requirement("16.3.1")
async def test_revoked_tokens_are_logged_as_denied(app: Quart, visitor: Visitor, database: str, logged: Logged) -> None:
    await visitor.register("Alice")
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "backup"})
    token = re.search(r"<code>([\w.-]{40,})</code>", made.text)[1]  # type: ignore[index]
    run_sql(database, "DELETE FROM quartlogin_logins WHERE kind = 'bearer'")
    before = len(logged())

    answer = await Visitor(app.test_client(use_cookies=False)).get(
        "/api/me", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status == 401
    assert [told["event"] for told in logged()[before:]] == ["bearer_refused"]
    assert token not in json.dumps(logged())


@pytest.mark.requirement("16.3.1")
async def test_ordinary_visits_log_no_rejection(visitor: Visitor, logged: Logged) -> None:
    await visitor.get("/login")
    await visitor.register("Alice")
    await visitor.get("/account")
    await visitor.sign_out()
    await visitor.fill_in("/login?next=/account", username="Alice", password=PASSWORD, remember="y", next="/account")
    await visitor.get("/api/me")
    await visitor.sign_out()
    await visitor.get("/")

    assert {told["event"] for told in logged()} == {"registered", "signed_in", "signed_out"}


# --- what is in a line


@pytest.mark.requirement("16.4.1")
@pytest.mark.parametrize("field", ["username", "password", "next", "csrf_token", "User-Agent", "X-Forwarded-For"])
async def test_log_injection_input_adds_no_line(visitor: Visitor, caplog: pytest.LogCaptureFixture, field: str) -> None:
    caplog.set_level(logging.INFO)
    token = (await visitor.get("/login")).token

    for text in INJECTIONS:
        fields = {"csrf_token": token, "username": "x", "password": "x"}
        in_header = re.sub(r"[\r\n\0]", "\x0b", text).encode("utf-8").decode("latin-1")
        as_header = {"headers": {field: in_header}} if "-" in field else {}
        await visitor.post("/login", fields if as_header else {**fields, field: text}, **as_header)

    lines = "\n".join(record.getMessage() for record in caplog.records if record.name == "quartlogin.audit")
    records = [json.loads(line) for line in lines.splitlines()]
    assert len(records) == len(INJECTIONS)
    assert {record["event"] for record in records} <= {"sign_in_failed", "csrf_rejected", "rate_limited"}
    assert "root" not in lines.replace('\\"root\\"', "")
    assert all(32 <= ord(character) < 127 for line in lines.splitlines() for character in line)
    assert max(len(line) for line in lines.splitlines()) < 2000


@pytest.mark.requirement("16.4.1", "16.5.4", "16.3.4")
async def test_log_injection_an_error_is_logged_once_and_its_url_adds_no_line(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture, logged: Logged
) -> None:
    app.testing = False

    @app.get("/failing/<anything>")
    async def failing(anything: str) -> None:
        raise KeyError("a secret of the program")

    page = await visitor.get("/failing/x%0a%7B%22event%22:%22signed_in%22%7D")
    faults = [record for record in caplog.records if record.levelno >= logging.ERROR]

    assert page.status == 500
    assert ["GET /failing/<anything>" in record.getMessage() for record in faults] == [True]
    [told] = logged()
    assert (told["event"], told["error"], told["route"]) == ("unexpected_error", "KeyError", "GET /failing/<anything>")
    assert "secret" not in json.dumps(told)


@pytest.mark.requirement("16.2.5")
async def test_logs_of_rejections_and_errors_contain_no_secret(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "quartlogin")
    await visitor.register("Alice")
    forged = {name: value[:-4] + "AAAA" for name, value in visitor.cookies.items()}
    header = "; ".join(f"{name}={value}" for name, value in forged.items())
    stranger = Visitor(app.test_client(use_cookies=False))
    secrets = [*forged.values(), *visitor.cookies.values(), "a-token-that-is-none", "mistyped secret", PASSWORD]

    await stranger.get("/account", headers={"Cookie": header})
    await stranger.get("/api/me", headers={"Authorization": "Bearer a-token-that-is-none"})
    await stranger.post(
        "/login", {"csrf_token": "mistyped secret", "username": "mistyped secret", "password": PASSWORD}
    )
    await visitor.sign_out()
    await visitor.fill_in("/login", username="mistyped secret", password="mistyped secret", next="//mistyped secret")

    assert caplog.text.count('"event"') >= 4
    assert [secret for secret in secrets if secret in caplog.text] == []


@pytest.mark.requirement("16.2.4", "16.2.2")
async def test_log_lines_are_json_with_a_time_in_utc(
    visitor: Visitor, new_visitor: NewVisitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin.audit")
    await visitor.get("/account")
    await visitor.register("Alice")
    await new_visitor().sign_in("Alice", "not the right password")
    await visitor.sign_out()

    lines = [record.getMessage() for record in caplog.records if record.name == "quartlogin.audit"]

    assert [json.loads(line)["event"] for line in lines] == [
        "access_denied",
        "registered",
        "signed_in",
        "sign_in_failed",
        "signed_out",
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", json.loads(line)["at"]) for line in lines)


@pytest.mark.requirement("16.1.1")
def test_events_of_the_documented_table_are_all_emitted() -> None:
    declarations = {"events.py", "kinds.py"}
    told = "".join(path.read_text("utf-8") for path in SOURCES if path.name not in declarations)

    put_together = {"remember_refused", "bearer_refused"}
    assert {kind for kind in KINDS | LOGGED_ONLY if f'"{kind}"' not in told} <= put_together


@pytest.mark.requirement("16.1.1")
def test_events_are_either_stored_or_only_logged() -> None:
    assert not KINDS.keys() & LOGGED_ONLY.keys()


# --- when the database, the loader or a handler fails


@pytest.mark.requirement("16.3.4", "16.5.2")
@both_databases
async def test_database_outages_are_logged_and_count_as_no_failed_attempt(
    app: Quart, visitor: Visitor, new_visitor: NewVisitor, database: str, logged: Logged
) -> None:
    await visitor.register("Alice")
    stranger = new_visitor()
    token = (await stranger.get("/login")).token
    cookies = dict(visitor.cookies)
    before = len(logged())
    await get_accounts(app).store.database.close()

    page = await visitor.get("/account")
    tried = await stranger.post("/login", {"csrf_token": token, "username": "Alice", "password": PASSWORD})
    await get_accounts(app).store.database.open()

    assert (page.status, tried.status) == (503, 503)
    assert [told["event"] for told in logged()[before:]] == ["database_unavailable"] * 2
    assert visitor.cookies == cookies
    assert run_sql(database, "SELECT count(*) FROM quartlogin_attempt_counters WHERE name LIKE 'user:%'") == [(0,)]
    assert await visitor.is_signed_in()
    assert (await stranger.sign_in("Alice")).status == 302


@pytest.mark.requirement("16.5.1", "16.5.3", "16.5.4")
@pytest.mark.parametrize("error", [KeyError("SELECT secret"), RuntimeError("x" * 10_000), OSError(5, "/etc/passwd")])
async def test_information_disclosure_a_failing_loader_shows_no_details_and_keeps_the_login(
    app: Quart, visitor: Visitor, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    app.testing = False
    await visitor.register("Alice")
    manager = get_accounts(app).login_manager
    loader = manager.user_callback
    cookies = dict(visitor.cookies)

    async def failing(_: str) -> None:
        raise error

    manager.user_loader(failing)
    pages = [await visitor.get(path) for path in ("/", "/account", "/api/me", "/login", "/account/password")]
    manager.user_loader(loader)  # type: ignore[arg-type]

    assert {page.status for page in pages} == {500}
    assert {"Set-Cookie" in page.headers for page in pages} == {False}
    assert [
        word
        for word in ("Traceback", "SELECT", "passwd", "xxx", "Alice", "quartlogin/")
        for page in pages
        if word in page.text
    ] == []
    assert visitor.cookies == cookies
    assert await visitor.is_signed_in()


@pytest.mark.requirement("16.5.4")
async def test_a_websocket_whose_loader_fails_is_rejected_and_logged_once(
    app: Quart, visitor: Visitor, logged: Logged
) -> None:
    app.testing = False
    await visitor.register("Alice")
    before = len(logged())

    with mock.patch.object(UserLoader, "find", side_effect=KeyError("anything")):
        get_accounts(app).login_manager.user_loader(get_accounts(app).user_loader.find)
        async with open_socket(app, "/account/live", Cookie=cookie_header(visitor)) as socket:
            status = await socket.status()

    assert status == 500
    assert [(told["event"], told["route"]) for told in logged()[before:]] == [
        ("unexpected_error", "WEBSOCKET /account/live")
    ]


@pytest.mark.requirement("16.5.4")
async def test_an_error_before_the_view_gets_an_error_page_and_is_logged_once(
    app: Quart, visitor: Visitor, logged: Logged
) -> None:
    app.testing = False

    async def failing() -> None:
        raise ValueError("anything")

    app.before_request(failing)
    page = await visitor.get("/")
    app.before_request_funcs[None].remove(failing)

    assert (page.status, f"<h1>{PAGES[500][0]}</h1>" in page.text) == (500, True)
    assert [told["event"] for told in logged()] == ["unexpected_error"]
    assert (await visitor.get("/")).status == 200


@pytest.mark.requirement("16.5.4")
async def test_background_tasks_survive_an_error(app: Quart, caplog: pytest.LogCaptureFixture) -> None:
    store = mock.Mock()
    store.logins.touch.side_effect = KeyError("anything")
    store.events.list_since.side_effect = KeyError("anything")
    store.passwords.list_hash_prefixes = mock.AsyncMock(return_value=([], None))
    last_seen, pages = LastSeen(store, 3600), AccountUpdates(store)

    last_seen.note("hash", "user", 0, 1000)
    await last_seen.flush()
    with mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.001), pages.listen("somebody"):
        await eventually(lambda: store.events.list_since.call_count > 2)
    with mock.patch("quartlogin.accounts.cleanup._FIRST", 0), mock.patch("quartlogin.accounts.cleanup._INTERVAL", 0):
        cleaning = Cleanup(store, create_app(SECRET_KEY=KEY).permanent_session_lifetime, EventLimit(store.events))
        await cleaning.start()
        await eventually(lambda: store.events.remove_before.call_count > 2)
        await cleaning.stop()

    places = Counter(record.module for record in caplog.records if record.levelno >= logging.WARNING)
    assert places["user_loader"] == 1
    assert places["account_updates"] > 2
    assert places["cleanup"] > 2
