"""Fresh logins: `fresh_login_required`, the responses to a stale login, and `confirm_login`.

This module also tests the settings of redirects, to the refresh page and to the login page.
"""

import inspect
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from browsers import Clock, contents_of, home, restart, see, set_by
from markupsafe import Markup
from quart import Blueprint, Quart, get_flashed_messages, session, websocket
from quart.testing import QuartClient
from quart.testing.connections import WebsocketResponseError
from quart.views import MethodView
from users import ADA, Receive, SignIn, User, Visit

from quartlogin import (
    LOGIN_MESSAGE,
    REFRESH_MESSAGE,
    REFRESH_MESSAGE_CATEGORY,
    LoginManager,
    LoginRequired,
    RequestNeededError,
    confirm_login,
    create_bearer_token,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_required,
    login_user,
    set_login_view,
    user_login_confirmed,
    user_needs_refresh,
    user_unauthorized,
)

QUARTER = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock(clock: Clock) -> Clock:
    """At a whole second, as the session notes when a password was typed."""
    clock.now = float(int(clock.now))
    return clock


@fresh_login_required
async def secrets() -> str:
    return f"secrets of {current_user.name}"


@fresh_login_required
def secrets_in_a_thread() -> str:
    return f"secrets of {current_user.name}"


@fresh_login_required
async def streamed_secrets() -> AsyncIterator[str]:
    yield "secrets of "
    yield current_user.name


@fresh_login_required(max_age=QUARTER)
async def recent_secrets() -> str:
    return f"secrets of {current_user.name}"


@fresh_login_required(max_age=QUARTER)
def recent_secrets_in_a_thread() -> str:
    return f"secrets of {current_user.name}"


class Secrets(MethodView):
    decorators = [fresh_login_required]  # noqa: RUF012 -- that is how Flask has it

    async def get(self) -> str:
        return f"secrets of {current_user.name}"


VIEWS = pytest.mark.parametrize(
    "view",
    [secrets, secrets_in_a_thread, streamed_secrets, recent_secrets, recent_secrets_in_a_thread, Secrets.as_view("s")],
    ids=["async def", "def", "generator", "max_age", "max_age of a def", "class"],
)


@pytest.fixture
def how() -> dict[str, Any]:
    """What the login view gives to `login_user`."""
    return {}


@pytest.fixture
def site(app: Quart, how: dict[str, Any]) -> Quart:
    """An app with a login view, a page that confirms, a page, and one for fresh and one for recent logins."""

    @app.post("/login")
    async def login() -> str:
        await login_user(ADA, **how)
        return ""

    @app.post("/confirm")
    async def confirm() -> str:
        await current_user
        await confirm_login()
        return ""

    app.add_url_rule("/", view_func=home)
    app.add_url_rule("/secrets", view_func=secrets)
    app.add_url_rule("/recent", view_func=recent_secrets)
    return app


@pytest.fixture
def refresh_view(app: Quart, login_manager: LoginManager[User]) -> str:
    """The app's page that asks for the password again, which lists the flashed messages."""
    login_manager.refresh_view = "refresh"

    @app.get("/refresh")
    async def refresh() -> dict[str, Any]:
        return {"messages": get_flashed_messages(with_categories=True)}

    return "/refresh"


async def sign_in_ada(app: Quart) -> QuartClient:
    browser = app.test_client()
    await browser.post("/login")
    return browser


# --- who is let through ---------------------------------------------------------------------------------------


@VIEWS
async def test_a_fresh_login_is_let_through(site: Quart, view: Callable[..., Any]) -> None:
    site.add_url_rule("/view", "view", view)
    browser = await sign_in_ada(site)

    response = await browser.get("/view")

    assert await response.get_data(as_text=True) == "secrets of Ada"


@VIEWS
async def test_a_login_that_is_not_fresh_gets_401(site: Quart, how: dict[str, Any], view: Callable[..., Any]) -> None:
    how["fresh"] = False
    site.add_url_rule("/view", "view", view)
    browser = await sign_in_ada(site)

    response = await browser.get("/view")

    assert response.status_code == 401
    assert b"Ada" not in await response.get_data()


@VIEWS
async def test_an_anonymous_visitor_is_sent_to_the_login_page_not_to_the_refresh_page(
    site: Quart, refresh_view: str, login_manager: LoginManager[User], view: Callable[..., Any]
) -> None:
    login_manager.login_view = "/sign-in"
    site.add_url_rule("/view", "view", view)
    sent: list[str] = []

    async def hear(what: str, _sender: Any) -> None:
        sent.append(what)

    unauthorized, refresh = partial(hear, "unauthorized"), partial(hear, "refresh")
    with user_unauthorized.connected_to(unauthorized, site), user_needs_refresh.connected_to(refresh, site):
        response = await site.test_client().get("/view")

    assert response.headers["Location"] == "/sign-in?next=%2Fview"
    assert sent == ["unauthorized"]


async def test_a_restored_login_is_not_fresh_enough(site: Quart, how: dict[str, Any]) -> None:
    how["remember"] = True
    browser = await sign_in_ada(site)

    before = await browser.get("/secrets")
    restart(browser)
    after = await browser.get("/secrets")

    assert (before.status_code, after.status_code) == (200, 401)


@pytest.mark.requirement("7.5.1")
@pytest.mark.parametrize("fresh", [1, "yes", "true", [True], {"fresh": True}, None], ids=repr)
async def test_only_true_is_fresh(site: Quart, sign_in: SignIn, fresh: object) -> None:
    site.config["SESSION_PROTECTION"] = None
    browser = await sign_in(site, "1", _login_id="x", _fresh=fresh)

    response = await browser.get("/secrets")

    assert response.status_code == 401


async def test_a_bearer_token_is_never_fresh(site: Quart) -> None:
    async with site.test_request_context("/"):
        token = await create_bearer_token(ADA, duration=timedelta(days=1))
    browser = await sign_in_ada(site)

    response = await browser.get("/secrets", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 401
    assert "insufficient_user_authentication" in response.headers["WWW-Authenticate"]


async def test_options_pass_unasked(site: Quart, loads: list[str]) -> None:
    response = await site.test_client().options("/secrets")

    assert response.status_code == 200
    assert loads == []


@pytest.mark.parametrize("view", [secrets, secrets_in_a_thread, recent_secrets, recent_secrets_in_a_thread])
def test_the_guard_is_a_coroutine_function(view: Callable[..., Any]) -> None:
    assert inspect.iscoroutinefunction(view)


def test_the_guard_with_an_age_keeps_the_views_name() -> None:
    assert recent_secrets.__name__ == "recent_secrets"


# --- how long ago the password was typed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "status"),
    [(timedelta(0), 200), (QUARTER - SECOND, 200), (QUARTER, 200), (QUARTER + SECOND, 401)],
    ids=str,
)
async def test_a_password_typed_too_long_ago_does_not_count(
    site: Quart, clock: Clock, later: timedelta, status: int
) -> None:
    browser = await sign_in_ada(site)

    clock.forward(later)
    response = await browser.get("/recent")

    assert response.status_code == status


async def test_without_an_age_a_password_counts_as_long_as_the_session(site: Quart, clock: Clock) -> None:
    browser = await sign_in_ada(site)

    clock.forward(timedelta(days=30))

    assert (await browser.get("/secrets")).status_code == 200


async def test_the_age_counts_from_the_confirmation(site: Quart, clock: Clock) -> None:
    browser = await sign_in_ada(site)

    clock.forward(2 * QUARTER)
    await browser.post("/confirm")
    clock.forward(QUARTER)

    assert (await browser.get("/recent")).status_code == 200


async def test_visits_do_not_make_the_password_younger(site: Quart, clock: Clock) -> None:
    browser = await sign_in_ada(site)

    clock.forward(QUARTER)
    await browser.get("/recent")
    clock.forward(SECOND)

    assert (await browser.get("/recent")).status_code == 401


@pytest.mark.parametrize("at", [None, True, "now", 1e30, float("nan"), float("inf"), [1]], ids=repr)
async def test_a_time_that_is_none_is_not_recent(site: Quart, sign_in: SignIn, at: object) -> None:
    site.config["SESSION_PROTECTION"] = None
    browser = await sign_in(site, "1", _login_id="x", _fresh=True, _fresh_at=at)

    responses = [await browser.get("/secrets"), await browser.get("/recent")]

    assert [response.status_code for response in responses] == [200, 401]


async def test_a_session_of_flask_login_is_fresh_but_not_recent(site: Quart, sign_in: SignIn) -> None:
    """It does not say when the password was typed."""
    site.config["SESSION_PROTECTION"] = None
    browser = await sign_in(site, "1", _fresh=True)

    responses = [await browser.get("/secrets"), await browser.get("/recent")]

    assert [response.status_code for response in responses] == [200, 401]


async def test_a_restored_login_is_not_recent_whatever_the_session_says(
    site: Quart, how: dict[str, Any], sign_in: SignIn
) -> None:
    how["remember"] = True
    browser = await sign_in_ada(site)
    restart(browser)
    async with browser.session_transaction() as contents:
        contents["_fresh_at"] = int(time.time())

    assert (await browser.get("/recent")).status_code == 401


# --- the answer -----------------------------------------------------------------------------------------------


@pytest.fixture
async def stale(site: Quart, how: dict[str, Any]) -> QuartClient:
    """A browser in which Ada is signed in, not freshly."""
    how["fresh"] = False
    return await sign_in_ada(site)


@pytest.mark.requirement("7.5.1")
async def test_the_user_is_sent_to_the_refresh_page_and_back(stale: QuartClient, refresh_view: str) -> None:
    response = await stale.get("/secrets?tab=2&q=%26")

    assert response.status_code == 302
    assert response.headers["Location"] == "/refresh?next=%2Fsecrets%3Ftab%3D2%26q%3D%2526"


async def test_a_refresh_page_may_be_given_as_a_url(stale: QuartClient, login_manager: LoginManager[User]) -> None:
    login_manager.refresh_view = "https://accounts.example/again?lang=en"

    response = await stale.get("/secrets")

    assert response.headers["Location"] == (
        "https://accounts.example/again?lang=en&next=http%3A%2F%2Flocalhost%2Fsecrets"
    )


async def test_the_login_page_does_not_stand_in_for_the_refresh_page(
    stale: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/sign-in"

    assert (await stale.get("/secrets")).status_code == 401


async def test_the_refresh_page_gets_the_message(stale: QuartClient, refresh_view: str) -> None:
    await stale.get("/secrets")

    page = await (await stale.get(refresh_view)).get_json()

    assert page["messages"] == [[REFRESH_MESSAGE_CATEGORY, REFRESH_MESSAGE]]


async def test_the_message_and_its_category_are_the_apps_own(
    stale: QuartClient, refresh_view: str, login_manager: LoginManager[User]
) -> None:
    login_manager.needs_refresh_message = "Is it still you?"
    login_manager.needs_refresh_message_category = "warning"
    await stale.get("/secrets")

    page = await (await stale.get(refresh_view)).get_json()

    assert page["messages"] == [["warning", "Is it still you?"]]


@pytest.mark.parametrize("message", [None, ""], ids=repr)
async def test_no_message_is_flashed_on_demand(
    stale: QuartClient, refresh_view: str, login_manager: LoginManager[User], message: str | None
) -> None:
    login_manager.needs_refresh_message = message
    await stale.get("/secrets")

    page = await (await stale.get(refresh_view)).get_json()

    assert page["messages"] == []


async def test_the_message_is_flashed_once_however_often_the_user_is_sent(
    stale: QuartClient, refresh_view: str
) -> None:
    await stale.get("/secrets")
    again = await stale.get("/secrets")

    page = await (await stale.get(refresh_view)).get_json()

    assert set_by(again) == {}
    assert len(page["messages"]) == 1


async def test_a_client_that_asks_for_json_gets_a_document(stale: QuartClient, refresh_view: str) -> None:
    response = await stale.get("/secrets", headers={"Accept": "application/json"})

    document = json.loads(await response.get_data())
    assert (response.status_code, response.content_type) == (401, "application/problem+json")
    assert (document["status"], bool(document["detail"])) == (401, True)
    assert set_by(response) == {}


async def test_the_signal_is_sent_once(site: Quart, stale: QuartClient, refresh_view: str) -> None:
    received: list[Any] = []

    async def receive(sender: Any) -> None:
        received.append((sender, current_user.name))

    with user_needs_refresh.connected_to(receive, site):
        await stale.get("/secrets")
        await stale.get("/")

    assert received == [(site, "Ada")]


async def handle() -> tuple[str, int]:
    return f"again, {current_user.name}", 418


def handle_in_a_thread() -> tuple[str, int]:
    return f"again, {current_user.name}", 418


HANDLERS = pytest.mark.parametrize("handler", [handle, handle_in_a_thread], ids=["async def", "def"])


@HANDLERS
async def test_the_needs_refresh_handler_answers(
    stale: QuartClient, refresh_view: str, login_manager: LoginManager[User], handler: Callable[..., Any]
) -> None:
    login_manager.needs_refresh_handler(handler)

    response = await stale.get("/secrets")

    assert (response.status_code, await response.get_data(as_text=True)) == (418, "again, Ada")
    assert set_by(response) == {}


@HANDLERS
async def test_the_handler_is_not_asked_about_a_fresh_login_or_a_visitor(
    site: Quart, login_manager: LoginManager[User], handler: Callable[..., Any]
) -> None:
    login_manager.needs_refresh_handler(handler)
    browser = await sign_in_ada(site)

    fresh = await browser.get("/secrets")
    anonymous = await site.test_client().get("/secrets")

    assert (fresh.status_code, anonymous.status_code) == (200, 401)


@HANDLERS
def test_registering_a_handler_gives_it_back(login_manager: LoginManager[User], handler: Callable[..., Any]) -> None:
    assert login_manager.needs_refresh_handler(handler) is handler
    assert login_manager.needs_refresh_callback is handler


async def test_the_unauthorized_handler_does_not_answer_for_it(
    stale: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.unauthorized_handler(handle)

    assert (await stale.get("/secrets")).status_code == 401


async def test_a_view_may_ask_for_the_answer_itself(
    site: Quart, refresh_view: str, login_manager: LoginManager[User]
) -> None:
    @site.get("/ask")
    async def ask() -> Any:
        return await login_manager.needs_refresh()

    response = await site.test_client().get("/ask")

    assert response.headers["Location"] == "/refresh?next=%2Fask"


async def test_a_websocket_that_is_not_fresh_is_refused_before_it_is_accepted(
    site: Quart, stale: QuartClient, refresh_view: str, login_manager: LoginManager[User]
) -> None:
    login_manager.needs_refresh_handler(handle)

    @site.websocket("/live")
    @fresh_login_required
    async def live() -> None:
        await websocket.send("secrets")

    with pytest.raises(WebsocketResponseError) as refused:
        async with stale.websocket("/live") as connection:
            await connection.receive()

    assert refused.value.response.status_code == 401


async def test_a_fresh_websocket_is_let_through(site: Quart, receive: Receive) -> None:
    @site.websocket("/live")
    @fresh_login_required(max_age=QUARTER)
    async def live() -> None:
        await websocket.send(f"secrets of {current_user.name}")

    browser = await sign_in_ada(site)
    cookie = next(iter(browser.cookie_jar or ()))

    assert await receive(site, f"session={cookie.value}") == "secrets of Ada"


# --- localize_callback ----------------------------------------------------------------------------------------


async def translate(message: str) -> str:
    return f"<{message}>"


def translate_in_a_thread(message: str) -> str:
    return f"<{message}>"


@pytest.mark.parametrize("callback", [translate, translate_in_a_thread], ids=["async def", "def"])
async def test_both_messages_are_translated(
    site: Quart,
    stale: QuartClient,
    refresh_view: str,
    login_manager: LoginManager[User],
    callback: Callable[..., Any],
) -> None:
    login_manager.localize_callback = callback
    login_manager.login_view = "refresh"
    visitor = site.test_client()

    await stale.get("/secrets")
    await visitor.get("/secrets")
    pages = [await (await browser.get(refresh_view)).get_json() for browser in (stale, visitor)]

    assert [page["messages"] for page in pages] == [
        [["message", f"<{REFRESH_MESSAGE}>"]],
        [["message", f"<{LOGIN_MESSAGE}>"]],
    ]


async def test_a_translator_that_returns_no_plain_text_is_flashed_once(
    stale: QuartClient, refresh_view: str, login_manager: LoginManager[User]
) -> None:
    login_manager.localize_callback = Markup
    await stale.get("/secrets")
    await stale.get("/secrets")

    page = await (await stale.get(refresh_view)).get_json()

    assert page["messages"] == [["message", REFRESH_MESSAGE]]


# --- confirm_login --------------------------------------------------------------------------------------------


async def test_confirming_makes_the_login_fresh(stale: QuartClient) -> None:
    before = await see(stale)
    await stale.post("/confirm")
    after = await see(stale)

    assert (before["fresh"], after["fresh"]) == (False, True)
    assert after["name"] == "Ada"
    assert (await stale.get("/recent")).status_code == 200


@pytest.mark.requirement("C6")
async def test_confirming_gives_the_login_a_new_id(stale: QuartClient) -> None:
    before = (await see(stale))["login_id"]
    await stale.post("/confirm")
    after = (await see(stale))["login_id"]

    assert before != after
    assert len(after) == 32


async def test_confirming_leaves_everything_else_in_the_session(stale: QuartClient) -> None:
    async with stale.session_transaction() as contents:
        contents["cart"] = ["book"]

    await stale.post("/confirm")

    assert (await see(stale))["session"]["cart"] == ["book"]


async def test_the_login_is_fresh_at_once(visit: Visit) -> None:
    async with visit("1"):
        user = await current_user
        await confirm_login()

        assert login_fresh() is True
        assert login_id() == session["_login_id"]
        assert await current_user is user


async def test_confirming_belongs_to_the_browser_that_did_it(site: Quart, stale: QuartClient) -> None:
    site.config["SESSION_PROTECTION"] = "basic"
    moved = {"User-Agent": "another browser"}

    await stale.post("/confirm", headers=moved)

    assert (await see(stale, headers=moved))["fresh"] is True
    assert (await see(stale))["fresh"] is False


@pytest.mark.parametrize("rest", [restart, lambda browser: None], ids=["restored", "in the session"])
async def test_the_remember_cookie_goes_on_with_the_new_id_and_its_old_end(
    site: Quart, how: dict[str, Any], clock: Clock, rest: Callable[[QuartClient], None]
) -> None:
    how.update(remember=True, duration=timedelta(days=10))
    browser = site.test_client()
    old = contents_of(set_by(await browser.post("/login"))["remember_token"])
    clock.forward(timedelta(days=3))
    rest(browser)

    new = contents_of(set_by(await browser.post("/confirm"))["remember_token"])
    login = (await see(browser))["login_id"]

    assert new == ["1", login, old[2], new[3], old[4]]
    assert login != old[1]
    assert new[3] != old[3]


async def test_a_confirmed_login_is_still_remembered_after_a_restart(site: Quart, how: dict[str, Any]) -> None:
    how["remember"] = True
    browser = await sign_in_ada(site)
    await browser.post("/confirm")
    before = (await see(browser))["login_id"]

    restart(browser)
    page = await see(browser)

    assert (page["name"], page["login_id"], page["fresh"]) == ("Ada", before, False)


async def test_confirming_gives_no_remember_cookie_to_who_has_none(stale: QuartClient) -> None:
    response = await stale.post("/confirm")

    assert set_by(response).keys() == {"session"}


async def test_confirming_leaves_the_remember_cookie_of_another_login_alone(
    site: Quart, how: dict[str, Any], sign_in: SignIn
) -> None:
    how["remember"] = True
    of_ada = set_by(await site.test_client().post("/login"))["remember_token"]
    browser = await sign_in(site, "2", _login_id="of Grace")
    browser.set_cookie("localhost", "remember_token", of_ada.value)

    response = await browser.post("/confirm")

    assert set_by(response).keys() == {"session"}


async def test_an_anonymous_visitor_has_nothing_to_confirm(site: Quart) -> None:
    browser = site.test_client()

    response = await browser.post("/confirm")

    assert response.status_code == 200
    assert (await see(browser))["session"] == {}


async def test_the_confirmation_is_announced(site: Quart, stale: QuartClient) -> None:
    received: list[Any] = []

    async def receive(sender: Any) -> None:
        received.append((sender, login_fresh()))

    with user_login_confirmed.connected_to(receive, site):
        await stale.post("/confirm")

    assert received == [(site, True)]


async def test_confirming_outside_a_request_raises(app: Quart) -> None:
    with pytest.raises(RequestNeededError, match="request"):
        await confirm_login()


async def test_confirming_in_a_websocket_raises_and_changes_nothing(
    site: Quart, sign_in: SignIn, receive: Receive
) -> None:
    @site.websocket("/live")
    async def live() -> None:
        with pytest.raises(RequestNeededError, match="websocket"):
            await confirm_login()
        await websocket.send(json.dumps(dict(session)))

    cookie = next(iter((await sign_in(site, "2")).cookie_jar or ()))

    assert json.loads(await receive(site, f"session={cookie.value}")) == {"_user_id": "2"}


# --- login_fresh ----------------------------------------------------------------------------------------------


async def test_nothing_is_fresh_outside_a_request() -> None:
    assert login_fresh() is False


async def test_an_anonymous_visitor_is_not_fresh(visit: Visit) -> None:
    async with visit():
        assert login_fresh() is False


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_login_is_as_fresh_as_login_user_was_told(visit: Visit, fresh: bool) -> None:
    async with visit():
        await login_user(ADA, fresh=fresh)

        assert login_fresh() is fresh


# --- USE_SESSION_FOR_NEXT -------------------------------------------------------------------------------------


@pytest.fixture
def login_page(app: Quart, login_manager: LoginManager[User]) -> str:
    """The app's login page."""
    login_manager.login_view = "sign_in"

    @app.get("/sign-in")
    async def sign_in() -> dict[str, Any]:
        return dict(session)

    return "/sign-in"


async def test_the_page_to_come_back_to_is_kept_in_the_session_instead(
    site: Quart, stale: QuartClient, refresh_view: str, login_page: str
) -> None:
    site.config["USE_SESSION_FOR_NEXT"] = True
    visitor = site.test_client()

    responses = [await browser.get("/secrets?tab=2") for browser in (stale, visitor)]
    kept = [(await see(browser))["session"]["next"] for browser in (stale, visitor)]

    assert [response.headers["Location"] for response in responses] == [refresh_view, login_page]
    assert kept == ["/secrets?tab=2", "/secrets?tab=2"]


async def test_a_kept_page_survives_the_login(site: Quart, login_page: str) -> None:
    site.config["USE_SESSION_FOR_NEXT"] = True
    browser = site.test_client()

    await browser.get("/secrets")
    await browser.post("/login")

    assert (await see(browser))["session"]["next"] == "/secrets"


async def test_a_page_kept_for_a_visitor_does_not_trouble_session_protection(site: Quart, login_page: str) -> None:
    site.config.update(USE_SESSION_FOR_NEXT=True, SESSION_PROTECTION="strong")
    browser = site.test_client()

    await browser.get("/secrets")
    page = await see(browser, headers={"User-Agent": "another browser"})

    assert page["session"]["next"] == "/secrets"


async def test_keeping_the_page_does_not_make_another_browser_the_right_one(site: Quart, refresh_view: str) -> None:
    """The fingerprint that is kept beside it must not help whoever has stolen the session."""
    site.config.update(USE_SESSION_FOR_NEXT=True, SESSION_PROTECTION="basic")
    browser = await sign_in_ada(site)
    thief = {"User-Agent": "another browser"}

    await browser.get("/secrets", headers=thief)
    again = await browser.get("/secrets", headers=thief)

    assert again.status_code == 302


# --- FORCE_HOST_FOR_REDIRECTS ---------------------------------------------------------------------------------


async def test_a_forced_host_goes_before_the_one_that_the_request_names(
    site: Quart, stale: QuartClient, refresh_view: str, login_page: str
) -> None:
    site.config["FORCE_HOST_FOR_REDIRECTS"] = "site.example"
    visitor = site.test_client()

    responses = [await browser.get("/secrets", headers={"Host": "evil.example"}) for browser in (stale, visitor)]

    assert [response.headers["Location"] for response in responses] == [
        "//site.example/refresh?next=%2Fsecrets",
        "//site.example/sign-in?next=%2Fsecrets",
    ]


# --- blueprint_login_views and set_login_view -----------------------------------------------------------------


async def answer_nothing() -> str:
    return ""


@pytest.fixture
def blueprints(app: Quart) -> None:
    """A guarded page in the app, in the blueprint `shop`, in `shop.admin` inside of it, and in `forum`."""

    @login_required
    async def page() -> str:
        return ""

    shop, admin, forum = Blueprint("shop", "shop"), Blueprint("admin", "admin"), Blueprint("forum", "forum")
    for blueprint in (shop, admin, forum):
        blueprint.add_url_rule("/page", "page", page)
    shop.register_blueprint(admin, url_prefix="/admin")
    app.register_blueprint(shop, url_prefix="/shop")
    app.register_blueprint(forum, url_prefix="/forum")
    app.add_url_rule("/page", "page", page)


async def place_of(app: Quart, path: str) -> str | None:
    """The page that a visitor is sent to, `None` for a 401."""
    response = await app.test_client().get(path)
    return response.headers.get("Location", "").partition("?")[0] or None


PAGES = ("/page", "/shop/page", "/shop/admin/page", "/forum/page")


@pytest.mark.usefixtures("blueprints")
async def test_a_blueprint_may_have_a_login_page_of_its_own(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/sign-in"
    login_manager.blueprint_login_views = {"shop": "/shop/sign-in", "shop.admin": "/admins"}

    places = [await place_of(app, path) for path in PAGES]

    assert places == ["/sign-in", "/shop/sign-in", "/admins", "/sign-in"]


@pytest.mark.usefixtures("blueprints")
async def test_a_blueprint_may_have_none(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/sign-in"
    login_manager.blueprint_login_views = {"shop": None}

    assert [await place_of(app, path) for path in PAGES[:2]] == ["/sign-in", None]


@pytest.mark.usefixtures("blueprints")
async def test_set_login_view_sets_the_apps(app: Quart, login_manager: LoginManager[User]) -> None:
    async with app.app_context():
        set_login_view("/sign-in")

    assert login_manager.login_view == "/sign-in"
    assert [await place_of(app, path) for path in PAGES] == ["/sign-in"] * 4


@pytest.mark.usefixtures("blueprints")
async def test_set_login_view_of_a_blueprint_keeps_the_apps_for_what_is_in_none(app: Quart) -> None:
    async with app.app_context():
        set_login_view("/sign-in")
        set_login_view("/shop/sign-in", blueprint=app.blueprints["shop"])

    assert [await place_of(app, path) for path in PAGES[:2]] == ["/sign-in", "/shop/sign-in"]


@pytest.mark.usefixtures("blueprints")
async def test_the_apps_login_page_may_be_set_after_a_blueprints(app: Quart) -> None:
    async with app.app_context():
        set_login_view("/shop/sign-in", blueprint=app.blueprints["shop"])
        set_login_view("/sign-in")

    assert [await place_of(app, path) for path in PAGES[:2]] == ["/sign-in", "/shop/sign-in"]


@pytest.mark.usefixtures("blueprints")
async def test_a_blueprint_inside_another_inherits_its_login_page(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/sign-in"
    login_manager.blueprint_login_views = {"shop": "/shop/sign-in"}

    places = [await place_of(app, path) for path in PAGES]

    assert places == ["/sign-in", "/shop/sign-in", "/shop/sign-in", "/sign-in"]


@pytest.mark.usefixtures("blueprints")
async def test_a_blueprint_inside_another_may_have_no_login_page(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "/sign-in"
    login_manager.blueprint_login_views = {"shop": "/shop/sign-in", "shop.admin": None}

    assert [await place_of(app, path) for path in PAGES[1:3]] == ["/shop/sign-in", None]


@pytest.mark.usefixtures("blueprints")
async def test_set_login_view_of_a_blueprint_inside_another_is_its_own(app: Quart) -> None:
    async with app.app_context():
        set_login_view("/sign-in")
        set_login_view("/admins", blueprint=app.blueprints["shop.admin"])

    assert [await place_of(app, path) for path in PAGES] == ["/sign-in", "/sign-in", "/admins", "/sign-in"]


@pytest.mark.usefixtures("blueprints")
@pytest.mark.parametrize("order", [["app", "shop"], ["shop", "app"]], ids="-".join)
async def test_set_login_view_of_a_blueprint_leaves_the_others_the_apps(app: Quart, order: list[str]) -> None:
    async with app.app_context():
        for name in order:
            if name == "app":
                set_login_view("/sign-in")
            else:
                set_login_view("/shop/sign-in", blueprint=app.blueprints["shop"])

    assert [await place_of(app, path) for path in PAGES] == ["/sign-in", "/shop/sign-in", "/shop/sign-in", "/sign-in"]


async def in_blueprints(app: Quart, login_manager: LoginManager[User], blueprint: Blueprint, when: str) -> None:
    """Register a blueprint under its own name and another one, and give it a login page before or after."""
    login_manager.login_view = "/sign-in"
    async with app.app_context():
        if when == "before":
            set_login_view("/shop/sign-in", blueprint=blueprint)
        app.register_blueprint(blueprint, url_prefix="/shop")
        app.register_blueprint(blueprint, name="second", url_prefix="/second")
        if when == "after":
            set_login_view("/shop/sign-in", blueprint=blueprint)


@pytest.fixture
def shop() -> Blueprint:
    """A blueprint with a guarded page and a login page."""
    shop = Blueprint("shop", "shop")

    async def page() -> str:
        return ""

    shop.add_url_rule("/page", "page", login_required(page))
    shop.add_url_rule("/login", "login", page)
    return shop


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_blueprint_under_another_name_has_its_login_page_under_each(
    app: Quart, login_manager: LoginManager[User], shop: Blueprint, when: str
) -> None:
    await in_blueprints(app, login_manager, shop, when)

    assert [await place_of(app, path) for path in ("/shop/page", "/second/page")] == ["/shop/sign-in"] * 2


async def test_one_name_of_a_blueprint_may_have_a_login_page_of_its_own(
    app: Quart, login_manager: LoginManager[User], shop: Blueprint
) -> None:
    await in_blueprints(app, login_manager, shop, "after")
    login_manager.blueprint_login_views["second"] = "/second/sign-in"

    assert [await place_of(app, path) for path in ("/shop/page", "/second/page")] == [
        "/shop/sign-in",
        "/second/sign-in",
    ]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_login_page_relative_to_a_blueprint_is_that_blueprints_under_each_name(
    app: Quart, login_manager: LoginManager[User], shop: Blueprint, when: str
) -> None:
    inner = Blueprint("inner", "inner", url_prefix="/inner")
    inner.add_url_rule("/page", "page", login_required(answer_nothing))
    shop.register_blueprint(inner)
    async with app.app_context():
        if when == "before":
            set_login_view(".login", blueprint=shop)
        app.register_blueprint(shop, url_prefix="/shop")
        app.register_blueprint(shop, name="second", url_prefix="/second")
        if when == "after":
            set_login_view(".login", blueprint=shop)
    paths = ("/shop/page", "/shop/inner/page", "/second/page", "/second/inner/page")

    places = [await place_of(app, path) for path in paths]

    assert places == ["/shop/login", "/shop/login", "/second/login", "/second/login"]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_blueprints_relative_login_page_is_open_where_everything_is_guarded(
    app: Quart, login_manager: LoginManager[User], shop: Blueprint, when: str
) -> None:
    login_manager.require_login = True
    async with app.app_context():
        if when == "before":
            set_login_view(".login", blueprint=shop)
        app.register_blueprint(shop, name="second", url_prefix="/second")
        if when == "after":
            set_login_view(".login", blueprint=shop)

    login_page = await app.test_client().get("/second/login")

    assert login_page.status_code == 200
    assert await place_of(app, "/second/page") == "/second/login"


async def test_blueprints_of_one_name_have_login_pages_of_their_own(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    admins = [Blueprint("admin", "admin", url_prefix="/admin") for _ in range(3)]
    parents = [Blueprint(name, name, url_prefix=f"/{name}") for name in ("shop", "forum")]
    for admin in admins:
        admin.add_url_rule("/page", "page", login_required(answer_nothing))
    for parent, admin in zip(parents, admins, strict=False):
        parent.register_blueprint(admin)
        app.register_blueprint(parent)
    app.register_blueprint(admins[2])
    login_manager.login_view = "/sign-in"
    async with app.app_context():
        set_login_view("/shop/admins", blueprint=admins[0])
    paths = ("/shop/admin/page", "/forum/admin/page", "/admin/page")

    assert [await place_of(app, path) for path in paths] == ["/shop/admins", "/sign-in", "/sign-in"]


async def test_401_is_raised_where_there_is_no_page_at_all(site: Quart, login_manager: LoginManager[User]) -> None:
    async with site.test_request_context("/"):
        with pytest.raises(LoginRequired):
            await login_manager.needs_refresh()
