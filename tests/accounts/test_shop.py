"""The shop of examples/: customers from before the accounts, a layout of its own, and a real browser."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from quart import Quart

from chromium import expect_path, follow, open_page
from client import NEW_PASSWORD, PASSWORD, Visitor
from databases import run_sql
from example_apps import EXAMPLES, load
from quartlogin.accounts.testing import check_templates, create_user, use_cheap_hashes
from servers import SCRIPTS, Server, free_port, running

SHOP = EXAMPLES / "accounts" / "shop"
#: As `customers.sql` says.
GRACE, GRACES_PASSWORD = "grace@example.org", "cobol-1959"
MARGARET, MARGARETS_PASSWORD = "margaret@example.org", "apollo-eleven"


def make_old_database(folder: Path) -> Path:
    """Make the database that the earlier version of the shop left."""
    path = folder / "shop.sqlite3"
    path.touch(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((SHOP / "customers.sql").read_text(encoding="utf-8"))
    return path


def hashes_of(database: Path, user_id: int) -> tuple[str | None, str | None]:
    """Return the hash in the shop's table, and the one in the accounts'."""
    [(old,)] = run_sql(database, f"SELECT password_hash FROM customers WHERE id = {user_id}")
    new = run_sql(database, f"SELECT password_hash FROM quartlogin_passwords WHERE user_id = '{user_id}'")
    return old, new[0][0] if new else None


@pytest.fixture
async def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    monkeypatch.setenv("SECRET_KEY", "a key for the tests of the shop, long enough")
    app: Quart = load("accounts/shop/app.py").create_app(str(make_old_database(tmp_path)))
    use_cheap_hashes(app)
    async with app.test_app():
        yield app


async def test_the_shop_registers_and_deletes_customers_of_its_own(shop: Quart) -> None:
    ada, fields = Visitor(shop.test_client()), {"username": "Ada@example.org", "password": PASSWORD}
    without = await ada.fill_in("/register", **fields)
    registered = await ada.fill_in("/register", nickname="Ada", **fields)
    orders = await ada.get("/orders")
    again = await Visitor(shop.test_client()).fill_in("/register", nickname="Eve", **fields)
    account = await ada.get("/account")
    deleted = await ada.fill_in("/account/delete", password=PASSWORD)
    unknown = await Visitor(shop.test_client()).fill_in("/login", **fields)

    assert without.errors_beside("nickname")
    assert registered.location == "/orders"
    assert "Ada, you have no orders." in orders.text
    assert "ada@example.org" in account.text
    assert (again.status, deleted.status, unknown.status) == (400, 302, 400)


async def test_rehash_a_customer_from_before_the_accounts_signs_in_with_the_old_password(
    shop: Quart, tmp_path: Path
) -> None:
    database, grace = tmp_path / "shop.sqlite3", Visitor(shop.test_client())
    before = hashes_of(database, 1)
    wrong = await grace.sign_in(GRACE, MARGARETS_PASSWORD)
    first = await grace.sign_in(GRACE, GRACES_PASSWORD)
    after = hashes_of(database, 1)
    again = await Visitor(shop.test_client()).sign_in(GRACE, GRACES_PASSWORD)

    assert (wrong.status, first.location, again.location) == (400, "/orders", "/orders")
    assert [text is not None and text.startswith("scrypt:") for text in before] == [True, False]
    assert after[0] is None
    assert after[1] is not None
    assert after[1].startswith("$argon2id$")


async def test_every_page_of_the_shop_has_its_layout_and_error_pages_too(shop: Quart) -> None:
    visitor = Visitor(shop.test_client())
    pages = [await visitor.get(path) for path in ("/", "/login", "/register")]
    pages.append(await visitor.post("/login", {}, headers={"Origin": "https://evil.example"}))

    assert [page.status for page in pages] == [200, 200, 200, 403]
    for page in pages:
        assert "/static/shop.css" in page.text
        assert 'aria-label="Shop"' in page.text
    await check_templates(shop, await create_user(shop, "ada@example.org", fields={"nickname": "Ada"}))


# --- a real browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port, folder = free_port(), tmp_path_factory.mktemp("shop")
    command = [
        str(SCRIPTS / "quartlogin"),
        "serve",
        "--app",
        "examples.accounts.shop.app:create_app",
        "--port",
        str(port),
    ]
    make_old_database(folder)
    with running(command, port, folder, PYTHONPATH=str(EXAMPLES.parent)) as server:
        yield server


@pytest.mark.slow
def test_a_customer_registers_with_a_nickname_changes_the_password_and_leaves(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    page = open_page(browser, server)
    page.goto("/orders")
    expect_path(page, "/login?next=%2Forders")
    page.screenshot(path=screenshots / "shop-login-1280.png")
    follow(page.get_by_role("link", name="Create an account"))
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Nickname").fill("Countess")
    page.get_by_label("Password").fill(PASSWORD)
    page.screenshot(path=screenshots / "shop-register-1280.png")
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))
    expect_path(page, "/orders")
    expect(page.get_by_role("main")).to_contain_text("Countess")
    page.screenshot(path=screenshots / "shop-orders-1280.png")

    follow(page.get_by_role("link", name="ada@example.org"))
    page.screenshot(path=screenshots / "shop-account-1280.png", full_page=True)
    follow(page.get_by_role("link", name="Change password"))
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Change password"))
    page.screenshot(path=screenshots / "shop-account-changed-1280.png")
    follow(page.get_by_role("link", name="Delete account"))
    page.get_by_label("Password").fill(NEW_PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Delete account"))

    expect_path(page, "/")
    expect(page.get_by_role("navigation", name="Shop")).to_be_visible()
    assert page.context.cookies() == []
    assert page.complaints == []  # type: ignore[attr-defined]


@pytest.mark.slow
def test_rehash_a_browser_signs_in_with_a_password_that_werkzeug_hashed(
    browser: Browser, server: Server, screenshots: Path
) -> None:
    page = open_page(browser, server, width=360)
    page.goto("/register")
    page.screenshot(path=screenshots / "shop-register-360.png", full_page=True)
    page.goto("/login")
    page.screenshot(path=screenshots / "shop-login-360.png", full_page=True)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(2):
        page.goto("/login")
        page.get_by_label("E-mail address").fill(MARGARET)
        page.get_by_label("Password").fill(MARGARETS_PASSWORD)
        follow(page.get_by_label("Password"), key="Enter")
        expect_path(page, "/orders")
        follow(page.get_by_role("button", name="Sign out"))

    page.goto("/login")
    page.get_by_label("E-mail address").fill(GRACE)
    page.get_by_label("Password").fill(GRACES_PASSWORD)
    follow(page.get_by_label("Password"), key="Enter")
    page.goto("/account")
    expect(page.get_by_role("definition").first).to_have_text(GRACE)
    page.screenshot(path=screenshots / "shop-account-360.png", full_page=True)

    assert background == "rgb(244, 241, 232)"  # the shop's, from its own style sheet
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.complaints == []  # type: ignore[attr-defined]
