"""Browser security (ASVS V3): cookie attributes, HSTS, content type sniffing, CSP, cross-origin access."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from client import KEY, Page, SecureVisitor, Visitor, header_of, live_a_whole_life, make_token, with_cheap_hashes
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.security.csrf import FIELD_NAME
from quartlogin.accounts.security.hardening import HEADERS, SCRIPT_HEADERS
from quartlogin.webapp import create_app
from slow import mostly_slow

PAGE = (Path(__file__).parents[2] / "docs" / "application.md").read_text(encoding="utf-8")
MOST_BYTES_OF_A_COOKIE = 4096  # name and value; RFC 6265bis, 5.6
HTML = "text/html; charset=utf-8"

NewVisitor = Callable[[], Visitor]


@pytest.fixture
async def life(app: Quart) -> SecureVisitor:
    """Somebody who has done everything that there is to do, over https."""
    visitor = SecureVisitor(app.test_client())
    await live_a_whole_life(visitor)
    return visitor


@pytest.mark.requirement("3.1.1")
async def test_browser_requirements_in_the_docs_are_complete(app: Quart) -> None:
    section = PAGE.partition("## Browser requirements")[2].partition("\n## ")[0]
    without_cookies = Visitor(app.test_client(use_cookies=False))

    token = (await without_cookies.get("/login")).token
    refused = await without_cookies.post("/login", {FIELD_NAME: token, "username": "Alice", "password": "x"})

    for name in ("SameSite", "Sec-Fetch-Site", "Content-Security-Policy", "Clear-Site-Data", "__Host-", "Script"):
        assert name in section
    [quoted] = re.findall(r'"([^"]+)"', section)  # what a browser without cookies shows
    assert quoted.rstrip(".") in refused.text


# --- cookies


@pytest.mark.requirement("3.3.1", "3.3.2", "3.3.3", "3.3.4", "C14")
async def test_cookies_over_https_are_host_prefixed_secure_httponly_and_samesite(life: SecureVisitor) -> None:
    lines = [line.split("; ") for line in life.set_cookies]

    assert {first.partition("=")[0] for first, *_ in lines} == {
        "__Host-quartlogin",
        "__Host-quartlogin_remember",
        "__Host-quartlogin_browser",
    }
    assert all({"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(rest) for _, *rest in lines)
    assert not [line for line in life.set_cookies if re.search("domain", line, re.IGNORECASE)]


@pytest.mark.requirement("3.3.4", "V3")
async def test_cookie_values_never_appear_in_a_body(life: SecureVisitor) -> None:
    values = [line.partition("=")[2].partition(";")[0] for line in life.set_cookies]
    bodies = "".join(page.text for page in life.pages)

    assert len(values) > 10
    assert not [value for value in values if value and value in bodies]


@pytest.mark.slow
@pytest.mark.requirement("3.3.5")
async def test_cookies_stay_below_the_size_limit_of_browsers(app: Quart) -> None:
    visitor, longest_next = SecureVisitor(app.test_client()), "/account?" + "é" * 503
    await visitor.register("𝕎" * 60)
    page = await visitor.get("/account")

    for _ in range(200):  # each says something, and no page is opened on which it could be read
        await visitor.post("/account/logins/revoke-others", {"csrf_token": page.token})
    said = await visitor.get("/account")
    await visitor.sign_out()
    await visitor.get("/login", query_string={"next": longest_next})
    for number in range(200):
        await visitor.get(f"/account?{number}")

    assert said.text.count('<p class="message" role="status">') == 200
    sizes = [len(line.partition(";")[0].encode()) - 1 for line in visitor.set_cookies]
    assert max(sizes) <= MOST_BYTES_OF_A_COOKIE


# --- headers


@pytest.fixture
async def answers(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Page]]:
    """One answer of every status that there is, each over https."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, ALLOWED_HOSTS=["localhost"]))
    async with app.test_app():
        yield await answer_of_each_status(app, monkeypatch)


async def answer_of_each_status(app: Quart, monkeypatch: pytest.MonkeyPatch) -> list[Page]:
    visitor = SecureVisitor(app.test_client())
    for path in ("/", "/account", "/nowhere", "/static/accounts/style.css", "/healthz"):
        await visitor.get(path)
    await visitor.get("/static/accounts/style.css", headers={"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"})
    await visitor.get("/api/me", headers={"Accept": "application/json"})
    await visitor.get("/", headers={"Host": "evil.example"})
    await visitor.request("PUT", "/login")
    await visitor.request("POST", "/login", data=b"{}", headers={"Content-Type": "application/json"})
    await visitor.post("/login", {}, headers={"Origin": "https://evil.example"})
    await visitor.post("/login", {"csrf_token": "x" * 70_000})
    for _ in range(6):
        await visitor.sign_in("Alice", "not the right password")
    monkeypatch.setattr(get_accounts(app).store.database, "read", Broken(StoreUnavailable("down")))
    await visitor.get("/readyz")
    monkeypatch.setattr(get_accounts(app).store.database, "read", Broken(RuntimeError("unexpected")))
    app.testing, app.config["PROPAGATE_EXCEPTIONS"] = False, False
    await visitor.get("/readyz")
    return visitor.pages


class Broken:
    """Raises an error whenever it is called."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, *_: Any, **__: Any) -> Any:
        raise self._error


@pytest.mark.requirement("3.4.1", "3.4.2", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "3.5.8", "C17")
async def test_security_headers_are_on_responses_of_every_status(answers: list[Page]) -> None:
    statuses = {page.status for page in answers}
    wrong = [
        (page.status, name)
        for page in answers
        for name, value in HEADERS.items()
        if page.headers.getlist(name) != [value] and not has_script_policy(page, name, value)
    ]

    assert statuses == {200, 302, 304, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503}
    assert wrong == []
    assert {page.headers["Strict-Transport-Security"] for page in answers} == {"max-age=31536000; includeSubDomains"}
    assert not [page for page in answers if "Access-Control-Allow-Origin" in page.headers]


def has_script_policy(page: Page, name: str, value: str) -> bool:
    """Whether this is the policy of a page with a script of ours: the same, and no more than that script."""
    return page.headers.getlist(name) == [SCRIPT_HEADERS.get(name)] == [f"{value}; script-src 'self'"]


@pytest.mark.requirement("C17")
async def test_response_headers_disclose_no_version_and_weaken_nothing(answers: list[Page]) -> None:
    names = {name.lower() for page in answers for name, _ in page.headers}

    assert not names & {
        "server",
        "x-powered-by",
        "x-xss-protection",
        "expect-ct",
        "public-key-pins",
        "x-aspnet-version",
    }
    assert {"x-frame-options", "permissions-policy", "cross-origin-resource-policy", "referrer-policy"} <= names


@pytest.mark.requirement("3.4.1")
async def test_hsts_is_sent_behind_a_proxy_that_terminates_tls(database: str) -> None:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, TRUSTED_PROXIES=1))

    async with app.test_app():
        visitor = Visitor(app.test_client())
        pages = [await visitor.get(path, headers={"X-Forwarded-Proto": "https"}) for path in ("/", "/nowhere")]
        plain = await visitor.get("/", headers={"X-Forwarded-Proto": "http"})

    assert ["Strict-Transport-Security" in page.headers for page in (*pages, plain)] == [True, True, False]


@pytest.mark.requirement("3.4.7")
async def test_csp_violations_are_reported_to_the_configured_address(database: str) -> None:
    url = "https://reports.example.org/csp"
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, CSP_REPORT_URL=url))

    async with app.test_app():
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")
        pages = [await visitor.get(path) for path in ("/", "/account", "/nowhere")]

    for page in pages:
        assert page.headers["Content-Security-Policy"].endswith(f"; report-to csp; report-uri {url}")
        assert page.headers["Reporting-Endpoints"] == f'csp="{url}"'


@pytest.mark.requirement("3.4.7")
async def test_csp_reports_are_off_without_an_address(visitor: Visitor) -> None:
    page = await visitor.get("/")

    assert "report" not in page.headers["Content-Security-Policy"]
    assert "Reporting-Endpoints" not in page.headers


# --- contexts


@pytest.mark.requirement("3.2.1")
async def test_content_type_sniffing_is_off_and_every_response_has_a_type(
    life: SecureVisitor, answers: list[Page]
) -> None:
    bodies = [page for page in [*life.pages, *answers] if page.text and page.status not in {302, 304}]
    kinds = {page.headers["Content-Type"] for page in bodies}

    assert kinds == {
        HTML,
        "application/json",
        "application/problem+json",
        "text/css; charset=utf-8",
        "text/plain; charset=utf-8",
    }
    assert {page.headers["X-Content-Type-Options"] for page in bodies} == {"nosniff"}


@pytest.mark.requirement("3.2.1", "3.5.8")
@pytest.mark.parametrize(
    "place", mostly_slow(["script", "style", "image", "iframe", "embed", "object", "audio", "worker"], quick=2)
)
@pytest.mark.parametrize("path", ["/account", "/api/me"])
async def test_private_responses_cannot_be_embedded_by_another_site(visitor: Visitor, path: str, place: str) -> None:
    await visitor.register("Alice")

    page = await visitor.get(path, headers={"Sec-Fetch-Dest": place, "Sec-Fetch-Site": "cross-site"})

    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Content-Type"] in {HTML, "application/json"}


@pytest.mark.requirement("3.4.2", "V3")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example", "http://localhost", "*"]
)
@pytest.mark.parametrize("method", mostly_slow(["GET", "OPTIONS", "POST"], quick=1))
async def test_cors_allows_no_other_origin(visitor: Visitor, origin: str, method: str) -> None:
    await visitor.register("Alice")
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}

    pages = [await visitor.request(method, path, headers=asking) for path in ("/", "/login", "/api/me", "/account")]

    assert not [name for page in pages for name, _ in page.headers if name.lower().startswith("access-control")]


@pytest.mark.requirement("3.5.6")
async def test_jsonp_is_not_supported(visitor: Visitor) -> None:
    await visitor.register("Alice")

    plain, called = await visitor.get("/api/me"), await visitor.get("/api/me?callback=steal&jsonp=steal&cb=steal")

    assert plain.text == called.text
    assert called.headers["Content-Type"] == "application/json"


@pytest.mark.requirement("3.5.7")
@pytest.mark.parametrize(
    "path",
    [
        "/static/accounts/account.js",
        "/static/accounts/times.js",
        "/static/accounts/password.js",
        "/static/accounts/style.css",
        "/favicon.ico",
    ],
)
async def test_cross_site_script_inclusion_static_files_are_the_same_for_every_visitor(
    visitor: Visitor, new_visitor: NewVisitor, path: str
) -> None:
    await visitor.register("Alice")

    mine, nobodys = await visitor.get(path), await new_visitor().get(path)

    assert (mine.status, mine.text) == (nobodys.status, nobodys.text)
    assert mine.status == 200


@pytest.mark.requirement("3.5.2")
async def test_bearer_tokens_count_only_in_the_authorization_header(app: Quart, visitor: Visitor) -> None:
    await visitor.register("Alice")
    bearer = await make_token(visitor)
    client = app.test_client(use_cookies=False)

    as_cookie = await client.get("/api/me", headers=header_of({"Authorization": bearer, "token": bearer}))
    in_query = await client.get("/api/me", query_string={"access_token": bearer, "token": bearer})
    in_header = await client.get("/api/me", headers={"Authorization": f"Bearer {bearer}"})

    assert [answer.status_code for answer in (as_cookie, in_query, in_header)] == [302, 302, 200]
