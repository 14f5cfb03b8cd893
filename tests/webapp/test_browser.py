"""A person at a real browser: registering, signing in, being greeted, signing out."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from servers import SCRIPTS, Server, free_port, running
from visitors import PASSWORD

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("browser")
    with running([str(SCRIPTS / "quartlogin"), "serve", "--port", str(port)], port, folder) as server:
        yield server


@pytest.fixture
def browser(missing: Callable[[str], None]) -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("A Chromium browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest) -> Path:
    folder = Path(request.config.getoption("--screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def open_page(browser: Browser, server: Server, *, width: int = 1280, scheme: str = "light") -> Page:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.complaints.append(message.text))  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    return page


def register(page: Page, username: str) -> None:
    page.goto("/register")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Create account").click()


def test_somebody_registers_signs_out_and_signs_in_again(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server)

    register(page, "Ada Lovelace")
    assert page.get_by_role("heading").inner_text() == "Hello, Ada Lovelace."
    assert page.get_by_role("status").inner_text() == "Your account is ready."

    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_role("heading").inner_text() == "Welcome to Quartlogin."
    assert page.get_by_role("status").inner_text() == "You are signed out."
    assert page.context.cookies() == []

    page.goto("/account")
    assert page.url.endswith("/login?next=%2Faccount")
    page.screenshot(path=screenshots / "login-1280.png")
    page.get_by_label("Username").fill("ada lovelace")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Password").press("Enter")
    assert page.url.endswith("/account")
    assert page.get_by_role("definition").inner_text() == "Ada Lovelace"

    page.get_by_role("link", name="Quartlogin").click()
    page.screenshot(path=screenshots / "home-signed-in.png")
    page.get_by_role("button", name="Sign out").click()
    page.goto("/account")
    assert page.url.endswith("/login?next=%2Faccount")
    assert page.complaints == []  # type: ignore[attr-defined]


def test_a_wrong_password_is_told_and_the_name_is_kept(browser: Browser, server: Server, screenshots: Path) -> None:
    page = open_page(browser, server)

    page.goto("/login")
    page.get_by_label("Username").fill("nobody")
    page.get_by_label("Password").fill("not the right password")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()

    assert page.get_by_role("alert").inner_text() == "The username or the password is not right."
    assert page.get_by_label("Username").input_value() == "nobody"
    assert page.get_by_label("Password").input_value() == ""
    assert page.evaluate("document.activeElement.id") == "password"
    page.screenshot(path=screenshots / "login-error.png")


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
    page.get_by_label("Password").press("Enter")

    assert page.get_by_role("heading").inner_text() == "Hello, Grace Hopper."


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
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")

    assert first == "Skip to the content"
    assert page.evaluate("document.activeElement.textContent") == "Sign in"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
