"""Moving an app from Flask-Login: existing sessions stay valid.

A real Flask app with the real Flask-Login signs a user in; then the browser's cookies go to a Quart app.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha512
from typing import Any

import flask
import flask_login
import pytest
from quart import Quart, Response, session, websocket
from quart.testing import WebsocketResponseError
from users import ADA, BY_ID, User

import quartlogin
from quartlogin import Login, LoginManager, LoginRefused, SignedSessionInterface, current_user, login_required
from slow import mostly_slow

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # Flask-Login's own

KEY = "a key that both apps have"
ADDRESS = "192.0.2.7"
AGENT = "Mozilla/5.0 (X11; Linux) Zoë/1"
REMEMBER = "remember_token"

Cookies = dict[str, str]

MODES = ["basic", "strong"]


@dataclass(frozen=True)
class Browser:
    """What one browser sends with every request."""

    agent: str | None = AGENT
    forwarded_for: str | None = None

    def headers(self, cookies: Cookies) -> dict[str, str]:
        sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        # Werkzeug's test client takes the bytes on the wire as Latin-1.
        sent |= {} if self.agent is None else {"User-Agent": self.agent.encode().decode("latin-1")}
        return sent | ({} if self.forwarded_for is None else {"X-Forwarded-For": self.forwarded_for})

    def scope(self, cookies: Cookies) -> dict[str, Any]:
        """Return what an ASGI server would make of it; Quart's test client adds and encodes headers by itself."""
        headers = {"Host": "localhost", **self.headers(cookies)}
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        return {"client": (ADDRESS, 50000), "headers": raw}


BROWSERS = [
    Browser(),
    Browser(agent=None),
    Browser(agent=""),
    Browser(forwarded_for="198.51.100.9"),
    Browser(forwarded_for="198.51.100.9, 203.0.113.1"),
    Browser(agent=None, forwarded_for=" 2001:db8::1 ,203.0.113.1"),
]


@dataclass
class Told:
    """Records that keep what they are told."""

    logins: list[Login] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    restored: list[Login] = field(default_factory=list)
    refuses: bool = False
    replaces_secrets: bool = False

    async def login_began(self, login: Login) -> None:
        if self.refuses:
            raise LoginRefused
        self.logins.append(login)

    async def login_restored(self, login: Login, new_secret: str | None) -> bool:
        self.restored.append(login)
        return self.replaces_secrets and new_secret is not None

    async def login_renewed(self, old_id: str, login: Login) -> None:
        raise NotImplementedError

    async def login_ended(self, login_id: str) -> None:
        self.ended.append(login_id)


# --- the app that was -----------------------------------------------------------------------------------------


def without_absent_headers(wsgi: Any) -> Any:
    """Take out the User-Agent that the test client puts in by itself."""

    def call(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("HTTP_USER_AGENT", "").startswith("Werkzeug/"):
            del environ["HTTP_USER_AGENT"]
        return wsgi(environ, start_response)

    return call


def flask_app(mode: str | None, key: str = KEY, identifier: Any = None) -> flask.Flask:
    app = flask.Flask("site", template_folder=None, static_folder=None)
    app.secret_key = key
    app.config["SESSION_PROTECTION"] = mode
    app.wsgi_app = without_absent_headers(app.wsgi_app)  # type: ignore[method-assign]
    manager = flask_login.LoginManager(app)
    manager.user_loader(BY_ID.get)
    if identifier is not None:
        manager._session_identifier_generator = identifier

    @app.get("/login")
    def login() -> str:
        flask_login.login_user(ADA, remember="remember" in flask.request.args)
        return ""

    @app.get("/")
    @flask_login.login_required
    def home() -> str:
        return flask_login.current_user.name

    return app


def identifier_of_the_main_branch() -> str:
    return sha512(f"{flask.request.remote_addr}|{flask.request.user_agent.string}".encode()).hexdigest()


def signed_in_with_flask(app: flask.Flask, browser: Browser, path: str = "/login?remember") -> Cookies:
    """Sign in to the Flask app; returns the browser's cookies."""
    client = app.test_client()
    options: dict[str, Any] = {"headers": browser.headers({}), "environ_overrides": {"REMOTE_ADDR": ADDRESS}}
    client.get(path, **options)
    assert client.get("/", **options).text == "Ada"
    found = {name: client.get_cookie(name) for name in ("session", REMEMBER)}
    return {name: cookie.value for name, cookie in found.items() if cookie is not None}


# --- the app that is ------------------------------------------------------------------------------------------


class Site:
    """The Quart app, as one browser sees it."""

    def __init__(self, *, mode: str | None = "basic", switch: bool = True, own_sessions: bool = False) -> None:
        self.told = Told()
        self.app = Quart("site", template_folder=None, static_folder=None)
        self.app.secret_key = KEY
        self.app.config["SESSION_PROTECTION"] = mode
        if own_sessions:
            self.app.session_interface = SignedSessionInterface(read_flask_cookie=True)
        self.manager: LoginManager[User] = LoginManager(self.app, import_flask_login=switch)
        self.manager.records = self.told
        self.manager.user_loader(BY_ID.get)
        self._add_views()

    def _add_views(self) -> None:
        self.app.add_url_rule("/remembered", "remembered", self.remembered)
        self.app.add_url_rule("/contents", "contents", self.contents)
        self.app.add_url_rule("/public", "public", self.public)
        self.app.add_url_rule("/", "home", login_required(self.home))
        self.app.add_url_rule("/logout", "logout", self.logout)
        self.app.add_websocket("/live", "live", login_required(self.live))

    async def home(self) -> str:
        return current_user.name

    async def contents(self) -> dict[str, Any]:
        await current_user
        return dict(session)

    async def remembered(self) -> dict[str, bool]:
        return {"remembered": quartlogin.login_remembered()}

    async def public(self) -> str:
        return "Everybody may read this."

    async def logout(self) -> str:
        await quartlogin.logout_user()
        return ""

    async def live(self) -> None:
        await websocket.send(current_user.name)

    async def get(self, path: str, cookies: Cookies, browser: Browser = BROWSERS[0]) -> Response:
        """Send a request; what the answer sets goes into the cookies, as in a browser."""
        client = self.app.test_client(use_cookies=False)
        answer = await client.get(path, scope_base=browser.scope(cookies))
        for cookie in answer.headers.getlist("Set-Cookie"):
            name, _, value = cookie.partition(";")[0].partition("=")
            cookies.update({name: value})
            if not value:
                del cookies[name]
        return answer

    async def name_shown(self, cookies: Cookies, browser: Browser = BROWSERS[0]) -> str:
        answer = await self.get("/", cookies, browser)
        return await answer.get_data(as_text=True) if answer.status_code == 200 else "nobody"


@pytest.fixture(params=[False, True], ids=["Quart's sessions", "own sessions"])
def own_sessions(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def cookies(mode: str) -> Cookies:
    return signed_in_with_flask(flask_app(mode), BROWSERS[0])


@pytest.fixture
def site(mode: str, own_sessions: bool) -> Site:
    return Site(mode=mode, own_sessions=own_sessions)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Let time pass."""
    now = time.time

    def pass_seconds(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)

    return pass_seconds


def without(cookies: Cookies, name: str) -> Cookies:
    return {key: value for key, value in cookies.items() if key != name}


def is_flask_logins(cookie: str) -> bool:
    return flask_login.decode_cookie(cookie, KEY) is not None


# --- who is signed in stays signed in -------------------------------------------------------------------------


@pytest.mark.parametrize("browser", mostly_slow(BROWSERS, quick=2), ids=str)
@pytest.mark.parametrize("identifier", [None, identifier_of_the_main_branch], ids=["0.6.3", "main"])
async def test_with_both_cookies_the_user_stays_signed_in(
    site: Site, mode: str, browser: Browser, identifier: Any
) -> None:
    cookies = signed_in_with_flask(flask_app(mode, identifier=identifier), browser)

    assert [await site.name_shown(cookies, browser) for _ in range(3)] == ["Ada"] * 3


@pytest.mark.parametrize("browser", mostly_slow(BROWSERS, quick=2), ids=str)
@pytest.mark.parametrize("left", ["session", REMEMBER])
async def test_with_one_of_the_two_cookies_the_user_stays_signed_in(
    site: Site, mode: str, browser: Browser, left: str
) -> None:
    cookies = {left: signed_in_with_flask(flask_app(mode), browser)[left]}

    assert [await site.name_shown(cookies, browser) for _ in range(3)] == ["Ada"] * 3


@pytest.mark.parametrize("browser", mostly_slow(BROWSERS, quick=2), ids=str)
async def test_a_fresh_login_is_still_fresh(site: Site, mode: str, browser: Browser) -> None:
    cookies = signed_in_with_flask(flask_app(mode), browser)
    contents = await (await site.get("/contents", cookies, browser)).get_json()

    assert contents["_fresh"] is True


async def test_the_session_is_given_the_fingerprint_of_the_main_branch(site: Site, cookies: Cookies) -> None:
    contents = await (await site.get("/contents", cookies)).get_json()
    agent = AGENT.encode().decode("latin-1")

    assert contents["_id"] == sha512(f"{ADDRESS}|{agent}".encode()).hexdigest()


async def test_a_session_begun_elsewhere_is_not_taken_over_in_strong_mode() -> None:
    cookies = signed_in_with_flask(flask_app("strong"), BROWSERS[0])
    site = Site(mode="strong")

    assert await site.name_shown(cookies, Browser(agent="another browser")) == "nobody"
    assert site.told.logins == []


async def test_a_session_begun_elsewhere_is_not_fresh_any_more_in_basic_mode() -> None:
    cookies = signed_in_with_flask(flask_app("basic"), BROWSERS[0])
    contents = await (await Site().get("/contents", cookies, Browser(agent="another browser"))).get_json()

    assert (contents["_user_id"], contents["_fresh"]) == ("1", False)


@pytest.mark.parametrize("interface", [False, True], ids=["Quart's sessions", "own sessions"])
async def test_a_page_that_does_not_read_the_user_changes_nothing(cookies: Cookies, interface: bool) -> None:
    site = Site(own_sessions=interface)
    before = cookies[REMEMBER]
    await site.get("/public", cookies)

    assert cookies[REMEMBER] == before
    assert site.told.logins == []


# --- the login id, and who is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["session", REMEMBER])
async def test_a_migrated_login_gets_an_id_and_is_reported_once(site: Site, cookies: Cookies, left: str) -> None:
    kept = {left: cookies[left]}
    for _ in range(3):
        await site.get("/", kept)
    contents = await (await site.get("/contents", kept)).get_json()

    (login,) = site.told.logins
    assert (login.id, login.user_id) == (contents["_login_id"], "1")
    assert (login.kind, login.is_imported) == ("session", True)
    assert len(login.id) == 32


async def test_both_cookies_are_one_login(site: Site, cookies: Cookies) -> None:
    await site.get("/", cookies)
    await site.get("/", cookies)

    assert len(site.told.logins) == 1


async def test_what_is_taken_over_ends_with_a_logout(site: Site, cookies: Cookies) -> None:
    await site.get("/", cookies)
    (login,) = site.told.logins
    await site.get("/logout", cookies)

    assert site.told.ended == [login.id]
    assert REMEMBER not in cookies
    assert await site.name_shown(cookies) == "nobody"


@pytest.mark.parametrize("left", ["session", REMEMBER])
async def test_records_may_refuse_to_take_a_login_over(site: Site, cookies: Cookies, left: str) -> None:
    site.told.refuses = True
    kept = {left: cookies[left]}

    assert await site.name_shown(kept) == "nobody"
    assert kept.get(REMEMBER) == without(cookies, "session").get(left)


# --- the remember cookie --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [[REMEMBER], ["session", REMEMBER]], ids=["alone", "with the session"])
async def test_the_old_remember_cookie_is_replaced(site: Site, cookies: Cookies, sent: list[str]) -> None:
    kept = {name: cookies[name] for name in sent}
    await site.get("/", kept)

    assert kept[REMEMBER] != cookies[REMEMBER]
    assert not is_flask_logins(kept[REMEMBER])
    assert await site.name_shown({REMEMBER: kept[REMEMBER]}) == "Ada"


async def test_the_replaced_cookie_and_the_session_are_one_login(site: Site, cookies: Cookies) -> None:
    await site.get("/", cookies)
    await site.get("/", {REMEMBER: cookies[REMEMBER]})

    assert len(site.told.logins) == 1


async def test_a_login_restored_from_the_old_cookie_is_not_fresh(site: Site, cookies: Cookies) -> None:
    contents = await (await site.get("/contents", {REMEMBER: cookies[REMEMBER]})).get_json()

    assert contents["_fresh"] is False


async def test_login_remembered_counts_the_old_cookie(site: Site, cookies: Cookies) -> None:
    answer = await site.get("/remembered", {REMEMBER: cookies[REMEMBER]})

    assert await answer.get_json() == {"remembered": True}


async def test_the_new_cookie_is_restored_as_the_login_that_was_taken_over(site: Site, cookies: Cookies) -> None:
    kept = {REMEMBER: cookies[REMEMBER]}
    await site.get("/", kept)
    await site.get("/", {REMEMBER: kept[REMEMBER]})

    (login,), (restored,) = site.told.logins, site.told.restored
    assert (restored.id, restored.secret) == (login.id, login.secret)


async def test_the_new_cookie_can_be_rotated(site: Site, cookies: Cookies) -> None:
    site.told.replaces_secrets = True
    kept = {REMEMBER: cookies[REMEMBER]}
    await site.get("/", kept)
    first = kept[REMEMBER]
    alone = {REMEMBER: first}
    await site.get("/", alone)
    await site.get("/", {REMEMBER: alone[REMEMBER]})

    (login,) = site.told.logins
    secrets = [restored.secret for restored in site.told.restored]
    assert alone[REMEMBER] != first
    assert secrets[0] == login.secret
    assert len(set(secrets)) == 2


async def test_the_new_cookie_expires_on_the_server(site: Site, cookies: Cookies, later: Any) -> None:
    site.app.config["REMEMBER_COOKIE_DURATION"] = 3600
    kept = {REMEMBER: cookies[REMEMBER]}
    await site.get("/", kept)
    new = kept[REMEMBER]
    later(3500)
    before = await site.name_shown({REMEMBER: new})
    later(3700)
    expired = {REMEMBER: new}

    assert (before, await site.name_shown(expired)) == ("Ada", "nobody")
    assert expired.keys() & {REMEMBER} == set()


async def test_a_session_that_has_expired_leaves_the_remember_cookie(site: Site, cookies: Cookies, later: Any) -> None:
    later(32 * 24 * 3600)  # PERMANENT_SESSION_LIFETIME is 31 days

    assert await site.name_shown(without(cookies, REMEMBER)) == "nobody"
    assert await site.name_shown(dict(cookies)) == "Ada"


async def test_a_lifetime_that_flask_login_was_given_goes_on_to_count(mode: str, later: Any) -> None:
    """Flask-Login writes it as a fraction."""
    app = flask_app(mode)

    @app.get("/briefly")
    def briefly() -> str:
        flask_login.login_user(ADA, remember=True, duration=timedelta(seconds=90.5))
        return ""

    cookies = signed_in_with_flask(app, BROWSERS[0], "/briefly")
    contents = await (await Site(mode=mode).get("/contents", cookies)).get_json()

    assert contents["_remember_seconds"] == 90.5


async def test_a_session_whose_user_id_is_a_number_is_taken_over_too(mode: str) -> None:
    app = flask_app(mode)

    @app.get("/number")
    def number() -> str:
        flask_login.login_user(ADA, remember=True)
        flask.session["_user_id"] = 1
        return ""

    app.login_manager.user_loader(lambda user_id: BY_ID.get(str(user_id)))  # type: ignore[attr-defined]
    cookies = signed_in_with_flask(app, BROWSERS[0], "/number")

    assert await Site(mode=mode).name_shown({"session": cookies["session"]}) == "Ada"
    assert await Site(mode=mode).name_shown(cookies) == "Ada"


@pytest.mark.parametrize(
    ("mode", "permanent", "name", "fresh"),
    [("basic", False, "Ada", False), ("strong", False, "nobody", None), ("strong", True, "Ada", False)],
)
async def test_an_app_with_an_identifier_of_its_own(mode: str, permanent: bool, name: str, fresh: bool | None) -> None:
    app = flask_app(mode, identifier=lambda: "of its own")

    @app.get("/permanent")
    def permanently() -> str:
        flask.session.permanent = permanent
        flask_login.login_user(ADA)
        return ""

    cookies = signed_in_with_flask(app, BROWSERS[0], "/permanent")
    contents = await (await Site(mode=mode).get("/contents", dict(cookies))).get_json()

    assert await Site(mode=mode).name_shown(cookies) == name
    assert contents.get("_fresh") is fresh


# --- keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["session", REMEMBER])
async def test_a_former_key_is_accepted(mode: str, own_sessions: bool, left: str) -> None:
    cookies = signed_in_with_flask(flask_app(mode, key="the former key"), BROWSERS[0])
    site = Site(mode=mode, own_sessions=own_sessions)
    kept = {left: cookies[left]}
    refused = await site.name_shown(dict(kept))
    site.app.config["SECRET_KEY_FALLBACKS"] = ["an older one", "the former key"]
    taken_over = await site.name_shown(kept)
    site.app.config["SECRET_KEY_FALLBACKS"] = []

    assert (refused, taken_over, await site.name_shown(kept)) == ("nobody", "Ada", "Ada")


def changed(cookie: str) -> Iterator[str]:
    """Yield spellings that nobody has signed."""
    payload, _, digest = cookie.rpartition("|")
    yield f"2|{digest}"
    yield f"{payload}|{digest[:-1]}{'0' if digest[-1] != '0' else '1'}"
    yield f"{payload}|{digest.upper()}"
    yield f"{payload}|"
    yield f"{payload}{digest}"
    yield f"{payload}|{digest}0"
    yield f"|{digest}"
    yield flask_login.encode_cookie(payload, "another key")


@pytest.mark.parametrize("number", range(8))
async def test_a_tampered_remember_cookie_is_anonymous_and_kept(site: Site, cookies: Cookies, number: int) -> None:
    kept = {REMEMBER: [*changed(cookies[REMEMBER])][number]}
    before = dict(kept)

    assert await site.name_shown(kept) == "nobody"
    assert kept == before  # another app on this host may have signed it
    assert site.told.logins == []


async def test_a_tampered_session_of_flask_login_is_anonymous(site: Site, cookies: Cookies) -> None:
    payload, _, signature = cookies["session"].rpartition(".")

    assert await site.name_shown({"session": f"{payload}.{signature[::-1]}"}) == "nobody"


async def test_a_remember_cookie_of_a_deleted_user_is_anonymous_and_kept(site: Site) -> None:
    kept = {REMEMBER: flask_login.encode_cookie("99", KEY)}
    before = dict(kept)

    assert await site.name_shown(kept) == "nobody"
    assert kept == before


# --- without the switch ---------------------------------------------------------------------------------------


async def test_without_the_switch_the_old_remember_cookie_is_ignored_and_kept(
    mode: str, own_sessions: bool, cookies: Cookies
) -> None:
    site = Site(mode=mode, own_sessions=own_sessions, switch=False)
    kept = {REMEMBER: cookies[REMEMBER]}

    assert [await site.name_shown(kept) for _ in range(2)] == ["nobody", "nobody"]
    assert kept == {REMEMBER: cookies[REMEMBER]}
    assert await (await site.get("/remembered", kept)).get_json() == {"remembered": False}
    assert site.told.logins == []


async def test_turning_the_switch_on_afterwards_finds_the_cookie_that_was_kept(mode: str, cookies: Cookies) -> None:
    site = Site(mode=mode, switch=False)
    kept = {REMEMBER: cookies[REMEMBER]}
    await site.get("/", kept)
    site.manager.import_flask_login = True

    assert await site.name_shown(kept) == "Ada"


async def test_without_the_switch_a_session_of_the_main_branch_goes_on_as_it_is(mode: str) -> None:
    old = flask_app(mode, identifier=identifier_of_the_main_branch)
    cookies = without(signed_in_with_flask(old, BROWSERS[0]), REMEMBER)
    site = Site(mode=mode, switch=False)
    contents = await (await site.get("/contents", cookies)).get_json()

    assert await site.name_shown(cookies) == "Ada"
    assert "_login_id" not in contents
    assert site.told.logins == []


async def test_without_the_switch_strong_mode_does_not_know_the_fingerprint_of_0_6_3() -> None:
    cookies = signed_in_with_flask(flask_app("strong"), BROWSERS[0])

    assert await Site(mode="strong", switch=False).name_shown(cookies) == "nobody"


# --- on a websocket, where nothing can be written -------------------------------------------------------------


async def heard(site: Site, cookies: Cookies) -> Any:
    client = site.app.test_client(use_cookies=False)
    async with client.websocket("/live", scope_base=BROWSERS[0].scope(cookies)) as connection:
        return await connection.receive()


async def test_a_websocket_takes_a_session_as_it_is(site: Site, cookies: Cookies) -> None:
    assert await heard(site, cookies) == "Ada"
    assert site.told.logins == []


async def test_a_websocket_takes_over_no_remember_cookie(site: Site, cookies: Cookies) -> None:
    with pytest.raises(WebsocketResponseError):
        await heard(site, {REMEMBER: cookies[REMEMBER]})

    assert site.told.logins == []
