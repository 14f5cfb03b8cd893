"""Search the documentation's site in a browser, and look at each page at two widths, light and dark.

The links to other hosts are listed, and not fetched: `sphinx-build -b linkcheck docs build/links` does that.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, Page, expect, sync_playwright

SITE = Path(__file__).parent.parent / "build" / "docs"
FAULTS: list[str] = []
PATIENCE = 60_000  # milliseconds until what hangs is given up
LINKS: set[str] = set()
PAGES = [str(path.relative_to(SITE)) for path in sorted(SITE.rglob("*.html")) if path.parts[len(SITE.parts)][0] != "_"]


def main() -> None:
    with serve() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        search(open_page(browser, url, 1280, "light"))
        for width, scheme in ((360, "dark"), (1280, "light")):
            look(open_page(browser, url, width, scheme), width)
    print(f"Links to other hosts, not fetched: {' '.join(sorted(LINKS))}")
    print(f"{len(PAGES)} pages: the search finds, and none scrolls sideways.")


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def serve() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=SITE)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def open_page(browser: Browser, url: str, width: int, scheme: str) -> Page:
    page = browser.new_page(base_url=url, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("request", lambda request: check_host(request.url, url))
    page.on("pageerror", lambda error: fail(f"{page.url}: {error}"))
    return page


def check_host(requested: str, url: str) -> None:
    if not requested.startswith((url, "data:")):
        fail(f"{requested} is on another host")


def fail(fault: str) -> None:
    FAULTS.append(fault)


def search(page: Page) -> None:
    page.goto("/search.html?q=logout_user")
    expect(page.locator("ul.search a[href*='extension.html']").first).to_be_visible(timeout=PATIENCE)


def look(page: Page, width: int) -> None:
    for name in PAGES:
        page.goto(f"/{name}")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            fail(f"{name} scrolls sideways at {width} pixels")
        LINKS.update(page.evaluate("[...document.querySelectorAll('a[href^=https]')].map(link => link.href)"))
    assert not FAULTS, FAULTS


if __name__ == "__main__":
    main()
