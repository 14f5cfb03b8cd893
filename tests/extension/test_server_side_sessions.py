"""Session interfaces that keep sessions on the server; session fixation of their ids."""

import json
import operator
import re
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any

import pytest
from browsers import home as home_view
from browsers import restart, set_by
from quart import Quart, session
from quart.sessions import SecureCookieSession, SessionInterface
from quart.testing import QuartClient
from users import ADA, BY_ID, User

from quartlogin import (
    ConfigurationError,
    LoginManager,
    LoginRefused,
    NoRecords,
    confirm_login,
    create_bearer_token,
    encode_cookie,
    login_user,
    logout_user,
)


class ServerSession(SecureCookieSession):
    """As quart-session's: it is kept under an id, and has the browser's address in it."""

    sid: str

    def __bool__(self) -> bool:
        return bool(self.keys() - {"_permanent", "_addr"})


class ServerSessions(SessionInterface):
    """Keeps sessions in a dictionary, by an id that has no signature, as quart-session and Flask-Session do."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def open_session(self, app: Quart, request: Any) -> ServerSession:
        sid = request.cookies.get("session", "")
        contents = json.loads(self.kept[sid]) if sid in self.kept else {"_addr": "127.0.0.1", "_permanent": True}
        opened = ServerSession(contents)
        opened.sid = sid if sid in self.kept else token_urlsafe()
        opened.modified = False
        return opened

    async def save_session(self, app: Quart, session: Any, response: Any) -> None:
        if response is None or not session.modified:
            return
        if not session:
            self.kept.pop(session.sid, None)
            response.delete_cookie("session")
            return
        self.kept[session.sid] = json.dumps(dict(session))
        response.set_cookie("session", session.sid)


class Sync(ServerSessions):
    def regenerate(self, session: Any) -> None:
        """As Flask-Session does it: the id of an empty session stays."""
        if session:
            self.kept.pop(session.sid, None)
            session.sid, session.modified = token_urlsafe(), True


class Async(Sync):
    async def regenerate(self, session: Any) -> None:  # type: ignore[override]
        super().regenerate(session)


class Broken(ServerSessions):
    def regenerate(self, session: Any) -> None:
        raise OSError("the store is down")


REGENERATING = pytest.mark.parametrize("interface", [Sync, Async], indirect=True)
ANY = pytest.mark.parametrize("interface", [ServerSessions, Sync, Async], indirect=True)


@pytest.fixture
def interface(request: pytest.FixtureRequest, app: Quart) -> ServerSessions:
    interface: ServerSessions = request.param()
    app.session_interface = interface
    return interface


@pytest.fixture
def site(app: Quart, interface: ServerSessions, login_manager: LoginManager[User]) -> Quart:
    app.add_url_rule("/", view_func=home_view)

    @app.post("/login/<user_id>")
    async def login(user_id: str) -> str:
        await login_user(BY_ID[user_id])
        return ""

    @app.post("/remember/<user_id>")
    async def remember(user_id: str) -> str:
        await login_user(BY_ID[user_id], remember=True)
        return ""

    @app.post("/clear-and-login")
    async def clear_and_login() -> str:
        session.clear()
        await login_user(ADA)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.post("/confirm")
    async def confirm() -> str:
        await confirm_login()
        return ""

    @app.post("/put/<key>/<value>")
    async def put(key: str, value: str) -> str:
        session[key] = value
        return ""

    return app


@pytest.fixture
def browser(site: Quart) -> QuartClient:
    client: QuartClient = site.test_client()  # type: ignore[assignment]
    return client


def sid_of(browser: QuartClient) -> str | None:
    return next((cookie.value for cookie in browser.cookie_jar or () if cookie.name == "session"), None)


async def see_with(site: Quart, sid: str | None) -> dict[str, Any]:
    client = site.test_client(use_cookies=False)
    page: dict[str, Any] = await (await client.get("/", headers={"Cookie": f"session={sid}"})).get_json()
    return page


# --- session fixation ----------------------------------------------------------------------------------------------


@REGENERATING
@pytest.mark.requirement("7.2.4", "V29")
@pytest.mark.parametrize("way_in", ["/login/1", "/remember/1", "/clear-and-login"])
async def test_session_fixation_a_planted_session_id_is_not_signed_in_by_a_login(
    site: Quart, browser: QuartClient, way_in: str
) -> None:
    attacker: QuartClient = site.test_client()  # type: ignore[assignment]
    await attacker.post("/put/cart/book")
    planted = sid_of(attacker)
    browser.set_cookie("localhost", "session", str(planted))

    await browser.post(way_in)

    assert (await see_with(site, planted))["name"] is None
    assert (await see_with(site, sid_of(browser)))["name"] == "Ada"


@REGENERATING
@pytest.mark.requirement("7.2.4", "V29")
async def test_session_fixation_a_planted_session_id_is_not_signed_in_by_a_remember_cookie(
    site: Quart, browser: QuartClient
) -> None:
    attacker: QuartClient = site.test_client()  # type: ignore[assignment]
    await attacker.post("/put/cart/book")
    planted = sid_of(attacker)
    await browser.post("/remember/1")
    restart(browser)
    browser.set_cookie("localhost", "session", str(planted))

    await browser.get("/")

    assert (await see_with(site, planted))["name"] is None
    assert (await see_with(site, sid_of(browser)))["session"]["cart"] == "book"


@REGENERATING
@pytest.mark.requirement("7.2.4", "7.5.1")
async def test_a_reauthentication_gives_the_session_a_new_id(site: Quart, browser: QuartClient) -> None:
    await browser.post("/login/1")
    before = sid_of(browser)

    await browser.post("/confirm")

    assert (await see_with(site, before))["name"] is None
    assert (await see_with(site, sid_of(browser)))["name"] == "Ada"


@REGENERATING
@pytest.mark.requirement("7.4.1")
async def test_a_logout_that_leaves_something_gives_the_session_a_new_id(site: Quart, browser: QuartClient) -> None:
    await browser.post("/login/1")
    await browser.post("/put/language/cy")
    before = sid_of(browser)

    await browser.post("/logout")

    assert "language" not in (await see_with(site, before))["session"]
    assert (await see_with(site, sid_of(browser)))["session"]["language"] == "cy"


@REGENERATING
async def test_a_login_and_a_logout_leave_no_session_behind(interface: ServerSessions, browser: QuartClient) -> None:
    await browser.post("/put/cart/book")
    await browser.post("/login/1")
    await browser.post("/confirm")
    assert len(interface.kept) == 1

    async with browser.session_transaction() as contents:
        del contents["cart"]
    await browser.post("/logout")

    assert interface.kept == {}


@ANY
async def test_who_only_looks_keeps_the_id(browser: QuartClient) -> None:
    await browser.post("/login/1")
    before = sid_of(browser)
    await browser.get("/")

    assert sid_of(browser) == before


@ANY
async def test_an_anonymous_visitor_who_signs_out_keeps_the_id(browser: QuartClient) -> None:
    await browser.post("/put/cart/book")
    before = sid_of(browser)
    await browser.post("/logout")

    assert sid_of(browser) == before


@REGENERATING
async def test_a_login_that_is_refused_changes_no_id(
    site: Quart, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    class Refusing(NoRecords):
        async def login_began(self, login: Any) -> None:
            raise LoginRefused

    login_manager.records = Refusing()
    await browser.post("/put/cart/book")
    before = sid_of(browser)

    await browser.post("/login/1")

    assert sid_of(browser) == before
    assert (await see_with(site, before))["session"]["cart"] == "book"


@pytest.mark.parametrize("interface", [Broken], indirect=True)
async def test_session_fixation_an_interface_that_cannot_regenerate_does_not_sign_in(
    site: Quart, browser: QuartClient
) -> None:
    await browser.post("/put/cart/book")
    response = await browser.post("/login/1")

    assert response.status_code == 500
    assert (await see_with(site, sid_of(browser)))["name"] is None


@pytest.mark.parametrize(("interface", "times"), [(ServerSessions, 1), (Sync, 0), (Async, 0)], indirect=["interface"])
async def test_session_fixation_an_interface_without_regenerate_is_warned_of_once(
    browser: QuartClient, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    for _ in range(2):
        await browser.post("/login/1")
        await browser.post("/logout")

    warned = [record for record in caplog.records if "regenerate" in record.getMessage()]
    assert len(warned) == times


# --- what others keep in the session -------------------------------------------------------------------------------


@ANY
@pytest.mark.parametrize("steps", [["/login/1"], ["/login/1", "/login/2"], ["/login/1", "/logout", "/login/2"]])
async def test_what_the_interface_keeps_in_the_session_for_itself_stays(
    interface: ServerSessions, browser: QuartClient, steps: list[str]
) -> None:
    await browser.post("/put/diary/secret")
    for step in steps:
        await browser.post(step)

    contents = json.loads(interface.kept[str(sid_of(browser))])
    assert (contents["_addr"], contents["_permanent"]) == ("127.0.0.1", True)


@ANY
async def test_quart_sessions_protection_and_ours_do_not_disturb_each_other(site: Quart, browser: QuartClient) -> None:
    site.config["SESSION_PROTECTION"] = True
    await browser.post("/login/1")

    page = await (await browser.get("/")).get_json()
    moved = await (await browser.get("/", headers={"User-Agent": "another"})).get_json()

    assert (page["name"], page["fresh"]) == ("Ada", True)
    assert (moved["name"], moved["fresh"]) == ("Ada", False)  # "basic", as the manager says


# --- without a secret key ------------------------------------------------------------------------------------------


@ANY
async def test_without_a_secret_key_people_sign_in_and_out(site: Quart, browser: QuartClient) -> None:
    site.secret_key = None
    await browser.post("/put/cart/book")
    await browser.post("/login/1")
    signed_in = await (await browser.get("/")).get_json()
    await browser.post("/logout")
    left = await (await browser.get("/")).get_json()
    await browser.post("/login/2")
    other = await (await browser.get("/")).get_json()

    assert (signed_in["name"], left["name"], other["name"]) == ("Ada", None, "Grace")
    assert ("cart" in left["session"], "cart" in other["session"]) == (True, False)


@ANY
async def test_without_a_secret_key_remembering_is_a_configuration_error_at_once(
    site: Quart, browser: QuartClient, caplog: pytest.LogCaptureFixture
) -> None:
    site.secret_key = None

    response = await browser.post("/remember/1")

    assert response.status_code == 500
    assert re.search(r"ConfigurationError: .*remember=True.* SECRET_KEY\b", caplog.text)
    assert (await (await browser.get("/")).get_json())["name"] is None


@ANY
async def test_without_a_secret_key_a_bearer_token_is_a_configuration_error(site: Quart) -> None:
    site.secret_key = None

    async with site.app_context():
        with pytest.raises(ConfigurationError, match="needs a SECRET_KEY"):
            await create_bearer_token(ADA, duration=timedelta(hours=1))


@ANY
@pytest.mark.parametrize("is_import", [True, False])
@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/login/1", "POST"), ("/logout", "POST")])
async def test_without_a_secret_key_no_cookie_and_no_token_is_an_error(
    site: Quart, login_manager: LoginManager[User], is_import: bool, path: str, method: str
) -> None:
    site.secret_key = None
    login_manager.import_flask_login = is_import
    values = ["", "broken", "a.b.c", "1|" + "0" * 128, encode_cookie("1", "some key"), "|", "é"]
    cookies = [{"Cookie": f"remember_token={value}; session={value}"} for value in values]
    tokens = [{"Authorization": f"Bearer {value}"} for value in values]

    for sent in (*cookies, *map(operator.or_, cookies, tokens)):
        response = await site.test_client(use_cookies=False).open(path, method=method, headers=sent)

        assert response.status_code == 200
        assert "remember_token" not in set_by(response)


@ANY
async def test_without_a_secret_key_a_remembered_login_is_anonymous(site: Quart, browser: QuartClient) -> None:
    await browser.post("/remember/1")
    restart(browser)
    site.secret_key = None
    site.config["REMEMBER_COOKIE_REFRESH_EACH_REQUEST"] = True

    response = await browser.get("/")

    assert (await response.get_json())["name"] is None
    assert "remember_token" not in set_by(response)
