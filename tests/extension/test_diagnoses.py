"""Each situation in which a visitor is, or is not, signed in, is made and diagnosed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from browsers import KEY, Clock
from explained import Browser, Site, make_site
from quart import Blueprint, Quart, abort, g, render_template_string, session
from quart.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface
from users import ADA, DISMISSED, User

from quartlogin import (
    AnonymousUserMixin,
    LoginManager,
    LoginRefused,
    NoRecords,
    SignedSessionInterface,
    create_bearer_token,
    current_user,
    encode_cookie,
    fresh_login_required,
    login_id,
    login_required,
    login_user,
    make_guard,
    tracing,
)
from quartlogin.explaining import (
    Case,
    app_rules,
    cookie_rules,
    diagnosis,
    guard_rules,
    loading_rules,
    login_rules,
    outcome_rules,
)
from quartlogin.explaining import missing_cookie_rules as missing
from situations import makes
from sockets import open_socket

HERE = "http://localhost"


@pytest.fixture
def site(bare_app: Quart) -> Iterator[Site]:
    """An app with a page, and a login that anybody may have."""
    site = make_site(bare_app)
    with tracing.listening(site.recorder):
        yield site


async def signed_in(site: Site, base: str = HERE, path: str = "/login") -> Browser:
    browser = Browser(site.app)
    await browser.get(f"{base}{path}")
    return browser


# Signed in, and all is well.


@makes(outcome_rules.SIGNS_IN, "login")
async def test_a_login_signs_in(site: Site) -> None:
    await signed_in(site)


@makes(outcome_rules.SIGNS_OUT, "logout")
async def test_a_logout_signs_out(site: Site) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/logout")


@makes(outcome_rules.BY_SESSION, "user")
async def test_a_session_cookie_signs_in(site: Site) -> None:
    browser = await signed_in(site)
    assert (await browser.get(f"{HERE}/page")).status_code == 200


@makes(outcome_rules.BY_REMEMBER_COOKIE, "user")
async def test_a_remember_cookie_signs_in_after_the_session(site: Site) -> None:
    browser = await signed_in(site, path="/remembered")
    browser.jar.clear_session_cookies()
    await browser.get(f"{HERE}/page")


@makes(outcome_rules.BY_BEARER_TOKEN, "user")
async def test_a_bearer_token_signs_in(site: Site) -> None:
    async with site.app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    await Browser(site.app).get(f"{HERE}/page", Authorization=f"Bearer {token}")


@makes(outcome_rules.BY_REQUEST_LOADER, "user")
async def test_a_request_loader_signs_in(site: Site) -> None:
    @site.manager.request_loader
    async def load(request: Any) -> User:
        return ADA

    await Browser(site.app).get(f"{HERE}/page")


@makes(outcome_rules.BY_SESSION_IN_OTHER_BROWSER, "user")
async def test_basic_session_protection_leaves_a_session_in_another_browser_signed_in(site: Site) -> None:
    browser = await signed_in(site)
    browser.agent = "Chromium"
    await browser.get(f"{HERE}/page")


@makes(outcome_rules.TURNED_AWAY, "guard")
async def test_another_guard_turns_a_signed_in_user_away(site: Site) -> None:
    async def is_allowed() -> bool:
        return False

    async def refuse() -> None:
        abort(403)

    @site.app.get("/admin")
    @make_guard(is_allowed, refuse, name="admin_required")
    async def admin() -> str:
        return "admin"

    browser = await signed_in(site)
    await browser.get(f"{HERE}/admin")


# Signed in, and not fresh.


@pytest.fixture
def danger(site: Site) -> None:
    """A page for fresh logins."""

    @site.app.get("/danger")
    @fresh_login_required(max_age=timedelta(minutes=5))
    async def danger() -> str:
        return "danger"

    @site.app.get("/stale")
    async def stale() -> str:
        return str(await login_user(ADA, fresh=False))


@makes(outcome_rules.NOT_FRESH_REMEMBERED, "unauthorized")
async def test_a_remembered_login_is_not_fresh(site: Site, danger: None) -> None:
    browser = await signed_in(site, path="/remembered")
    browser.jar.clear_session_cookies()
    await browser.get(f"{HERE}/danger")


@makes(outcome_rules.NOT_FRESH_OTHER_BROWSER, "unauthorized")
async def test_basic_session_protection_makes_a_login_in_another_browser_not_fresh(site: Site, danger: None) -> None:
    browser = await signed_in(site)
    browser.agent = "Chromium"
    await browser.get(f"{HERE}/danger")


@makes(outcome_rules.NOT_FRESH_TOO_OLD, "unauthorized")
async def test_a_login_is_too_old_for_a_page_with_a_max_age(site: Site, danger: None, clock: Clock) -> None:
    browser = await signed_in(site)
    clock.forward(timedelta(minutes=6))
    await browser.get(f"{HERE}/danger")


@makes(outcome_rules.NOT_FRESH_BEARER, "unauthorized")
async def test_a_bearer_token_is_never_fresh(site: Site, danger: None) -> None:
    async with site.app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    await Browser(site.app).get(f"{HERE}/danger", Authorization=f"Bearer {token}")


@makes(outcome_rules.NOT_FRESH, "unauthorized")
async def test_a_login_that_began_without_a_password_is_not_fresh(site: Site, danger: None) -> None:
    browser = await signed_in(site, path="/stale")
    await browser.get(f"{HERE}/danger")


# A login that does nothing.


@makes(outcome_rules.LOGIN_NOT_ACTIVE, "login")
async def test_an_inactive_user_is_not_signed_in(site: Site) -> None:
    @site.app.get("/dismissed")
    async def dismissed() -> str:
        return str(await login_user(DISMISSED))

    await Browser(site.app).get(f"{HERE}/dismissed")


@makes(outcome_rules.LOGIN_REFUSED, "login")
async def test_records_refuse_a_login(site: Site) -> None:
    class Refusing(NoRecords):
        async def login_began(self, login: Any) -> None:
            raise LoginRefused

    site.manager.records = Refusing()
    await signed_in(site)


@pytest.fixture
def clearing(site: Site) -> None:
    """A login that clears the session afterwards."""

    @site.app.get("/clearing")
    async def clearing() -> str:
        await login_user(ADA)
        session.clear()
        return "in"


@makes(outcome_rules.LOGIN_SETS_NO_COOKIE, "login")
async def test_a_login_whose_session_is_cleared_sets_no_cookie(site: Site, clearing: None) -> None:
    await signed_in(site, path="/clearing")


@makes(missing.NEVER_SET, "session_cookie")
async def test_a_visitor_comes_back_from_a_login_that_set_no_cookie(site: Site, clearing: None) -> None:
    browser = await signed_in(site, path="/clearing")
    await browser.get(f"{HERE}/page")


@makes(app_rules.NEVER_AWAITED, "not_awaited")
async def test_a_login_without_await_does_nothing(site: Site) -> None:
    @site.app.get("/forgetful")
    async def forgetful() -> str:
        login_user(ADA)  # type: ignore[unused-coroutine]  # the mistake that is made here
        return "in"

    await signed_in(site, path="/forgetful")


# Mistakes in the app's code.


@makes(guard_rules.GUARD_ABOVE_ROUTE, "request")
async def test_a_guard_above_the_route_guards_nothing(site: Site) -> None:
    @login_required
    @site.app.get("/open")
    async def open_page() -> str:
        return "open to all"

    assert (await Browser(site.app).get(f"{HERE}/open")).status_code == 200


@makes(app_rules.EARLY_READ, "early_read")
async def test_a_view_reads_current_user_without_await(site: Site) -> None:
    @site.app.get("/early")
    async def early() -> str:
        return str(current_user.is_authenticated)

    await Browser(site.app).get(f"{HERE}/early")


@makes(app_rules.EARLY_READ_BEFORE_REQUEST, "early_read")
async def test_a_before_request_function_reads_current_user_without_await(site: Site) -> None:
    @site.app.before_request
    async def look() -> None:
        g.is_known = current_user.is_authenticated

    await Browser(site.app).get(f"{HERE}/page")


@makes(app_rules.MISSING_ON_G, "loader")
async def test_the_loader_reads_g_before_it_is_set(site: Site) -> None:
    @site.manager.user_loader
    async def load(user_id: str) -> User:
        user: User = g.database[user_id]
        return user

    @site.app.before_request
    async def look() -> None:
        await current_user

    @site.app.before_request
    async def connect() -> None:
        g.database = {ADA.id: ADA}

    browser = await signed_in_by_hand(site)
    await browser.get(f"{HERE}/page")


async def signed_in_by_hand(site: Site, **contents: Any) -> Browser:
    """A browser with a session that was written without a request."""
    browser, interface = Browser(site.app), site.app.session_interface
    value = interface.get_signing_serializer(site.app).dumps({"_user_id": ADA.id, **contents})  # type: ignore[attr-defined]
    browser.keep(HERE, f"session={value}; Path=/")
    return browser


@makes(app_rules.NO_LOADER, "loader")
async def test_an_app_has_no_loader(site: Site) -> None:
    forget_loader(site)
    await Browser(site.app).get(f"{HERE}/page")


@makes(app_rules.TWO_MANAGERS, "loader")
async def test_the_loader_is_registered_on_another_manager(site: Site) -> None:
    forget_loader(site)
    another: LoginManager[User] = LoginManager()

    @another.user_loader
    async def load(user_id: str) -> User:
        return ADA

    await Browser(site.app).get(f"{HERE}/page")


def forget_loader(site: Site) -> None:
    site.manager._user_callback = None


@makes(app_rules.NO_ROUTE, "request")
async def test_a_url_leads_to_no_view(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/nowhere")


@makes(app_rules.NEVER_ASKED, "request")
async def test_a_template_does_not_name_the_user(site: Site) -> None:
    @site.app.get("/")
    async def home() -> str:
        return await render_template_string("<a href='/login'>Sign in</a>")

    browser = await signed_in(site)
    await browser.get(f"{HERE}/")


@makes(app_rules.STATIC_FILE, "request")
async def test_a_static_file_asks_for_nobody(site: Site, tmp_path: Path) -> None:
    (tmp_path / "style.css").write_text("")
    site.app.register_blueprint(Blueprint("shop", "shop", static_folder=str(tmp_path), static_url_path="/static"))
    assert (await Browser(site.app).get(f"{HERE}/static/style.css")).status_code == 200


@makes(app_rules.NEVER_ASKED, "request")
async def test_a_redirect_to_a_url_with_a_slash_asks_for_nobody(site: Site) -> None:
    @site.app.get("/notes/")
    async def notes() -> str:
        return "notes"

    assert (await Browser(site.app).get(f"{HERE}/notes")).status_code == 308


@makes(guard_rules.PREFLIGHT, "request")
async def test_a_preflight_passes_the_guard(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page", "OPTIONS")


@makes(guard_rules.BEFORE_GUARD, "request")
async def test_a_before_request_function_answers_before_the_guard(site: Site) -> None:
    @site.app.before_request
    async def close() -> tuple[str, int]:
        return "closed", 503

    await Browser(site.app).get(f"{HERE}/page")


@makes(guard_rules.LOGIN_PAGE_GUARDED, "unauthorized")
async def test_a_guarded_login_page_redirects_to_itself(site: Site) -> None:
    @site.app.get("/enter")
    @login_required
    async def enter() -> str:
        return "a form"

    site.manager.login_view = "enter"
    await Browser(site.app).get(f"{HERE}/enter")


@makes(guard_rules.LOGIN_VIEW_UNKNOWN, "unauthorized")
async def test_the_login_view_is_no_endpoint(site: Site) -> None:
    site.manager.login_view = "auth.login"
    assert (await Browser(site.app).get(f"{HERE}/page")).status_code == 500


@makes(outcome_rules.NO_RESPONSE, "login")
async def test_a_websocket_calls_login_user(site: Site) -> None:
    @site.app.websocket("/live")
    async def live() -> None:
        await login_user(ADA)

    async with open_socket(site.app, "/live") as socket:
        assert await socket.status() == 500


# The loader.


@makes(loading_rules.LOADER_ASKED_FOR_USER, "loader")
async def test_the_loader_asks_for_current_user(site: Site) -> None:
    @site.manager.user_loader
    async def load(user_id: str) -> Any:
        return await current_user

    browser = await signed_in(site)
    await browser.get(f"{HERE}/page")


@makes(loading_rules.LOADER_FOUND_NO_USER, "loader")
async def test_the_loader_finds_nobody(site: Site) -> None:
    browser = await signed_in(site)
    site.users.clear()
    await browser.get(f"{HERE}/page")


@makes(loading_rules.LOADER_RAISED, "loader")
async def test_the_loader_raises(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = ZeroDivisionError()
    await browser.get(f"{HERE}/page")


@pytest.fixture
def numbered(site: Site) -> None:
    """A table whose ids are numbers."""
    site.users.clear()
    site.users[7] = User(7, "Ada")  # type: ignore[arg-type]  # as a database has it

    @site.app.get("/numbered")
    async def numbered() -> str:
        return str(await login_user(site.users[7]))


@makes(loading_rules.ID_TYPE, "loader")
async def test_the_loader_looks_for_text_among_numbers(site: Site, numbered: None) -> None:
    browser = await signed_in(site, path="/numbered")
    await browser.get(f"{HERE}/page")


@makes(loading_rules.LOADER_FOUND_NO_USER, "loader")
async def test_a_user_with_a_number_as_id_is_deleted_later(site: Site, numbered: None) -> None:
    """The loader had found this user before, so it is not the type."""
    site.users["7"] = site.users[7]
    browser = await signed_in(site, path="/numbered")
    await browser.get(f"{HERE}/page")
    del site.users["7"]
    await browser.get(f"{HERE}/page")


@makes(loading_rules.NOT_A_USER, "user")
async def test_the_loader_returns_a_row(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = ("1", "Ada")
    await browser.get(f"{HERE}/page")


class OldUser(User):
    def is_authenticated(self) -> bool:  # type: ignore[override]  # as before Flask-Login 0.3
        return True


class ForgetfulUser(User):
    is_authenticated = False


@makes(loading_rules.NOT_A_PROPERTY, "user")
async def test_is_authenticated_is_a_method(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = OldUser("1", "Ada")
    await browser.get(f"{HERE}/page")


@makes(loading_rules.NOT_ACTIVE, "user")
async def test_a_user_is_deactivated_later(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = User("1", "Ada", active=False)
    await browser.get(f"{HERE}/page")


@makes(loading_rules.STAND_IN, "user")
async def test_the_loader_returns_an_anonymous_user(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = AnonymousUserMixin()
    await browser.get(f"{HERE}/page")


@makes(loading_rules.NOT_AUTHENTICATED, "user")
async def test_a_user_class_keeps_is_authenticated_itself(site: Site) -> None:
    browser = await signed_in(site)
    site.users[ADA.id] = ForgetfulUser("1", "Ada")
    await browser.get(f"{HERE}/page")


# The login.


@makes(login_rules.LOGIN_ENDED, "session")
async def test_a_copy_of_the_cookie_is_used_after_the_logout(site: Site) -> None:
    """The app's own loader looks up whether the login has ended."""
    ended: list[str | None] = []

    @site.manager.user_loader
    async def load(user_id: str) -> User | None:
        return None if login_id() in ended else ADA

    class Ending(NoRecords):
        async def login_ended(self, login_id: str) -> None:
            ended.append(login_id)

    site.manager.records = Ending()
    browser = await signed_in(site)
    copy = browser.value_of("session")
    await browser.get(f"{HERE}/logout")
    await browser.get(f"{HERE}/page", Cookie=f"session={copy}")


@makes(loading_rules.SIGNED_OUT_BY_PROTECTION, "protection")
async def test_strong_session_protection_signs_out_in_another_browser(site: Site) -> None:
    site.manager.session_protection = "strong"
    browser = await signed_in(site)
    browser.agent = "Chromium"
    await browser.get(f"{HERE}/page")


@makes(loading_rules.FLASK_LOGIN_SESSION, "session")
async def test_a_session_of_flask_login_is_not_taken_over(site: Site) -> None:
    browser = await signed_in_by_hand(site, _user_id=1)
    await browser.get(f"{HERE}/page")


# No session cookie came.


@makes(missing.FIRST_VISIT, "session_cookie")
async def test_nobody_has_signed_in_yet(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page")


@makes(missing.NOT_SENT, "session_cookie")
async def test_another_browser_comes_after_a_login(site: Site) -> None:
    await signed_in(site)
    await Browser(site.app).get(f"{HERE}/page")


@makes(login_rules.SIGNED_OUT_BEFORE, "session_cookie")
async def test_a_visitor_comes_back_after_a_logout(site: Site) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/logout")
    await browser.get(f"{HERE}/page")


@pytest.fixture
def cart(site: Site) -> None:
    """Pages that keep something in an anonymous visitor's session, and remove it."""

    @site.app.get("/cart")
    async def cart() -> str:
        session["cart"] = [1]
        return "cart"

    @site.app.get("/empty")
    async def empty() -> str:
        session.clear()
        return "empty"


@makes(login_rules.SIGNED_OUT_BEFORE, "session")
async def test_a_session_goes_on_after_a_logout(site: Site, cart: None) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/cart")
    await browser.get(f"{HERE}/logout")
    await browser.get(f"{HERE}/page")


@makes(login_rules.SIGNED_OUT_BEFORE, "session_cookie")
async def test_a_session_is_emptied_after_a_logout(site: Site, cart: None) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/cart")
    for page in ("logout", "empty", "page"):
        await browser.get(f"{HERE}/{page}")


@makes(missing.FIRST_VISIT, "session_cookie")
async def test_the_session_of_an_anonymous_visitor_is_emptied(site: Site, cart: None) -> None:
    browser = await signed_in(site, path="/cart")
    await browser.get(f"{HERE}/empty")
    await browser.get(f"{HERE}/page")


@makes(missing.NOT_SENT, "session_cookie")
async def test_another_browser_comes_after_a_login_and_a_visit_without_one(site: Site, cart: None) -> None:
    visitor = await signed_in(site, path="/cart")
    await signed_in(site)
    await visitor.get(f"{HERE}/empty")
    await visitor.get(f"{HERE}/page")


@makes(missing.SECURE_OVER_HTTP, "session_cookie")
async def test_a_secure_cookie_is_not_sent_over_http(site: Site) -> None:
    site.app.config["SESSION_COOKIE_SECURE"] = True
    browser = await signed_in(site, "http://site.example")
    await browser.get("http://site.example/page")


@makes(missing.SECURE_OVER_HTTP, "session_cookie")
async def test_a_secure_cookie_that_came_over_https_is_not_sent_over_http_to_localhost(site: Site) -> None:
    browser = await signed_in(site, "https://localhost")
    await browser.get(f"{HERE}/page")


@makes(missing.SECURE_OVER_HTTP, "cookie_written")
async def test_a_login_over_http_sets_a_secure_cookie(site: Site) -> None:
    site.app.config["SESSION_COOKIE_SECURE"] = True
    await signed_in(site, "http://site.example")


@makes(missing.OTHER_HOST, "session_cookie")
async def test_a_cookie_of_localhost_is_not_sent_to_127_0_0_1(site: Site) -> None:
    browser = await signed_in(site, "http://localhost:5000")
    await browser.get("http://127.0.0.1:5000/page")


@makes(missing.WRONG_DOMAIN, "session_cookie")
async def test_a_browser_refuses_a_cookie_for_another_domain(site: Site) -> None:
    site.app.config["SESSION_COOKIE_DOMAIN"] = "shop.example"
    browser = await signed_in(site, "http://site.example")
    await browser.get("http://site.example/page")


@makes(outcome_rules.BY_SESSION, "user")
async def test_a_cookie_for_a_domain_is_sent_to_the_hosts_below_it(site: Site) -> None:
    site.app.config["SESSION_COOKIE_DOMAIN"] = "site.example"
    browser = await signed_in(site, "http://a.site.example")
    await browser.get("http://b.site.example/page")


@makes(missing.OTHER_PATH, "session_cookie")
async def test_a_cookie_for_another_path_is_not_sent(site: Site) -> None:
    site.app.config["SESSION_COOKIE_PATH"] = "/shop"
    browser = await signed_in(site)
    await browser.get(f"{HERE}/page")


@makes(missing.IN_IFRAME, "session_cookie")
async def test_a_frame_on_another_site_gets_no_lax_cookie(site: Site) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/page", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe")


@makes(missing.FROM_OTHER_SITE, "session_cookie")
async def test_a_link_from_another_site_gets_no_strict_cookie(site: Site) -> None:
    site.app.config["SESSION_COOKIE_SAMESITE"] = "Strict"
    browser = await signed_in(site)
    await browser.get(f"{HERE}/page", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document")


@makes(missing.FROM_OTHER_SITE, "session_cookie")
async def test_a_form_on_another_site_gets_no_lax_cookie(site: Site) -> None:
    @site.app.post("/paid")
    @login_required
    async def paid() -> str:
        return "paid"

    browser = await signed_in(site)
    await browser.get(f"{HERE}/paid", "POST", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document")


@makes(missing.FROM_OTHER_SITE, "session_cookie")
async def test_a_picture_on_another_site_gets_no_lax_cookie(site: Site) -> None:
    browser = await signed_in(site)
    await browser.get(f"{HERE}/page", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="image")


@makes(missing.NOT_SENT, "session_cookie")
async def test_a_link_from_another_site_would_get_a_lax_cookie(site: Site) -> None:
    await signed_in(site)
    await Browser(site.app).get(f"{HERE}/page", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="document")


@makes(missing.FETCHED_WITHOUT_CREDENTIALS, "session_cookie")
async def test_a_script_from_another_port_fetches_without_credentials(site: Site) -> None:
    browser = await signed_in(site, "http://localhost:5000")
    await browser.get("http://localhost:5000/page", Sec_Fetch_Site="same-site", Sec_Fetch_Dest="empty")


@makes(missing.SET_FOR_FETCH, "session_cookie")
async def test_a_script_from_another_port_signs_in_without_credentials(site: Site) -> None:
    browser = Browser(site.app)
    await browser.get("http://localhost:5000/login", Sec_Fetch_Site="same-site", Sec_Fetch_Dest="empty")
    await browser.get("http://localhost:5000/page", Sec_Fetch_Site="none", Sec_Fetch_Dest="document")


@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
@makes(missing.TOO_LONG_TO_KEEP, "session_cookie")
async def test_a_browser_drops_a_session_cookie_over_4096_bytes(site: Site) -> None:
    browser = await fill_session(site)
    await browser.get(f"{HERE}/page")


@pytest.mark.filterwarnings("ignore:The 'session' cookie is too large")
@makes(missing.TOO_LONG_TO_KEEP, "cookie_written")
async def test_a_login_sets_a_session_cookie_over_4096_bytes(site: Site) -> None:
    await fill_session(site)


async def fill_session(site: Site) -> Browser:
    @site.app.get("/full")
    async def full() -> str:
        await login_user(ADA)
        session["cart"] = [number**9 for number in range(500)]
        return "in"

    return await signed_in(site, path="/full")


@makes(missing.OTHER_PREFIX, "session_cookie")
async def test_a_proxy_does_not_tell_that_visitors_use_https(site: Site) -> None:
    browser = await signed_in(site, "https://site.example")
    value = browser.value_of("__Host-session")
    await browser.get("http://site.example/page", Cookie=f"__Host-session={value}")


# A cookie or a token came, and does not count.


@makes(cookie_rules.OTHER_KEY, "session_cookie")
async def test_the_secret_key_has_changed_at_a_restart(site: Site) -> None:
    browser = await signed_in(site)
    site.app.secret_key = KEY[::-1]
    site.recorder.recordings.clear()
    await browser.get(f"{HERE}/page")


@makes(cookie_rules.OVERWRITTEN, "session_cookie")
async def test_another_app_on_this_host_replaces_the_cookie(site: Site) -> None:
    browser = await signed_in(site, "http://localhost:5000")
    browser.keep("http://localhost:8000/", "session=another.apps.cookie; Path=/")
    await browser.get("http://localhost:5000/page")


@makes(cookie_rules.TWO_COOKIES, "session_cookie")
async def test_a_browser_sends_two_cookies_of_one_name(site: Site) -> None:
    """The more specific path comes first (RFC 6265, 5.4)."""
    browser = await signed_in(site)
    value = browser.value_of("session")
    await browser.get(f"{HERE}/page", Cookie=f"session=of.another.time; session={value}")


@makes(cookie_rules.TWO_COOKIES, "session_cookie")
async def test_the_older_of_two_cookies_is_read_and_signs_nobody_in(site: Site) -> None:
    browser, visitor = await signed_in(site), await signed_in_by_hand(site, _user_id=None)
    both = f"session={visitor.value_of('session')}; session={browser.value_of('session')}"
    await Browser(site.app).get(f"{HERE}/page", Cookie=both)


@makes(cookie_rules.EXPIRED, "session_cookie")
async def test_a_session_of_quarts_own_interface_has_expired(site: Site, clock: Clock) -> None:
    site.app.session_interface = SecureCookieSessionInterface()
    browser = await signed_in(site)
    clock.forward(site.app.permanent_session_lifetime + timedelta(seconds=2))
    await browser.get(f"{HERE}/page")


@makes(cookie_rules.OTHER_INTERFACE, "session_cookie")
async def test_quarts_own_interface_wrote_the_cookie(site: Site) -> None:
    browser = Browser(site.app)
    quarts = SecureCookieSessionInterface().get_signing_serializer(site.app)
    assert quarts is not None
    await browser.get(f"{HERE}/page", Cookie=f"session={quarts.dumps({'_user_id': ADA.id})}")


@makes(outcome_rules.BY_SESSION, "user")
async def test_quarts_cookie_is_read_if_that_is_asked_for(site: Site) -> None:
    site.app.session_interface = SignedSessionInterface(read_flask_cookie=True)
    site.manager.session_protection = None
    quarts = SecureCookieSessionInterface().get_signing_serializer(site.app)
    assert quarts is not None
    await Browser(site.app).get(f"{HERE}/page", Cookie=f"session={quarts.dumps({'_user_id': ADA.id})}")


@makes(cookie_rules.EXPIRED, "session_cookie")
async def test_a_session_has_expired(site: Site, clock: Clock) -> None:
    browser = await signed_in(site)
    clock.forward(site.app.permanent_session_lifetime + timedelta(seconds=2))
    await browser.get(f"{HERE}/page")


@makes(cookie_rules.FROM_THE_FUTURE, "session_cookie")
async def test_a_cookie_comes_from_a_server_whose_clock_is_fast(site: Site, clock: Clock) -> None:
    browser = await signed_in(site)
    clock.forward(timedelta(minutes=-5))
    await browser.get(f"{HERE}/page")


@makes(cookie_rules.MALFORMED, "session_cookie")
async def test_a_signed_cookie_is_no_session(site: Site) -> None:
    serializer: Any = SignedSessionInterface().get_signing_serializer(site.app)
    await Browser(site.app).get(f"{HERE}/page", Cookie=f"session={serializer.dumps([1])}")


@makes(cookie_rules.TOO_LONG, "session_cookie")
async def test_a_client_sends_a_session_cookie_over_4096_bytes(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page", Cookie=f"session={'a' * 5000}")


@makes(cookie_rules.NO_SECRET_KEY, "session_cookie")
async def test_an_app_has_no_secret_key(site: Site) -> None:
    site.app.secret_key = None
    await Browser(site.app).get(f"{HERE}/page")


@makes(cookie_rules.REMEMBER_NOT_OURS, "remember_cookie")
async def test_a_remember_cookie_has_the_signature_of_another_key(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page", Cookie="remember_token=of.another.app")


@makes(cookie_rules.REMEMBER_EXPIRED, "remember_cookie")
async def test_a_remember_cookie_has_expired(site: Site, clock: Clock) -> None:
    browser = await signed_in(site, path="/remembered")
    value = browser.value_of("remember_token")
    clock.forward(timedelta(days=2))
    await Browser(site.app).get(f"{HERE}/page", Cookie=f"remember_token={value}")


@makes(cookie_rules.REMEMBER_OF_FLASK_LOGIN, "remember_cookie")
async def test_flask_login_wrote_the_remember_cookie(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page", Cookie=f"remember_token={encode_cookie(ADA.id, KEY)}")


@makes(cookie_rules.REMEMBER_REFUSED, "remember_cookie")
async def test_records_refuse_to_restore_a_remembered_login(site: Site) -> None:
    class Refusing(NoRecords):
        async def login_restored(self, login: Any, new_secret: str | None) -> bool:
            raise LoginRefused

    browser = await signed_in(site, path="/remembered")
    browser.jar.clear_session_cookies()
    site.manager.records = Refusing()
    await browser.get(f"{HERE}/page")


@makes(cookie_rules.BEARER_NOT_OURS, "bearer")
async def test_a_bearer_token_is_not_ours(site: Site) -> None:
    await Browser(site.app).get(f"{HERE}/page", Authorization="Bearer of-another-service")


@makes(cookie_rules.BEARER_INVALID, "bearer")
async def test_a_bearer_token_has_expired(site: Site, clock: Clock) -> None:
    async with site.app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))
    clock.forward(timedelta(hours=2))
    await Browser(site.app).get(f"{HERE}/page", Authorization=f"Bearer {token}")


@makes(cookie_rules.FOREIGN_WEBSOCKET, "request")
async def test_a_page_of_another_site_opens_a_websocket(site: Site) -> None:
    @site.app.websocket("/live")
    @login_required
    async def live() -> None:
        """Do nothing."""

    browser = await signed_in(site)
    cookie = f"session={browser.value_of('session')}"
    async with open_socket(site.app, "/live", Cookie=cookie, Origin="https://evil.example") as socket:
        assert await socket.status() == 403


@makes(diagnosis.NO_USER_IN_SESSION, "session")
async def test_a_valid_session_signs_nobody_in(site: Site, cart: None) -> None:
    browser = await signed_in(site, path="/cart")
    await browser.get(f"{HERE}/page")


@makes(diagnosis.SERVER_SESSION_EMPTY, "session")
async def test_a_session_on_the_server_is_gone(site: Site) -> None:
    site.app.session_interface = EmptyStore()
    await Browser(site.app).get(f"{HERE}/page", Cookie="session=an-id-that-the-store-has-forgotten")


class EmptyStore(SessionInterface):
    """Keeps sessions on the server, and has none."""

    async def open_session(self, app: Quart, request: Any) -> SecureCookieSession:
        return SecureCookieSession()

    async def save_session(self, app: Quart, session: Any, response: Any) -> None:
        """Keep nothing."""


@makes(diagnosis.ANONYMOUS, None)
async def test_records_refuse_a_session_of_flask_login(site: Site) -> None:
    class Refusing(NoRecords):
        async def login_began(self, login: Any) -> None:
            raise LoginRefused

    browser = await signed_in_by_hand(site)
    site.manager.import_flask_login, site.manager.records = True, Refusing()
    await browser.get(f"{HERE}/page")


async def test_whatever_step_is_missing_there_is_a_diagnosis(site: Site, danger: None) -> None:
    """A request may still run, be told from its middle on, or have too many steps to be kept."""
    browser = await signed_in(site, "http://site.example", path="/remembered")
    await browser.get("http://site.example/danger", Authorization="Bearer of-another-service")
    browser.agent = "Chromium"
    await browser.get("http://site.example/danger")
    browser.jar.clear_session_cookies()
    await browser.get("http://site.example/logout")
    await Browser(site.app).get("http://127.0.0.1/danger", Sec_Fetch_Site="cross-site", Sec_Fetch_Dest="iframe")
    recorded = [*reversed(site.recorder.recordings)]

    for newest, recording in enumerate(recorded):
        for missing_step in [*recording.steps]:
            position = recording.steps.index(missing_step)
            del recording.steps[position]
            for one, earlier in ((recorded[0], recorded[1:]), (recording, recorded[newest + 1 :])):
                assert diagnosis.diagnose(Case(one, site.app, earlier)).sentence
            recording.steps.insert(position, missing_step)
        assert diagnosis.diagnose(Case(replace(recording, steps=[]), site.app, recorded)).sentence


async def test_a_diagnosis_contains_no_cookie_token_or_query(site: Site) -> None:
    """What a sentence names comes from the steps, which have no secret."""
    browser = await signed_in(site)
    value = browser.value_of("session")
    told = []
    for headers in (
        {"Cookie": f"session={value}x"},
        {"Authorization": "Bearer CONFIDENTIAL"},
        {"Cookie": "session=CONFIDENTIAL"},
    ):
        await browser.get(f"{HERE}/page?next=CONFIDENTIAL", **headers)
        told.append(repr(site.explain()))

    assert [text for text in told if "CONFIDENTIAL" in text or value in text] == []
