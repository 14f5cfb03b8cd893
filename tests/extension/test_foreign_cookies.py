"""Cookies of other apps on the same host, which neither port nor path separates from ours."""

from datetime import timedelta
from http.cookiejar import Cookie
from typing import Any

import flask_login
import pytest
from browsers import KEY, Clock, is_deletion, restart, see, serializer, set_by, sign_in_ada
from browsers import home as home_view
from itsdangerous import URLSafeTimedSerializer
from quart import Quart, flash, session
from quart.testing import QuartClient
from users import ADA, BY_ID, User

from quartlogin import LoginManager, SignedSessionInterface, login_user, logout_user

SESSIONS = pytest.mark.parametrize("sessions", ["Quart's", "signed"])
#: Remember cookies that we have not signed.
FOREIGN = {
    "nonsense": "broken",
    "another key": serializer(key="another key").dumps('["1","a",9999999999,null,null]'),
    "another app": serializer(app="another app").dumps('["1","a",9999999999,null,null]'),
    "another purpose": serializer(purpose="bearer").dumps('["1","a",9999999999,null,null]'),
    "Flask-Login, another key": flask_login.encode_cookie("1", "another key"),
    "quart-auth": URLSafeTimedSerializer(KEY, "quart auth salt").dumps("1"),
    "empty": "",
}


def make_app(name: str, key: str, sessions: str = "Quart's", **config: Any) -> Quart:
    app = Quart(name, static_folder=None)
    app.secret_key = key
    app.config.update(config)
    if sessions == "signed":
        app.session_interface = SignedSessionInterface()
    login_manager: LoginManager[User] = LoginManager(app)

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        return BY_ID.get(user_id)

    app.add_url_rule("/", view_func=home_view)

    @app.post("/login")
    async def login() -> str:
        await login_user(ADA, remember=True)
        return ""

    @app.post("/brief")
    async def brief() -> str:
        await login_user(ADA)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.get("/clear")
    async def clear() -> str:
        session.clear()
        return ""

    @app.get("/flash")
    async def say() -> str:
        await flash("Hello.")
        return ""

    return app


async def go(app: Quart, path: str, cookies: dict[str, str], method: str = "GET", **options: Any) -> dict[str, Any]:
    header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    client = app.test_client(use_cookies=False)
    return dict(set_by(await client.open(path, method=method, headers=header, **options)))


@SESSIONS
@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/logout", "POST"), ("/brief", "POST")])
async def test_a_remember_cookie_that_we_did_not_sign_is_never_deleted(
    sessions: str, value: str, path: str, method: str
) -> None:
    app = make_app("site", KEY, sessions)

    changed = await go(app, path, {"remember_token": value}, method)

    assert "remember_token" not in changed


@SESSIONS
async def test_a_visit_leaves_the_login_of_another_app_alone(sessions: str) -> None:
    """Two apps on one host, on different ports: browsers send each the other's cookies."""
    ours, theirs = make_app("ours", "our key", sessions), make_app("theirs", "their key", sessions)
    browser: Any = theirs.test_client()
    await browser.post("/login")

    visitor: Any = ours.test_client()
    visitor.cookie_jar = browser.cookie_jar
    for path in ("/", "/clear", "/"):
        await visitor.get(path)
    await visitor.post("/logout")
    browser.cookie_jar = visitor.cookie_jar
    restart(browser)  # else the session alone would do

    assert (await see(browser))["name"] == "Ada"


@pytest.mark.parametrize("value", ["broken", "a.b.c", SignedSessionInterface.__name__])
async def test_a_session_cookie_that_we_did_not_sign_is_never_deleted(value: str) -> None:
    app = make_app("site", KEY, "signed")

    for path, method in (("/", "GET"), ("/clear", "GET"), ("/logout", "POST")):
        assert await go(app, path, {"session": value}, method) == {}


async def test_the_session_of_another_app_under_the_same_key_is_never_deleted() -> None:
    """Two apps of one site: the audience keeps their sessions apart."""
    theirs = make_app("theirs", KEY, "signed").test_client()
    await theirs.post("/login")
    assert theirs.cookie_jar is not None
    cookies = {cookie.name: str(cookie.value) for cookie in theirs.cookie_jar}

    for path, method in (("/", "GET"), ("/clear", "GET"), ("/logout", "POST")):
        assert await go(make_app("ours", KEY, "signed"), path, cookies, method) == {}


async def test_flasks_cookie_is_deleted_only_if_it_was_read() -> None:
    app = make_app("site", KEY)
    app.session_interface = SignedSessionInterface(read_flask_cookie=True)

    changed = await go(app, "/flash", {"session": "another app's"}, scheme="https")

    assert changed.keys() == {"__Host-session"}


@SESSIONS
async def test_a_remember_cookie_of_ours_that_has_expired_is_deleted(sessions: str, clock: Clock) -> None:
    app = make_app("site", KEY, sessions)
    _, cookie = await sign_in_ada(app)
    clock.forward(timedelta(days=366))

    changed = await go(app, "/", {"remember_token": cookie.value})

    assert is_deletion(changed["remember_token"])


@SESSIONS
async def test_a_remember_cookie_of_ours_whose_user_is_gone_is_deleted(
    sessions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app("site", KEY, sessions)
    _, cookie = await sign_in_ada(app)
    monkeypatch.delitem(BY_ID, "1")

    changed = await go(app, "/", {"remember_token": cookie.value})

    assert is_deletion(changed["remember_token"])


async def test_a_session_cookie_of_ours_that_has_expired_is_deleted(clock: Clock) -> None:
    app = make_app("site", KEY, "signed")
    browser: Any = app.test_client()
    await browser.post("/brief")
    (cookie,) = browser.cookie_jar
    assert isinstance(cookie, Cookie)
    clock.forward(2 * app.permanent_session_lifetime)

    changed = await go(app, "/", {"session": str(cookie.value)})

    assert is_deletion(changed["session"])


@pytest.mark.parametrize("method", ["logout", "brief"])
async def test_flask_logins_cookie_under_our_key_is_deleted_by_a_logout_and_a_login(method: str) -> None:
    """It would sign in again, were it taken over."""
    changed = await go(
        make_app("site", KEY), f"/{method}", {"remember_token": flask_login.encode_cookie("1", KEY)}, "POST"
    )

    assert is_deletion(changed["remember_token"])


# --- partitioned cookies -------------------------------------------------------------------------------------------


@SESSIONS
@pytest.mark.parametrize("partitioned", [True, False])
async def test_the_remember_cookie_is_partitioned_as_the_session_cookie_is(sessions: str, partitioned: bool) -> None:
    app = make_app("site", KEY, sessions, SESSION_COOKIE_PARTITIONED=partitioned, SESSION_COOKIE_SECURE=partitioned)
    browser: QuartClient = app.test_client()  # type: ignore[assignment]
    signed_in = await browser.post("/login", scheme="https")
    cookies = "; ".join(line.partition(";")[0] for line in signed_in.headers.getlist("Set-Cookie"))
    signed_out = await app.test_client(use_cookies=False).post("/logout", scheme="https", headers={"Cookie": cookies})

    for response in (signed_in, signed_out):
        lines = response.headers.getlist("Set-Cookie")
        assert len(lines) == 2
        assert {"Partitioned" in line for line in lines} == {partitioned}
