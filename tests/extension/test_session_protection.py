"""Session hijacking: session protection when a session comes from another browser."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha512
from typing import Any

import pytest
from browsers import home, see, set_by
from quart import Quart, session, websocket
from quart.testing import QuartClient
from users import ADA, Receive, SignIn, User, Visit

from quartlogin import (
    SESSION_KEYS,
    ConfigurationError,
    LoginManager,
    QuartLoginClient,
    create_bearer_token,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_user,
    logout_user,
    session_protected,
)

OTHER_BROWSER = {"User-Agent": "another browser"}
ELSEWHERE = {"client": ("192.0.2.7", 50_000)}


@pytest.fixture
def site(app: Quart) -> Quart:
    """An app with a login view, a logout, a page, and a page for fresh logins."""

    @app.post("/login")
    async def login() -> str:
        session.permanent = "permanent" in app.config["TESTING_LOGIN"]
        await login_user(ADA, remember="remember" in app.config["TESTING_LOGIN"])
        session["cart"] = ["book"]
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    app.add_url_rule("/", view_func=home)

    @app.get("/fresh")
    @fresh_login_required
    async def fresh() -> str:
        return ""

    app.config["TESTING_LOGIN"] = set()
    return app


@pytest.fixture
async def browser(site: Quart) -> QuartClient:
    """The browser in which Ada has signed in."""
    client = site.test_client()
    await client.post("/login")
    return client


@pytest.fixture
async def kept_browser(site: Quart) -> QuartClient:
    """The same with a permanent session and a remember cookie."""
    site.config["TESTING_LOGIN"] = {"permanent", "remember"}
    client = site.test_client()
    await client.post("/login")
    return client


@pytest.fixture
def protected(app: Quart) -> list[Any]:
    """Who was announced by `session_protected`."""
    senders: list[Any] = []

    def receive(sender: Any) -> None:
        senders.append(sender)

    session_protected.connect(receive, app, weak=False)
    return senders


def cookie_header(browser: QuartClient) -> str:
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookie_jar or ())


CHANGES = pytest.mark.parametrize(
    "change", [{"headers": OTHER_BROWSER}, {"scope_base": ELSEWHERE}], ids=["user agent", "address"]
)


# --- the fingerprint ------------------------------------------------------------------------------------------


async def test_the_session_keeps_flask_logins_hash_of_address_and_user_agent(site: Quart) -> None:
    client = site.test_client()

    await client.post("/login", headers={"User-Agent": "Firefox"}, scope_base={"client": ("192.0.2.1", 5)})
    page = await see(client)

    assert page["session"]["_id"] == sha512(b"192.0.2.1|Firefox").hexdigest()


async def test_spoofed_forwarded_addresses_are_ignored(site: Quart, protected: list[Any]) -> None:
    """Whoever has stolen the cookie would just send the address that it belongs to (flask-login#700)."""
    site.config["SESSION_PROTECTION"] = "strong"
    client = site.test_client()
    await client.post("/login", scope_base={"client": ("192.0.2.1", 5)})

    page = await see(client, headers={"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1"}, scope_base=ELSEWHERE)

    assert page["name"] is None
    assert protected == [site]


async def test_a_forwarded_address_changes_nothing_for_the_right_browser(
    site: Quart, browser: QuartClient, protected: list[Any]
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    page = await see(browser, headers={"X-Forwarded-For": "203.0.113.9"})

    assert (page["name"], page["fresh"], protected) == ("Ada", True, [])


@pytest.mark.parametrize("mode", ["basic", "strong"])
@pytest.mark.parametrize("agent", ["", "é" * 100, "\xff\xfe", "x" * 5_000], ids=["empty", "é", "bytes", "long"])
async def test_any_user_agent_is_recognized(site: Quart, protected: list[Any], mode: str, agent: str) -> None:
    site.config["SESSION_PROTECTION"] = mode
    client = site.test_client()
    await client.post("/login", headers={"User-Agent": agent})

    page = await see(client, headers={"User-Agent": agent})

    assert (page["name"], page["fresh"], protected) == ("Ada", True, [])


@pytest.fixture
def no_user_agent(site: Quart) -> None:
    """Requests to this app arrive without a User-Agent, which the test client always sends."""
    serve = site.asgi_app

    async def serve_without(scope: Any, receive: Any, send: Any) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"user-agent"]
        await serve({**scope, "headers": headers}, receive, send)

    site.asgi_app = serve_without  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("mode", ["basic", "strong"])
@pytest.mark.usefixtures("no_user_agent")
async def test_a_browser_without_a_user_agent_is_recognized(
    site: Quart, browser: QuartClient, protected: list[Any], mode: str
) -> None:
    site.config["SESSION_PROTECTION"] = mode

    page = await see(browser)

    assert (page["name"], page["fresh"], protected) == ("Ada", True, [])


# --- basic ----------------------------------------------------------------------------------------------------


@CHANGES
async def test_session_hijacking_in_basic_mode_keeps_the_login_but_not_its_freshness(
    browser: QuartClient, protected: list[Any], change: dict[str, Any]
) -> None:
    before = await see(browser)
    after = await see(browser, **change)

    assert (before["fresh"], after["fresh"]) == (True, False)
    assert after["name"] == "Ada"
    assert after["login_id"] == before["login_id"]
    assert len(protected) == 1


async def test_basic_does_not_give_freshness_back_to_the_right_browser(browser: QuartClient) -> None:
    """The session cookie is one and the same, wherever it is."""
    await see(browser, headers=OTHER_BROWSER)

    assert (await see(browser))["fresh"] is False


async def test_session_hijacking_in_basic_mode_does_not_reach_views_that_need_a_fresh_login(
    browser: QuartClient,
) -> None:
    same = await browser.get("/fresh")
    other = await browser.get("/fresh", headers=OTHER_BROWSER)

    assert (same.status_code, other.status_code) == (200, 401)


async def test_basic_writes_the_session_once(browser: QuartClient) -> None:
    first = await browser.get("/", headers=OTHER_BROWSER)
    second = await browser.get("/", headers=OTHER_BROWSER)

    assert set_by(first).keys() == {"session"}
    assert set_by(second).keys() == set()


async def test_session_hijacking_in_basic_mode_is_signalled_at_each_request(
    site: Quart, browser: QuartClient, protected: list[Any]
) -> None:
    await see(browser, headers=OTHER_BROWSER)
    await see(browser, headers=OTHER_BROWSER)

    assert protected == [site, site]


async def test_basic_is_the_default(login_manager: LoginManager[User]) -> None:
    assert login_manager.session_protection == "basic"


async def test_basic_keeps_the_remember_cookie(kept_browser: QuartClient) -> None:
    response = await kept_browser.get("/", headers=OTHER_BROWSER)

    assert "remember_token" not in set_by(response)


@pytest.mark.parametrize("mark", [{}, {"_id": None}, {"_id": ["x"]}, {"_id": {"x": 1}}, {"_id": True}], ids=str)
async def test_a_session_without_a_proper_mark_of_its_browser_is_not_fresh(
    site: Quart, sign_in: SignIn, mark: dict[str, Any]
) -> None:
    page = await see(await sign_in(site, "1", _login_id="x", _fresh=True, **mark))

    assert (page["name"], page["fresh"]) == ("Ada", False)


# --- strong ---------------------------------------------------------------------------------------------------


@CHANGES
async def test_session_hijacking_in_strong_mode_signs_out(
    site: Quart, browser: QuartClient, protected: list[Any], change: dict[str, Any]
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    page = await see(browser, **change)

    assert (page["name"], page["login_id"], page["fresh"]) == (None, None, False)
    assert protected == [site]


async def test_strong_takes_only_the_login_out_of_the_session(site: Quart, browser: QuartClient) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    await see(browser, headers=OTHER_BROWSER)
    page = await see(browser)

    assert page["name"] is None
    assert page["session"].keys() & SESSION_KEYS == set()
    assert page["session"]["cart"] == ["book"]


async def test_session_hijacking_in_strong_mode_does_not_fall_back_to_the_remember_cookie(site: Quart) -> None:
    site.config.update(SESSION_PROTECTION="strong", TESTING_LOGIN={"remember"})
    client = site.test_client()
    await client.post("/login")

    first = await client.get("/", headers=OTHER_BROWSER)
    second = await see(client, headers=OTHER_BROWSER)

    assert (await first.get_json())["name"] is None
    assert set_by(first)["remember_token"]["max-age"] == "0"
    assert second["name"] is None


async def test_strong_does_not_ask_the_request_loader(
    site: Quart, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    @login_manager.request_loader
    async def load(_request: Any) -> User:
        return ADA

    assert (await see(browser, headers=OTHER_BROWSER))["name"] is None


async def test_strong_asks_no_loader(site: Quart, browser: QuartClient, loads: list[str]) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    await see(browser, headers=OTHER_BROWSER)

    assert loads == []


async def test_strong_treats_a_permanent_session_as_basic_does(
    site: Quart, kept_browser: QuartClient, protected: list[Any]
) -> None:
    """It is expected to move: from a home network to a train, say."""
    site.config["SESSION_PROTECTION"] = "strong"

    page = await see(kept_browser, headers=OTHER_BROWSER)

    assert (page["name"], page["fresh"]) == ("Ada", False)
    assert page["session"].keys() & {"_user_id", "_login_id"} == {"_user_id", "_login_id"}
    assert protected == [site]


async def test_strong_deletes_the_cookie_of_a_session_that_held_nothing_else(site: Quart, sign_in: SignIn) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    browser = await sign_in(site, "1", _login_id="x", _fresh=True, _id="another browser")

    await browser.get("/")

    assert list(browser.cookie_jar or ()) == []


async def test_after_strong_protection_one_can_sign_in_again(site: Quart, browser: QuartClient) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    await see(browser, headers=OTHER_BROWSER)

    await browser.post("/login", headers=OTHER_BROWSER)
    page = await see(browser, headers=OTHER_BROWSER)

    assert (page["name"], page["fresh"]) == ("Ada", True)


async def test_a_login_in_a_request_that_was_signed_out_is_remembered(app: Quart, sign_in: SignIn) -> None:
    app.config["SESSION_PROTECTION"] = "strong"

    @app.post("/login")
    async def login() -> str:
        assert (await current_user).is_anonymous
        await login_user(ADA, remember=True)
        return ""

    browser = await sign_in(app, "2", _id="another browser")
    response = await browser.post("/login")

    assert set_by(response)["remember_token"].value != ""


# --- none -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "", False], ids=repr)
@CHANGES
async def test_without_protection_nothing_happens(
    site: Quart, browser: QuartClient, protected: list[Any], change: dict[str, Any], mode: Any
) -> None:
    site.config["SESSION_PROTECTION"] = mode

    response = await browser.get("/", **change)
    page = await response.get_json()

    assert (page["name"], page["fresh"]) == ("Ada", True)
    assert protected == []
    assert set_by(response) == {}


@pytest.mark.parametrize(
    ("of_manager", "of_app", "name"),
    [("strong", None, "Ada"), (None, "strong", None), ("strong", "basic", "Ada"), ("basic", "strong", None)],
)
async def test_the_apps_setting_goes_before_the_managers(
    site: Quart,
    browser: QuartClient,
    login_manager: LoginManager[User],
    of_manager: str | None,
    of_app: str | None,
    name: str | None,
) -> None:
    login_manager.session_protection = of_manager
    site.config["SESSION_PROTECTION"] = of_app

    assert (await see(browser, headers=OTHER_BROWSER))["name"] == name


@pytest.mark.parametrize(("mode", "name"), [("strong", None), ("basic", "Ada"), (None, "Ada")])
async def test_the_managers_setting_counts_without_the_apps(
    browser: QuartClient, login_manager: LoginManager[User], mode: str | None, name: str | None
) -> None:
    login_manager.session_protection = mode

    assert (await see(browser, headers=OTHER_BROWSER))["name"] == name


@pytest.mark.parametrize("mode", ["Strong", "weak", " basic", 1, True, ["basic"]], ids=repr)
@pytest.mark.parametrize("visitor", ["1", None], ids=["signed in", "anonymous"])
async def test_a_mode_that_does_not_exist_is_a_configuration_error(
    app: Quart, visit: Visit, mode: Any, visitor: str | None
) -> None:
    """Flask-Login takes it for none, so that a typing error is a hole."""
    app.config["SESSION_PROTECTION"] = mode

    async with visit(visitor):
        with pytest.raises(ConfigurationError, match="SESSION_PROTECTION must be"):
            await current_user


async def test_the_managers_mode_is_checked_too(visit: Visit, login_manager: LoginManager[User]) -> None:
    login_manager.session_protection = "stong"

    async with visit("1"):
        with pytest.raises(ConfigurationError, match="stong"):
            await current_user


# --- who is not concerned -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["basic", "strong", None])
async def test_the_right_browser_gets_no_cookie(site: Quart, browser: QuartClient, mode: str | None) -> None:
    site.config["SESSION_PROTECTION"] = mode

    response = await browser.get("/")

    assert set_by(response) == {}


@pytest.mark.parametrize("mode", ["basic", "strong"])
async def test_an_anonymous_visitor_may_change_browsers(
    site: Quart, protected: list[Any], mode: str, sign_in: SignIn
) -> None:
    site.config["SESSION_PROTECTION"] = mode
    browser = await sign_in(site, None, cart=["book"])

    response = await browser.get("/", headers=OTHER_BROWSER)

    assert (await response.get_json())["session"]["cart"] == ["book"]
    assert set_by(response) == {}
    assert protected == []


async def test_a_login_restored_in_another_browser_belongs_to_that_one(
    site: Quart, kept_browser: QuartClient, protected: list[Any]
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    assert kept_browser.cookie_jar is not None
    kept_browser.delete_cookie("localhost", "session")

    restored = await see(kept_browser, headers=OTHER_BROWSER)
    again = await see(kept_browser, headers=OTHER_BROWSER)

    assert (restored["name"], again["name"], again["fresh"]) == ("Ada", "Ada", False)
    assert protected == []


async def test_a_bearer_token_is_good_in_any_browser(site: Quart, sign_in: SignIn, protected: list[Any]) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    browser = await sign_in(site, "2", _login_id="x", _id="another browser")

    response = await browser.get("/", headers={"Authorization": f"Bearer {token}"})

    assert (await response.get_json())["name"] == "Ada"
    assert set_by(response) == {}
    assert protected == []


async def test_a_session_ended_by_protection_can_be_left(site: Quart, browser: QuartClient) -> None:
    site.config["SESSION_PROTECTION"] = "strong"

    response = await browser.post("/logout", headers=OTHER_BROWSER)

    assert response.status_code == 200
    assert (await see(browser))["session"].keys() & SESSION_KEYS == set()


async def test_a_client_that_comes_signed_in_is_fresh_in_its_own_browser_only(site: Quart) -> None:
    site.test_client_class = QuartLoginClient
    client = site.test_client(user=ADA)

    here = await see(client)
    elsewhere = await see(client, headers={"User-Agent": "another browser"})

    assert [(page["name"], page["fresh"]) for page in (here, elsewhere)] == [("Ada", True), ("Ada", False)]


# --- websockets -----------------------------------------------------------------------------------------------


@pytest.fixture
def live(site: Quart) -> None:
    """A websocket that says who is there, and whether it has written into the session."""

    @site.websocket("/live")
    async def live() -> None:
        name = getattr(await current_user, "name", None)
        await websocket.send(json.dumps([name, login_id(), login_fresh(), session.modified]))


Knock = Callable[[Quart, str], Awaitable[Any]]


@pytest.fixture
def knock(receive: Receive) -> Knock:
    async def knock(app: Quart, cookie: str) -> Any:
        return json.loads(await receive(app, cookie))

    return knock


@pytest.mark.usefixtures("live")
async def test_a_websocket_of_the_same_browser_is_fresh(
    site: Quart, browser: QuartClient, knock: Knock, protected: list[Any]
) -> None:
    login = (await see(browser))["login_id"]

    assert await knock(site, cookie_header(browser)) == ["Ada", login, True, False]
    assert protected == []


@pytest.mark.usefixtures("live")
async def test_a_websocket_is_not_fresh_in_basic_mode_and_writes_no_session(
    site: Quart, sign_in: SignIn, knock: Knock, protected: list[Any]
) -> None:
    other = await sign_in(site, "1", _login_id="x", _fresh=True, _id="another browser")

    answer = await knock(site, cookie_header(other))

    assert answer == ["Ada", "x", False, False]
    assert protected == [site]


@pytest.mark.usefixtures("live")
async def test_a_websocket_is_anonymous_in_strong_mode_and_writes_no_session(
    site: Quart, sign_in: SignIn, knock: Knock, protected: list[Any]
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    other = await sign_in(site, "1", _login_id="x", _fresh=True, _id="another browser")

    answer = await knock(site, cookie_header(other))

    assert answer == [None, None, False, False]
    assert protected == [site]


@pytest.mark.usefixtures("live")
async def test_a_websocket_in_strong_mode_does_not_fall_back_to_the_remember_cookie(
    site: Quart, sign_in: SignIn, kept_browser: QuartClient, knock: Knock
) -> None:
    site.config["SESSION_PROTECTION"] = "strong"
    remembered = cookie_header(kept_browser).rpartition("remember_token=")[2].partition(";")[0]
    other = await sign_in(site, "1", _login_id="x", _fresh=True, _id="another browser")

    answer = await knock(site, f"{cookie_header(other)}; remember_token={remembered}")

    assert answer == [None, None, False, False]


# --- the signal -----------------------------------------------------------------------------------------------


async def test_a_receiver_may_be_a_coroutine_and_sees_the_request(site: Quart, browser: QuartClient) -> None:
    seen: list[Any] = []

    async def receive(sender: Any) -> None:
        seen.append((sender, login_fresh()))

    with session_protected.connected_to(receive, site):
        await see(browser, headers=OTHER_BROWSER)

    assert seen == [(site, False)]
