"""Session fixation: what a login and a logout keep in the session, and views that clear the session."""

from typing import Any

import pytest
from browsers import KEY, restart, see, set_by
from browsers import home as home_view
from quart import Quart, session
from quart.testing import QuartClient
from users import ADA, BY_ID, GRACE, User

from quartlogin import (
    Login,
    LoginManager,
    NoRecords,
    SignedSessionInterface,
    current_user,
    login_user,
    logout_user,
)


class Notes(NoRecords):
    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []

    async def login_began(self, login: Login) -> None:
        self.began.append(login.id)

    async def login_ended(self, login_id: str) -> None:
        self.ended.append(login_id)


@pytest.fixture(params=["Quart's sessions", "signed sessions"])
def site(app: Quart, login_manager: LoginManager[User], request: pytest.FixtureRequest) -> Quart:
    if request.param == "signed sessions":
        app.session_interface = SignedSessionInterface()
    login_manager.session_protection = None
    app.add_url_rule("/", view_func=home_view)

    @app.post("/put/<key>/<value>")
    async def put(key: str, value: str) -> str:
        session[key] = value
        return ""

    @app.post("/login/<user_id>")
    async def login(user_id: str) -> str:
        await login_user(BY_ID[user_id])
        return ""

    @app.post("/remember/<user_id>")
    async def remember(user_id: str) -> str:
        await login_user(BY_ID[user_id], remember=True)
        return ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    add_views_that_clear_the_session(app)
    return app


def add_views_that_clear_the_session(app: Quart) -> None:
    @app.post("/logout-then-clear")
    async def logout_then_clear() -> str:
        await logout_user()
        session.clear()
        return str((await current_user).is_authenticated)

    @app.post("/clear-then-logout")
    async def clear_then_logout() -> str:
        session.clear()
        await logout_user()
        return str((await current_user).is_authenticated)

    @app.post("/remember-then-clear")
    async def remember_then_clear() -> str:
        await login_user(ADA, remember=True)
        session.clear()
        return current_user.name or ""

    @app.post("/clean-after-login")
    async def clean_after_login() -> str:
        await login_user(ADA, remember=True)
        for key in [key for key in session if key.startswith("_remember")]:
            del session[key]
        return ""


@pytest.fixture
def browser(site: Quart) -> QuartClient:
    client: QuartClient = site.test_client()  # type: ignore[assignment]
    return client


@pytest.fixture
def notes(login_manager: LoginManager[User]) -> Notes:
    login_manager.records = notes = Notes()
    return notes


async def post(browser: QuartClient, *paths: str) -> Any:
    for path in paths:
        response = await browser.post(path)
        assert response.status_code == 200
    return response


async def held(browser: QuartClient) -> dict[str, Any]:
    contents: dict[str, Any] = (await see(browser))["session"]
    return contents


# --- what the answer does with cookies does not depend on the session ----------------------------------------------


@pytest.mark.parametrize("logout", ["/logout", "/logout-then-clear", "/clear-then-logout"])
@pytest.mark.parametrize("login", ["/login/1", "/remember/1", "/remember-then-clear", "/clean-after-login"])
async def test_a_logout_and_a_cleared_session_in_either_order_sign_out(
    browser: QuartClient, login: str, logout: str
) -> None:
    await post(browser, login)

    answer = await post(browser, logout)

    assert await answer.get_data(as_text=True) in {"", "False"}
    assert (await see(browser))["name"] is None
    restart(browser)
    assert (await see(browser))["name"] is None


@pytest.mark.parametrize("logout", ["/logout", "/logout-then-clear", "/clear-then-logout"])
@pytest.mark.parametrize("login", ["/login/1", "/remember/1", "/remember-then-clear"])
async def test_a_logout_and_a_cleared_session_in_either_order_end_the_login(
    browser: QuartClient, notes: Notes, login: str, logout: str
) -> None:
    await post(browser, login)

    await post(browser, logout)

    assert notes.ended == notes.began
    assert len(notes.began) == 1


@pytest.mark.parametrize("login", ["/remember-then-clear", "/clean-after-login"])
async def test_a_remembered_login_whose_session_was_cleaned_sets_the_cookie(browser: QuartClient, login: str) -> None:
    response = await post(browser, login)
    restart(browser)

    assert set_by(response)["remember_token"].value
    assert (await see(browser))["name"] == "Ada"


async def test_a_logout_after_a_remembered_login_in_one_request_sets_no_cookie(
    site: Quart, browser: QuartClient
) -> None:
    @site.post("/in-and-out")
    async def in_and_out() -> str:
        await login_user(ADA, remember=True)
        await logout_user()
        return ""

    response = await post(browser, "/in-and-out")

    assert "remember_token" not in set_by(response)
    assert (await see(browser))["name"] is None


async def test_a_login_after_a_logout_in_one_request_sets_the_cookie(site: Quart, browser: QuartClient) -> None:
    @site.post("/out-and-in")
    async def out_and_in() -> str:
        await logout_user()
        await login_user(GRACE, remember=True)
        session.clear()
        return ""

    await post(browser, "/remember/1", "/out-and-in")
    restart(browser)

    assert (await see(browser))["name"] == "Grace"


@pytest.mark.parametrize("login", ["/login/1", "/remember/1"])
async def test_nothing_of_what_is_planned_for_the_answer_is_in_the_session(browser: QuartClient, login: str) -> None:
    await post(browser, login)

    assert not [key for key in await held(browser) if key.startswith(("_remember", "_left"))]


@pytest.mark.parametrize(("wanted", "name"), [("clear", None), ("set", "Grace")])
async def test_an_app_that_asks_with_flask_logins_session_key_is_heard_once(
    site: Quart, browser: QuartClient, wanted: str, name: str | None
) -> None:
    @site.post("/ask")
    async def ask() -> str:
        await current_user
        session["_remember"] = wanted
        return ""

    await post(browser, "/remember/2" if wanted == "clear" else "/login/2", "/ask")

    assert "_remember" not in await held(browser)
    restart(browser)
    assert (await see(browser))["name"] == name


# --- what stays in the session -------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["/login/1", "/remember/1"])
async def test_what_an_anonymous_visitors_session_held_stays_at_a_login(browser: QuartClient, login: str) -> None:
    await post(browser, "/put/cart/book", "/put/language/cy", "/put/_state_provider_x/oauth", "/put/csrf_token/tab")

    await post(browser, login)

    contents = await held(browser)
    kept = {key: contents.get(key) for key in ("cart", "language", "_state_provider_x", "csrf_token")}
    assert kept == {"cart": "book", "language": "cy", "_state_provider_x": "oauth", "csrf_token": "tab"}


async def test_what_an_anonymous_visitors_session_held_stays_when_the_login_is_restored(browser: QuartClient) -> None:
    await post(browser, "/remember/1")
    restart(browser)
    browser.cookie_jar.clear_session_cookies()  # type: ignore[union-attr]
    await post(browser, "/put/cart/book")

    page = await see(browser)

    assert (page["name"], page["session"]["cart"]) == ("Ada", "book")


@pytest.mark.requirement("7.2.4", "V29")
@pytest.mark.parametrize("between", [[], ["/logout"], ["/logout", "/put/own/thing"], ["/logout", "/logout"]])
async def test_session_fixation_another_users_session_data_is_dropped_at_a_login(
    browser: QuartClient, between: list[str]
) -> None:
    await post(browser, "/login/1", "/put/diary/secret", *between)

    await post(browser, "/login/2")

    contents = await held(browser)
    assert "diary" not in contents
    assert "own" not in contents
    assert contents.keys() <= {"_user_id", "_login_id", "_fresh", "_fresh_at", "_id"}


@pytest.mark.parametrize("between", [[], ["/logout"], ["/logout", "/put/own/thing"], ["/logout", "/logout"]])
async def test_what_this_users_session_held_stays_at_a_login(browser: QuartClient, between: list[str]) -> None:
    await post(browser, "/login/1", "/put/cart/book", *between)

    await post(browser, "/login/1")

    contents = await held(browser)
    assert contents["cart"] == "book"
    assert "_left_by" not in contents


async def test_what_a_user_whose_login_ended_elsewhere_left_is_dropped_at_anothers_login(
    browser: QuartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await post(browser, "/login/1", "/put/diary/secret")
    monkeypatch.delitem(BY_ID, "1")
    assert (await see(browser))["name"] is None

    await post(browser, "/login/2")

    assert "diary" not in await held(browser)


async def test_what_a_user_left_is_dropped_when_a_remember_cookie_restores_another(
    site: Quart, browser: QuartClient
) -> None:
    await post(browser, "/remember/2")
    cookie = {c.name: c.value for c in browser.cookie_jar or ()}["remember_token"]
    await post(browser, "/login/1", "/put/diary/secret", "/logout")
    browser.set_cookie("localhost", "remember_token", str(cookie))

    page = await see(browser)

    assert page["name"] == "Grace"
    assert "diary" not in page["session"]


async def test_what_a_logout_leaves_names_no_user(browser: QuartClient) -> None:
    await post(browser, "/login/1", "/put/cart/book", "/logout")

    contents = await held(browser)

    assert contents.keys() == {"cart", "_left_by"}
    assert len(contents["_left_by"]) == 64  # HMAC-SHA-256, in hex


async def test_the_mark_of_a_logout_depends_on_the_key_and_the_user(site: Quart) -> None:
    marks = set()
    for key in (KEY, "another key"):
        site.secret_key = key
        for user in ("1", "2"):
            browser: QuartClient = site.test_client()  # type: ignore[assignment]
            await post(browser, f"/login/{user}", "/put/cart/book", "/logout")
            marks.add((await held(browser))["_left_by"])

    assert len(marks) == 4


@pytest.mark.parametrize(("user", "stays"), [("1", True), ("2", False)])
async def test_the_mark_of_a_logout_holds_after_the_key_was_replaced(
    site: Quart, browser: QuartClient, user: str, stays: bool
) -> None:
    await post(browser, "/login/1", "/put/cart/book", "/logout")
    site.config.update(SECRET_KEY="a newer key", SECRET_KEY_FALLBACKS=[KEY])

    await post(browser, f"/login/{user}")

    assert ("cart" in await held(browser)) is stays


async def test_a_logout_that_leaves_nothing_leaves_no_cookie(browser: QuartClient) -> None:
    await post(browser, "/remember/1", "/logout")

    assert list(browser.cookie_jar or ()) == []


async def test_what_the_view_puts_into_the_session_after_a_logout_is_that_users_too(
    site: Quart, browser: QuartClient
) -> None:
    @site.post("/goodbye")
    async def goodbye() -> str:
        await logout_user()
        session["last"] = "Ada"
        return ""

    await post(browser, "/login/1", "/goodbye", "/login/2")

    assert "last" not in await held(browser)


async def test_what_strong_protection_left_is_dropped_at_anothers_login(
    browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.session_protection = "strong"
    await post(browser, "/login/1", "/put/diary/secret")
    await browser.get("/", headers={"User-Agent": "another browser"})

    await post(browser, "/login/2")

    assert "diary" not in await held(browser)


# --- session fixation ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("7.2.4", "V29")
@pytest.mark.parametrize("before", [[], ["/put/cart/book"], ["/login/1"], ["/login/2"], ["/login/1", "/logout"]])
async def test_session_fixation_a_login_never_goes_on_under_an_id_from_before(
    site: Quart, browser: QuartClient, before: list[str]
) -> None:
    async with browser.session_transaction() as contents:
        contents["_login_id"] = "planted"
    await post(browser, *before) if before else None
    known = {(await held(browser)).get("_login_id"), "planted"}

    await post(browser, "/login/1")

    assert (await held(browser))["_login_id"] not in known


@pytest.mark.requirement("7.2.4")
async def test_session_fixation_nothing_of_a_login_can_be_planted_before_it(browser: QuartClient) -> None:
    planted = {"_fresh": True, "_fresh_at": 9999999999, "_secret_hash": "x", "_remember_seconds": 9, "_id": "x"}
    async with browser.session_transaction() as contents:
        contents.update(planted, _remember="set")

    await post(browser, "/login/1")

    contents = await held(browser)
    assert {key: contents.get(key) for key in planted if contents.get(key) == planted[key]} == {"_fresh": True}
    assert "remember_token" not in {cookie.name for cookie in browser.cookie_jar or ()}


@pytest.mark.requirement("7.2.4")
@pytest.mark.parametrize("mark", ["", "x", "é", "\ud800", 1, None, ["a"], {"a": 1}], ids=repr)
async def test_session_fixation_a_mark_that_is_none_lets_nothing_through(site: Quart, mark: Any) -> None:
    async with site.test_request_context("/"):
        session.update(_left_by=mark, cart="planted")
        await login_user(ADA)

        assert "cart" not in session


@pytest.mark.parametrize("user_id", [None, 2, True, ["1"], {"a": 1}, "", 1.0], ids=repr)
async def test_a_session_that_names_an_odd_user_is_another_users(site: Quart, user_id: Any) -> None:
    async with site.test_request_context("/"):
        session.update(_user_id=user_id, diary="secret")
        await login_user(ADA)

        assert "diary" not in session


async def test_a_session_of_flask_logins_whose_id_is_a_number_is_the_same_users(site: Quart) -> None:
    async with site.test_request_context("/"):
        session.update(_user_id=1, cart="book")
        await login_user(ADA)

        assert session["cart"] == "book"
