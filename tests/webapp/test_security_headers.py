"""Security headers: clickjacking, HSTS, content type sniffing, CSP, caching."""

import re

import pytest

from client import KEY, Visitor, with_cheap_hashes
from quartlogin.accounts.paths import find_resource
from quartlogin.webapp import create_app

#: A page of each kind, a file, and errors; with their methods.
ANSWERS = [
    ("GET", "/", 200),
    ("GET", "/login", 200),
    ("GET", "/register", 200),
    ("GET", "/account", 302),
    ("GET", "/nowhere", 404),
    ("PUT", "/login", 405),
    ("POST", "/login", 415),
    ("GET", "/static/accounts/style.css", 200),
    ("GET", "/static/accounts/nothing.css", 404),
    ("GET", "/favicon.ico", 200),
    ("GET", "/.well-known/change-password", 302),
    ("GET", "/healthz", 200),
    ("OPTIONS", "/login", 200),
    ("HEAD", "/", 200),
]


@pytest.mark.requirement("3.4.2", "3.4.3", "3.4.4", "3.4.5", "3.4.6", "3.4.8", "3.5.8", "C17")
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_clickjacking_and_content_type_sniffing_are_prevented_on_every_response(
    visitor: Visitor, method: str, path: str, status: int
) -> None:
    page = await visitor.request(method, path)

    assert page.status == status
    policy = dict(part.split(" ", 1) for part in page.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert policy["object-src"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in page.headers
    assert "Access-Control-Allow-Origin" not in page.headers
    assert "Server" not in page.headers


@pytest.mark.requirement("3.4.1")
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_hsts_is_sent_over_https_only(visitor: Visitor, method: str, path: str, status: int) -> None:
    page = await visitor.request(method, path, scheme="https")

    assert page.status == status
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.requirement("3.4.4")
async def test_security_headers_are_on_the_response_to_a_malformed_host(visitor: Visitor) -> None:
    page = await visitor.get("/", headers={"Host": ".."})

    assert page.status == 400
    assert page.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.requirement("V8")
@pytest.mark.requirement("14.3.2")
@pytest.mark.parametrize("path", ["/", "/login", "/register", "/account", "/logout"])
async def test_pages_that_depend_on_the_visitor_are_not_cached(visitor: Visitor, path: str) -> None:
    page = await visitor.get(path)

    assert page.headers["Cache-Control"] == "private, no-store"
    assert "Cookie" in page.headers["Vary"]


@pytest.mark.requirement("3.5.7")
async def test_files_are_the_same_for_every_visitor(visitor: Visitor) -> None:
    before = await visitor.get("/static/accounts/style.css")
    await visitor.register()

    after = await visitor.get("/static/accounts/style.css")

    assert before.text == after.text
    assert "private" not in after.headers["Cache-Control"]
    assert "Set-Cookie" not in after.headers


@pytest.mark.requirement("3.3.1", "3.3.2", "3.3.3", "3.3.4", "C14")
async def test_over_https_the_cookie_can_be_set_by_this_host_only(visitor: Visitor) -> None:
    page = await visitor.get("/login", scheme="https")

    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-quartlogin=")
    for attribute in ("Secure", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in cookie.split("; ")
    assert "Domain" not in cookie
    assert "Max-Age" not in cookie
    assert "Expires" not in cookie


@pytest.mark.requirement("3.3.1")
async def test_behind_a_proxy_the_cookie_is_always_secure(database: str) -> None:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, TRUSTED_PROXIES=1))

    async with app.test_app():
        page = await Visitor(app.test_client()).get("/login")

    assert page.headers["Set-Cookie"].startswith("__Host-quartlogin=")
    assert "Secure" in page.headers["Set-Cookie"]


@pytest.mark.requirement("C7")
async def test_the_cookie_goes_with_the_attributes_it_came_with(visitor: Visitor) -> None:
    came = (await visitor.get("/login")).headers["Set-Cookie"]
    await visitor.register()
    await visitor.sign_out()

    went = (await visitor.get("/")).headers["Set-Cookie"]

    assert "Max-Age=0" in went
    for attribute in ("HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in came.split("; ")
        assert attribute in went.split("; ")


@pytest.mark.requirement("3.2.2", "3.4.3", "3.6.1")
def test_templates_contain_nothing_that_the_csp_forbids() -> None:
    templates = [*find_resource("templates").rglob("*.html")]
    forbidden = re.compile(r"<script>|<style|style=|\son\w+=|javascript:|https?://|\|\s*safe")

    assert templates
    assert [path.name for path in templates if forbidden.search(path.read_text(encoding="utf-8"))] == []


async def test_password_managers_know_the_fields(visitor: Visitor) -> None:
    login, register = await visitor.get("/login"), await visitor.get("/register")

    assert re.search(r'<input[^>]*autocomplete="username"[^>]*id="username"', login.text)
    assert re.search(r'<input[^>]*autocomplete="current-password"[^>]*type="password"', login.text)
    assert re.search(r'<input[^>]*autocomplete="username"[^>]*id="username"', register.text)
    assert re.search(r'<input[^>]*autocomplete="new-password"[^>]*type="password"', register.text)
    assert "maxlength" not in login.text + register.text


async def test_an_error_is_tied_to_its_field_and_announced(visitor: Visitor) -> None:
    page = await visitor.register("Alice", "short")

    assert re.search(r'<input[^>]*aria-describedby="password-error password-hint"[^>]*aria-invalid="true"', page.text)
    assert '<p class="error" id="password-error" role="alert">' in page.text
    assert "<title>Error: Create account" in page.text
