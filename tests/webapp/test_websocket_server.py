"""Websockets under a real Hypercorn: cross-site websocket hijacking, and closing when their login ends."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import httpx
import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)

from servers import PATIENCE, SCRIPTS, Server, free_port, running

CHAT = """
from datetime import timedelta

from quart import Quart, websocket

from quartlogin import LoginManager, UserMixin, confirm_login, current_user, login_required, login_user, logout_user

app = Quart(__name__)
app.secret_key = "a key for tests, and for nothing else"
login_manager = LoginManager(app)
login_manager.websocket_recheck = timedelta(milliseconds=20)


class User(UserMixin):
    def __init__(self, id):
        self.id = id


gone = set()


@login_manager.user_loader
async def load(user_id):
    return None if user_id in gone else User(user_id)


@app.post("/login/<user_id>")
async def login(user_id):
    await login_user(User(user_id), remember=True)
    return ""


@app.post("/logout")
async def logout():
    await logout_user()
    return ""


@app.post("/confirm")
async def confirm():
    await confirm_login()
    return ""


@app.post("/dismiss/<user_id>")
async def dismiss(user_id):
    gone.add(user_id)
    return ""


@app.websocket("/chat")
@login_required
async def chat():
    await websocket.send(f"hello {current_user.id}")
    while True:
        await websocket.receive()
        await websocket.send(f"still {current_user.id}")


@app.websocket("/flood")
@login_required
async def flood():
    while True:
        await websocket.send("x" * 1_000_000)
"""


class Socket:
    """A browser's end of a websocket: a handshake, and then one event after the other."""

    def __init__(self, port: int, path: str = "/chat", **headers: str) -> None:
        self._wire = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._send(Request(host=f"localhost:{port}", target=path, extra_headers=extra))

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._wire.close()

    def _send(self, event: Event) -> None:
        self._wire.sendall(self._protocol.send(event))

    def next(self) -> Event:
        """What the server says next; a `TimeoutError` if it says nothing."""
        while not self._events:
            received = self._wire.recv(65536)
            self._protocol.receive_data(received or None)
            self._events += self._protocol.events()
        return self._events.pop(0)

    def say(self, text: str) -> None:
        self._send(TextMessage(data=text))

    def hears(self) -> str:
        event = self.next()
        assert isinstance(event, TextMessage), event
        return event.data

    def is_over(self) -> bool:
        """Whether the server ends the connection."""
        return self._wire.recv(1) == b""

    def answer_close(self, event: Event) -> None:
        assert isinstance(event, CloseConnection), event
        self._send(event.response())


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "chat.py").write_text(CHAT)
    port = free_port()
    with running([str(SCRIPTS / "hypercorn"), "chat:app", "--bind", f"127.0.0.1:{port}"], port, tmp_path) as server:
        yield server


@contextmanager
def browser(server: Server, user_id: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        client.post(f"/login/{user_id}").raise_for_status()
        yield client


def cookies_of(client: httpx.Client) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}


def accepted(server: Server, client: httpx.Client, path: str = "/chat", **headers: str) -> Socket:
    opened = Socket(server.port, path, **cookies_of(client), **headers)
    answer = opened.next()
    assert isinstance(answer, AcceptConnection), answer
    return opened


@pytest.mark.requirement("4.4.4")
def test_a_logout_closes_the_websocket_with_1008_and_its_reason(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada) as opened:
        greeted = opened.hears()
        left = ada.post("/logout")
        closed = opened.next()

    assert greeted == "hello ada"
    assert left.status_code == 200
    assert isinstance(closed, CloseConnection)
    assert (closed.code, bool(closed.reason)) == (1008, True)
    assert "Traceback" not in chat.log.read_text()


@pytest.mark.slow
def test_a_logout_closes_every_websocket_of_its_login_and_no_other(chat: Server) -> None:
    with (
        browser(chat, "ada") as ada,
        browser(chat, "ada") as adas_phone,
        browser(chat, "grace") as grace,
        accepted(chat, ada) as first,
        accepted(chat, ada) as second,
        accepted(chat, adas_phone) as phone,
        accepted(chat, grace) as other,
    ):
        heard = [opened.hears() for opened in (first, second, phone, other)]
        ada.post("/logout")
        closed = [first.next(), second.next()]
        phone.say("?")
        other.say("?")
        still = [phone.hears(), other.hears()]

    assert heard == ["hello ada", "hello ada", "hello ada", "hello grace"]
    assert [event.code for event in closed if isinstance(event, CloseConnection)] == [1008, 1008]
    assert still == ["still ada", "still grace"]


@pytest.mark.slow
def test_a_user_who_is_gone_is_noticed_without_a_logout(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada) as opened:
        opened.hears()
        httpx.post(f"{chat.url}/dismiss/ada", timeout=PATIENCE)
        closed = opened.next()

    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008


def test_confirming_a_login_keeps_the_websocket(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada) as opened:
        opened.hears()
        ada.post("/confirm")
        opened.say("?")
        still = opened.hears()
        ada.post("/logout")
        closed = opened.next()

    assert still == "still ada"
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1008


@pytest.mark.slow
def test_a_client_that_does_not_read_cannot_hold_up_the_logout(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada, "/flood"):
        left = ada.post("/logout")
        after = ada.get("/nowhere")

    assert (left.status_code, after.status_code) == (200, 404)


@pytest.mark.requirement("4.4.3")
def test_an_anonymous_visitor_is_refused_before_the_websocket_is_accepted(chat: Server) -> None:
    with Socket(chat.port) as opened:
        answer = opened.next()

    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 401
    assert b"location" not in dict(answer.headers)


@pytest.mark.slow
def test_cross_site_websocket_hijacking_is_rejected_despite_the_visitors_cookies(chat: Server) -> None:
    with browser(chat, "ada") as ada, Socket(chat.port, **cookies_of(ada), Origin="https://evil.example") as opened:
        answer = opened.next()

    assert isinstance(answer, RejectConnection)
    assert answer.status_code == 403


def test_a_page_of_this_site_is_let_in(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada, Origin=f"http://localhost:{chat.port}") as opened:
        greeted = opened.hears()

    assert greeted == "hello ada"


@pytest.mark.slow
def test_a_closed_websocket_is_gone_for_good(chat: Server) -> None:
    with browser(chat, "ada") as ada, accepted(chat, ada) as opened:
        opened.hears()
        ada.post("/logout")
        opened.answer_close(opened.next())
        is_over = opened.is_over()

    assert is_over
