"""The two apps of examples/: one users table on PostgreSQL, one account, one sign-in for both."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from http.cookiejar import CookieJar
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from quart import Quart

from chromium import expect_path, follow, open_page
from client import PASSWORD, Visitor
from databases import on_postgresql, run_sql
from example_apps import EXAMPLES
from quartlogin.accounts.testing import use_cheap_hashes
from servers import SCRIPTS, Server, free_port, running

pytestmark = pytest.mark.slow

FOLDER = EXAMPLES / "accounts" / "two_apps"
KEY = "a key for the tests of two apps, long enough"


@pytest.fixture
def members(database: str) -> str:
    """The address of a database with the users table."""
    for statement in (FOLDER / "members.sql").read_text(encoding="utf-8").split(";")[:-1]:
        run_sql(database, statement)
    return database


@pytest.fixture
async def apps(members: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Quart, Quart]]:
    """The wiki and the calendar, started."""
    monkeypatch.syspath_prepend(str(EXAMPLES.parent))
    monkeypatch.setenv("DATABASE_URL", members)
    monkeypatch.setenv("SECRET_KEY", KEY)
    wiki, calendar = (import_module(f"examples.accounts.two_apps.{name}").create_app() for name in ("wiki", "calendar"))
    for app in (wiki, calendar):
        use_cheap_hashes(app)
    async with wiki.test_app(), calendar.test_app():
        yield wiki, calendar


def go_to(visitor: Visitor, app: Quart) -> Visitor:
    """Go to another app on the same host with the same browser."""
    other = Visitor(app.test_client())
    other.client.cookie_jar = visitor.client.cookie_jar or CookieJar()
    return other


@on_postgresql
async def test_who_registers_at_one_app_is_signed_in_at_the_other(apps: tuple[Quart, Quart], members: str) -> None:
    wiki, calendar = apps
    ada = Visitor(wiki.test_client())
    registered = await ada.register("Ada@example.org")
    there = await go_to(ada, calendar).get("/")
    taken = await Visitor(calendar.test_client()).register("ada@example.org")

    assert registered.location == "/"
    assert (there.status, "calendar of ada@example.org" in there.text) == (200, True)
    assert taken.errors_beside("username")
    assert run_sql(members, "SELECT email FROM team.members") == [("ada@example.org",)]
    assert run_sql(members, "SELECT users_table FROM quartlogin_schema") == [("team.members",)]


@on_postgresql
async def test_a_login_that_ends_at_one_app_ends_at_the_other(apps: tuple[Quart, Quart]) -> None:
    wiki, calendar = apps
    ada = Visitor(wiki.test_client())
    await ada.register("ada@example.org")
    copies = {"Cookie": "; ".join(f"{name}={value}" for name, value in ada.cookies.items())}
    await go_to(ada, calendar).sign_out()
    answers = [await app.test_client(use_cookies=False).get("/", headers=copies) for app in apps]

    assert [answer.status_code for answer in answers] == [302, 302]


# --- two servers and a real browser


@pytest.fixture
def servers(members: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Both apps, each in a process of its own."""
    settings: dict[str, Any] = {"PYTHONPATH": str(EXAMPLES.parent), "DATABASE_URL": members, "SECRET_KEY": KEY}
    with ExitStack() as stack:
        started = []
        for name in ("wiki", "calendar"):
            port, folder = free_port(), tmp_path / name
            folder.mkdir()
            app = f"examples.accounts.two_apps.{name}:create_app()"
            command = [str(SCRIPTS / "quartlogin"), "serve", "--app", app, "--port", str(port)]
            started.append(stack.enter_context(running(command, port, folder, **settings)))
        yield started


@on_postgresql
def test_a_browser_signs_in_once_for_two_servers_on_one_host(browser: Browser, servers: list[Server]) -> None:
    wiki, calendar = servers
    page = open_page(browser, wiki)
    page.goto("/register")
    page.get_by_label("E-mail address").fill("ada@example.org")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))
    expect(page.get_by_role("heading")).to_have_text("The wiki of ada@example.org")
    page.goto(calendar.url)
    expect(page.get_by_role("heading")).to_have_text("The calendar of ada@example.org")
    page.goto(calendar.url.replace("localhost", "127.0.0.1"))
    expect_path(page, "/login?next=%2F")

    page.goto(calendar.url)
    follow(page.get_by_role("button", name="Sign out"))
    page.goto(wiki.url)

    expect_path(page, "/login?next=%2F")
    assert page.complaints == []  # type: ignore[attr-defined]
