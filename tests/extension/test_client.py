"""`QuartLoginClient`: a test client that is signed in."""

from typing import Any

import pytest
from quart import Quart, current_app, session, websocket
from quart.testing.connections import WebsocketResponseError
from users import ADA, GRACE, User
from werkzeug.datastructures import Headers

from quartlogin import (
    ConfigurationError,
    Login,
    LoginManager,
    LoginRefused,
    NoRecords,
    QuartLoginClient,
    SignedSessionInterface,
    current_user,
    fresh_login_required,
    login_fresh,
    login_id,
    login_required,
    logout_user,
)
from slow import mostly_slow


class Notes(NoRecords):
    """What an app's record of its logins was told."""

    def __init__(self) -> None:
        self.began: list[Login] = []

    async def login_began(self, login: Login) -> None:
        self.began.append(login)


@pytest.fixture
def notes(login_manager: LoginManager[User]) -> Notes:
    notes = Notes()
    login_manager.records = notes
    return notes


@pytest.fixture
def app(app: Quart) -> Quart:
    app.test_client_class = QuartLoginClient

    @app.get("/")
    @login_required
    async def home() -> dict[str, Any]:
        return {"name": current_user.name, "login": login_id(), "fresh": login_fresh(), "session": dict(session)}

    @app.get("/open")
    async def open_to_all() -> str:
        return getattr(await current_user, "name", "nobody")

    @app.get("/password")
    @fresh_login_required
    async def password() -> str:
        return "changed"

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.websocket("/live")
    @login_required
    async def live() -> None:
        await websocket.send(f"{current_user.name} {login_id()}")

    return app


async def page(client: Any) -> Any:
    return await (await client.get("/")).get_json()


async def test_the_client_is_signed_in_from_the_first_request_on(app: Quart, loads: list[str]) -> None:
    client = app.test_client(user=ADA)  # type: ignore[call-arg]

    names = [(await page(client))["name"], (await page(client))["name"]]

    assert names == ["Ada", "Ada"]
    assert loads == ["1", "1"]


async def test_the_class_can_be_used_by_itself(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)

    assert (await page(client))["name"] == "Ada"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "trace"])
async def test_every_kind_of_request_is_signed_in(app: Quart, method: str) -> None:
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
    app.add_url_rule("/any", view_func=login_required(lambda: "let in"), endpoint="any", methods=methods)

    response = await getattr(QuartLoginClient(app, user=ADA), method)("/any")

    assert response.status_code == 200


async def test_a_request_that_is_streamed_is_signed_in(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)

    async with client.request("/") as connection:
        await connection.send_complete()
    response = await connection.as_response()

    assert response.status_code == 200


async def test_a_websocket_is_signed_in_also_as_the_first_thing(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)

    async with client.websocket("/live") as connection:
        first = await connection.receive()
    login = (await page(client))["login"]

    assert first == f"Ada {login}"


async def test_a_websocket_can_be_opened_after_a_request(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)
    login = (await page(client))["login"]

    async with client.websocket("/live") as connection:
        heard = await connection.receive()

    assert heard == f"Ada {login}"


async def test_a_websocket_takes_what_quarts_own_client_takes(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)

    with pytest.raises(WebsocketResponseError) as refused:
        async with client.websocket("/live", headers={"Origin": "https://evil.example"}, scheme="wss") as connection:
            await connection.receive()

    assert refused.value.response.status_code == 403


async def test_the_login_is_real_and_reported_to_the_record_once(app: Quart, notes: Notes) -> None:
    client = QuartLoginClient(app, user=ADA)

    first, second = await page(client), await page(client)

    (login,) = notes.began
    assert login == Login(login.id, "1", "session", is_fresh=True, user=ADA)
    assert first["login"] == second["login"] == login.id
    assert len(login.id) == 32


async def test_nothing_is_reported_before_the_first_request(app: Quart, notes: Notes) -> None:
    QuartLoginClient(app, user=ADA)

    assert notes.began == []


async def test_the_record_may_use_the_app(app: Quart, login_manager: LoginManager[User]) -> None:
    names: list[str] = []

    class Records(NoRecords):
        async def login_began(self, login: Login) -> None:
            names.append(current_app.name)

    login_manager.records = Records()

    await page(QuartLoginClient(app, user=ADA))

    assert names == ["site"]


async def test_a_record_that_refuses_fails_the_test(app: Quart, login_manager: LoginManager[User]) -> None:
    class Records(NoRecords):
        async def login_began(self, login: Login) -> None:
            raise LoginRefused("Not now.")

    login_manager.records = Records()

    with pytest.raises(LoginRefused):
        await QuartLoginClient(app, user=ADA).get("/")


async def test_the_login_begins_in_the_browser_that_sends_the_first_request(app: Quart) -> None:
    headers = {"User-Agent": "Somebody's browser"}
    client = QuartLoginClient(app, user=ADA)

    first = await (await client.get("/", headers=headers)).get_json()
    of_another_browser = await page(client)

    assert first["session"]["_user_id"] == "1"
    assert (first["fresh"], of_another_browser["fresh"]) == (True, False)


@pytest.mark.parametrize("protection", [None, "basic", "strong"])
@pytest.mark.parametrize(("fresh_login", "status"), [(True, 200), (False, 401)])
async def test_the_login_is_as_fresh_as_was_said_in_every_mode_of_protection(
    app: Quart, login_manager: LoginManager[User], protection: str | None, status: int, *, fresh_login: bool
) -> None:
    login_manager.session_protection = protection
    client = QuartLoginClient(app, user=ADA, fresh_login=fresh_login)

    response = await client.get("/password")

    assert response.status_code == status
    assert (await page(client))["fresh"] is fresh_login


@pytest.mark.parametrize("arguments", [{}, {"user": None}, {"user": None, "fresh_login": False}], ids=str)
async def test_a_client_without_a_user_is_an_anonymous_visitor(
    app: Quart, notes: Notes, arguments: dict[str, Any]
) -> None:
    client = app.test_client(**arguments)

    guarded, open_to_all = await client.get("/"), await client.get("/open")

    assert guarded.status_code == 401
    assert await open_to_all.get_data(as_text=True) == "nobody"
    assert notes.began == []


async def test_a_client_that_signs_out_stays_signed_out(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)

    before = await client.get("/")
    await client.post("/logout")
    after = await client.get("/")

    assert (before.status_code, after.status_code) == (200, 401)


async def test_two_clients_are_two_browsers(app: Quart) -> None:
    ada, grace = QuartLoginClient(app, user=ADA), QuartLoginClient(app, user=GRACE)

    names = [(await page(client))["name"] for client in (ada, grace, ada)]

    assert names == ["Ada", "Grace", "Ada"]


async def test_what_the_session_held_is_kept(app: Quart) -> None:
    client = QuartLoginClient(app, user=ADA)
    async with client.session_transaction() as contents:
        contents["basket"] = "full"

    found = await page(client)

    assert found["session"]["basket"] == "full"
    assert found["name"] == "Ada"


async def test_another_id_method_is_used(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.id_attribute = "get_number"
    ada = User("1", "Ada")
    ada.get_number = lambda: 1  # type: ignore[attr-defined]

    contents = (await page(QuartLoginClient(app, user=ada)))["session"]

    assert contents["_user_id"] == "1"


# --- where and how the first request is sent --------------------------------------------------------------------

INTERFACES = pytest.mark.parametrize("interface", [None, SignedSessionInterface()], ids=["Quart's", "ours"])


@INTERFACES
@pytest.mark.parametrize("protection", ["basic", "strong"])
@pytest.mark.parametrize(
    ("config", "options"),
    mostly_slow(
        [
            ({}, {"scheme": "https"}),
            ({}, {"scheme": "https", "headers": {"Host": "shop.site.example"}}),
            ({"SESSION_COOKIE_SECURE": True}, {"scheme": "https"}),
            ({"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "Strict"}, {}),
            ({"SESSION_COOKIE_DOMAIN": ".site.example"}, {"headers": {"Host": "shop.site.example"}}),
            ({"SESSION_COOKIE_DOMAIN": "site.example"}, {"scheme": "https", "headers": {"Host": "site.example"}}),
            ({"SERVER_NAME": "site.example"}, {}),
            ({"SERVER_NAME": "site.example", "SESSION_COOKIE_DOMAIN": "site.example"}, {"scheme": "https"}),
            ({"SESSION_COOKIE_PATH": "/", "SESSION_COOKIE_NAME": "crumb"}, {}),
            ({}, {"headers": {"User-Agent": "a browser"}}),
            ({}, {"headers": {"X-Number": 1}, "query_string": {"a": "b"}, "http_version": "2"}),
            ({}, {"scope_base": {"client": ("192.0.2.1", 5000)}}),
            ({}, {"root_path": "/mount", "path": "/mount/"}),
        ]
    ),
    ids=str,
)
async def test_the_client_signs_in_as_its_first_request_is_sent(
    app: Quart, login_manager: LoginManager[User], interface: Any, protection: str, config: Any, options: Any
) -> None:
    app.config.update(config)
    app.session_interface = interface or app.session_interface
    login_manager.session_protection = protection
    options = {"path": "/", **options}

    found = await (await QuartLoginClient(app, user=ADA).get(**options)).get_json()

    assert (found["name"], found["fresh"]) == ("Ada", True)


@INTERFACES
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("domain", [None, "site.example"])
async def test_a_websocket_signs_in_as_it_is_opened(
    app: Quart, login_manager: LoginManager[User], interface: Any, scheme: str, domain: str | None
) -> None:
    app.config["SESSION_COOKIE_DOMAIN"] = domain
    app.session_interface = interface or app.session_interface
    login_manager.session_protection = "strong"
    headers = {"Host": "chat.site.example", "User-Agent": "a browser"}
    client = QuartLoginClient(app, user=ADA)

    async with client.websocket("/live", scheme=scheme, headers=headers) as connection:
        heard = await connection.receive()

    assert heard.startswith("Ada ")


async def test_a_streamed_request_signs_in_as_it_is_sent(app: Quart, login_manager: LoginManager[User]) -> None:
    login_manager.session_protection = "strong"
    app.session_interface = SignedSessionInterface()
    client = QuartLoginClient(app, user=ADA)

    async with client.request("/", scheme="https", headers={"User-Agent": "a browser"}) as connection:
        await connection.send_complete()
    response = await connection.as_response()

    assert response.status_code == 200


async def test_the_clients_own_headers_stay_as_they_were_given(app: Quart) -> None:
    headers = Headers({"X-Header": "1"})
    client = QuartLoginClient(app, user=ADA)
    async with client.session_transaction() as contents:
        contents["basket"] = "full"

    async with client.websocket("/live", headers={"X-Header": "1"}) as connection:
        await connection.receive()
    await client.get("/", headers=headers)

    assert headers.getlist("cookie") == [f"{cookie.name}={cookie.value}" for cookie in client.cookie_jar or []]


async def test_a_cookie_that_is_not_for_this_host_fails_the_test_with_what_to_write(app: Quart) -> None:
    app.config["SESSION_COOKIE_DOMAIN"] = ".site.example"

    with pytest.raises(ConfigurationError, match=r"'\.site\.example'.*headers=\{'Host'"):
        await QuartLoginClient(app, user=ADA).get("/")


async def test_a_client_without_cookies_cannot_be_signed_in(app: Quart) -> None:
    with pytest.raises(ConfigurationError, match="use_cookies"):
        await QuartLoginClient(app, use_cookies=False, user=ADA).get("/")


async def test_an_app_without_a_key_cannot_sign_in(app: Quart) -> None:
    app.secret_key = None

    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        await QuartLoginClient(app, user=ADA).get("/")
