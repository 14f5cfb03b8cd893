"""Responses to unauthenticated requests, for each kind of client."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import quart_auth
from quart import Quart, Request, get_flashed_messages
from quart.testing import QuartClient
from users import ADA, SignIn, User

from quartlogin import (
    LoginManager,
    LoginRequired,
    create_bearer_token,
    current_user,
    fresh_login_required,
    login_required,
    login_user,
    prefers_json,
)

PAGE, JSON = False, True

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

ACCEPTED = [
    (None, PAGE),
    ("", PAGE),
    ("*/*", PAGE),  # curl, and fetch() by default
    ("*", PAGE),
    (BROWSER, PAGE),
    ("text/html, application/xhtml+xml, image/jxr, */*", PAGE),
    ("text/html", PAGE),
    ("text/*", PAGE),
    ("TEXT/HTML", PAGE),
    ("application/*", PAGE),
    ("text/plain", PAGE),
    ("text/event-stream", PAGE),
    ("text/javascript", PAGE),
    ("application/javascript", PAGE),
    ("application/xml", PAGE),
    ("image/*", PAGE),
    ("multipart/form-data", PAGE),
    ("application/json", JSON),
    ("APPLICATION/JSON", JSON),
    ("  application/json  ", JSON),
    ("application/json, text/plain, */*", JSON),  # axios
    ("application/json, text/javascript, */*; q=0.01", JSON),  # jQuery
    ("application/json, */*", JSON),
    ("*/*, application/json", JSON),
    ("application/json;q=0.9, */*;q=0.8", JSON),
    ("application/json;q=0.5, */*;q=0.8", PAGE),
    ("application/json;q=0.5", JSON),
    ("application/json;q=0.001", JSON),
    ("application/json;q=0", PAGE),
    ("application/json;q=0.0, text/html", PAGE),
    ("application/json, text/html", PAGE),
    ("text/html, application/json", PAGE),
    ("text/html;q=0.9, application/json", JSON),
    ("text/html, application/json;q=0.9", PAGE),
    ("text/html;q=0, application/json;q=0.1", JSON),
    ("text/*;q=0.5, application/json;q=0.6", JSON),
    ("text/*;q=0.6, application/json;q=0.5", PAGE),
    ("application/xhtml+xml, application/json;q=0.9", PAGE),
    ("application/problem+json", JSON),
    ("application/vnd.api+json", JSON),
    ("application/ld+json, text/html;q=0.5", JSON),
    ("application/json; charset=utf-8", JSON),
    ("application/json;charset=UTF-8, text/plain, */*", JSON),
    ("application/json; odata=verbose", JSON),
    ('application/vnd.api+json; profile="a, b"', JSON),
    ("text/html; charset=utf-8, application/json;q=0.9", PAGE),
    ("text/html;level=1, application/json", PAGE),
    ("application/json, application/json;q=0", JSON),
    ("application/jsonp", PAGE),
    ("text/json-like", PAGE),
    ("json", PAGE),
    ("application/json/extra", PAGE),
    ("application/", PAGE),
    ("/", PAGE),
    (",,,", PAGE),
    (";;;", PAGE),
    (";q=1", PAGE),
    ("=", PAGE),
    ('"application/json', PAGE),
    ("application/json,,", JSON),
    ("\xe9\xff", PAGE),
    ("application/json\x00", PAGE),
    ("text/html;q=0.9;q=0.8, */*", PAGE),
    ("application/xml, */*;q=nan", PAGE),
    ("a/b," * 10_000, PAGE),
]


async def test_a_client_prefers_json_if_it_says_so_by_name(app: Quart) -> None:
    answers = []
    for accept, _ in ACCEPTED:
        async with app.test_request_context("/", headers={} if accept is None else {"Accept": accept}):
            answers.append((accept, prefers_json()))

    assert answers == ACCEPTED


@pytest.mark.parametrize(("kinds", "wants_json", "is_parsed"), [(50, JSON, True), (1000, PAGE, False)])
async def test_an_accept_header_that_takes_long_to_parse_is_a_pages(
    app: Quart, monkeypatch: pytest.MonkeyPatch, kinds: int, *, wants_json: bool, is_parsed: bool
) -> None:
    """Denial of service: 16,000 characters took the event loop 9 ms, at each request that is refused."""
    parsed: list[str] = []
    original = Request.accept_mimetypes

    def noted(request: Request) -> Any:
        parsed.append(request.headers["Accept"])
        return original.__get__(request)

    monkeypatch.setattr(Request, "accept_mimetypes", property(noted))
    accept = "application/json" + ",a/b;q=0.5" * kinds

    async with app.test_request_context("/", headers={"Accept": accept}):
        assert prefers_json() is wants_json

    assert bool(parsed) is is_parsed


@pytest.mark.parametrize("quality", ["nan", "inf", "-1", "2", "1e3", "abc", "", "0,5", "\u0661", "1" * 5000])
async def test_a_quality_that_is_no_quality_is_never_an_error(app: Quart, quality: str) -> None:
    app.add_url_rule("/account", view_func=account)

    response = await app.test_client().get("/account", headers={"Accept": f"application/json;q={quality}"})

    assert response.status_code == 401


# --- who is answered how --------------------------------------------------------------------------------------


@login_required
async def account() -> str:
    return f"account of {current_user.name}"


@fresh_login_required
async def password() -> str:
    return f"password of {current_user.name}"


GUARDED = pytest.mark.parametrize("path", ["/account", "/password"], ids=["login_required", "fresh_login_required"])
AS_JSON = {"Accept": "application/json"}


@pytest.fixture
def app(app: Quart) -> Quart:
    app.add_url_rule("/account", view_func=account)
    app.add_url_rule("/password", view_func=password)
    return app


@pytest.fixture
def login_view(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.login_view = "login"
    login_manager.refresh_view = "login"

    @app.get("/login")
    async def login() -> dict[str, Any]:
        return {"messages": get_flashed_messages()}


@pytest.fixture
async def stale(app: Quart, sign_in: SignIn) -> QuartClient:
    """Ada's browser, whose password was not typed in this session."""
    client = await sign_in(app, "1", _fresh=False)
    assert isinstance(client, QuartClient)
    return client


@GUARDED
async def test_a_page_is_sent_to_the_login_view(app: Quart, login_view: None, path: str) -> None:
    response = await app.test_client().get(path, headers={"Accept": BROWSER})

    assert response.status_code == 302
    assert response.headers["Location"] == f"/login?next=%2F{path[1:]}"
    assert "WWW-Authenticate" not in response.headers


@GUARDED
async def test_a_page_without_a_login_view_is_401_for_people(app: Quart, path: str) -> None:
    response = await app.test_client().get(path, headers={"Accept": BROWSER})

    assert response.status_code == 401
    assert response.mimetype == "text/html"
    assert "Sign in first." in await response.get_data(as_text=True)


@GUARDED
@pytest.mark.parametrize("has_login_view", [True, False])
async def test_a_json_client_gets_a_problem_document(
    app: Quart, login_manager: LoginManager[User], path: str, *, has_login_view: bool
) -> None:
    login_manager.login_view = "/login" if has_login_view else None

    response = await app.test_client().get(f"{path}?secret=1", headers=AS_JSON)

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Location" not in response.headers
    assert "Set-Cookie" not in response.headers
    document = await response.get_json(force=True)
    assert document.pop("detail")
    assert document == {"type": "about:blank", "title": "Unauthorized", "status": 401, "instance": path}


async def test_a_json_client_with_a_stale_login_gets_a_step_up_challenge(
    app: Quart, login_view: None, stale: QuartClient
) -> None:
    response = await stale.get("/password", headers=AS_JSON)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication"'
    assert (await response.get_json(force=True))["detail"]


async def test_a_page_whose_login_is_stale_is_sent_to_the_refresh_view(
    app: Quart, login_manager: LoginManager[User], stale: QuartClient
) -> None:
    login_manager.login_view = "/login"
    login_manager.refresh_view = "/again"

    response = await stale.get("/password", headers={"Accept": BROWSER})

    assert (response.status_code, response.headers["Location"]) == (302, "/again?next=%2Fpassword")


async def test_a_page_whose_login_is_stale_is_401_without_a_refresh_view(
    app: Quart, login_manager: LoginManager[User], stale: QuartClient
) -> None:
    login_manager.login_view = "/login"

    response = await stale.get("/password", headers={"Accept": BROWSER})

    assert response.status_code == 401
    assert "Location" not in response.headers


@GUARDED
async def test_a_json_client_that_is_signed_in_is_let_through(app: Quart, path: str) -> None:
    @app.post("/login")
    async def login() -> str:
        await login_user(ADA)
        return ""

    client = app.test_client()
    await client.post("/login")

    response = await client.get(path, headers=AS_JSON)

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_every_method_of_a_json_client_is_answered_alike(app: Quart, login_view: None, method: str) -> None:
    app.add_url_rule("/shelf", view_func=account, endpoint="shelf", methods=[method])

    response = await app.test_client().open("/shelf", method=method, headers=AS_JSON)

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"


# --- bearer clients -------------------------------------------------------------------------------------------


async def token(app: Quart) -> str:
    async with app.app_context():
        return await create_bearer_token(ADA, duration=timedelta(hours=1))


@GUARDED
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_a_bad_token_is_answered_with_a_problem_unless_a_browser_comes_with_it(
    app: Quart, login_view: None, path: str, accept: str
) -> None:
    headers = {"Accept": accept, "Authorization": "Bearer nonsense"}

    response = await app.test_client().get(path, headers=headers)

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert "Set-Cookie" not in response.headers


@GUARDED
async def test_an_expired_token_is_answered_as_a_bad_one(
    app: Quart, login_view: None, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    headers = {"Authorization": f"Bearer {await token(app)}"}

    monkeypatch.setattr("time.time", lambda: 1_800_003_600.0)
    response = await app.test_client().get(path, headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_a_valid_token_where_a_fresh_login_is_needed_gets_a_step_up_challenge(
    app: Quart, login_view: None
) -> None:
    headers = {"Accept": BROWSER, "Authorization": f"Bearer {await token(app)}"}

    response = await app.test_client().get("/password", headers=headers)

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["WWW-Authenticate"] == 'Bearer error="insufficient_user_authentication"'


async def test_a_good_token_reaches_the_view(app: Quart) -> None:
    response = await app.test_client().get("/account", headers={"Authorization": f"Bearer {await token(app)}"})

    assert await response.get_data(as_text=True) == "account of Ada"


async def test_basic_credentials_do_not_make_a_browser_a_bearer_client(app: Quart, login_view: None) -> None:
    response = await app.test_client().get("/account", headers={"Authorization": "Basic QTpC", "Accept": BROWSER})

    assert response.status_code == 302


@pytest.mark.parametrize("headers", [{}, AS_JSON, {"Authorization": "Bearer nonsense"}], ids=["page", "json", "bearer"])
async def test_the_apps_own_answer_goes_before_all_others(
    app: Quart, login_manager: LoginManager[User], headers: dict[str, str]
) -> None:
    @login_manager.unauthorized_handler
    async def refuse() -> tuple[str, int]:
        return "Members only.", 403

    response = await app.test_client().get("/account", headers=headers)

    assert (response.status_code, await response.get_data(as_text=True)) == (403, "Members only.")


# --- hostile paths --------------------------------------------------------------------------------------------

HOSTILE = [
    '/"quoted"',
    '/","status":200,"x":"',
    "/back\\slash",
    "/</script><script>alert(1)</script>",
    "/new\nline\r\nSet-Cookie: a=b",
    "/nul\x00",
    "/tab\t\x1f\x7f",
    "/\u2028\u2029",
    "/\u00e9\U0001f600",
    "/\ufffd\ufeff",
    "/{{ 7*7 }}{% raw %}",
    "/%s%n",
    "/" + "x" * 10_000,
]


@pytest.mark.parametrize("path", HOSTILE)
async def test_a_hostile_path_comes_back_as_it_was_sent(app: Quart, path: str) -> None:
    app.add_url_rule("/<path:rest>", view_func=anything)

    async with app.test_request_context(path, headers=AS_JSON):
        with pytest.raises(LoginRequired) as raised:
            await anything("")
    response: Any = raised.value.get_response()
    body = await response.get_data(as_text=True)

    assert json.loads(body)["instance"] == path
    assert body.isascii()
    assert "\n" not in body
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_a_path_that_looks_like_another_host_does_not_become_one(app: Quart) -> None:
    """`instance` is a URI reference (RFC 9457, 3.1.5): two slashes would begin a host's name."""
    app.url_map.merge_slashes = False
    app.add_url_rule("/<path:rest>", view_func=anything)

    async with app.test_request_context("//evil.example/x", headers=AS_JSON):
        with pytest.raises(LoginRequired) as raised:
            await anything("")
    body = await raised.value.get_response().get_data(as_text=True)  # type: ignore[misc]

    assert not json.loads(body)["instance"].startswith("//")


@login_required
async def anything(rest: str) -> str:
    return rest


# --- an app's own page for 401 --------------------------------------------------------------------------------


@pytest.mark.parametrize("caught", [401, quart_auth.Unauthorized, LoginRequired])
@pytest.mark.parametrize(
    "headers",
    [{"Accept": BROWSER}, AS_JSON, {"Authorization": "Bearer nonsense"}],
    ids=["page", "json", "bearer"],
)
async def test_an_apps_own_handler_sees_what_was_raised(app: Quart, caught: Any, headers: dict[str, str]) -> None:
    seen: list[Exception] = []

    @app.errorhandler(caught)
    async def own(error: LoginRequired) -> tuple[str, int]:
        seen.append(error)
        return f"own page {error.code}", 401

    response = await app.test_client().get("/account", headers=headers)

    assert await response.get_data(as_text=True) == "own page 401"
    assert [(type(error), error.code) for error in seen] == [(LoginRequired, 401)]  # type: ignore[attr-defined]


async def test_an_apps_own_handler_may_return_the_error_itself(app: Quart) -> None:
    @app.errorhandler(LoginRequired)
    async def own(error: LoginRequired) -> LoginRequired:
        return error

    page = await app.test_client().get("/account", headers={"Accept": BROWSER})
    document = await app.test_client().get("/account", headers=AS_JSON)

    assert (page.status_code, page.mimetype) == (401, "text/html")
    assert (document.status_code, document.mimetype) == (401, "application/problem+json")


async def test_a_handler_for_401_sees_no_redirect(app: Quart, login_view: None) -> None:
    seen: list[Exception] = []

    @app.errorhandler(401)
    async def own(error: Exception) -> str:
        seen.append(error)
        return ""

    response = await app.test_client().get("/account", headers={"Accept": BROWSER})

    assert response.status_code == 302
    assert seen == []


@pytest.mark.parametrize("ask", [LoginManager.unauthorized, LoginManager.needs_refresh])
async def test_a_view_that_asks_for_the_answer_itself_gets_the_same(
    app: Quart, login_manager: LoginManager[User], ask: Callable[..., Any]
) -> None:
    @app.get("/own")
    async def own() -> Any:
        return await ask(login_manager)

    response = await app.test_client().get("/own", headers=AS_JSON)

    assert response.status_code == 401
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_an_answer_to_a_json_client_is_kept_by_no_cache(app: Quart) -> None:
    response = await app.test_client().get("/account", headers=AS_JSON)

    assert response.headers["Cache-Control"] == "private, no-store"


async def test_an_answer_that_depends_on_what_is_accepted_says_so(app: Quart, login_view: None) -> None:
    page = await app.test_client().get("/account", headers={"Accept": BROWSER})
    document = await app.test_client().get("/account", headers=AS_JSON)

    assert "no-store" in page.headers["Cache-Control"]
    assert "no-store" in document.headers["Cache-Control"]
