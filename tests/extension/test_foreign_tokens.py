"""Bearer tokens of other issuers: an identity provider's, or those that a gateway adds; CSRF beside them."""

from datetime import timedelta
from typing import Any

import pytest
from browsers import Clock, serializer, set_by
from quart import Quart, websocket
from quart.testing import QuartClient
from quart.testing.connections import WebsocketResponseError
from users import ADA, BY_ID, GRACE, User

from quartlogin import (
    Login,
    LoginManager,
    NoRecords,
    SignedSessionInterface,
    confirm_login,
    create_bearer_token,
    credentials_refused,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_remembered,
    login_required,
    login_user,
    logout_user,
    uses_cookies,
)

#: What a gateway such as oauth2-proxy adds to each request: a token of its identity provider.
FOREIGN = {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"}
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
API = {"Accept": "application/json"}
SCRIPT = {"Accept": "*/*", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
INVALID = 'Bearer error="invalid_token"'


@pytest.fixture
def app(app: Quart, login_manager: LoginManager[User]) -> Quart:
    login_manager.login_view = "/login"

    @app.post("/login/<user_id>")
    async def sign_in(user_id: str) -> str:
        return str(await login_user(BY_ID[user_id], remember=True))

    @app.get("/")
    async def home() -> dict[str, Any]:
        return {
            "name": getattr(await current_user, "name", "nobody"),
            "login": login_id() is not None,
            "fresh": login_fresh(),
            "remembered": login_remembered(),
            "uses_cookies": uses_cookies(),
        }

    @app.get("/account")
    @login_required
    async def account() -> str:
        return f"account of {current_user.name}"

    @app.get("/password")
    @fresh_login_required
    async def password() -> str:
        return "changed"

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.post("/confirm")
    async def confirm() -> str:
        await confirm_login()
        return str(login_fresh())

    @app.websocket("/live")
    @login_required
    async def live() -> None:
        await websocket.send(f"{current_user.name}")

    return app


@pytest.fixture(params=["Quart's sessions", "signed sessions"])
async def browser(app: Quart, request: pytest.FixtureRequest) -> QuartClient:
    """A browser in which Grace has signed in."""
    if request.param == "signed sessions":
        app.session_interface = SignedSessionInterface()
    client: QuartClient = app.test_client()  # type: ignore[assignment]
    await client.post("/login/2")
    return client


@pytest.fixture
def knows_gateway(login_manager: LoginManager[User]) -> list[str]:
    """The app asks the identity provider whose token it is: Ada's. Here: the tokens it was asked about."""
    asked: list[str] = []

    @login_manager.request_loader
    async def load(connection: Any) -> User | None:
        header: str = connection.headers.get("Authorization", "")
        asked.append(header)
        return ADA if header == FOREIGN["Authorization"] else None

    return asked


@pytest.fixture
def refused(app: Quart) -> Any:
    kinds: list[str] = []

    async def note(_: Any, kind: str) -> None:
        kinds.append(kind)

    with credentials_refused.connected_to(note, app):
        yield kinds


async def seen(client: Any, **headers: str) -> dict[str, Any]:
    page: dict[str, Any] = await (await client.get("/", headers=headers)).get_json()
    return page


async def our_token(app: Quart, duration: timedelta = timedelta(hours=1)) -> dict[str, str]:
    async with app.app_context():
        return {"Authorization": f"Bearer {await create_bearer_token(ADA, duration=duration)}"}


# --- the request_loader --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", [PAGE, API, SCRIPT, {}], ids=["page", "api", "script", "nothing"])
async def test_the_request_loader_is_asked_about_a_token_that_is_not_ours(
    app: Quart, knows_gateway: list[str], accept: dict[str, str]
) -> None:
    response = await app.test_client().get("/account", headers={**FOREIGN, **accept})

    assert await response.get_data(as_text=True) == "account of Ada"
    assert knows_gateway == [FOREIGN["Authorization"]]


async def test_the_request_loader_goes_before_the_cookies_beside_a_token_that_is_not_ours(
    browser: QuartClient, knows_gateway: list[str]
) -> None:
    page = await seen(browser, **FOREIGN, **PAGE)

    assert (page["name"], page["login"], page["fresh"]) == ("Ada", False, False)
    assert (await seen(browser))["name"] == "Grace"


async def test_the_request_loader_is_called_once_even_if_it_finds_no_user(
    app: Quart, login_manager: LoginManager[User]
) -> None:
    asked: list[Any] = []
    login_manager.request_loader(asked.append)

    await app.test_client().get("/account", headers={**FOREIGN, **PAGE})

    assert len(asked) == 1


@pytest.mark.parametrize("end", ["expired", "revoked"])
@pytest.mark.parametrize("accept", [PAGE, API, SCRIPT, {}], ids=["page", "api", "script", "nothing"])
async def test_our_own_token_that_has_ended_falls_back_to_nothing(
    browser: QuartClient,
    login_manager: LoginManager[User],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    end: str,
    accept: dict[str, str],
) -> None:
    login_manager.request_loader(lambda _: GRACE)
    token = await our_token(browser.app)
    if end == "expired":
        clock.forward(timedelta(hours=2))
    else:
        monkeypatch.delitem(BY_ID, "1")

    response = await browser.get("/account", headers={**token, **accept})

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, INVALID)


@pytest.mark.parametrize("payload", ["not json", '["1"]', "[" * 1000, '["1", "a", "b", null, null]'])
async def test_a_token_with_our_signature_is_ours_whatever_it_says(
    browser: QuartClient, login_manager: LoginManager[User], payload: str
) -> None:
    login_manager.request_loader(lambda _: GRACE)
    signed = serializer(purpose="bearer").dumps(payload)

    response = await browser.get("/account", headers={"Authorization": f"Bearer {signed}", **PAGE})

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, INVALID)


async def test_a_token_from_the_future_is_ours_and_does_not_count_yet(
    app: Quart, login_manager: LoginManager[User], clock: Clock
) -> None:
    login_manager.request_loader(lambda _: GRACE)
    token = await our_token(app)
    clock.forward(timedelta(minutes=-5))

    response = await app.test_client().get("/account", headers={**token, **PAGE})

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, INVALID)


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "nonsense",
        "a.b.c",
        "x" * 5000,
        serializer(key="another key", purpose="bearer").dumps('["1","a",9999999999,null,null]'),
        serializer(app="another app", purpose="bearer").dumps('["1","a",9999999999,null,null]'),
        serializer(purpose="remember").dumps('["1","a",9999999999,null,null]'),
    ],
    ids=["empty", "word", "dots", "long", "key", "app", "purpose"],
)
async def test_a_token_without_our_signature_is_the_request_loaders(
    app: Quart, login_manager: LoginManager[User], foreign: str
) -> None:
    login_manager.request_loader(lambda _: GRACE)

    response = await app.test_client().get("/account", headers={"Authorization": f"Bearer {foreign}"})

    assert await response.get_data(as_text=True) == "account of Grace"


async def test_a_token_signed_with_a_former_key_is_ours(app: Quart, login_manager: LoginManager[User]) -> None:
    token = await our_token(app)
    app.config.update(SECRET_KEY="a newer key", SECRET_KEY_FALLBACKS=[app.secret_key])
    login_manager.request_loader(lambda _: GRACE)

    assert (await seen(app.test_client(), **token))["name"] == "Ada"


# --- the session ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", [PAGE, SCRIPT, {"Origin": "http://localhost"}], ids=["page", "script", "form"])
async def test_a_browser_behind_a_gateway_is_served_by_its_session(
    browser: QuartClient, client: dict[str, str]
) -> None:
    page = await seen(browser, **FOREIGN, **client)

    assert page == {"name": "Grace", "login": True, "fresh": True, "remembered": True, "uses_cookies": True}


async def test_a_browser_behind_a_gateway_is_restored_from_its_remember_cookie(browser: QuartClient) -> None:
    for name in ("session", "__Host-session"):
        browser.delete_cookie("localhost", name)

    page = await seen(browser, **FOREIGN, **PAGE)

    assert (page["name"], page["fresh"], page["remembered"]) == ("Grace", False, True)


async def test_a_browser_behind_a_gateway_signs_in_confirms_and_signs_out(app: Quart) -> None:
    browser = app.test_client()
    headers = {**FOREIGN, **PAGE}
    turned_away = await browser.get("/account", headers=headers)
    await browser.post("/login/2", headers=headers)
    confirmed = await browser.post("/confirm", headers=headers)
    fresh = await browser.get("/password", headers=headers)
    signed_out = await browser.post("/logout", headers=headers)

    assert (turned_away.status_code, turned_away.headers["Location"]) == (302, "/login?next=%2Faccount")
    assert await confirmed.get_data(as_text=True) == "True"
    assert fresh.status_code == 200
    assert set_by(signed_out)["remember_token"].value == ""
    assert (await seen(browser, **headers))["name"] == "nobody"


async def test_a_logout_behind_a_gateway_ends_the_sessions_login(
    app: Quart, login_manager: LoginManager[User], browser: QuartClient
) -> None:
    class Notes(NoRecords):
        began: list[str] = []  # noqa: RUF012
        ended: list[str] = []  # noqa: RUF012

        async def login_began(self, login: Login) -> None:
            self.began.append(login.id)

        async def login_ended(self, login_id: str) -> None:
            self.ended.append(login_id)

    login_manager.records = notes = Notes()
    await browser.post("/login/1")
    notes.ended.clear()

    await browser.post("/logout", headers={**FOREIGN, **PAGE})

    assert notes.ended == notes.began


@pytest.mark.parametrize("client", [API, {}, {"Accept": "*/*"}], ids=["json", "nothing", "anything"])
async def test_an_api_client_with_an_unknown_token_gets_401_whatever_its_cookies(
    browser: QuartClient, client: dict[str, str], refused: list[str]
) -> None:
    response = await browser.get("/account", headers={**FOREIGN, **client})
    page = await seen(browser, **FOREIGN, **client)

    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, INVALID)
    assert page == {"name": "nobody", "login": False, "fresh": False, "remembered": False, "uses_cookies": False}
    assert refused == ["bearer", "bearer"]


async def test_a_browser_behind_a_gateway_is_no_refused_token(browser: QuartClient, refused: list[str]) -> None:
    await seen(browser, **FOREIGN, **PAGE)

    assert refused == []


async def test_an_api_clients_logout_leaves_the_cookies_alone(browser: QuartClient) -> None:
    await browser.post("/logout", headers={**FOREIGN, **API})

    assert (await seen(browser))["name"] == "Grace"


async def test_responses_vary_on_authorization_also_with_a_foreign_token(browser: QuartClient) -> None:
    response = await browser.get("/", headers={**FOREIGN, **PAGE})

    assert {"Cookie", "Authorization"} <= set(response.vary)


# --- websockets, and what other sites' pages can do ----------------------------------------------------------------


async def hear(client: QuartClient, **headers: str) -> Any:
    try:
        async with client.websocket("/live", headers={**FOREIGN, **headers}) as connection:
            return await connection.receive()
    except WebsocketResponseError as error:
        return error.response.status_code


async def test_a_pages_websocket_behind_a_gateway_is_the_sessions(browser: QuartClient) -> None:
    assert await hear(browser, Origin="http://localhost") == "Grace"


async def test_a_websocket_of_an_api_client_with_an_unknown_token_is_refused(browser: QuartClient) -> None:
    assert await hear(browser) == 401


async def test_cross_site_websocket_hijacking_behind_a_gateway_is_rejected(
    browser: QuartClient, knows_gateway: list[str]
) -> None:
    assert await hear(browser, Origin="https://evil.example") == 403


async def test_cross_site_websocket_hijacking_of_an_unguarded_websocket_behind_a_gateway_is_anonymous(
    app: Quart, browser: QuartClient, knows_gateway: list[str]
) -> None:
    @app.websocket("/open")
    async def open_() -> None:
        await websocket.send(getattr(await current_user, "name", "nobody"))

    headers = {**FOREIGN, "Origin": "https://evil.example"}
    async with browser.websocket("/open", headers=headers) as connection:
        assert await connection.receive() == "nobody"


@pytest.mark.parametrize(
    ("headers", "needs_it"),
    [
        ({}, True),
        ({**FOREIGN, **PAGE}, True),
        ({**FOREIGN, "Origin": "https://evil.example", "Accept": "application/json"}, True),
        ({**FOREIGN, "Sec-Fetch-Site": "cross-site", "Accept": "application/json"}, True),
        ({**FOREIGN, **API}, False),
    ],
    ids=["cookies", "gateway's page", "other site's script", "other site's fetch", "API client"],
)
async def test_csrf_protection_is_needed_wherever_cookies_count(
    browser: QuartClient, headers: dict[str, str], needs_it: bool
) -> None:
    assert (await seen(browser, **headers))["uses_cookies"] is needs_it


async def test_csrf_protection_is_not_needed_beside_our_own_token(app: Quart, browser: QuartClient) -> None:
    assert (await seen(browser, **await our_token(app), **PAGE))["uses_cookies"] is False


def test_outside_of_requests_no_cookies_count() -> None:
    assert uses_cookies() is False
