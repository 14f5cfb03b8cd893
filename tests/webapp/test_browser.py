"""A real browser: registration, sign-in, account page, CSRF and clickjacking."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from chromium import expect_path, follow, open_page
from client import PASSWORD
from quartlogin.accounts.features.passwords.pages import FAILED
from servers import SCRIPTS, Server, free_port, running

pytestmark = pytest.mark.slow

PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/17.5 Mobile/15E148 Safari/604.1"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("browser")
    with running([str(SCRIPTS / "quartlogin"), "serve", "--port", str(port)], port, folder) as server:
        yield server


def register(page: Page, username: str) -> None:
    page.goto("/register")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))


def open_account(page: Page) -> None:
    """Open the account page, and wait for its websocket: when that is open, the page fetches its lists anew."""
    with page.expect_response(lambda response: "quartlogin-background" in response.request.headers):
        page.goto("/account")


def test_a_user_registers_signs_out_and_signs_in_again(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server)

    register(page, "Ada Lovelace")
    expect(page.get_by_role("heading")).to_contain_text("Ada Lovelace")
    expect(page.get_by_role("status")).to_have_count(1)

    follow(page.get_by_role("button", name="Sign out"))
    expect(page.get_by_role("status")).to_have_count(1)
    expect(page.locator("body")).not_to_contain_text("Ada Lovelace")
    assert [cookie["name"] for cookie in page.context.cookies()] == ["quartlogin_browser"]  # opens nothing

    page.goto("/account")
    expect_path(page, "/login?next=%2Faccount")
    page.screenshot(path=screenshots / "login-1280.png")
    page.get_by_label("Username").fill("ada lovelace")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_label("Password"), key="Enter")
    expect_path(page, "/account")
    expect(page.get_by_role("definition")).to_have_text("Ada Lovelace")
    expect(page.locator(".badge")).to_have_count(1)

    follow(page.get_by_role("link", name="Quartlogin"))
    page.screenshot(path=screenshots / "home-signed-in.png")
    follow(page.get_by_role("button", name="Sign out"))
    page.goto("/account")
    expect_path(page, "/login?next=%2Faccount")
    assert page.complaints == []  # type: ignore[attr-defined]


def sign_in(page: Page, username: str, *, remember: bool = False) -> None:
    page.goto("/login")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Keep me signed in").set_checked(remember)
    follow(page.get_by_role("main").get_by_role("button", name="Sign in"))


def test_an_open_account_page_shows_events_of_other_browsers(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    desk = open_page(browser, server)
    phone = open_page(browser, server, width=360, scheme="dark", user_agent=PHONE)
    register(desk, "Annie Easley")
    open_account(desk)

    sign_in(phone, "Annie Easley")
    desk.get_by_text("Signed in: Mobile Safari 17 on iOS").wait_for()
    expect(desk.locator("#sign-ins li")).to_have_count(2)
    desk.screenshot(path=screenshots / "account-1280.png", full_page=True)
    desk.get_by_label("Name").fill("backup script")
    follow(desk.get_by_role("button", name="Create token"))
    desk.get_by_text("will not be shown again").wait_for()
    desk.screenshot(path=screenshots / "account-token-1280.png", full_page=True)

    open_account(phone)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    phone.screenshot(path=screenshots / "account-360-dark.png", full_page=True)

    follow(desk.get_by_role("button", name="Sign out everywhere else"))
    phone.get_by_text("signed out here").wait_for()
    expect(phone.get_by_role("button", name="Create token")).to_be_disabled()
    phone.screenshot(path=screenshots / "account-ended-360-dark.png")
    follow(phone.get_by_role("link", name="Sign in again"))
    expect_path(phone, "/login?next=/account")
    assert desk.complaints == phone.complaints == []  # type: ignore[attr-defined]


def test_a_page_that_lost_its_connection_shows_what_happened_meanwhile(browser: Browser, server: Server) -> None:
    desk, phone = open_page(browser, server), open_page(browser, server)
    sockets: list[WebSocketRoute] = []

    def keep(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    desk.route_web_socket("**/account/live", keep)
    desk.clock.install()
    register(desk, "Dorothy Hoover")
    open_account(desk)
    sockets[0].close(code=1001)
    sign_in(phone, "Dorothy Hoover")
    desk.locator("#sign-ins li").nth(1).wait_for()

    sockets[-1].close(code=1001)
    phone.goto("/account")
    follow(phone.get_by_role("button", name="Sign out everywhere else"))
    phone.get_by_text("1 other sign-in").wait_for()
    desk.get_by_text("signed out here").wait_for()
    tries = len(sockets)
    desk.clock.fast_forward("10:00")
    desk.evaluate("fetch('/healthz')")
    assert len(sockets) == tries  # it does not knock for ever


def test_the_account_page_works_without_script(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server, java_script_enabled=False)
    other = open_page(browser, server, java_script_enabled=False, user_agent=PHONE)
    register(page, "Mary Jackson")
    sign_in(other, "Mary Jackson")

    page.goto("/account")
    follow(page.get_by_role("button", name=re.compile("^Sign out Mobile Safari 17 on iOS, ")))
    expect(page.get_by_role("status")).to_contain_text("ended")
    other.goto("/account")
    expect_path(other, "/login?next=%2Faccount")

    page.get_by_label("Name").fill("backup script")
    follow(page.get_by_role("button", name="Create token"))
    token = page.locator("#new-token p > code").first.inner_text()
    mine = page.request.get("/api/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert mine["username"] == "Mary Jackson"
    page.goto("/account")
    revoke = page.get_by_role("button", name="Revoke backup script")
    expect(revoke).to_be_visible()
    expect(page.locator("body")).not_to_contain_text(token)
    follow(revoke)
    expect(page.get_by_role("status")).to_contain_text("revoked")

    follow(page.get_by_role("link", name="Change password"))
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("manchesterunited")
    page.screenshot(path=screenshots / "password-1280.png")
    follow(page.get_by_role("main").get_by_role("button", name="Change password"))
    expect(page.get_by_role("alert")).to_have_count(1)
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill("another horse, another staple")
    follow(page.get_by_role("main").get_by_role("button", name="Change password"))
    expect(page.get_by_role("status")).to_contain_text("changed")

    follow(page.get_by_role("link", name="Delete account"))
    page.get_by_label("Password").fill("another horse, another staple")
    follow(page.get_by_role("button", name="Delete account"))
    expect(page.get_by_role("status")).to_contain_text("deleted")
    assert page.context.cookies() == []


def test_a_browser_that_was_closed_is_signed_in_again_and_asked_for_the_password_where_it_matters(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    page = open_page(browser, server)
    register(page, "Dorothy Vaughan")
    follow(page.get_by_role("button", name="Sign out"))
    sign_in(page, "Dorothy Vaughan", remember=True)
    page.context.clear_cookies(name="quartlogin")

    page.goto("/account/password")
    expect(page.get_by_role("heading")).to_have_text("Confirm it’s you")
    page.screenshot(path=screenshots / "reauthenticate-1280.png")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("button", name="Continue"))

    expect_path(page, "/account/password")
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_wrong_password_shows_an_error_and_keeps_the_name(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    page = open_page(browser, server)

    page.goto("/login")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("not the right password")
    follow(page.get_by_role("main").get_by_role("button", name="Sign in"))

    expect(page.get_by_role("alert")).to_have_text(FAILED.format("username"))
    expect(page.get_by_label("Username")).to_have_value("nobody")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_label("Password")).to_be_focused()
    page.screenshot(path=screenshots / "login-error.png")


@pytest.mark.requirement("6.2.7", "N11")
def test_a_password_can_be_pasted(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    register(page, "Grace Hopper")
    page.context.clear_cookies()

    page.goto("/login")
    page.get_by_label("Username").fill(PASSWORD)
    page.get_by_label("Username").press("Control+A")
    page.get_by_label("Username").press("Control+X")
    page.get_by_label("Password").press("Control+V")
    page.get_by_label("Username").fill("Grace Hopper")
    follow(page.get_by_label("Password"), key="Enter")

    expect(page.get_by_role("heading")).to_have_text("Hello, Grace Hopper.")


@pytest.mark.parametrize("path", ["/", "/login", "/register", "/nowhere"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_small_screen(browser: Browser, server: Server, screenshots: Path, path: str, scheme: str) -> None:
    page = open_page(browser, server, width=360, scheme=scheme)

    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {
            "light": "rgb(245, 246, 250)",
            "dark": "rgb(18, 21, 29)",
        }[scheme]
    )
    page.screenshot(path=screenshots / f"{path.strip('/') or 'home'}-360-{scheme}.png")


def test_the_longest_name_fits_a_small_screen(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server, width=360)

    register(page, "W" * 64)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.screenshot(path=screenshots / "longest-name-360.png")


def test_everything_can_be_reached_and_seen_with_the_keyboard(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    page.goto("/")

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")

    link = page.get_by_role("navigation").get_by_role("link", name="Sign in")
    expect(link).to_be_focused()
    expect(link).to_have_css("outline-style", "solid")


# --- what an attacker tries in a real browser


@pytest.mark.requirement("14.3.1")
def test_after_sign_out_the_back_button_of_a_browser_shows_no_private_page(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    register(page, "Katherine Johnson")
    page.goto("/account")
    page.goto("/account/password")
    page.goto("/account")
    expect(page.get_by_role("definition")).to_have_text("Katherine Johnson")
    follow(page.get_by_role("button", name="Sign out", exact=True))
    page.get_by_text("You are signed out.").wait_for()

    seen = []
    for _ in range(4):
        page.go_back(wait_until="load")
        seen.append((page.url, page.content()))

    assert not [url for url, content in seen if "Katherine Johnson" in content]
    assert [url for url, _ in seen if "/login?next=" in url]


OTHER_SITE = """<!doctype html><title>other site</title>
<iframe name="framed" src="SITE/account"></iframe>
<iframe name="posted"></iframe>
<form method="post" action="SITE/logout" target="posted"><input name="csrf_token" value=""></form>
<script>
const found = {}, tried = (name, work) => work.then(() => found[name] = "worked", () => found[name] = "failed");
const load = (kind, attribute, path) => new Promise((done, fail) => {
  const element = document.createElement(kind);
  element.onload = done;
  element.onerror = fail;
  element[attribute] = "SITE" + path;
  document.body.append(element);
});
const open = () => new Promise((done, fail) => {
  const socket = new WebSocket("SITE".replace("http", "ws") + "/account/live");
  socket.onopen = done;
  socket.onerror = fail;
});
document.forms[0].submit();
Promise.all([
  tried("read", fetch("SITE/api/me", {credentials: "include"})),
  tried("post", fetch("SITE/logout", {method: "POST", credentials: "include", headers: {"X-CSRF-Token": "x"}})),
  tried("script", load("script", "src", "/api/me")),
  tried("image", load("img", "src", "/static/accounts/icon.svg")),
  tried("socket", open()),
]).then(() => window.found = found);
</script>
"""


@pytest.fixture
def other_site(server: Server, tmp_path: Path) -> Iterator[int]:
    """The port of another site, with a page that tries everything."""
    (tmp_path / "index.html").write_text(OTHER_SITE.replace("SITE", server.url), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with running(command, port, tmp_path):
        yield port


@pytest.mark.requirement("3.4.2", "3.4.6", "3.5.1", "3.5.8", "3.2.1", "V25")
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"], ids=["another port, so with our cookies", "another site"])
def test_csrf_and_clickjacking_another_site_can_neither_read_nor_frame_nor_post(
    browser: Browser, server: Server, other_site: int, host: str
) -> None:
    page = open_page(browser, server)
    register(page, f"Valerie {host}")
    attack = page.context.new_page()

    attack.goto(f"http://{host}:{other_site}/")
    attack.wait_for_function("window.found")
    found, shown = attack.evaluate("window.found"), "".join(frame.content() for frame in attack.frames)

    assert found == dict.fromkeys(["read", "post", "script", "image", "socket"], "failed")
    assert "Valerie" not in shown
    page.goto("/account")
    expect(page.get_by_role("definition")).to_have_text(f"Valerie {host}")


@pytest.mark.requirement("N11")
def test_a_password_is_shown_on_request_and_sent_as_one(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server, width=360)
    page.goto("/register")
    password = page.get_by_label("Password")
    password.fill(PASSWORD)
    page.get_by_label("Username").fill("Evelyn Boyd Granville")

    page.get_by_role("button", name="Show password").click()
    expect(password).to_have_attribute("type", "text")
    page.screenshot(path=screenshots / "password-shown-360.png")
    page.get_by_role("button", name="Hide password").click()
    expect(password).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show password").press("Space")
    expect(password).to_have_attribute("type", "text")
    page.evaluate("document.querySelector('main form').addEventListener('submit', () => sessionStorage.type = type())")
    page.evaluate("window.type = () => document.querySelector('[name=password]').type")
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))

    expect(page.get_by_role("heading")).to_have_text("Hello, Evelyn Boyd Granville.")
    assert page.evaluate("sessionStorage.type") == "password"
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.mark.requirement("N11")
def test_without_script_no_button_promises_to_show_a_password(browser: Browser, server: Server) -> None:
    page = open_page(browser, server, java_script_enabled=False)

    page.goto("/login")

    expect(page.get_by_role("main").get_by_role("button")).to_have_text(["Sign in"])


def test_the_rate_limit_page_says_when_in_local_time_and_leads_back(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    page = open_page(browser, server, locale="de-DE", timezone_id="Pacific/Auckland")
    page.goto("/login?next=/account")
    page.get_by_label("Username").fill("Mallory")
    page.get_by_label("Password").fill("not the right password")
    token = page.locator("main [name=csrf_token]").get_attribute("value")
    for _ in range(5):  # without the browser, which on a slow machine would take as long as the delay
        page.request.post("/login", form={"csrf_token": token or "", "username": "Mallory", "password": "wrong"})
    follow(page.get_by_role("main").get_by_role("button", name="Sign in"))

    time = page.locator("time")
    there = page.evaluate(
        "at => new Intl.DateTimeFormat('de-DE', {timeZone: 'Pacific/Auckland', dateStyle: 'medium', timeStyle: 'short'}"
        ").format(new Date(at))",
        time.get_attribute("datetime"),
    )
    page.screenshot(path=screenshots / "rate-limit-1280.png")
    expect(time).to_have_text(there)
    follow(page.get_by_role("link", name="Back to the form"))

    expect_path(page, "/login")
