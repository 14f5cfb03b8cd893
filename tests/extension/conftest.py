"""The app that most tests add a view to, and the visitors who come to it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from browsers import KEY, Clock
from quart import Quart, session
from quart.typing import TestClientProtocol
from users import BY_ID, Receive, SignIn, User, Visit

from quartlogin import LoginManager


@pytest.fixture
def make_app() -> Callable[..., Quart]:
    def make_app(name: str = "site", secret_key: str = KEY) -> Quart:
        app = Quart(name, template_folder=None, static_folder=None)
        app.secret_key = secret_key
        return app

    return make_app


@pytest.fixture
def bare_app(make_app: Callable[..., Quart]) -> Quart:
    """An app without a LoginManager."""
    return make_app()


@pytest.fixture
def login_manager() -> LoginManager[User]:
    return LoginManager()


@pytest.fixture
def loads(login_manager: LoginManager[User]) -> list[str]:
    """The ids that the user_loader was called with."""
    loads: list[str] = []

    @login_manager.user_loader
    async def load(user_id: str) -> User | None:
        loads.append(user_id)
        return BY_ID.get(user_id)

    return loads


@pytest.fixture
def app(bare_app: Quart, login_manager: LoginManager[User], loads: list[str]) -> Quart:
    login_manager.init_app(bare_app)
    return bare_app


@pytest.fixture
def sign_in() -> SignIn:
    """A browser whose session names this user."""

    async def sign_in(app: Quart, user_id: object = "1", **more: object) -> TestClientProtocol:
        client = app.test_client()
        async with client.session_transaction() as session:
            session.update(_user_id=user_id, **more)
        return client

    return sign_in


@pytest.fixture
def receive() -> Receive:
    """The first thing that a websocket at `/live` says to whoever comes with these cookies."""

    async def receive(app: Quart, cookie: str, scheme: str = "ws") -> Any:
        websocket = app.test_client().websocket("/live", scheme=scheme, headers={"Cookie": cookie})
        async with asyncio.timeout(60), websocket as connection:
            return await connection.receive()

    return receive


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time, which stands still until the test moves it."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def visit(app: Quart) -> Visit:
    """A request of this user, around the test's own lines."""

    @asynccontextmanager
    async def visit(user_id: str | None = None) -> AsyncIterator[None]:
        async with app.test_request_context("/"):
            if user_id is not None:
                session["_user_id"] = user_id
            yield

    return visit
