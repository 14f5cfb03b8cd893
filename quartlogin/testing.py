"""A test client that is signed in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from typing import Any, Final, cast
from urllib.request import Request

from quart import Quart, request
from quart.testing import QuartClient
from quart.typing import ResponseTypes
from werkzeug.datastructures import Headers

from .context import current_connection, manager_of
from .errors import ConfigurationError
from .fingerprint import fingerprint
from .records import Login
from .sessions import login_session
from .user import id_of

#: The options of a request that determine its cookies and its browser.
_OF_BROWSER: Final = {"query_string", "root_path", "http_version", "scope_base", "auth", "subdomain"}


class QuartLoginClient(QuartClient):
    """Quart's test client with a user who is signed in from the first request on.

    Set it as `app.test_client_class`; then use `app.test_client(user=user)`. The login is a real one: it has a login
    id, the app's `LoginRecords` are called, and it begins in the browser that sends the first request, with the same
    host, scheme and headers.

    Args:
        app: The app.
        user: The user; `None` for an anonymous visitor.
        fresh_login: Whether the password counts as entered just now.
    """

    def __init__(self, app: Quart, use_cookies: bool = True, *, user: Any = None, fresh_login: bool = True) -> None:
        super().__init__(app, use_cookies)
        self._user = user
        self._fresh_login = fresh_login

    async def open(self, path: str, **options: Any) -> Any:
        """Send a request, signed in; takes the arguments of Quart's own test client."""
        await self._sign_in(path, options)
        return await super().open(path, **options)

    @asynccontextmanager
    async def websocket(self, path: str, **options: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # signs in first
        """Open a websocket, signed in; takes the arguments of Quart's own test client."""
        await self._sign_in(path, options)
        async with super().websocket(path, **options) as connection:
            yield connection

    @asynccontextmanager
    async def request(self, path: str, **options: Any) -> AsyncIterator[Any]:  # type: ignore[override]  # signs in first
        """Open a connection for a streamed request, signed in; takes the arguments of Quart's own test client."""
        await self._sign_in(path, options)
        async with super().request(path, **options) as connection:
            yield connection

    async def begin_login(self, login: Login) -> None:
        """Call the app's records, in a request like the first one; a subclass can add what its records need to know."""
        await manager_of(self.app).records.login_began(login)

    async def _sign_in(self, path: str, options: Mapping[str, Any]) -> None:
        """Begin the login in a request like the one to be sent, so that its cookie is valid there."""
        user, self._user = self._user, None
        if user is None:
            return
        if self.cookie_jar is None:
            raise ConfigurationError("A test client without cookies cannot be signed in: leave use_cookies=False out.")
        manager = manager_of(self.app)
        async with self.app.test_request_context(path, **self._alike(options)):
            user_id = id_of(user, manager.id_attribute)
            login = Login(login_session.new_id(), user_id, is_fresh=self._fresh_login, user=user)
            await self.begin_login(login)
            contents = login_session.contents_of(login.user_id, login.id, fresh=login.is_fresh)
            response = await _response_with(self.app, {**contents, login_session.FINGERPRINT: fingerprint()})
            self._take_cookies(response, request.url)

    def _alike(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options for a request of the same browser, to the same host, with its cookies."""
        headers = Headers(options.get("headers") or {})
        for cookie in self.cookie_jar or ():
            headers.add("cookie", f"{cookie.name}={cookie.value}")
        client = (options.get("scope_base") or {}).get("client") or ("<local>", None)
        headers["Remote-Addr"] = client[0]  # where Quart keeps the address; a test request has none
        scheme = options.get("scheme", "http")
        alike = {name: options[name] for name in _OF_BROWSER & options.keys()}
        return {**alike, "headers": headers, "scheme": {"ws": "http", "wss": "https"}.get(scheme, scheme)}

    def _take_cookies(self, response: ResponseTypes, url: str) -> None:
        """Store the session cookie as a browser does that receives this response from a URL."""
        message = Message()
        for cookie in response.headers.getlist("Set-Cookie"):
            message.add_header("Set-Cookie", cookie)
        answer: Any = type("Answer", (), {"info": lambda _: message})()
        jar: Any = self.cookie_jar
        known = list(jar)
        jar.extract_cookies(answer, Request(url))  # noqa: S310 -- nothing is opened
        if message and list(jar) == known:
            domain = self.app.config["SESSION_COOKIE_DOMAIN"]
            raise ConfigurationError(
                f"The session's cookie is not for {url}, so no user is signed in there. Its domain is {domain!r}: send "
                "the first request there, with headers={'Host': ...}."
            )


async def _response_with(app: Quart, contents: Mapping[str, Any]) -> ResponseTypes:
    """Make a response that carries this session's cookie, in addition to its former contents."""
    interface, make = app.session_interface, cast(Any, app.response_class)  # typed as Flask's, but it is Quart's
    response: ResponseTypes = make(b"")
    opened = await interface.open_session(app, current_connection())
    if opened is None:
        raise ConfigurationError("A test client needs a SECRET_KEY to be signed in.")
    opened.update(contents)
    await interface.save_session(app, opened, response)
    return response
