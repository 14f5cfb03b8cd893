"""A real browser: Chromium, driven by Playwright."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from servers import Server

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium(missing: Callable[[str], None]) -> Iterator[Browser]:
    """Start the browser; the test is skipped, or fails, where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        missing("A Chromium browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def open_page(browser: Browser, server: Server, *, width: int = 1280, scheme: str = "light", **more: Any) -> Page:
    context = browser.new_context(
        base_url=server.url,
        viewport={"width": width, "height": 800},
        color_scheme=scheme,  # type: ignore[arg-type]
        **more,
    )
    page = context.new_page()
    page.complaints = []  # type: ignore[attr-defined]
    page.on("console", lambda message: keep_complaint(page, message))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))  # type: ignore[attr-defined]
    return page


def keep_complaint(page: Page, message: ConsoleMessage) -> None:
    """Keep what the browser finds wrong; that it has cleared its cache as told is no complaint."""
    if not message.text.startswith("Clear-Site-Data header on"):
        page.complaints.append(message.text)  # type: ignore[attr-defined]
