"""A test client that comes signed in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from quart import Quart
from quart.testing import QuartClient

from . import session
from .extension import manager_of
from .records import Login
from .user import id_of


class QuartLoginClient(QuartClient):
    """Quart's test client with a user who is signed in from the first request on.

    Set it as `app.test_client_class`; then `app.test_client(user=user)`. The login is a real one: it has a login id,
    and the app's `LoginRecords` are told. Only the browser's fingerprint is not written, as in Flask-Login, so with
    session protection on the login is not fresh for long.

    Args:
        app: The app.
        user: Who is signed in; nobody if `None`.
        fresh_login: Whether the password counts as typed just now.
    """

    def __init__(self, app: Quart, use_cookies: bool = True, *, user: Any = None, fresh_login: bool = True) -> None:
        super().__init__(app, use_cookies)
        self._user = user
        self._fresh_login = fresh_login

    async def _make_request(self, *args: Any, **kwargs: Any) -> Any:
        await self._sign_in()
        return await super()._make_request(*args, **kwargs)

    @asynccontextmanager
    async def websocket(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # signs in first
        """Open a websocket, signed in; takes what Quart's own test client takes."""
        await self._sign_in()
        async with super().websocket(*args, **kwargs) as connection:
            yield connection

    @asynccontextmanager
    async def request(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # signs in first
        """Open a connection for a streamed request, signed in; takes what Quart's own test client takes."""
        await self._sign_in()
        async with super().request(*args, **kwargs) as connection:
            yield connection

    async def _sign_in(self) -> None:
        user, self._user = self._user, None
        if user is None:
            return
        manager = manager_of(self.app)
        login = Login(session.new_id(), id_of(user, manager.id_attribute), user=user)
        async with self.app.app_context():
            await manager.records.login_began(login)
        async with self.session_transaction() as contents:
            contents.update(session.contents_of(login.user_id, login.id, fresh=self._fresh_login))
