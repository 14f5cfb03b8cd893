"""The current request or websocket, its app, and the app's `LoginManager`."""

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any, Final, Protocol

import quart.globals
from quart import (
    Quart,
    current_app,
    has_app_context,
    has_request_context,
    has_websocket_context,
    request,
    session,
    websocket,
)
from quart.sessions import SessionMixin
from quart.typing import ResponseReturnValue

from .errors import ConfigurationError
from .records import LoginRecords

#: Where an app keeps its `LoginManager`.
EXTENSION_NAME: Final = "quartlogin"
#: Where a request or websocket object keeps its `UserState`.
STATE: Final = "_quartlogin_state"

_app: Any = current_app
_request: Any = request
_session: Any = session
_websocket: Any = websocket
#: The request's context, which only Quart 0.22 has. Its attributes cost half as much as the proxies of the same.
_request_context: Any = getattr(quart.globals, "request_ctx", None)


class Manager(Protocol):
    """What the modules below `manager.py` use of an app's `LoginManager`, which is described there."""

    eager: bool
    require_login: bool
    import_flask_login: bool
    anonymous_user: Callable[[], Any]
    login_view: str | None
    blueprint_login_views: dict[str | None, str | None]
    session_protection: str | None
    id_attribute: str
    audience: str | None
    records: LoginRecords
    websocket_origins: Collection[str]
    websocket_recheck: timedelta | None
    sockets: Any  # a `WebSocketRegistry`, whose module imports this one

    def check_loaders(self) -> None:
        """Check that there is a loader."""

    async def load_user(self, user_id: str) -> Any:
        """Find a user by id."""

    async def load_user_from_request(self, connection: Any) -> Any:
        """Find a user with the app's `request_loader`."""

    async def unauthorized(self) -> ResponseReturnValue:
        """Return the response to a visitor who must sign in first."""
        ...

    async def needs_refresh(self, *, max_age: timedelta | None = None) -> ResponseReturnValue:
        """Return the response to a user whose login is not fresh."""
        ...


def current_connection() -> Any:
    """Return the request or websocket object itself, not a proxy; `None` outside of both.

    It is the same object in every task and in every copied context of one request.
    """
    try:
        if _request_context is not None:
            return _request_context._get_current_object().request_websocket
        return _request._get_current_object()
    except RuntimeError:  # there is none; checking first would take as long again for every request
        return _websocket._get_current_object() if has_websocket_context() else None


def current_session() -> SessionMixin:
    """Return the session itself, not its proxy.

    Raises:
        RuntimeError: This is outside of requests and websockets.
    """
    found: SessionMixin
    if _request_context is None:
        found = _session._get_current_object()
        return found
    try:
        found = _request_context._get_current_object().session
    except RuntimeError:  # in a websocket
        found = _session._get_current_object()
    return found


def running_app() -> Quart:
    """Return the app itself, not its proxy, which would look it up for each attribute."""
    app: Quart = _app._get_current_object()
    return app


def app_of_kept_request() -> Quart | None:
    """Return the app of a request that outlived its app context, as in a test that looks back on Quart 0.22."""
    if has_app_context():
        return None
    app: Quart = quart.globals.request_ctx.app
    return app


def can_set_cookies() -> bool:
    """Tell whether a response will carry cookies: a request's until it is finished, a websocket's never."""
    if not has_request_context():
        return False
    state = vars(_request._get_current_object()).get(STATE)
    return state is None or not state.is_answered


async def in_own_app_context(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Call a function with a new, empty `g`, within the current request or websocket; for a separate task.

    `g` is then torn down as an app context's is. The functions that tear down a websocket are not called.
    """
    app: Any = running_app()
    if hasattr(quart.globals, "request_ctx"):  # Quart 0.22 has contexts for requests and websockets beside the app's
        async with app.app_context():
            return await ask()
    context = quart.globals.app_ctx.copy()  # and 0.23 has one for both
    await context.push()
    try:
        return await ask()
    finally:
        await app.do_teardown_appcontext(context)  # not `pop()`, which would end the websocket


def install(app: Quart, manager: Manager) -> None:
    """Make this the app's `LoginManager`.

    Raises:
        ConfigurationError: The app has one already.
    """
    if EXTENSION_NAME in app.extensions:
        raise ConfigurationError(
            f"The app {app.name!r} has a LoginManager already: call init_app once, with one manager."
        )
    app.extensions[EXTENSION_NAME] = manager
    app.login_manager = manager  # type: ignore[attr-defined]  # Flask-Login's name for it


def current_manager() -> Manager:
    """Return the `LoginManager` of the app that serves this request.

    Raises:
        ConfigurationError: The app has none.
    """
    return manager_of(running_app())


def manager_of(app: Quart) -> Manager:
    """Return the `LoginManager` of this app.

    Raises:
        ConfigurationError: The app has none.
    """
    try:
        manager: Manager = app.extensions[EXTENSION_NAME]
    except KeyError:
        raise ConfigurationError(
            f"The app {app.name!r} has no LoginManager: write LoginManager(app), "
            "or login_manager.init_app(app) in the function that makes the app."
        ) from None
    return manager
