"""The page that explains requests: around the accounts, under real servers and in a real browser; off in production."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from chromium import follow, open_page
from client import KEY, PASSWORD
from quartlogin.webapp import create_app
from servers import PATIENCE, SCRIPTS, Server, free_port, running

ADDRESS = re.compile(r"/_quartlogin/\?token=\S+")
SHOP = """
from quart import Quart
from quartlogin import LoginManager, current_user, login_required
from quartlogin.accounts import Accounts

app = Quart(__name__)
Accounts(app, database="app.sqlite3", login_manager=LoginManager(explain=True)).harden(app)


@app.get("/")
async def home():
    return "public"


@app.get("/mine")
@login_required
async def mine():
    return f"of {current_user.username}"
"""
DEBUGGED = """
import sys

from quart import Quart
from quartlogin import LoginManager, current_user

app = Quart(__name__)
app.secret_key = "a key for tests, and for nothing else"
manager = LoginManager(app)


@manager.user_loader
async def load(user_id):
    return None


@app.get("/")
async def home():
    return str((await current_user).is_authenticated)


app.run(debug=True, port=int(sys.argv[1]))
"""


@pytest.mark.requirement("13.4.2", "13.4.5")
async def test_the_stand_alone_application_never_opens_the_page(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    app.debug = True
    before = app.asgi_app

    async with app.test_app():
        assert app.asgi_app == before

    assert ADDRESS.search(capsys.readouterr().err) is None


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app with accounts, which explains its requests."""
    port, folder = free_port(), tmp_path_factory.mktemp("explained")
    (folder / "shop.py").write_text(SHOP, encoding="utf-8")
    command = [str(SCRIPTS / "quartlogin"), "serve", "--app", "shop:app", "--port", str(port)]
    with running(command, port, folder) as server:
        yield server


def address_in(server: Server) -> str:
    return ADDRESS.findall(server.log.read_text())[-1]


@pytest.mark.slow
def test_hypercorn_serves_the_page_beside_a_hardened_app_with_accounts(shop: Server) -> None:
    address = address_in(shop)
    with httpx.Client(base_url=shop.url, timeout=PATIENCE) as client:
        client.get("/mine")
        page = client.get(address)
        behind_proxy = client.get(address, headers={"X-Forwarded-For": "127.0.0.1"})
        rebound = client.get(address, headers={"Host": "evil.example"})
        none = client.get("/none")

    assert page.status_code == 200
    assert "GET /mine" in page.text
    assert "'sha256-" in page.headers["Content-Security-Policy"]  # its own, not the app's
    assert len(page.headers.get_list("Content-Security-Policy")) == 1
    assert {behind_proxy.status_code, rebound.status_code} == {none.status_code} == {404}
    assert "anonymous" not in behind_proxy.text + rebound.text
    assert shop.log.read_text().count(address) == 1


@pytest.mark.slow
@pytest.mark.parametrize("reloads", [True, False])
def test_an_app_that_runs_itself_prints_the_address_when_debugging(tmp_path: Path, reloads: bool) -> None:
    text = DEBUGGED if reloads else DEBUGGED.replace("debug=True", "debug=True, use_reloader=False")
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    port = free_port()
    with running([sys.executable, "app.py", str(port)], port, tmp_path, PYTHONDONTWRITEBYTECODE="1") as server:
        url = f"http://127.0.0.1:{port}"  # Quart binds this address alone
        assert httpx.get(url, timeout=PATIENCE).text == "False"
        assert "anonymous" in httpx.get(url + address_in(server), timeout=PATIENCE).text


def register(page: Page, username: str) -> None:
    page.goto("/register")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))


@pytest.mark.slow
def test_a_developer_follows_a_request_from_the_list_to_its_diagram(
    browser: Browser, shop: Server, screenshots: Path
) -> None:
    app, page = open_page(browser, shop), open_page(browser, shop)
    app.goto("/mine")
    register(app, "Ada Lovelace")
    app.goto("/mine")
    app.context.add_cookies([{"name": "session", "value": "e30.forged.forged", "url": shop.url}])
    app.goto("/mine")

    page.goto(address_in(shop))
    expect(page.get_by_role("heading", level=1)).to_have_text("Last requests")
    page.screenshot(path=screenshots / "explain-list-1280.png", full_page=True)
    mine = page.get_by_role("link", name="GET /mine")
    follow(mine.nth(1), key="Enter")

    expect(page.get_by_role("heading", level=2)).to_have_text(
        ["Diagnosis", "What happened", "Sequence diagram", "Details"]
    )
    expect(page.get_by_role("img", name="Sequence diagram")).to_be_visible()
    expect(page.locator(".story .decisive")).to_have_count(1)
    page.screenshot(path=screenshots / "explain-signed-in-1280.png", full_page=True)
    follow(page.get_by_role("link", name="All requests"))
    follow(mine.first)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone(browser: Browser, shop: Server, screenshots: Path, scheme: str) -> None:
    page = open_page(browser, shop, width=360, scheme=scheme, java_script_enabled=False)
    page.goto("/mine")
    page.goto(address_in(shop))
    page.screenshot(path=screenshots / f"explain-list-360-{scheme}.png", full_page=True)
    assert width_of(page) <= 360

    follow(page.get_by_role("link", name="GET /mine").first)
    expect(page.locator("svg.quartlogin-diagram")).to_be_visible()
    page.screenshot(path=screenshots / f"explain-request-360-{scheme}.png", full_page=True)
    assert width_of(page) <= 360
    assert page.complaints == []  # type: ignore[attr-defined]


def width_of(page: Page) -> float:
    width: float = page.evaluate("document.documentElement.scrollWidth")
    return width
