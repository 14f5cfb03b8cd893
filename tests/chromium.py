"""A real browser: Chromium, driven by Playwright."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect, sync_playwright

from servers import PATIENCE, Server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

NO_COMPLAINTS = (
    "Clear-Site-Data header on",  # it has cleared its cache as told
    # On a slow machine it says so now and then of forms with that field, too; a quick test looks for the field.
    "[DOM] Password forms should have (optionally hidden) username fields",
)

#: Milliseconds until what hangs is given up: a browser is many processes, which a busy machine serves in turn.
BROWSER_PATIENCE = 3 * PATIENCE * 1000
expect.set_options(timeout=BROWSER_PATIENCE)


def executable() -> str | None:
    """Return the path of the browser."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium(missing: Callable[[str], None], *arguments: str) -> Iterator[Browser]:
    """Start the browser with more arguments; the test is skipped, or fails, where there is none."""
    path = executable()
    if path is None:
        missing("A Chromium browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        yield browser
        browser.close()


def open_profile(browser: Browser, folder: Path, url: str) -> BrowserContext:
    """Start another browser, which keeps in a folder what a browser keeps when it is closed."""
    launch = browser.browser_type.launch_persistent_context
    context = launch(folder, executable_path=executable(), args=ARGUMENTS, base_url=url)
    context.set_default_timeout(BROWSER_PATIENCE)
    return context


def open_page(browser: Browser, server: Server, *, width: int = 1280, scheme: str = "light", **more: Any) -> Page:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        **more,
    )
    context.set_default_timeout(BROWSER_PATIENCE)
    page = context.new_page()
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda message: keep_complaint(page, message))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    return page


def keep_complaint(page: Page, message: ConsoleMessage) -> None:
    """Keep what the browser finds wrong, but for what is no complaint."""
    if not message.text.startswith(NO_COMPLAINTS):
        page.complaints.append(message.text)  # type: ignore[attr-defined]


def follow(target: Locator, key: str | None = None) -> None:
    """Click, or press a key, and wait until the page that it leads to has loaded, even if its address is the same.

    Playwright returns from a click before the new page is there, so what follows would meet the old page, or half of
    the new one.
    """
    with target.page.expect_navigation():
        if key is None:
            target.click()
        else:
            target.press(key)


def expect_path(page: Page, path: str) -> None:
    """Wait until the page has this address, given without its scheme and host."""
    expect(page).to_have_url(re.compile("^https?://[^/]+" + re.escape(path) + "$"))
