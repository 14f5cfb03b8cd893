"""A validly signed session may hold contents of any type and any text: never a 500.

They may come from an older version of the app, from another part of it that writes to the same session, or from
anyone who has the key.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from quart import Quart, flash, get_flashed_messages, jsonify

from amounts import examples
from client import KEY, PASSWORD, Visitor, header_of
from databases import run_sql
from quartlogin import (
    LoginManager,
    SignedSessionInterface,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_remembered,
    login_required,
    login_secret_hash,
    login_user,
    logout_user,
    safe_next,
)
from quartlogin.sessions.login_session import SESSION_KEYS
from quartlogin.tokens import Token, dump
from slow import mostly_slow
from sockets import open_socket

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    10**18,
    -(10**18),
    10**400,
    -(10**400),
    1.5,
    -0.0,
    1e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    " ",
    "set",
    "clear",
    "\0",
    "a\0b",
    "\ud800",
    "a\udfffb",
    "\ud83d",
    "😀",
    "é",
    "\u202e",
    "\r\nSet-Cookie: a=b",
    "//evil.example",
    "x" * 2000,
    "１",
    [],
    [None],
    [["message", "\ud800"]],
    [["message"], ["a", "b", "c"], "text", 1],
    ["\ud800"],
    [[]],
    {},
    {"a": {"b": []}},
    {"\ud800": "\0"},
    b"\xff\0",
    ("a", "b"),
    (("message", "hello"),),
    UUID(int=0),
    Markup("<b>"),
    datetime(1, 1, 1, tzinfo=UTC),
]
#: Whatever the package or the application reads, what Quart reads, and what nobody does.
KEYS = sorted(
    {*SESSION_KEYS, "_csrf", "_flashes", "_pending_sign_in", "_permanent", "csrf_token", "anything", "\ud800", ""}
)
PAGES = ["/", "/login?next=/account", "/account", "/reauthenticate", "/account/password", "/api/me"]
FORMS = ["/login", "/logout", "/account/tokens", "/account/password"]


def session_cookie(app: Quart, contents: dict[str, Any]) -> dict[str, str]:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return {"quartlogin": serializer.dumps(contents)}


def contents_in(app: Quart, visitor: Visitor) -> dict[str, Any]:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return dict(serializer.loads(visitor.cookies["quartlogin"]))


async def failures_of(app: Quart, contents: dict[str, Any], pages: list[str] = PAGES) -> list[str]:
    """The pages, forms and websockets that break for a browser with this session."""
    client, headers = app.test_client(use_cookies=False), header_of(session_cookie(app, contents))
    statuses = {path: (await client.get(path, headers=headers)).status_code for path in pages}
    fields = {"csrf_token": "x", "username": "Alice", "password": PASSWORD, "name": "backup"}
    for path in FORMS if pages is PAGES else []:
        statuses[f"POST {path}"] = (await client.post(path, form=fields, headers=headers)).status_code
    async with open_socket(app, "/account/live", **headers) as socket:
        first = await socket.first()
        if first["type"] == "websocket.http.response.start":
            statuses["/account/live"] = first["status"]
    return [f"{path}: {status}" for path, status in statuses.items() if status >= 500]


@pytest.fixture
async def real(app: Quart, visitor: Visitor) -> dict[str, Any]:
    """What the session of somebody holds who is signed in, and remembered."""
    await visitor.register("Alice")
    await visitor.sign_out()
    await visitor.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    return contents_in(app, visitor)


@pytest.mark.requirement("16.5.3", "V22")
@pytest.mark.parametrize("key", mostly_slow(KEYS, quick=1), ids=ascii)
async def test_no_page_breaks_on_a_signed_session_whatever_one_of_its_keys_holds(
    app: Quart, real: dict[str, Any], key: str
) -> None:
    broken = {}
    for value in VALUES:
        for contents, pages in (({**real, key: value}, PAGES), ({key: value}, PAGES[:2])):
            if failed := await failures_of(app, contents, pages):
                broken[f"{value!a:.60}, {len(contents)} keys"] = failed

    assert broken == {}


@pytest.mark.slow
@pytest.mark.requirement("16.5.3", "V22")
@pytest.mark.parametrize("key", ["_user_id", "_login_id", "_secret_hash", "_fresh", "_fresh_at", "_csrf", "_flashes"])
async def test_no_page_for_a_required_password_change_breaks_on_a_signed_session(
    app: Quart, real: dict[str, Any], database: str, key: str
) -> None:
    run_sql(database, "UPDATE quartlogin_accounts SET must_change_password = TRUE")

    broken = {f"{value!a:.60}": failed for value in VALUES if (failed := await failures_of(app, {**real, key: value}))}

    assert broken == {}


ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=12)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)


@pytest.mark.requirement("16.5.3", "V22")
@given(changes=st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4))
@settings(max_examples=examples(30), suppress_health_check=list(HealthCheck))
async def test_no_page_breaks_on_a_signed_session_with_anything_in_it(
    app: Quart, real: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert await failures_of(app, {**real, **changes}) == []
    assert await failures_of(app, changes) == []


# --- the extension, in an app that asks all that can be asked


class User(UserMixin):
    id = "ada"


class StrictRecords:
    """A record of logins that can keep only what a database takes."""

    async def login_began(self, login: Any) -> None:
        _keep(login.id, login.user_id, login.secret)

    async def login_restored(self, login: Any, new_secret: str | None) -> bool:
        _keep(login.id, login.user_id, login.secret)
        return True

    async def login_renewed(self, old_id: str, login: Any) -> None:
        _keep(old_id, login.id, login.user_id, login.secret)

    async def login_ended(self, login_id: str) -> None:
        _keep(login_id)


def _keep(*texts: str | None) -> None:
    """Refuse what asyncpg and sqlite3 refuse."""
    for text in texts:
        if text is not None and b"\0" in text.encode():
            raise ValueError("A NUL")


@pytest.fixture
def demo() -> Quart:
    app = Quart("demo")
    app.secret_key = KEY
    app.config["USE_SESSION_FOR_NEXT"] = True
    app.session_interface = SignedSessionInterface()
    manager: LoginManager[User] = LoginManager(app)
    manager.login_view = "/login"
    manager.refresh_view = "/login"
    manager.records = StrictRecords()

    @manager.user_loader
    async def load(user_id: str) -> User | None:
        _keep(user_id, login_id(), login_secret_hash())
        return User() if user_id == "ada" else None

    @app.get("/login")
    async def login() -> Any:
        from quart import session  # noqa: PLC0415

        return jsonify(safe_next(session.get("next")))

    @app.get("/sign-in")
    async def sign_in() -> str:
        await login_user(User(), remember=True)
        return ""

    @app.get("/told")
    async def told() -> Any:
        await flash("hello")
        return jsonify([login_fresh(), login_remembered(), login_id(), login_secret_hash()])

    @app.get("/seen")
    async def seen() -> Any:
        return jsonify([[category, str(text)] for category, text in get_flashed_messages(with_categories=True)])

    @app.get("/fresh")
    @fresh_login_required(max_age=timedelta(minutes=5))
    async def fresh() -> str:
        return ""

    @app.get("/confirm")
    @login_required
    async def confirm() -> str:
        await confirm_login()
        return ""

    @app.get("/out")
    async def out() -> str:
        await logout_user()
        return ""

    @app.get("/who")
    async def who() -> Any:
        return jsonify((await current_user).get_id())

    return app


VIEWS = ["/sign-in", "/told", "/seen", "/login", "/fresh", "/confirm", "/out"]
SIGNED_IN = {"_user_id": "ada", "_login_id": "a", "_fresh": True, "_fresh_at": 1}


def demo_cookie(app: Quart, contents: dict[str, Any]) -> dict[str, str]:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return header_of({"session": serializer.dumps(contents)})


@pytest.mark.requirement("16.5.3", "V22")
@pytest.mark.parametrize("protection", ["basic", "strong"])
@pytest.mark.parametrize("key", mostly_slow(KEYS, quick=1), ids=ascii)
async def test_no_view_of_an_app_breaks_on_a_signed_session_whatever_one_of_its_keys_holds(
    demo: Quart, key: str, protection: str
) -> None:
    demo.config["SESSION_PROTECTION"] = protection
    client, broken = demo.test_client(use_cookies=False), {}
    for value in VALUES:
        for contents in ({**SIGNED_IN, key: value}, {key: value}):
            for path in VIEWS if contents.keys() > {key} else VIEWS[:3]:
                answer = await client.get(path, headers=demo_cookie(demo, contents))
                if answer.status_code >= 500:
                    broken[f"{path} {value!a:.60}, {len(contents)} keys"] = answer.status_code

    assert broken == {}


TOKENS = [
    (user, login, ends, secret, seconds)
    for user, login, secret in (
        ("ada", "a", None),
        ("\ud800", "a", "s"),
        ("ada", "\ud800", "s"),
        ("ada", "a", "\ud800"),
        ("\0", "a", "s"),
        ("ada", "\0", "s"),
        ("ada", "a", "\0"),
        ("", "", ""),
    )
    for ends in (10**10, 10**11, 10**12, 10**20, 10**300, True)
    for seconds in (None, 0, -1, 10**20, -(10**300), True)
]


@pytest.mark.slow
@pytest.mark.requirement("16.5.3", "V22")
@pytest.mark.parametrize("refresh", [False, True])
async def test_no_view_breaks_on_a_signed_token_whatever_it_holds(demo: Quart, refresh: bool) -> None:
    demo.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = refresh
    client, broken = demo.test_client(use_cookies=False), {}
    for parts in TOKENS:
        async with demo.test_request_context("/"):
            remember, bearer = dump("remember", Token(*parts)), dump("bearer", Token(*parts))
        for headers in (header_of({"remember_token": remember}), {"Authorization": f"Bearer {bearer}"}):
            for path in ("/who", "/told", "/confirm", "/out", "/sign-in"):
                answer = await client.get(path, headers=headers)
                if answer.status_code >= 500:
                    broken[f"{path} {parts!a:.80}"] = answer.status_code

    assert broken == {}


async def test_valid_session_contents_are_accepted(demo: Quart) -> None:
    """What all the others are held against."""
    headers = demo_cookie(demo, {"_user_id": "ada", "_login_id": "a", "_fresh": True, "_flashes": [("message", "hi")]})
    client = demo.test_client(use_cookies=False)

    who, seen = await client.get("/who", headers=headers), await client.get("/seen", headers=headers)

    assert await who.get_json() == "ada"
    assert await seen.get_json() == [["message", "hi"]]
