"""The remember cookie: who gets one, its contents, its expiry, and cookie theft, tampering and replay."""

import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha512
from http.cookies import Morsel
from typing import Any

import pytest
from browsers import KEY, Clock, contents_of, home, is_deletion, restart, see, serializer, set_by, sign_in_ada
from hypothesis import example, given, settings
from hypothesis import strategies as st
from itsdangerous import BadSignature, URLSafeTimedSerializer
from quart import Quart, Response, session, websocket
from quart.testing import QuartClient
from users import ADA, BY_ID, GRACE, Receive, SignIn, User, Visit

from amounts import examples
from quartlogin import (
    ConfigurationError,
    LoginManager,
    QuartLoginClient,
    SignedSessionInterface,
    create_bearer_token,
    current_user,
    login_fresh,
    login_id,
    login_remembered,
    login_user,
    logout_user,
    user_loaded_from_cookie,
)

LOGIN_ID = "L" * 32
FOREVER = 4_000_000_000  # seconds since 1970
DAY = timedelta(days=1)


def with_views(app: Quart, how: dict[str, Any]) -> Quart:
    """Give an app a login view for Ada, one for Grace without remembering, a logout and a page."""

    @app.post("/login")
    async def login() -> str:
        await login_user(ADA, **how)
        return ""

    @app.post("/login/grace")
    async def login_grace() -> str:
        await login_user(GRACE)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.get("/")
    async def home_and_remembered() -> dict[str, Any]:
        return {**await home(), "remembered": login_remembered()}

    return app


@pytest.fixture
def how() -> dict[str, Any]:
    """What the login view gives to `login_user`."""
    return {"remember": True}


@pytest.fixture
def site(app: Quart, how: dict[str, Any]) -> Quart:
    return with_views(app, how)


def make_site(name: str = "site") -> Quart:
    """Make the same app where a fixture will not do, or with another name."""
    app = Quart(name, template_folder=None, static_folder=None)
    app.secret_key = KEY
    login_manager = LoginManager[User](app)

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        return BY_ID.get(user_id)

    return with_views(app, {"remember": True})


def attributes(cookie: "Morsel[str]") -> dict[str, Any]:
    """What a cookie says of itself besides its value and its time."""
    return {name: cookie[name] for name in ("domain", "path", "secure", "httponly", "samesite")}


def forge(payload: Any, **signed: Any) -> str:
    """Sign any payload as a remember cookie, as only a holder of the key can."""
    return serializer(**signed).dumps(json.dumps(payload))


async def ask(
    app: Quart, cookie: str, headers: dict[str, str] | None = None, **options: Any
) -> tuple[Response, dict[str, Any]]:
    """Come with this `Cookie` header, and with nothing else."""
    client = app.test_client(use_cookies=False)
    response = await client.get("/", headers={"Cookie": cookie, **(headers or {})}, **options)
    return response, await response.get_json()


# --- what is set ----------------------------------------------------------------------------------------------


async def test_a_remembered_login_survives_the_browser(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)
    login = (await see(browser))["login_id"]

    restart(browser)
    page = await see(browser)

    assert page["name"] == "Ada"
    assert page["login_id"] == login


async def test_cookie_theft_the_remember_cookie_is_httponly_and_samesite(site: Quart) -> None:
    _, cookie = await sign_in_ada(site)

    assert attributes(cookie) == {"domain": "", "path": "/", "secure": "", "httponly": True, "samesite": "Lax"}


async def test_the_cookie_is_kept_for_a_year(site: Quart, clock: Clock) -> None:
    _, cookie = await sign_in_ada(site)

    expires = parsedate_to_datetime(cookie["expires"])
    assert expires == datetime.fromtimestamp(int(clock.now), UTC) + timedelta(days=365)


async def test_the_cookie_names_the_user_the_login_and_its_end(site: Quart, clock: Clock) -> None:
    browser, cookie = await sign_in_ada(site)

    user_id, login, expires_at, secret, seconds = contents_of(cookie)

    assert user_id == "1"
    assert login == (await see(browser))["login_id"]
    assert expires_at == int(clock.now) + 365 * 24 * 60 * 60
    assert len(secret) == 32
    assert seconds is None


async def test_a_login_that_is_not_to_be_remembered_sets_no_cookie(site: Quart, how: dict[str, Any]) -> None:
    how["remember"] = False

    response = await site.test_client().post("/login")

    assert set_by(response).keys() == {"session"}


async def test_a_login_that_is_refused_sets_no_cookie(site: Quart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ADA, "active", False)

    response = await site.test_client().post("/login")

    assert set_by(response) == {}


async def test_the_session_keeps_nothing_about_a_cookie_that_is_set_but_a_hash_of_its_secret(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)

    contents = (await see(browser))["session"]

    assert contents.keys() == {"_user_id", "_login_id", "_fresh", "_fresh_at", "_secret_hash", "_id"}


# --- the settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "attribute", "expected"),
    [
        ("REMEMBER_COOKIE_DOMAIN", "site.example", "domain", "site.example"),
        ("REMEMBER_COOKIE_PATH", "/members", "path", "/members"),
        ("REMEMBER_COOKIE_SECURE", True, "secure", True),
        ("REMEMBER_COOKIE_HTTPONLY", False, "httponly", ""),
        ("REMEMBER_COOKIE_SAMESITE", "Strict", "samesite", "Strict"),
        ("REMEMBER_COOKIE_SAMESITE", None, "samesite", ""),
    ],
)
async def test_a_setting_that_is_made_after_init_app_is_used(
    site: Quart, key: str, value: Any, attribute: str, expected: Any
) -> None:
    _, before = await sign_in_ada(site)

    site.config[key] = value
    _, after = await sign_in_ada(site)

    assert {**attributes(before), attribute: expected} == attributes(after)
    assert attributes(before)[attribute] != expected


async def test_the_cookies_name_is_read_when_it_is_used(site: Quart) -> None:
    site.config["REMEMBER_COOKIE_NAME"] = "keep"

    response = await site.test_client().post("/login")
    cookie = set_by(response)["keep"]
    _, page = await ask(site, f"keep={cookie.value}")
    _, other = await ask(site, f"remember_token={cookie.value}")

    assert (page["name"], other["name"]) == ("Ada", None)


@pytest.mark.parametrize("duration", [timedelta(days=7), 7 * 24 * 60 * 60], ids=repr)
async def test_the_duration_is_a_timedelta_or_seconds(site: Quart, clock: Clock, duration: Any) -> None:
    site.config["REMEMBER_COOKIE_DURATION"] = duration

    _, cookie = await sign_in_ada(site)

    assert contents_of(cookie)[2] == int(clock.now) + 7 * 24 * 60 * 60


@pytest.mark.parametrize("duration", ["7", 1.5, True, None], ids=repr)
async def test_a_duration_that_is_none_is_a_configuration_error(
    site: Quart, caplog: pytest.LogCaptureFixture, duration: Any
) -> None:
    site.config["REMEMBER_COOKIE_DURATION"] = duration

    response = await site.test_client().post("/login")

    assert response.status_code == 500
    assert "ConfigurationError: REMEMBER_COOKIE_DURATION " in caplog.text


@pytest.mark.parametrize("duration", [60, 1.5, "1 day", True], ids=repr)
async def test_a_duration_at_login_has_to_be_a_timedelta_and_nothing_changes(visit: Visit, duration: Any) -> None:
    async with visit():
        with pytest.raises(TypeError, match="timedelta"):
            await login_user(ADA, remember=True, duration=duration)

        assert dict(session) == {}


def test_a_misspelled_setting_stops_the_start(bare_app: Quart) -> None:
    bare_app.config["REMEMBER_COOKIE_HTTP_ONLY"] = True

    with pytest.raises(ConfigurationError, match=r"REMEMBER_COOKIE_HTTPONLY\b"):
        LoginManager(bare_app)


# --- Secure and __Host- ---------------------------------------------------------------------------------------


async def test_the_cookie_is_secure_if_the_session_cookie_is(site: Quart) -> None:
    site.config["SESSION_COOKIE_SECURE"] = True

    _, cookie = await sign_in_ada(site)

    assert cookie["secure"] is True


async def test_the_cookie_stays_secure_where_its_own_setting_says_no(site: Quart) -> None:
    site.config.update(SESSION_COOKIE_SECURE=True, REMEMBER_COOKIE_SECURE=False)

    _, cookie = await sign_in_ada(site)

    assert cookie["secure"] is True


async def test_over_https_the_cookie_belongs_to_this_host_alone(site: Quart) -> None:
    site.session_interface = SignedSessionInterface()

    response = await site.test_client().post("/login", scheme="https")

    assert set_by(response).keys() == {"__Host-session", "__Host-remember_token"}
    assert attributes(set_by(response)["__Host-remember_token"]) == {
        "domain": "",
        "path": "/",
        "secure": True,
        "httponly": True,
        "samesite": "Lax",
    }


async def test_over_http_the_cookie_has_its_plain_name(site: Quart) -> None:
    site.session_interface = SignedSessionInterface()

    response = await site.test_client().post("/login")

    assert set_by(response).keys() == {"session", "remember_token"}


@pytest.mark.parametrize(("name", "remembers"), [("__Host-remember_token", "Ada"), ("remember_token", None)])
async def test_over_https_only_the_prefixed_name_counts(site: Quart, name: str, remembers: str | None) -> None:
    """Any host of the domain, and any plain connection, could have set the other one."""
    site.session_interface = SignedSessionInterface()
    _, cookie = await sign_in_ada(site, scheme="https")

    _, page = await ask(site, f"{name}={cookie.value}", scheme="https")

    assert page["name"] == remembers


@pytest.mark.parametrize(
    "setting", [{"REMEMBER_COOKIE_DOMAIN": "site.example"}, {"REMEMBER_COOKIE_PATH": "/members"}], ids=str
)
async def test_a_cookie_with_a_place_of_its_own_has_no_prefix_that_browsers_refuse(
    site: Quart, setting: dict[str, str]
) -> None:
    site.session_interface = SignedSessionInterface()
    site.config.update(setting)

    response = await site.test_client().post("/login", scheme="https")

    assert "remember_token" in set_by(response)
    assert set_by(response)["remember_token"]["secure"] is True


# --- deletion -------------------------------------------------------------------------------------------------

PLACES = pytest.mark.parametrize(
    "place",
    [
        {},
        {"REMEMBER_COOKIE_DOMAIN": "site.example"},
        {"REMEMBER_COOKIE_PATH": "/members"},
        {"REMEMBER_COOKIE_SECURE": True, "REMEMBER_COOKIE_SAMESITE": "None"},
        {"REMEMBER_COOKIE_HTTPONLY": False, "REMEMBER_COOKIE_SAMESITE": "Strict"},
        {"REMEMBER_COOKIE_NAME": "keep_remember_token"},
    ],
    ids=str,
)


@pytest.mark.requirement("C7")
@PLACES
async def test_logout_deletes_the_cookie_with_the_attributes_it_was_set_with(
    site: Quart, place: dict[str, Any]
) -> None:
    site.config.update(place)
    _, cookie = await sign_in_ada(site)

    response = await site.test_client(use_cookies=False).post(
        "/logout", headers={"Cookie": f"{cookie.key}={cookie.value}"}
    )
    deletion = set_by(response)[cookie.key]

    assert is_deletion(deletion)
    assert attributes(deletion) == attributes(cookie)


async def test_logout_over_https_deletes_the_cookie_of_this_host(site: Quart) -> None:
    site.session_interface = SignedSessionInterface()
    browser, cookie = await sign_in_ada(site, scheme="https")

    response = await browser.post("/logout", scheme="https")
    deletion = set_by(response)["__Host-remember_token"]

    assert is_deletion(deletion)
    assert attributes(deletion) == attributes(cookie)


async def test_after_logout_the_browser_has_no_cookie_left(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)

    await browser.post("/logout")

    assert list(browser.cookie_jar or ()) == []
    assert (await see(browser))["name"] is None


async def test_logout_after_a_restart_forgets_too(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)

    await browser.post("/logout")

    assert list(browser.cookie_jar or ()) == []


async def test_logout_of_a_login_that_is_not_remembered_deletes_no_cookie(site: Quart, sign_in: SignIn) -> None:
    response = await (await sign_in(site)).post("/logout")

    assert set_by(response).keys() == {"session"}


async def test_a_login_and_a_logout_in_one_request_set_no_remember_cookie(app: Quart) -> None:
    @app.post("/both")
    async def both() -> dict[str, Any]:
        await login_user(ADA, remember=True)
        await logout_user()
        return dict(session)

    response = await app.test_client().post("/both")

    assert await response.get_json() == {}
    assert "remember_token" not in set_by(response)


async def test_a_logout_and_a_login_in_one_request_remember_the_new_one(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)

    @site.post("/switch")
    async def switch() -> str:
        await logout_user()
        await login_user(GRACE, remember=True)
        return ""

    await browser.post("/switch")
    restart(browser)

    assert (await see(browser))["name"] == "Grace"


async def test_a_login_that_is_not_remembered_forgets_the_one_before(site: Quart) -> None:
    """Or else the next restart of a shared browser would sign Ada in again."""
    browser, _ = await sign_in_ada(site)

    await browser.post("/login/grace")
    after_login = (await see(browser))["name"]
    restart(browser)

    assert after_login == "Grace"
    assert (await see(browser))["name"] is None


async def test_a_login_after_a_restart_forgets_the_one_before(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)

    response = await browser.post("/login/grace")

    assert is_deletion(set_by(response)["remember_token"])


async def test_a_second_remembered_login_takes_the_place_of_the_first(site: Quart) -> None:
    browser, first = await sign_in_ada(site)

    response = await browser.post("/login")
    second = set_by(response)["remember_token"]

    assert contents_of(first)[1] != contents_of(second)[1]


# --- restoring ------------------------------------------------------------------------------------------------


async def test_cookie_theft_a_restored_login_is_not_fresh(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)

    page = await see(browser)

    assert page["fresh"] is False
    assert page["session"]["_fresh"] is False
    assert "_fresh_at" not in page["session"]


async def test_a_restored_login_is_kept_in_the_session_from_then_on(site: Quart, loads: list[str]) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    announced: list[Any] = []

    async def receive(_sender: Any, user: Any) -> None:
        announced.append(user)

    with user_loaded_from_cookie.connected_to(receive, site):
        first = await browser.get("/")
        second = await browser.get("/")

    assert set_by(first).keys() == {"session"}
    assert set_by(second).keys() == set()
    assert announced == [ADA]
    assert loads == ["1", "1"]


async def test_the_session_goes_before_the_cookie(site: Quart, sign_in: SignIn) -> None:
    _, cookie = await sign_in_ada(site)
    browser = await sign_in(site, "2", _login_id="of Grace")
    grace = next(iter(browser.cookie_jar or ())).value

    _, page = await ask(site, f"session={grace}; remember_token={cookie.value}")

    assert (page["name"], page["login_id"]) == ("Grace", "of Grace")


@pytest.mark.parametrize("user_id", ["404", 1, None, ["1"]], ids=repr)
async def test_after_a_session_of_an_unknown_user_the_cookie_counts(
    site: Quart, sign_in: SignIn, user_id: object
) -> None:
    _, cookie = await sign_in_ada(site)
    browser = await sign_in(site, user_id, _fresh=True, _fresh_at=FOREVER)
    useless = next(iter(browser.cookie_jar or ())).value

    _, page = await ask(site, f"session={useless}; remember_token={cookie.value}")

    assert (page["name"], page["fresh"]) == ("Ada", False)
    assert "_fresh_at" not in page["session"]


async def test_a_user_who_is_gone_is_anonymous_and_the_cookie_is_deleted(
    site: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cookie = await sign_in_ada(site)
    monkeypatch.delitem(BY_ID, "1")

    response, page = await ask(site, f"remember_token={cookie.value}")

    assert (page["name"], page["login_id"], page["session"]) == (None, None, {})
    assert is_deletion(set_by(response)["remember_token"])


async def test_a_loader_that_fails_deletes_no_cookie(
    site: Quart, login_manager: LoginManager[User], loads: list[str]
) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    working = login_manager.user_callback
    assert working is not None

    @login_manager.user_loader
    async def fail(user_id: str) -> None:
        raise OSError("the database is down")

    response = await browser.get("/")
    login_manager.user_loader(working)

    assert (response.status_code, set_by(response)) == (500, {})
    assert (await see(browser))["name"] == "Ada"


async def test_a_websocket_knows_a_remembered_user_and_writes_nothing(site: Quart, receive: Receive) -> None:
    _, cookie = await sign_in_ada(site)

    @site.websocket("/live")
    async def live() -> None:
        name = (await current_user).name
        await websocket.send(json.dumps([name, login_id(), login_fresh(), dict(session), session.modified]))

    answer = json.loads(await receive(site, f"remember_token={cookie.value}"))

    assert answer == ["Ada", contents_of(cookie)[1], False, {}, False]


async def test_a_login_restored_in_a_websocket_is_not_fresh_whatever_the_session_says(
    site: Quart, sign_in: SignIn, receive: Receive
) -> None:
    site.config["SESSION_PROTECTION"] = None
    _, cookie = await sign_in_ada(site)
    useless = next(iter((await sign_in(site, "404", _fresh=True)).cookie_jar or ())).value

    @site.websocket("/live")
    async def live() -> None:
        name = (await current_user).name
        await websocket.send(json.dumps([name, login_fresh(), session.modified]))

    answer = json.loads(await receive(site, f"session={useless}; remember_token={cookie.value}"))

    assert answer == ["Ada", False, False]


@pytest.mark.parametrize("cookie", ["", "broken", forge(["1", LOGIN_ID, 1, None, None])], ids=["", "broken", "expired"])
async def test_a_websocket_with_a_bad_cookie_is_anonymous_and_writes_nothing(
    site: Quart, receive: Receive, cookie: str
) -> None:
    @site.websocket("/live")
    async def live() -> None:
        user = await current_user
        await websocket.send(json.dumps([user.is_anonymous, login_id(), dict(session), session.modified]))

    answer = json.loads(await receive(site, f"remember_token={cookie}"))

    assert answer == [True, None, {}, False]


async def test_a_page_that_does_not_look_at_the_user_touches_no_cookie(site: Quart) -> None:
    @site.get("/plain")
    async def plain() -> str:
        return ""

    response = await site.test_client(use_cookies=False).get("/plain", headers={"Cookie": "remember_token=broken"})

    assert set_by(response) == {}


# --- time -----------------------------------------------------------------------------------------------------


@pytest.mark.requirement("9.2.1")
@pytest.mark.parametrize(("after", "remembers"), [(timedelta(days=364), "Ada"), (timedelta(days=365), None)], ids=str)
async def test_replay_of_an_expired_remember_cookie_fails_on_the_server(
    site: Quart, clock: Clock, after: timedelta, remembers: str | None
) -> None:
    _, cookie = await sign_in_ada(site)

    clock.forward(after)
    _, page = await ask(site, f"remember_token={cookie.value}")

    assert page["name"] == remembers


@pytest.mark.parametrize(("after", "remembers"), [(59, "Ada"), (61, None)])
async def test_the_duration_given_at_login_counts_on_the_server(
    site: Quart, how: dict[str, Any], clock: Clock, after: int, remembers: str | None
) -> None:
    how["duration"] = timedelta(minutes=60)
    _, cookie = await sign_in_ada(site)

    clock.forward(timedelta(minutes=after))
    _, page = await ask(site, f"remember_token={cookie.value}")

    assert page["name"] == remembers


async def test_an_expired_cookie_is_deleted(site: Quart, clock: Clock) -> None:
    _, cookie = await sign_in_ada(site)

    clock.forward(timedelta(days=366))
    response, page = await ask(site, f"remember_token={cookie.value}")

    assert is_deletion(set_by(response)["remember_token"])
    assert page["remembered"] is False


async def test_a_later_and_longer_setting_does_not_revive_an_expired_cookie(
    site: Quart, how: dict[str, Any], clock: Clock
) -> None:
    how["duration"] = timedelta(hours=1)
    _, cookie = await sign_in_ada(site)

    clock.forward(timedelta(hours=2))
    site.config["REMEMBER_COOKIE_DURATION"] = timedelta(days=10_000)
    _, page = await ask(site, f"remember_token={cookie.value}")

    assert page["name"] is None


@pytest.mark.parametrize("duration", [timedelta(0), timedelta(days=-1)], ids=str)
async def test_a_login_that_is_remembered_for_no_time_is_not_remembered(
    site: Quart, how: dict[str, Any], duration: timedelta
) -> None:
    how["duration"] = duration
    browser, _ = await sign_in_ada(site)

    restart(browser)

    assert (await see(browser))["name"] is None


async def test_using_the_cookie_does_not_prolong_it(site: Quart, how: dict[str, Any], clock: Clock) -> None:
    how["duration"] = timedelta(days=10)
    browser, _ = await sign_in_ada(site)

    clock.forward(timedelta(days=6))
    restart(browser)
    after_six_days = (await see(browser))["name"]
    clock.forward(timedelta(days=6))
    restart(browser)

    assert after_six_days == "Ada"
    assert (await see(browser))["name"] is None


# --- REMEMBER_COOKIE_REFRESH_EACH_REQUEST ---------------------------------------------------------------------


async def test_refreshing_begins_the_time_anew(site: Quart, clock: Clock) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser, first = await sign_in_ada(site)

    clock.forward(DAY)
    second = set_by(await browser.get("/"))["remember_token"]

    assert contents_of(second)[2] - contents_of(first)[2] == DAY.total_seconds()
    assert attributes(second) == attributes(first)


async def test_refreshing_changes_nothing_but_the_time(site: Quart, clock: Clock) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser, first = await sign_in_ada(site)

    clock.forward(DAY)
    second = set_by(await browser.get("/"))["remember_token"]

    user_id, login, _, secret, seconds = contents_of(first)
    assert contents_of(second) == [user_id, login, contents_of(second)[2], secret, seconds]


def stay(_browser: QuartClient) -> None:
    """Leave the browser open."""


@pytest.mark.parametrize("rest", [stay, restart], ids=["in the session", "restored"])
async def test_refreshing_keeps_the_logins_own_duration(
    site: Quart, how: dict[str, Any], clock: Clock, rest: Callable[[QuartClient], None]
) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    how["duration"] = timedelta(days=10)
    browser, _ = await sign_in_ada(site)

    clock.forward(timedelta(days=6))
    rest(browser)
    await browser.get("/")
    clock.forward(timedelta(days=6))
    rest(browser)
    last = set_by(await browser.get("/"))["remember_token"]

    assert (await see(browser))["name"] == "Ada"
    assert contents_of(last)[2] == int(clock.now) + 10 * 24 * 60 * 60


async def test_refreshing_gives_no_cookie_to_who_did_not_ask_for_one(site: Quart, how: dict[str, Any]) -> None:
    """As it did in Flask-Login (flask-login#899)."""
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    how["remember"] = False
    browser = site.test_client()

    login = await browser.post("/login")
    page = await browser.get("/")

    assert (await page.get_json())["name"] == "Ada"
    assert (set_by(login).keys(), set_by(page).keys()) == ({"session"}, set())


async def test_refreshing_gives_no_cookie_to_an_anonymous_visitor(site: Quart) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True

    response = await site.test_client().get("/")

    assert set_by(response) == {}


async def test_refreshing_does_not_prolong_the_cookie_of_another_login(site: Quart, sign_in: SignIn) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    _, cookie = await sign_in_ada(site)
    browser = await sign_in(site, "2", _login_id="of Grace")
    grace = next(iter(browser.cookie_jar or ())).value

    response, page = await ask(site, f"session={grace}; remember_token={cookie.value}")

    assert page["name"] == "Grace"
    assert "remember_token" not in set_by(response)


async def test_refreshing_does_not_bring_back_what_a_logout_deletes(site: Quart) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser, _ = await sign_in_ada(site)

    response = await browser.post("/logout")

    assert is_deletion(set_by(response)["remember_token"])


async def test_refreshing_does_not_revive_an_expired_cookie(site: Quart, how: dict[str, Any], clock: Clock) -> None:
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    how["duration"] = timedelta(hours=1)
    _, cookie = await sign_in_ada(site)

    clock.forward(timedelta(hours=2))
    response, page = await ask(site, f"remember_token={cookie.value}")

    assert page["name"] is None
    assert is_deletion(set_by(response)["remember_token"])


# --- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["old2", "old1", "present"])
async def test_a_cookie_signed_with_a_former_key_counts(site: Quart, key: str) -> None:
    site.config.update(SECRET_KEY="present", SECRET_KEY_FALLBACKS=["old2", "old1"])

    _, page = await ask(site, f"remember_token={forge(['1', LOGIN_ID, FOREVER, None, None], key=key)}")

    assert (page["name"], page["remembered"]) == ("Ada", True)


async def test_a_cookie_signed_with_a_dropped_key_does_not_count(site: Quart) -> None:
    site.config.update(SECRET_KEY="present", SECRET_KEY_FALLBACKS=["old1"])

    _, page = await ask(site, f"remember_token={forge(['1', LOGIN_ID, FOREVER, None, None], key='old2')}")

    assert page["name"] is None


@pytest.mark.parametrize("refresh", [True, False])
async def test_a_new_cookie_is_signed_with_the_present_key_alone(site: Quart, refresh: bool) -> None:
    """Flask 3.1.0 signed with the oldest one (CVE-2025-47278)."""
    site.config.update(
        SECRET_KEY="present",
        SECRET_KEY_FALLBACKS=["old2", "old1"],
        REMEMBER_COOKIE_REFRESH_EACH_REQUEST=refresh,
    )

    _, cookie = await sign_in_ada(site)

    assert serializer("present").loads(cookie.value)
    with pytest.raises(BadSignature):
        serializer(["old2", "old1"]).loads(cookie.value)


async def test_refreshing_signs_an_old_cookie_with_the_present_key(site: Quart) -> None:
    site.config.update(SECRET_KEY="present", SECRET_KEY_FALLBACKS=["old"], REMEMBER_COOKIE_REFRESH_EACH_REQUEST=True)
    cookie = forge(["1", LOGIN_ID, FOREVER, "secret", None], key="old")

    response, _ = await ask(site, f"remember_token={cookie}")

    renewed = json.loads(serializer("present").loads(set_by(response)["remember_token"].value))
    assert (renewed[1], renewed[3]) == (LOGIN_ID, "secret")


async def test_fallbacks_given_as_one_text_are_not_keys_of_one_letter(site: Quart) -> None:
    """Or else anybody could sign: there are not many letters."""
    site.config["SECRET_KEY_FALLBACKS"] = "old"

    response = await site.test_client(use_cookies=False).get(
        "/", headers={"Cookie": f"remember_token={forge(['1', LOGIN_ID, FOREVER, None, None], key='o')}"}
    )

    assert b"Ada" not in await response.get_data()


# --- bad cookies ----------------------------------------------------------------------------------------------

GOOD = ["1", LOGIN_ID, FOREVER, None, None]


async def test_the_cookie_that_these_tests_forge_would_count(site: Quart) -> None:
    _, page = await ask(site, f"remember_token={forge(GOOD)}")

    assert (page["name"], page["login_id"]) == ("Ada", LOGIN_ID)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        True,
        1,
        "1",
        {},
        {"user_id": "1"},
        [],
        ["1"],
        ["1", LOGIN_ID],
        ["1", LOGIN_ID, FOREVER],
        [*GOOD, None],
        [1, LOGIN_ID, FOREVER, None, None],
        [True, LOGIN_ID, FOREVER, None, None],
        [None, LOGIN_ID, FOREVER, None, None],
        [["1"], LOGIN_ID, FOREVER, None, None],
        [{"1": "1"}, LOGIN_ID, FOREVER, None, None],
        ["1", None, FOREVER, None, None],
        ["1", 7, FOREVER, None, None],
        ["1", LOGIN_ID, None, None, None],
        ["1", LOGIN_ID, True, None, None],
        ["1", LOGIN_ID, str(FOREVER), None, None],
        ["1", LOGIN_ID, float("inf"), None, None],
        ["1", LOGIN_ID, float("nan"), None, None],
        ["1", LOGIN_ID, float(FOREVER), None, None],
        ["1", LOGIN_ID, 0, None, None],
        ["1", LOGIN_ID, -FOREVER, None, None],
        ["1", LOGIN_ID, FOREVER, 7, None],
        ["1", LOGIN_ID, FOREVER, ["secret"], None],
        ["1", LOGIN_ID, FOREVER, None, "7"],
        ["1", LOGIN_ID, FOREVER, None, 1.5],
    ],
    ids=str,
)
async def test_a_signed_cookie_of_the_wrong_form_is_anonymous_and_deleted(site: Quart, payload: Any) -> None:
    response, page = await ask(site, f"remember_token={forge(payload)}")

    assert (response.status_code, page["name"], page["remembered"]) == (200, None, False)
    assert is_deletion(set_by(response)["remember_token"])


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[", "[" * 100_000, "\x00", "NaN", '{"a":', "1" * 5_000, '["1"', "null"],
    ids=lambda text: text[:10],
)
async def test_a_signed_cookie_that_is_no_document_is_anonymous_and_deleted(site: Quart, text: str) -> None:
    response, page = await ask(site, f"remember_token={serializer().dumps(text)}")

    assert (response.status_code, page["name"]) == (200, None)
    assert is_deletion(set_by(response)["remember_token"])


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "broken",
        "...",
        "a.b.c",
        '"quoted"',
        "1|",
        "1|é",
        "é|" + "0" * 128,
        "|" * 50,
        "1|" + "0" * 128,
        "x" * 5_000,
        forge(GOOD)[:-1],
        forge(GOOD)[1:],
        forge(GOOD) + "A",
        forge(GOOD).replace(".", "", 1),
        forge(GOOD, key="another key"),
        forge(GOOD, app="another app"),
        forge(GOOD, purpose="bearer"),
        forge(["1", LOGIN_ID, 1_000_000_000, None, None]),
        URLSafeTimedSerializer(KEY, "quartlogin remember token of site").dumps(json.dumps(GOOD)),
        URLSafeTimedSerializer(KEY, "quart auth salt", signer_kwargs={"digest_method": sha512}).dumps("1"),
    ],
    ids=lambda cookie: cookie[:8],  # what stands behind may have the time in it
)
async def test_a_broken_cookie_is_anonymous_and_deleted_if_we_signed_it(site: Quart, cookie: str) -> None:
    response, page = await ask(site, f"remember_token={cookie}")

    assert (response.status_code, page["name"], page["login_id"], page["remembered"]) == (200, None, None, False)
    if is_signed_by_us(cookie):
        assert is_deletion(set_by(response)["remember_token"])
    else:
        assert "Set-Cookie" not in response.headers


def is_signed_by_us(cookie: str) -> bool:
    """Whether the signature is right, whatever was signed, and whenever."""
    try:
        signer = serializer()
        signer.make_signer(signer.salt).unsign(cookie)
    except BadSignature:
        return False
    return True


async def test_a_cookie_that_is_deleted_leaves_nothing_in_the_session(site: Quart, clock: Clock) -> None:
    browser, _ = await sign_in_ada(site)
    restart(browser)
    cookie = next(iter(browser.cookie_jar or ()))
    cookie.expires = None  # the browser's clock is wrong
    clock.forward(400 * DAY)

    response = await browser.get("/")

    assert is_deletion(set_by(response)["remember_token"])
    assert "session" not in set_by(response)


async def test_a_broken_cookie_does_not_disturb_a_session(site: Quart, sign_in: SignIn) -> None:
    browser = await sign_in(site, "1")
    browser.set_cookie("localhost", "remember_token", "broken")

    page = await see(browser)

    assert (page["name"], page["remembered"]) == ("Ada", False)


@pytest.mark.requirement("9.2.1")
@pytest.mark.parametrize("lead", [timedelta(seconds=2), timedelta(hours=1), timedelta(days=10_000)], ids=str)
async def test_a_cookie_of_the_future_is_anonymous_and_deleted(site: Quart, clock: Clock, lead: timedelta) -> None:
    clock.forward(lead)
    cookie = forge(GOOD)
    clock.forward(-lead)

    response, page = await ask(site, f"remember_token={cookie}")

    assert page["name"] is None
    assert is_deletion(set_by(response)["remember_token"])


async def test_a_cookie_without_a_time_of_signing_is_anonymous(site: Quart) -> None:
    signer = serializer().make_signer("quartlogin remember token of site")
    payload = serializer().dump_payload(json.dumps(GOOD))
    untimed = payload + signer.sep + signer.get_signature(payload)

    _, page = await ask(site, f"remember_token={untimed.decode()}")

    assert page["name"] is None


@pytest.mark.requirement("7.2.1")
async def test_a_tampered_remember_cookie_is_anonymous(site: Quart) -> None:
    good = forge(GOOD)
    changed = [good[:at] + chr(ord(good[at]) ^ 1) + good[at + 1 :] for at in range(0, len(good) - 1, 7)]

    names = [(await ask(site, f'remember_token="{cookie}"'))[1]["name"] for cookie in changed]

    assert names == [None] * len(changed)


#: Any bytes, as servers pass them on. No server passes on the ends of lines, nor does Werkzeug take them.
HEADERS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=200)
#: What Werkzeug takes for one cookie's value.
VALUES = st.text(st.characters(codec="latin-1", exclude_characters=';"', exclude_categories=["Cc", "Zs"]), max_size=200)


@pytest.mark.slow
@given(HEADERS)
@example("remember_token=1|\xe9")
@example("remember_token=\xff\xfe|\xff")
@example('remember_token="\\377|\\303"')
@settings(max_examples=examples(150))
async def test_no_cookie_header_is_an_error(header: str) -> None:
    response, page = await ask(make_site(), header)

    assert (response.status_code, page["name"]) == (200, None)


@pytest.mark.slow
@given(VALUES)
@example("1|é")
@example("\xed\xa0\x80|\xed\xa0\x80")
@example("ÿ" * 200)
@settings(max_examples=examples(150))
async def test_no_value_of_the_cookie_is_an_error_and_none_is_deleted(value: str) -> None:
    response, page = await ask(make_site(), f"remember_token={value}")

    assert (response.status_code, page["name"]) == (200, None)
    assert "Set-Cookie" not in response.headers


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.slow
@given(JSON | st.tuples(st.just("1"), st.text(max_size=5), st.integers(), st.none() | st.text(), JSON))
@settings(max_examples=examples(150))
async def test_no_signed_payload_is_an_error(payload: Any) -> None:
    response, _ = await ask(make_site(), f"remember_token={forge(payload)}")

    assert response.status_code == 200


@given(HEADERS)
@settings(max_examples=examples(100))
async def test_no_bearer_token_is_an_error(token: str) -> None:
    response, page = await ask(make_site(), "", headers={"Authorization": f"Bearer {token}"})

    assert (response.status_code, page["name"]) == (200, None)


# --- each token in its own place ------------------------------------------------------------------------------


async def test_a_bearer_token_is_no_remember_cookie(site: Quart) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=DAY)

    response, page = await ask(site, f"remember_token={token}")

    assert (page["name"], page["remembered"]) == (None, False)
    assert "Set-Cookie" not in response.headers  # it was signed for another purpose


async def test_a_remember_cookie_is_no_bearer_token(site: Quart) -> None:
    _, cookie = await sign_in_ada(site)

    response = await site.test_client().get("/", headers={"Authorization": f"Bearer {cookie.value}"})

    assert (await response.get_json())["name"] is None


async def test_a_session_cookie_is_neither(site: Quart, sign_in: SignIn) -> None:
    stolen = next(iter((await sign_in(site)).cookie_jar or ())).value

    _, as_cookie = await ask(site, f"remember_token={stolen}")
    response = await site.test_client().get("/", headers={"Authorization": f"Bearer {stolen}"})

    assert as_cookie["name"] is None
    assert (await response.get_json())["name"] is None


async def test_a_remember_cookie_is_no_session(site: Quart) -> None:
    _, cookie = await sign_in_ada(site)

    _, page = await ask(site, f"session={cookie.value}")

    assert page["name"] is None


@pytest.mark.requirement("9.2.3")
async def test_replay_of_a_cookie_of_another_app_with_the_same_key_is_anonymous(site: Quart) -> None:
    _, cookie = await sign_in_ada(make_site("another app"))

    _, page = await ask(site, f"remember_token={cookie.value}")

    assert page["name"] is None


@pytest.mark.requirement("9.2.3")
async def test_replay_of_a_bearer_token_of_another_app_with_the_same_key_is_anonymous(site: Quart) -> None:
    async with make_site("another app").test_request_context("/"):
        token = await create_bearer_token(ADA, duration=DAY)

    response = await site.test_client().get("/", headers={"Authorization": f"Bearer {token}"})

    assert (await response.get_json())["name"] is None


async def test_a_request_with_a_bearer_token_leaves_the_cookies_alone(site: Quart) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(GRACE, duration=DAY)
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True
    browser, _ = await sign_in_ada(site)

    response = await browser.get("/", headers={"Authorization": f"Bearer {token}"})

    assert (await response.get_json())["name"] == "Grace"
    assert set_by(response) == {}


async def test_flask_logins_cookie_is_ignored_and_left_alone(site: Quart) -> None:
    digest = hmac.new(KEY.encode(), b"1", sha512).hexdigest()

    response, page = await ask(site, f"remember_token=1|{digest}")

    assert (page["name"], page["remembered"]) == (None, False)
    assert "remember_token" not in set_by(response)


async def test_a_session_that_says_forget_is_obeyed(site: Quart, sign_in: SignIn) -> None:
    """Flask-Login's word for it, in a session that it wrote."""
    _, cookie = await sign_in_ada(site)
    browser = await sign_in(site, None, _remember="clear")
    forgetful = next(iter(browser.cookie_jar or ())).value

    response, page = await ask(site, f"session={forgetful}; remember_token={cookie.value}")

    assert (page["name"], page["remembered"]) == (None, False)
    assert is_deletion(set_by(response)["remember_token"])


# --- login_remembered -----------------------------------------------------------------------------------------


async def test_a_login_is_remembered_from_the_next_request_on(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)
    before = await see(browser)
    restart(browser)
    after = await see(browser)

    assert (before["remembered"], after["remembered"]) == (True, True)


async def test_a_login_without_the_cookie_is_not_remembered(site: Quart, sign_in: SignIn) -> None:
    assert (await see(await sign_in(site)))["remembered"] is False


async def test_a_login_is_not_remembered_any_more_once_it_is_left(site: Quart) -> None:
    browser, _ = await sign_in_ada(site)

    @site.get("/leave")
    async def leave() -> dict[str, bool]:
        before = login_remembered()
        await logout_user()
        return {"before": before, "after": login_remembered()}

    page = await (await browser.get("/leave")).get_json()

    assert page == {"before": True, "after": False}


async def test_a_test_client_that_comes_signed_in_is_not_remembered(site: Quart) -> None:
    site.test_client_class = QuartLoginClient

    response = await site.test_client(user=ADA).get("/")

    assert (await response.get_json())["remembered"] is False


@pytest.mark.parametrize("duration", [timedelta.max, timedelta(days=36526)])
async def test_a_duration_without_end_is_refused_before_anything_is_written(site: Quart, duration: timedelta) -> None:
    async with site.test_request_context("/"):
        with pytest.raises(ValueError, match="36525 days"):
            await login_user(ADA, remember=True, duration=duration)

        assert dict(session) == {}
