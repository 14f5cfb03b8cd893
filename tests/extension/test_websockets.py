"""Websockets: cross-site websocket hijacking, their user, and closing when their login ends.

The tests speak ASGI, so that every version of Quart sees the same server.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Quart, g, has_websocket_context, session, websocket
from quart.testing import QuartClient
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from users import ADA, BY_ID, GRACE, SignIn, User

from quartlogin import (
    Login,
    LoginManager,
    LoginRefused,
    NoRecords,
    RequestNeededError,
    UserMixin,
    UserNotLoadedError,
    confirm_login,
    create_bearer_token,
    current_user,
    fresh_login_required,
    login_exempt,
    login_fresh,
    login_id,
    login_required,
    login_user,
    logout_user,
    user_loaded_from_cookie,
    user_unauthorized,
)

LONG_ENOUGH = 60  # seconds until a test gives up on what hangs
AT_ONCE = timedelta(milliseconds=1)
REFUSED = "websocket.http.response.start"


class Socket:
    """One client of a websocket, and the ASGI server between it and the app."""

    def __init__(self, app: Quart, headers: dict[str, str], path: str, scheme: str) -> None:
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        sent = {"Host": "localhost", "User-Agent": "Quart", **headers}
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin1")) for name, value in sent.items()],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(app(scope, self._to_app.get, self._send))  # type: ignore[arg-type]

    async def _send(self, message: Any) -> None:
        await self._from_app.put(message)
        if message["type"] == "websocket.close" or message.get("more_body") is False:
            self.leave()  # as a server says when the client has answered the close

    async def next(self) -> Any:
        """What the app does next."""
        async with asyncio.timeout(LONG_ENOUGH):
            return await self._from_app.get()

    async def hears(self) -> str:
        """The text that the app sends first, after accepting."""
        assert (await self.next())["type"] == "websocket.accept"
        return await self.hears_more()

    async def hears_more(self) -> str:
        message = await self.next()
        assert message["type"] == "websocket.send", message
        return str(message["text"])

    async def status(self) -> int:
        """With which status the app refuses, before it accepts."""
        message = await self.next()
        assert message["type"] == REFUSED, message
        return int(message["status"])

    async def code(self) -> int:
        """With which code the app closes."""
        message = await self.next()
        assert message["type"] == "websocket.close", message
        return int(message["code"])

    async def is_open(self) -> bool:
        """Whether the handler still answers."""
        self.say("ping")
        return await self.hears_more() == "pong"

    def say(self, text: str) -> None:
        self._to_app.put_nowait({"type": "websocket.receive", "text": text, "bytes": None})

    def leave(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})

    async def end(self) -> None:
        self.leave()
        async with asyncio.timeout(LONG_ENOUGH):
            await self.task


Open = Callable[..., Any]
Guard = Callable[[Any], Any]


@pytest.fixture
def guarded(request: pytest.FixtureRequest, login_manager: LoginManager[User]) -> Guard:
    """What stands above a handler: a guard, or nothing where the app guards everything."""
    login_manager.require_login = request.param == "require_login"
    return {"login_required": login_required, "require_login": lambda handler: handler}[request.param]


BOTH_GUARDS = pytest.mark.parametrize("guarded", ["login_required", "require_login"], indirect=True)


def cookies_of(client: QuartClient | None) -> dict[str, str]:
    jar = [] if client is None else client.cookie_jar or []
    return {"Cookie": "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)}


@pytest.fixture
def open_socket() -> Open:
    """A websocket of whoever has this client's cookies."""

    @asynccontextmanager
    async def open_socket(
        app: Quart, client: QuartClient | None = None, path: str = "/live", scheme: str = "ws", **headers: str
    ) -> AsyncIterator[Socket]:
        socket = Socket(app, {**cookies_of(client), **headers}, path, scheme)
        try:
            yield socket
        finally:
            await socket.end()

    return open_socket


@pytest.fixture
def app(app: Quart) -> Quart:
    """An app where people really sign in, with a guarded chat and an open one."""

    @app.post("/login/<user_id>")
    @login_exempt
    async def login(user_id: str) -> str:
        await login_user(BY_ID[user_id], remember=True)
        return login_id() or ""

    @app.post("/logout")
    async def logout() -> str:
        await logout_user()
        return ""

    @app.post("/confirm")
    async def confirm() -> str:
        await confirm_login()
        return login_id() or ""

    @app.get("/who")
    async def who() -> str:
        return getattr(await current_user, "name", "nobody")

    @app.websocket("/live")
    @login_required
    async def live() -> None:
        await websocket.send(current_user.name)
        while True:
            await websocket.receive()
            await websocket.send("pong")

    @app.websocket("/open")
    async def open_to_all() -> None:
        user = await current_user
        await websocket.send(f"{getattr(user, 'name', 'nobody')} {login_id()} {login_fresh()}")

    return app


@pytest.fixture
async def browser(app: Quart) -> QuartClient:
    """Ada's browser, signed in, remembered."""
    return await signed_in(app, "1")


async def signed_in(app: Quart, user_id: str) -> QuartClient:
    client = app.test_client()
    response = await client.post(f"/login/{user_id}")
    assert response.status_code == 200
    return client


def without_session(client: QuartClient) -> QuartClient:
    """The same browser after it was closed and opened again."""
    client.delete_cookie("localhost", "session")
    return client


async def code_at_logout(socket: Socket, browser: QuartClient) -> int:
    """With which code the app closes a socket that was open when its login ended."""
    await socket.hears()
    await browser.post("/logout")
    return await socket.code()


@pytest.fixture
def loader_of_open_logins(login_manager: LoginManager[User]) -> set[str]:
    """An app that keeps its logins: the ids of those that go on."""
    going_on: set[str] = set()

    class Records(NoRecords):
        async def login_began(self, login: Login) -> None:
            going_on.add(login.id)

        async def login_renewed(self, old_id: str, login: Login) -> None:
            going_on.remove(old_id)
            going_on.add(login.id)

        async def login_ended(self, login_id: str) -> None:
            going_on.discard(login_id)

    login_manager.records = Records()

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        return BY_ID.get(user_id) if login_id() in going_on else None

    return going_on


class Asked:
    """A user_loader that fails on demand, and lets a test wait until it was asked again."""

    def __init__(self, manager: LoginManager[User]) -> None:
        self.people = dict(BY_ID)
        self.error: Exception | None = None
        self._calls: asyncio.Queue[str] = asyncio.Queue()
        manager.user_loader(self.load)

    async def load(self, user_id: str) -> User | None:
        self._calls.put_nowait(user_id)
        if self.error is not None:
            raise self.error
        return self.people.get(user_id)

    async def again(self) -> None:
        """Wait until the loader was asked three times from now on, so that one question was wholly answered."""
        while not self._calls.empty():
            self._calls.get_nowait()
        async with asyncio.timeout(LONG_ENOUGH):
            for _ in range(3):
                await self._calls.get()


@pytest.fixture
def asked(app: Quart, login_manager: LoginManager[User]) -> Asked:
    """The user_loader of a manager that looks the users of open sockets up again all the time."""
    login_manager.websocket_recheck = AT_ONCE
    return Asked(login_manager)


# --- who gets in ----------------------------------------------------------------------------------------------


async def test_a_signed_in_user_is_let_in_and_known(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    async with open_socket(app, browser) as socket:
        heard = await socket.hears()

    assert heard == "Ada"


@pytest.mark.requirement("V25")
async def test_an_anonymous_visitor_is_refused_before_the_socket_is_accepted(app: Quart, open_socket: Open) -> None:
    async with open_socket(app) as socket:
        status = await socket.status()

    assert status == 401


async def test_a_websocket_of_an_unknown_user_is_rejected(app: Quart, open_socket: Open, sign_in: SignIn) -> None:
    client = await sign_in(app, "404")

    async with open_socket(app, client) as socket:
        status = await socket.status()

    assert status == 401


async def test_a_websocket_is_never_redirected_nor_answered_by_the_apps_handler(
    app: Quart, open_socket: Open, login_manager: LoginManager[User]
) -> None:
    login_manager.login_view = "/login"

    @login_manager.unauthorized_handler
    async def refuse() -> tuple[str, int]:
        return "Members only.", 403

    async with open_socket(app) as socket:
        refusal = await socket.next()

    assert (refusal["type"], refusal["status"]) == (REFUSED, 401)
    assert b"location" not in dict(refusal["headers"])
    assert b"set-cookie" not in dict(refusal["headers"])


async def test_a_refused_websocket_is_announced(app: Quart, open_socket: Open) -> None:
    heard: list[Any] = []

    async def hear(sender: Any) -> None:
        heard.append(sender)

    with user_unauthorized.connected_to(hear, app):
        async with open_socket(app) as socket:
            await socket.status()

    assert heard == [app]


async def test_a_handler_in_a_thread_is_guarded_too(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    loop, ran = asyncio.get_running_loop(), asyncio.Queue[str]()

    @app.websocket("/thread")
    @login_required
    def thread() -> None:
        loop.call_soon_threadsafe(ran.put_nowait, current_user.name)

    async with open_socket(app, path="/thread") as anonymous:
        status = await anonymous.status()
    async with open_socket(app, browser, path="/thread"), asyncio.timeout(LONG_ENOUGH):
        name = await ran.get()

    assert (status, name) == (401, "Ada")
    assert ran.empty()


async def test_a_guarded_handler_gets_its_arguments(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    @app.websocket("/rooms/<int:number>")
    @login_required
    async def room(number: int) -> None:
        await websocket.send(f"room {number + 1}")

    async with open_socket(app, browser, path="/rooms/4") as socket:
        heard = await socket.hears()

    assert heard == "room 5"


async def test_a_stale_login_is_refused_where_a_fresh_one_is_needed(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.refresh_view = "/login"

    @app.websocket("/vault")
    @fresh_login_required
    async def vault() -> None:
        await websocket.send("open")

    async with open_socket(app, browser, path="/vault") as fresh:
        heard = await fresh.hears()
    async with open_socket(app, without_session(browser), path="/vault") as restored:
        status = await restored.status()

    assert (heard, status) == ("open", 401)


async def test_a_loader_that_raises_refuses_with_500(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    Asked(login_manager).error = ConnectionError("database down")

    async with open_socket(app, browser) as socket:
        status = await socket.status()

    assert status == 500


# --- where the page that opens it came from -------------------------------------------------------------------

OWN_ORIGINS = [
    ("ws", "localhost", "http://localhost"),
    ("ws", "localhost", "https://localhost"),  # a proxy ended TLS without saying so
    ("wss", "localhost", "https://localhost"),
    ("ws", "localhost:5000", "http://localhost:5000"),
    ("ws", "[::1]:5000", "http://[::1]:5000"),
]

FOREIGN_ORIGINS = [
    ("wss", "localhost", "http://localhost"),
    ("ws", "localhost", "https://evil.example"),
    ("ws", "localhost", "http://localhost.evil.example"),
    ("ws", "localhost", "http://evil-localhost"),
    ("ws", "localhost", "http://sub.localhost"),
    ("ws", "localhost", "http://localhost:8080"),
    ("ws", "localhost:5000", "http://localhost"),
    ("ws", "localhost:5000", "http://localhost:5001"),
    ("ws", "localhost", "null"),
    ("ws", "localhost", ""),
    ("ws", "localhost", "localhost"),
    ("ws", "localhost", "//localhost"),
    ("ws", "localhost", "ws://localhost"),
    ("ws", "localhost", "file://localhost"),
    ("ws", "localhost", "chrome-extension://localhost"),
    ("ws", "localhost", "http://localhost@evil.example"),
    ("ws", "localhost", "http://evil.example@localhost"),
    ("ws", "localhost", "http://evil.example#localhost"),
    ("ws", "localhost", "http://localhost http://evil.example"),
    ("ws", "localhost", "http://localhost, http://evil.example"),
    ("ws", "localhost", "http://["),
    ("ws", "localhost", "http://[::1"),
    ("ws", "localhost", "http://localhost:port"),
    ("ws", "localhost", "http://l\u00f6calhost"),
    ("ws", "localhost", "\xff\xfe"),
    ("ws", "localhost", "http://"),
    ("ws", "localhost", "x" * 100_000),
]


@pytest.mark.requirement("V25")
async def test_a_client_that_names_no_origin_is_no_browser_and_gets_in(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser) as socket:
        heard = await socket.hears()

    assert heard == "Ada"


@pytest.mark.requirement("V25")
@pytest.mark.parametrize(("scheme", "host", "origin"), OWN_ORIGINS)
async def test_a_page_of_this_site_gets_in(
    app: Quart, open_socket: Open, browser: QuartClient, scheme: str, host: str, origin: str
) -> None:
    async with open_socket(app, browser, scheme=scheme, Host=host, Origin=origin) as socket:
        heard = await socket.hears()

    assert heard == "Ada"


@pytest.mark.requirement("V25")
@pytest.mark.requirement("4.4.2")
@pytest.mark.parametrize(("scheme", "host", "origin"), FOREIGN_ORIGINS)
async def test_cross_site_websocket_hijacking_is_rejected_with_403(
    app: Quart, open_socket: Open, browser: QuartClient, scheme: str, host: str, origin: str
) -> None:
    async with open_socket(app, browser, scheme=scheme, Host=host, Origin=origin) as socket:
        status = await socket.status()

    assert status == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://chat.example", "websocket.accept"),
        ("https://chat.example:8443", REFUSED),
        ("http://chat.example", REFUSED),
        ("https://chat.example.evil.example", REFUSED),
        ("https://other.example", REFUSED),
        ("http://localhost", "websocket.accept"),
    ],
)
async def test_an_app_may_name_more_origins(
    app: Quart,
    open_socket: Open,
    browser: QuartClient,
    login_manager: LoginManager[User],
    origin: str,
    status: str,
) -> None:
    login_manager.websocket_origins = ["https://chat.example"]

    async with open_socket(app, browser, Origin=origin) as socket:
        answer = await socket.next()

    assert answer["type"] == status


async def test_cross_site_websocket_hijacking_is_rejected_before_the_user_is_loaded(
    app: Quart, open_socket: Open, browser: QuartClient, loads: list[str]
) -> None:
    loads.clear()

    async with open_socket(app, browser, Origin="https://evil.example") as socket:
        await socket.status()

    assert loads == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://["])
@pytest.mark.parametrize("cookies", ["session", "remember_token"])
async def test_cross_site_websocket_hijacking_at_an_unguarded_handler_is_anonymous(
    app: Quart, open_socket: Open, browser: QuartClient, origin: str, cookies: str
) -> None:
    other = {"session": "remember_token", "remember_token": "session"}[cookies]
    browser.delete_cookie("localhost", other)

    async with open_socket(app, browser, path="/open", Origin=origin) as socket:
        heard = await socket.hears()

    assert heard.split()[0] == "nobody"


async def test_cross_site_websocket_hijacking_at_an_unguarded_handler_learns_nothing_about_the_login(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser, path="/open", Origin="https://evil.example") as socket:
        heard = await socket.hears()

    assert heard == "nobody None False"


async def test_a_page_of_this_site_at_an_unguarded_handler_is_known(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser, path="/open", Origin="http://localhost") as socket:
        heard = await socket.hears()

    assert heard.startswith("Ada ")
    assert heard.endswith(" True")


async def test_a_foreign_page_is_not_given_to_the_request_loader(
    app: Quart, open_socket: Open, login_manager: LoginManager[User]
) -> None:
    @login_manager.request_loader
    async def load(connection: Any) -> User:
        return ADA

    async with open_socket(app, path="/open", Origin="https://evil.example") as socket:
        heard = await socket.hears()

    assert heard.split()[0] == "nobody"


# --- what a handler may do ------------------------------------------------------------------------------------


async def test_plain_attributes_need_a_guard_or_an_await(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    @app.websocket("/early")
    async def early() -> None:
        with pytest.raises(UserNotLoadedError):
            current_user.name  # noqa: B018
        await current_user
        await websocket.send(current_user.name)

    async with open_socket(app, browser, path="/early") as socket:
        heard = await socket.hears()

    assert heard == "Ada"


@pytest.mark.parametrize(
    "change",
    [lambda: login_user(GRACE), logout_user, confirm_login],
    ids=["login_user", "logout_user", "confirm_login"],
)
async def test_signing_in_and_out_needs_a_request(
    app: Quart, open_socket: Open, browser: QuartClient, change: Callable[..., Any]
) -> None:
    @app.websocket("/change")
    @login_required
    async def handler() -> None:
        with pytest.raises(RequestNeededError, match="websocket"):
            await change()
        await websocket.send(current_user.name)

    async with open_socket(app, browser, path="/change") as socket:
        heard = await socket.hears()

    assert heard == "Ada"


@pytest.mark.parametrize("path", ["/live", "/open"])
async def test_a_remembered_login_is_restored_without_writing_the_session(
    app: Quart, open_socket: Open, browser: QuartClient, caplog: pytest.LogCaptureFixture, path: str
) -> None:

    async with open_socket(app, without_session(browser), path=path) as socket:
        heard = await socket.hears()

    assert heard.split()[0] == "Ada"
    assert caplog.text == ""


async def test_a_broken_remember_cookie_is_ignored_without_writing_the_session(
    app: Quart, open_socket: Open, caplog: pytest.LogCaptureFixture
) -> None:

    async with open_socket(app, path="/open", Cookie="remember_token=1|\xe9") as socket:
        heard = await socket.hears()

    assert heard == "nobody None False"
    assert caplog.text == ""


@pytest.mark.parametrize("protection", ["basic", "strong"])
async def test_a_session_of_another_browser_is_not_written_either(
    app: Quart,
    open_socket: Open,
    browser: QuartClient,
    caplog: pytest.LogCaptureFixture,
    login_manager: LoginManager[User],
    protection: str,
) -> None:
    login_manager.session_protection = protection

    async with open_socket(app, browser, path="/open", **{"User-Agent": "another"}) as socket:
        heard = await socket.hears()

    assert heard.endswith(" False")
    assert heard.startswith({"basic": "Ada ", "strong": "nobody None"}[protection])
    assert caplog.text == ""


async def test_a_restored_login_has_its_id_and_is_not_fresh(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser, path="/open") as before:
        _, known_id, _ = (await before.hears()).split()
    async with open_socket(app, without_session(browser), path="/open") as after:
        heard = await after.hears()

    assert heard == f"Ada {known_id} False"


# --- the login ends -------------------------------------------------------------------------------------------


@pytest.mark.requirement("7.4.1")
async def test_a_logout_closes_the_socket_with_1008(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        await browser.post("/logout")
        closed = await socket.next()

    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


async def test_two_sockets_of_one_login_both_close(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    async with open_socket(app, browser) as first, open_socket(app, browser) as second:
        await first.hears()
        await second.hears()
        await browser.post("/logout")
        codes = [await first.code(), await second.code()]

    assert codes == [1008, 1008]


async def test_all_sockets_close_with_1001_when_the_server_is_about_to_stop(
    app: Quart, login_manager: LoginManager[User], open_socket: Open, browser: QuartClient
) -> None:
    phone = await signed_in(app, "2")

    async with open_socket(app, browser) as socket, open_socket(app, phone) as of_phone:
        await socket.hears()
        await of_phone.hears()
        login_manager.sockets.close_all()
        closed = [await socket.next(), await of_phone.next()]

    assert [(each["type"], each["code"]) for each in closed] == [("websocket.close", 1001)] * 2


async def test_sockets_close_of_which_the_apps_record_says_that_their_login_has_ended(
    app: Quart, login_manager: LoginManager[User], open_socket: Open, browser: QuartClient
) -> None:
    phone = app.test_client()
    id_of_phone = await (await phone.post("/login/1")).get_data(as_text=True)

    async with open_socket(app, browser) as socket, open_socket(app, phone) as of_phone:
        await socket.hears()
        await of_phone.hears()
        login_manager.sockets.close_where(lambda login: login == id_of_phone)
        code, is_open = await of_phone.code(), await socket.is_open()

    assert (code, is_open) == (1008, True)


async def test_sockets_of_other_logins_stay_open(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    phone, grace = await signed_in(app, "1"), await signed_in(app, "2")

    async with open_socket(app, phone) as of_phone, open_socket(app, grace) as of_grace:
        await of_phone.hears()
        await of_grace.hears()
        await browser.post("/logout")
        are_open = [await of_phone.is_open(), await of_grace.is_open()]

    assert are_open == [True, True]


async def test_a_login_as_another_user_closes_the_websocket(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        await browser.post("/login/2")
        code = await socket.code()

    assert code == 1008


async def test_a_logout_closes_a_socket_that_a_remember_cookie_opened(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    cookies = cookies_of(without_session(browser))

    async with open_socket(app, **cookies) as socket:
        code = await code_at_logout(socket, browser)

    assert code == 1008


async def test_a_logout_with_a_bearer_token_closes_the_sockets_of_that_token(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with app.app_context():
        headers = {"Authorization": f"Bearer {await create_bearer_token(ADA, duration=timedelta(hours=1))}"}

    async with open_socket(app, **headers) as by_token, open_socket(app, browser) as by_cookie:
        await by_token.hears()
        await by_cookie.hears()
        await app.test_client().post("/logout", headers=headers)
        code = await by_token.code()
        is_open = await by_cookie.is_open()

    assert (code, is_open) == (1008, True)


@BOTH_GUARDS
async def test_a_closed_sockets_handler_is_cancelled_and_cleans_up(
    app: Quart, open_socket: Open, browser: QuartClient, guarded: Guard
) -> None:
    told: list[str] = []

    async def room() -> None:
        try:
            await websocket.send("in")
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise
        finally:
            told.append(f"{current_user.name} left")

    app.add_websocket("/room", view_func=guarded(room))
    async with open_socket(app, browser, path="/room") as socket:
        code = await code_at_logout(socket, browser)
        await socket.end()

    assert told == ["cancelled", "Ada left"]
    assert code == 1008


@BOTH_GUARDS
async def test_a_closed_sockets_handler_may_wait_while_it_cleans_up(
    app: Quart, open_socket: Open, browser: QuartClient, guarded: Guard
) -> None:
    told: list[str] = []

    async def room() -> None:
        try:
            await websocket.send("in")
            await asyncio.Event().wait()
        finally:
            told.append("leaving")
            await asyncio.sleep(0.01)  # as a database takes
            told.append("left")

    app.add_websocket("/room", view_func=guarded(room))
    async with open_socket(app, browser, path="/room") as socket:
        code = await code_at_logout(socket, browser)
        await socket.end()

    assert told == ["leaving", "left"]
    assert code == 1008


@BOTH_GUARDS
async def test_a_handler_that_takes_long_to_clean_up_does_not_keep_its_socket_open(
    app: Quart, open_socket: Open, browser: QuartClient, guarded: Guard
) -> None:
    cleaned_up = asyncio.Event()

    async def room() -> None:
        try:
            await websocket.send("in")
            await asyncio.Event().wait()
        finally:
            await cleaned_up.wait()

    app.add_websocket("/room", view_func=guarded(room))
    async with open_socket(app, browser, path="/room") as socket:
        code = await code_at_logout(socket, browser)
        cleaned_up.set()

    assert code == 1008


@BOTH_GUARDS
@pytest.mark.parametrize("reaction", [str, int], ids=["swallowed", "another error"])
async def test_a_handler_that_takes_its_cancellation_badly_is_closed_all_the_same(
    app: Quart, open_socket: Open, browser: QuartClient, guarded: Guard, reaction: Callable[[str], Any]
) -> None:
    async def room() -> None:
        await websocket.send("in")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            reaction("left")

    app.add_websocket("/room", view_func=guarded(room))
    async with open_socket(app, browser, path="/room") as socket:
        code = await code_at_logout(socket, browser)

    assert code == 1008


async def test_a_closed_sockets_handler_gets_no_more_messages(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    got: list[str | bytes] = []

    @app.websocket("/room")
    @login_required
    async def room() -> None:
        await websocket.send("in")
        while True:
            got.append(await websocket.receive())

    @app.post("/say-and-leave")
    async def say_and_leave() -> str:
        await logout_user()
        socket.say("too late")
        return ""

    async with open_socket(app, browser, path="/room") as socket:
        await socket.hears()
        await browser.post("/say-and-leave")
        code = await socket.code()

    assert (code, got) == (1008, [])


async def test_a_closed_socket_leaves_no_error_in_the_log(
    app: Quart, open_socket: Open, browser: QuartClient, caplog: pytest.LogCaptureFixture
) -> None:

    async with open_socket(app, browser) as socket:
        await socket.hears()
        await browser.post("/logout")
        await socket.code()
        await socket.end()

    assert caplog.text == ""


async def test_a_socket_that_has_not_been_accepted_yet_is_refused_when_its_login_ends(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    entered = asyncio.Event()

    @app.websocket("/slow")
    @login_required
    async def slow() -> None:
        entered.set()
        await asyncio.Event().wait()

    async with open_socket(app, browser, path="/slow") as socket:
        async with asyncio.timeout(LONG_ENOUGH):
            await entered.wait()
        await browser.post("/logout")
        first = await socket.next()

    assert first["type"] == "websocket.close"


async def test_race_a_websocket_whose_login_ends_while_it_is_looked_up_closes(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.websocket_recheck = AT_ONCE
    found, go_on = asyncio.Event(), asyncio.Event()
    people = dict(BY_ID)

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        user = people.get(user_id)
        found.set()
        await go_on.wait()
        return user

    async with open_socket(app, browser) as socket:
        async with asyncio.timeout(LONG_ENOUGH):
            await found.wait()
        people.clear()
        go_on.set()
        await socket.hears()
        code = await socket.code()

    assert code == 1008


async def test_a_handler_that_ends_by_itself_is_forgotten(
    app: Quart, open_socket: Open, browser: QuartClient, caplog: pytest.LogCaptureFixture
) -> None:

    async with open_socket(app, browser) as socket:
        await socket.hears()
    response = await browser.post("/logout")

    assert response.status_code == 200
    assert caplog.text == ""


async def test_a_client_that_leaves_ends_the_handler_as_without_a_guard(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    told: list[str] = []

    @app.websocket("/room")
    @login_required
    async def room() -> None:
        try:
            await websocket.send("in")
            await websocket.receive()
        finally:
            told.append("left")

    async with open_socket(app, browser, path="/room") as socket:
        await socket.hears()

    assert told == ["left"]


async def test_a_client_that_does_not_read_cannot_hold_up_a_logout(
    app: Quart, open_socket: Open, browser: QuartClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_socket(app, browser) as stuck, open_socket(app, browser) as other:
        await stuck.hears()
        await other.hears()

        async def full(message: Any) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(stuck, "_from_app", type("Full", (), {"put": staticmethod(full)}))
        async with asyncio.timeout(LONG_ENOUGH):
            response = await browser.post("/logout")
            code = await other.code()

    assert (response.status_code, code) == (200, 1008)


async def test_confirming_a_login_keeps_its_sockets(app: Quart, open_socket: Open, browser: QuartClient) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        await browser.post("/confirm")
        is_open = await socket.is_open()
        await browser.post("/logout")
        code = await socket.code()

    assert (is_open, code) == (True, 1008)


@pytest.mark.parametrize("path", ["/live", "/room"])
async def test_require_login_closes_the_sockets_that_it_guards(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User], path: str
) -> None:
    login_manager.require_login = True
    grace = await signed_in(app, "2")

    @app.websocket("/room")
    async def room() -> None:
        await websocket.send(current_user.name)
        while True:
            await websocket.receive()
            await websocket.send("pong")

    async with open_socket(app, browser, path=path) as of_ada, open_socket(app, grace, path=path) as of_grace:
        await of_ada.hears()
        await of_grace.hears()
        await browser.post("/logout")
        code = await of_ada.code()
        is_open = await of_grace.is_open()

    assert (code, is_open) == (1008, True)


@BOTH_GUARDS
async def test_both_guards_notice_a_user_who_is_gone(
    app: Quart, open_socket: Open, browser: QuartClient, asked: Asked, guarded: Guard
) -> None:
    async def room() -> None:
        await websocket.send(current_user.name)
        await websocket.receive()

    app.add_websocket("/room", view_func=guarded(room))
    async with open_socket(app, browser, path="/room") as socket:
        await socket.hears()
        asked.people.clear()
        code = await socket.code()

    assert code == 1008


async def test_an_exempt_websocket_stays_open(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.require_login = True

    @app.websocket("/room")
    @login_exempt
    async def room() -> None:
        await websocket.send((await current_user).name)
        while True:
            await websocket.receive()
            await websocket.send("pong")

    async with open_socket(app, browser, path="/room") as socket:
        await socket.hears()
        await browser.post("/logout")
        is_open = await socket.is_open()

    assert is_open


# --- a login that another process has ended -------------------------------------------------------------------


@pytest.mark.parametrize("cookies", ["session", "remember_token"])
async def test_a_user_who_is_gone_is_noticed(
    app: Quart, open_socket: Open, browser: QuartClient, asked: Asked, cookies: str
) -> None:
    other = {"session": "remember_token", "remember_token": "session"}[cookies]
    browser.delete_cookie("localhost", other)

    async with open_socket(app, browser) as socket:
        await socket.hears()
        del asked.people["1"]
        code = await socket.code()

    assert code == 1008


async def test_a_login_that_is_ended_elsewhere_is_noticed(
    app: Quart,
    open_socket: Open,
    loader_of_open_logins: set[str],
    browser: QuartClient,
    login_manager: LoginManager[User],
) -> None:
    login_manager.websocket_recheck = AT_ONCE

    async with open_socket(app, browser) as socket:
        await socket.hears()
        loader_of_open_logins.clear()
        code = await socket.code()

    assert code == 1008


async def test_a_user_who_became_inactive_is_noticed(
    app: Quart, open_socket: Open, browser: QuartClient, asked: Asked
) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        asked.people["1"] = User("1", "Ada", active=False)
        code = await socket.code()

    assert code == 1008


async def test_a_socket_stays_open_as_long_as_the_user_is_found(
    app: Quart, open_socket: Open, browser: QuartClient, asked: Asked
) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        await asked.again()
        is_open = await socket.is_open()

    assert is_open


async def test_a_loader_that_raises_closes_nothing(
    app: Quart,
    open_socket: Open,
    browser: QuartClient,
    asked: Asked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        asked.error = ConnectionError("database down")
        await asked.again()
        is_open = await socket.is_open()
        asked.error = None
        asked.people.clear()
        code = await socket.code()

    assert (is_open, code) == (True, 1008)
    warned = [record for record in caplog.records if record.name == "quartlogin.websockets.registry"]
    assert {record.levelname for record in warned} == {"WARNING"}


async def test_rechecks_can_be_switched_off(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User], loads: list[str]
) -> None:
    login_manager.websocket_recheck = None
    loads.clear()

    async with open_socket(app, browser) as socket:
        await socket.hears()
        is_open = [await socket.is_open(), await socket.is_open(), await socket.is_open()]

    assert is_open == [True, True, True]
    assert loads == ["1"]


async def test_rechecks_end_with_the_handler(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    login_manager.websocket_recheck = AT_ONCE
    before = asyncio.all_tasks()

    async with open_socket(app, browser) as socket:
        await socket.hears()
    await asyncio.sleep(0)

    assert asyncio.all_tasks() - before == set()


async def test_a_confirmed_login_is_looked_up_under_its_new_id(
    app: Quart,
    open_socket: Open,
    loader_of_open_logins: set[str],
    browser: QuartClient,
    login_manager: LoginManager[User],
) -> None:
    login_manager.websocket_recheck = AT_ONCE
    confirmed, looked_up = asyncio.Event(), asyncio.Queue[str | None]()

    async with open_socket(app, browser) as socket:
        await socket.hears()

        @login_manager.user_loader
        async def load(user_id: str) -> User | None:
            if has_websocket_context():
                await confirmed.wait()
                looked_up.put_nowait(login_id())
            return BY_ID[user_id]

        new_id = await (await browser.post("/confirm")).get_data(as_text=True)
        confirmed.set()
        async with asyncio.timeout(LONG_ENOUGH):
            asked_for = await looked_up.get()

    assert asked_for == new_id


async def test_race_a_websocket_looked_up_while_its_login_gets_a_new_id_stays_open(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    """The record has the new id before the websocket has it, so a lookup in between finds nobody."""
    login_manager.websocket_recheck = AT_ONCE
    found_nobody, confirmed, found_again = asyncio.Event(), asyncio.Event(), asyncio.Event()
    replaced: set[str | None] = set()

    class Records(NoRecords):
        async def login_renewed(self, old_id: str, login: Login) -> None:
            replaced.add(old_id)
            await found_nobody.wait()

    login_manager.records = Records()

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        if has_websocket_context() and found_nobody.is_set():
            await confirmed.wait()
            found_again.set()
        if has_websocket_context() and login_id() in replaced:
            found_nobody.set()
            return None
        return BY_ID[user_id]

    async with open_socket(app, browser) as socket:
        await socket.hears()
        assert (await browser.post("/confirm")).status_code == 200
        confirmed.set()
        closed, lookup = asyncio.ensure_future(socket.next()), asyncio.ensure_future(found_again.wait())
        await asyncio.wait({closed, lookup}, return_when=asyncio.FIRST_COMPLETED)
        assert not closed.done()
        closed.cancel()

        assert await socket.is_open()


async def test_looking_a_user_up_again_does_not_restore_the_login_again(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User], asked: Asked
) -> None:
    restored: list[str | None] = []
    announced: list[User] = []

    class Records(NoRecords):
        async def login_restored(self, login: Login, new_secret: str | None) -> bool:
            restored.append(login.secret)
            return False

    async def hear(sender: Any, user: User) -> None:
        announced.append(user)

    login_manager.records = Records()

    with user_loaded_from_cookie.connected_to(hear, app):
        async with open_socket(app, without_session(browser)) as socket:
            await socket.hears()
            await asked.again()

    assert len(restored) == 1
    assert announced == [ADA]


async def test_a_rotated_remember_cookie_does_not_close_the_socket_that_came_with_the_one_before(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User], asked: Asked
) -> None:
    present: dict[str, str | None] = {}

    class Records(NoRecords):
        async def login_restored(self, login: Login, new_secret: str | None) -> bool:
            if present.setdefault(login.id, login.secret) != login.secret:
                raise LoginRefused("Somebody has copied this cookie.")
            present[login.id] = new_secret or login.secret
            return new_secret is not None

    login_manager.records = Records()
    cookies = cookies_of(without_session(browser))

    async with open_socket(app, **cookies) as socket:
        await socket.hears()
        page = await app.test_client().get("/who", headers=cookies)
        await asked.again()
        is_open = await socket.is_open()

    assert "remember_token" in page.headers["Set-Cookie"]
    assert is_open


async def test_an_expired_bearer_token_closes_its_socket(
    app: Quart, open_socket: Open, login_manager: LoginManager[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    login_manager.websocket_recheck = AT_ONCE
    async with app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    async with open_socket(app, Authorization=f"Bearer {token}") as socket:
        await socket.hears()
        monkeypatch.setattr("quartlogin.tokens.time.time", lambda: 10_000_000_000.0)
        code = await socket.code()

    assert code == 1008


# --- bearer tokens --------------------------------------------------------------------------------------------


async def test_a_bearer_token_opens_a_websocket(app: Quart, open_socket: Open) -> None:
    async with app.app_context():
        token = await create_bearer_token(ADA, duration=timedelta(hours=1))

    async with open_socket(app, Authorization=f"Bearer {token}") as socket:
        heard = await socket.hears()

    assert heard == "Ada"


async def test_a_bad_bearer_token_is_refused_also_beside_good_cookies(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    async with open_socket(app, browser, Authorization="Bearer nonsense") as socket:
        status = await socket.status()

    assert status == 401


async def test_race_a_websocket_whose_login_ends_while_it_is_opened_closes(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    """Its user was looked up before the logout, and the answer came after it."""
    login_manager.websocket_recheck = None
    looked_up, may_answer = asyncio.Event(), asyncio.Event()

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        if has_websocket_context():
            looked_up.set()
            await may_answer.wait()
        return BY_ID[user_id]

    async with open_socket(app, browser) as socket:
        async with asyncio.timeout(LONG_ENOUGH):
            await looked_up.wait()
        await browser.post("/logout")
        may_answer.set()

        messages = [await socket.next()]
        while messages[-1]["type"] != "websocket.close":
            messages.append(await socket.next())

    assert messages[-1]["code"] == 1008


# --- a guard in front of the handler ----------------------------------------------------------------------------


async def answer_pings() -> None:
    await websocket.send(getattr(await current_user, "name", "nobody"))
    while True:
        await websocket.receive()
        await websocket.send("pong")


async def let_pass() -> None:
    return None


def let_pass_in_a_thread() -> None:
    return None


GUARDS = pytest.mark.parametrize("guard", [login_required, fresh_login_required], ids=["login", "fresh"])


@pytest.fixture(params=["app", "blueprint", "nested blueprint"])
def guard_in_front(app: Quart, request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Puts a `before_websocket` function in front of the handler at `/in-front`."""
    shop, admin = Blueprint("shop", "shop"), Blueprint("admin", "admin")
    (app if request.param == "app" else admin).websocket("/in-front")(answer_pings)

    def guard_in_front(function: Any) -> None:
        shop.register_blueprint(admin)
        where = {"app": app, "blueprint": admin, "nested blueprint": shop}[request.param]
        where.before_websocket(function)
        app.register_blueprint(shop)

    return guard_in_front


@GUARDS
@pytest.mark.parametrize("function", [let_pass, let_pass_in_a_thread], ids=["async def", "def"])
async def test_a_guard_in_front_of_the_handler_holds_the_socket_as_long_as_the_login_lasts(
    app: Quart, open_socket: Open, browser: QuartClient, guard_in_front: Any, guard: Any, function: Any
) -> None:
    guard_in_front(guard(function))

    async with open_socket(app, path="/in-front") as anonymous:
        assert await anonymous.status() == 401
    async with open_socket(app, browser, path="/in-front") as socket:
        assert await code_at_logout(socket, browser) == 1008


async def test_a_guard_in_front_looks_the_user_up_again_as_the_handlers_does(
    app: Quart, open_socket: Open, browser: QuartClient, guard_in_front: Any, asked: Asked
) -> None:
    guard_in_front(login_required(let_pass))

    async with open_socket(app, browser, path="/in-front") as socket:
        await socket.hears()
        await asked.again()
        asked.people.clear()

        assert await socket.code() == 1008


async def test_a_guard_in_front_and_one_on_the_handler_close_the_socket_once(
    app: Quart, open_socket: Open, browser: QuartClient, caplog: pytest.LogCaptureFixture
) -> None:
    app.before_websocket(login_required(let_pass))

    async with open_socket(app, browser) as socket:
        assert await code_at_logout(socket, browser) == 1008
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_guard_in_front_is_forgotten_when_the_client_leaves(
    app: Quart, open_socket: Open, browser: QuartClient, guard_in_front: Any, login_manager: LoginManager[User]
) -> None:
    guard_in_front(login_required(let_pass))

    async with open_socket(app, browser, path="/in-front") as socket:
        await socket.hears()
        socket.leave()
        await socket.end()
        held: list[str] = []
        login_manager.sockets.close_where(lambda login: bool(held.append(login)))

    assert held == []


async def test_a_guarded_step_of_an_open_handler_holds_the_socket_from_then_on(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    step = login_required(let_pass)

    @app.websocket("/steps")
    async def steps() -> None:
        await step()
        await answer_pings()

    async with open_socket(app, browser, path="/steps") as socket:
        assert await code_at_logout(socket, browser) == 1008


async def test_a_guarded_step_for_each_message_leaves_nothing_behind(
    app: Quart, open_socket: Open, browser: QuartClient
) -> None:
    step, tasks, callbacks = login_required(let_pass), [], []

    @app.websocket("/steps")
    async def steps() -> None:
        for _ in range(50):
            await step()
            await asyncio.sleep(0)
            tasks.append(len(asyncio.all_tasks()))
            callbacks.append(len(getattr(asyncio.current_task(), "_callbacks", [])))
        await answer_pings()

    async with open_socket(app, browser, path="/steps") as socket:
        assert await socket.hears() == "Ada"

    assert tasks[10:] == [tasks[10]] * 40
    assert callbacks[10:] == [callbacks[10]] * 40


# --- a recheck in a context of its own ------------------------------------------------------------------------


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """A table of users in a database, with Ada in it."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/people.sqlite3")
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.create_all)
        await connection.execute(insert(Row).values(id="1", name="Ada"))
    yield engine
    await engine.dispose()


class Model(DeclarativeBase):
    pass


class Row(UserMixin, Model):
    """A user in a table."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]


@pytest.fixture
def opened_sessions(app: Quart, table: AsyncEngine, login_manager: LoginManager[Any]) -> list[str]:
    """A loader that asks the database session in `g`, as apps with SQLAlchemy have it, and what became of those."""
    login_manager.websocket_recheck = AT_ONCE
    log: list[str] = []

    def database() -> AsyncSession:
        if "database" not in g:
            g.database = AsyncSession(table)
            log.append("opened")
        opened: AsyncSession = g.database
        return opened

    @app.teardown_appcontext
    async def close(error: BaseException | None) -> None:
        opened = g.pop("database", None)
        if opened is not None:
            await opened.close()
            log.append("closed")

    @login_manager.user_loader
    async def load(user_id: str) -> Row | None:
        assert (websocket.path, session["_user_id"]) == ("/live", user_id)  # these are there, too
        return await database().get(Row, user_id)

    return log


async def test_a_recheck_is_not_answered_from_an_identity_map(
    app: Quart, open_socket: Open, browser: QuartClient, table: AsyncEngine, opened_sessions: list[str]
) -> None:
    """SQLAlchemy's `session.get` gives what its session has loaded before; the user is deleted by somebody else."""
    ended: list[str] = []

    @app.teardown_websocket
    async def note(error: BaseException | None) -> None:
        ended.append("ended")

    async with open_socket(app, browser) as socket:
        await socket.hears()
        async with asyncio.timeout(LONG_ENOUGH):
            while opened_sessions.count("closed") < 2:
                await asyncio.sleep(0)
        ended_while_open = list(ended)
        async with table.begin() as connection:
            await connection.execute(delete(Row))
        code = await socket.code()

    assert code == 1008
    assert ended_while_open == []


async def test_every_session_that_a_recheck_opens_is_closed(
    app: Quart, open_socket: Open, browser: QuartClient, table: AsyncEngine, opened_sessions: list[str]
) -> None:
    async with open_socket(app, browser) as socket:
        await socket.hears()
        async with asyncio.timeout(LONG_ENOUGH):
            while opened_sessions.count("closed") < 3:
                await asyncio.sleep(0)

    assert opened_sessions.count("opened") - opened_sessions.count("closed") <= 1


async def test_a_recheck_whose_loader_uses_what_before_websocket_has_set_up_works(
    app: Quart, open_socket: Open, browser: QuartClient, login_manager: LoginManager[User]
) -> None:
    """As quart-db does, which gives each websocket a connection in `g`."""
    login_manager.websocket_recheck = AT_ONCE
    people = dict(BY_ID)

    @app.before_websocket
    async def connect() -> None:
        g.people = people

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        user: User | None = g.people.get(user_id)
        return user

    async with open_socket(app, browser) as socket:
        await socket.hears()
        people.clear()
        code = await socket.code()

    assert code == 1008
