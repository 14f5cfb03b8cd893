"""Listening to the steps of requests changes no answer, whatever the app's users, sessions and responses are."""

from collections.abc import Callable
from typing import Any

import pytest
from browsers import KEY
from itsdangerous import URLSafeSerializer
from quart import Quart, Response
from quart.sessions import SecureCookieSessionInterface

from quartlogin import LoginManager, SignedSessionInterface, UserMixin, current_user, login_user, tracing


class Detached(UserMixin):
    """A row whose columns cannot be read any more."""

    def __getattr__(self, name: str) -> Any:
        raise LookupError(name)

    def get_id(self) -> str:
        return "1"


class Inactive(UserMixin):
    """A user who has no id yet."""

    id = None
    is_active = False  # type: ignore[assignment]


class Odd(UserMixin):
    """A user whose `is_anonymous` is neither true nor false."""

    id = "1"

    @property
    def is_anonymous(self) -> Any:  # type: ignore[override]
        return Clause()


class Clause:
    """What an expression of a query builder is: neither true nor false."""

    def __bool__(self) -> bool:
        raise TypeError


class Undated(SecureCookieSessionInterface):
    """Signs the session without a time, and lets a response choose the cookie's name."""

    def get_signing_serializer(self, app: Quart) -> Any:
        return URLSafeSerializer(KEY)


async def answers_of(app: Quart) -> list[tuple[int, str]]:
    """Request each page that could trip whoever tells its steps."""
    browser = app.test_client()
    paths = ("/login", "/inactive", "/user", "/away", "/detached", "/user", "/early", "/missing")
    responses = [
        await browser.get(path, headers={"Cookie": "nameless; =; a=1"} if path == "/away" else {}) for path in paths
    ]
    return [(response.status_code, await response.get_data(as_text=True)) for response in responses]


def odd_app(make_app: Callable[..., Quart], interface: Any) -> Quart:
    app = make_app()
    app.session_interface = interface
    manager = LoginManager(app)

    @manager.user_loader
    async def load(user_id: str) -> Any:
        return Odd()

    @app.get("/login")
    async def login() -> str:
        return str(await login_user(Odd()))

    @app.get("/inactive")
    async def inactive() -> str:
        return str(await login_user(Inactive()))

    @app.get("/detached")
    async def detached() -> str:
        return str(await login_user(Detached()))

    @app.get("/user")
    async def user() -> str:
        return str((await current_user).get_id())

    @app.get("/early")
    async def early() -> str:
        return str(current_user.name)

    @app.get("/away")
    async def away() -> Response:
        return Response("", 302, {"Location": "//[x"})

    return app


@pytest.mark.parametrize("interface", [SignedSessionInterface, Undated, SecureCookieSessionInterface])
async def test_listening_changes_no_answer(
    make_app: Callable[..., Quart], interface: Any, caplog: pytest.LogCaptureFixture
) -> None:
    silent = await answers_of(odd_app(make_app, interface()))
    caplog.clear()
    with tracing.listening(lambda step: None):
        heard = await answers_of(odd_app(make_app, interface()))

    assert heard == silent
    assert [status for status, _ in silent] == [200, 200, 200, 302, 200, 200, 500, 404]
    assert [record.message for record in caplog.records if record.name == "quartlogin.tracing"] == []
