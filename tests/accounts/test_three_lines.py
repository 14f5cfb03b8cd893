"""The three lines of examples/, under hypercorn, in a real browser."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from chromium import expect_path, follow, open_page
from client import PASSWORD
from example_apps import EXAMPLES
from servers import SCRIPTS, free_port, running


@pytest.mark.slow
def test_a_browser_registers_signs_out_and_signs_in(browser: Browser, tmp_path: Path, screenshots: Path) -> None:
    port = free_port()
    command = [str(SCRIPTS / "hypercorn"), "-b", f"127.0.0.1:{port}", "examples.accounts.three_lines:app"]
    with running(command, port, tmp_path, PYTHONPATH=str(EXAMPLES.parent)) as server:
        page = open_page(browser, server)
        page.goto("/notes")
        expect_path(page, "/login?next=%2Fnotes")
        follow(page.get_by_role("link", name="Create an account"))
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.screenshot(path=screenshots / "three-lines-register-1280.png")
        follow(page.get_by_role("main").get_by_role("button", name="Create account"))
        page.goto("/account")
        page.screenshot(path=screenshots / "three-lines-account-1280.png", full_page=True)
        follow(page.get_by_role("button", name="Sign out", exact=True))

        page.goto("/notes")
        page.get_by_label("Username").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        follow(page.get_by_role("main").get_by_role("button", name="Sign in"))

        expect_path(page, "/notes")
        expect(page.locator("body")).to_contain_text("Your notes, ada")
        # The app's own pages have no icon, and the browser asks for /favicon.ico.
        assert [text for text in page.complaints if "404" not in text] == []  # type: ignore[attr-defined]
