"""Access control, browser caches and denial of service by costly work (ASVS V4, V8, V14, V15)."""

import asyncio
import os
import re
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from unittest import mock

import httpx
import pytest
from playwright.sync_api import Browser, expect
from quart import Quart

from chromium import expect_path, follow, open_page
from client import KEY, PASSWORD, Visitor, add_user, header_of, set_active
from servers import SCRIPTS, Server, free_port, running
from sockets import open_socket

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "application-reference.md").read_text("utf-8")
PAGES = [
    (path.replace("<public_id>", "0" * 16), row[1])
    for row in re.findall(r"^\| (`/[^|]*) \| ([^|]+) \|", REFERENCE, re.MULTILINE)
    for path in re.findall(r"`([^`]+)`", row[0])
    if path != "/account/live"
]


#: Where pages for everybody may lead, besides nowhere: no page that asks for a password first.
OPEN_TO_ALL = {"", "/", "/account/password"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    port = free_port()
    command = [str(SCRIPTS / "quartlogin"), "serve", "--host", "127.0.0.1", "--port", str(port)]
    with running(command, port, tmp_path, QUARTLOGIN_SECRET_KEY=KEY) as server:
        yield server


# --- who may see what


@pytest.mark.requirement("8.1.1", "8.2.1", "8.3.1")
@pytest.mark.parametrize(("path", "for_whom"), PAGES)
async def test_access_control_matches_the_readme_for_every_page(
    app: Quart, visitor: Visitor, path: str, for_whom: str
) -> None:
    rules = app.url_map.bind("localhost")
    method = "GET" if rules.test(path, "GET") else "POST"
    stale = Visitor(app.test_client())
    await stale.register("Alice")
    nobody = await visitor.request(method, path, form={})
    with mock.patch("quartlogin.accounts.security.proofs.Proofs.holds", return_value=False):
        somebody = await stale.request(method, path, form={})

    sent = [(page.location or "").partition("?")[0] for page in (nobody, somebody)]

    assert (
        sent
        == {
            "everyone": [where if where in OPEN_TO_ALL else "not refused" for where in sent],
            "signed in": ["/login", ""],
            "signed in recently": ["/login", "/reauthenticate"],
        }[for_whom]
    )


@pytest.mark.requirement("8.3.2")
async def test_disabling_an_account_revokes_its_logins_and_tokens_on_the_next_request(
    app: Quart, visitor: Visitor
) -> None:
    await visitor.register("Alice")
    page = await visitor.get("/account")
    made = await visitor.post("/account/tokens", {"csrf_token": page.token, "name": "x"})
    token = re.search(r"<code>([\w.-]{40,})</code>", made.text)[1]  # type: ignore[index]
    bearer = {"Authorization": f"Bearer {token}"}
    stranger = Visitor(app.test_client(use_cookies=False))
    before = ((await visitor.get("/account")).status, (await stranger.get("/api/me", headers=bearer)).status)

    await set_active(app, "Alice", active=False)

    after = ((await visitor.get("/account")).status, (await stranger.get("/api/me", headers=bearer)).status)
    async with open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket:
        assert await socket.status() == 401
    assert (before, after) == ((200, 200), (302, 401))


@pytest.mark.requirement("4.1.1")
@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        *[("GET", path, "text/html; charset=utf-8") for path in ("/", "/login", "/register", "/nothing", "/%ff")],
        *[("POST", path, "text/html; charset=utf-8") for path in ("/login", "/healthz", "/account")],
        ("GET", "/account", "text/html; charset=utf-8"),
        ("GET", "/healthz", "text/plain; charset=utf-8"),
        ("GET", "/readyz", "text/plain; charset=utf-8"),
        ("GET", "/static/accounts/style.css", "text/css; charset=utf-8"),
        ("GET", "/static/accounts/account.js", "text/javascript; charset=utf-8"),
        ("GET", "/favicon.ico", "image/svg+xml; charset=utf-8"),
    ],
)
async def test_every_response_has_a_content_type_with_a_charset(
    visitor: Visitor, method: str, path: str, kind: str
) -> None:
    page = await visitor.request(method, path)

    assert page.headers["Content-Type"].lower() == kind


@pytest.mark.requirement("4.1.1")
async def test_json_responses_have_the_json_content_type(visitor: Visitor) -> None:
    await visitor.register("Alice")

    assert (await visitor.get("/api/me")).headers["Content-Type"] == "application/json"


@pytest.mark.requirement("14.3.1")
def test_after_sign_out_the_back_button_shows_no_private_page(browser: Browser, server: Server) -> None:
    page = open_page(browser, server)
    page.goto("/register")
    page.get_by_label("Username").fill("Alice of the private page")
    page.get_by_label("Password").fill(PASSWORD)
    follow(page.get_by_role("main").get_by_role("button", name="Create account"))
    page.goto("/account")
    expect(page.get_by_role("definition").first).to_have_text("Alice of the private page")
    follow(page.get_by_role("button", name="Sign out").first)
    expect_path(page, "/")
    page.go_back()

    expect_path(page, "/login?next=%2Faccount")
    expect(page.locator("body")).not_to_contain_text("Alice of the private page")


# --- costly work


@pytest.mark.requirement("15.4.4")
async def test_a_sign_in_does_not_depend_on_the_default_thread_pool(app: Quart, visitor: Visitor) -> None:
    await add_user(app, "Alice")
    go_on, loop = threading.Event(), asyncio.get_running_loop()
    threads = ThreadPoolExecutor(2)
    loop.set_default_executor(threads)
    sleeping = [loop.run_in_executor(None, go_on.wait, 300) for _ in range(50)]

    try:
        async with asyncio.timeout(60):
            answer = await visitor.sign_in("Alice")
            page = await visitor.get("/account")
    finally:
        go_on.set()
        await asyncio.gather(*sleeping)

    assert (answer.status, page.status) == (302, 200)


@pytest.mark.requirement("15.1.3", "15.2.2", "2.4.1")
def test_denial_of_service_a_hundred_concurrent_sign_ins_use_bounded_memory_and_block_no_page(server: Server) -> None:
    """With the real parameters: 64 MiB for each hash, of which one at a time is computed for each core, up to four."""
    base = f"http://127.0.0.1:{server.port}"

    def sign_in(number: int) -> int:
        with httpx.Client(base_url=base, timeout=600, trust_env=False) as client:
            token = re.search(r'name="csrf_token" value="(\w+)"', client.get("/login").text)[1]  # type: ignore[index]
            fields = {"csrf_token": token, "username": f"name{number}", "password": "not the right password"}
            return client.post("/login", data=fields).status_code

    waits: list[float] = []
    begun_all = time.monotonic()
    with ThreadPoolExecutor(100) as people, httpx.Client(base_url=base, timeout=600, trust_env=False) as client:
        tried = [people.submit(sign_in, number) for number in range(100)]
        while not all(one.done() for one in tried):
            begun = time.monotonic()
            client.get("/healthz").raise_for_status()
            waits.append(time.monotonic() - begun)
            time.sleep(0.02)
    statuses = [one.result() for one in tried]
    for_each_hash = (time.monotonic() - begun_all) / statuses.count(400)
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.process.pid}/status").read_text())[1])  # type: ignore[index]

    assert set(statuses) <= {400, 429, 503}
    assert statuses.count(400) >= 32
    assert peak < (100 + 64 * min(os.cpu_count() or 1, 4)) * 1024  # what the process holds anyhow, and the hashes
    assert median(waits) < for_each_hash  # behind hashes on the event loop, each page would wait for one or more


# --- what is installed


@pytest.mark.requirement("15.1.1", "15.2.1")
def test_updates_have_deadlines_and_ci_checks_for_known_vulnerabilities() -> None:
    promised = (ROOT / "SECURITY.md").read_text("utf-8")
    ci = (ROOT / ".ci" / "run").read_text("utf-8")

    assert re.search(r"critical or high \| 7 days \|", promised)
    assert re.search(r"another known vulnerability [^|]+ \| 30 days \|", promised)
    assert "pip-audit" in ci
    assert re.search(r"^audit$", ci, re.MULTILINE)
    assert "nginx-light" in ci


@pytest.mark.requirement("15.2.1")
def test_versions_with_known_vulnerabilities_cannot_be_installed() -> None:
    """The lowest version of each dependency stands in pyproject.toml, and is tested by CI."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert [name for name in project["dependencies"] if ">=" not in name] == []
