"""`LoginManager`: what an app has configured and registered."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from quart import Quart, flash, redirect, request, session
from quart.typing import ResponseReturnValue

from . import caching, extension, loading, signals, templating
from .callbacks import AsyncCallable, as_coroutine_function, as_loader
from .config import ID_ATTRIBUTE, LOGIN_MESSAGE, LOGIN_MESSAGE_CATEGORY
from .errors import ConfigurationError, LoginRequired
from .redirects import login_url
from .user import AnonymousUserMixin, UserT

CallbackT = TypeVar("CallbackT", bound=Callable[..., Any])


class LoginManager(Generic[UserT]):
    """The settings and callbacks of sign-in for one app, or for each app that a factory makes.

    Args:
        app: The app to set up, if it exists already; otherwise call `init_app`.
        add_context_processor: Whether templates see `current_user`. (The name is Flask-Login's; no context
            processor is involved.)
    """

    def __init__(self, app: Quart | None = None, add_context_processor: bool = True) -> None:
        #: A class or function that makes the user object of a visitor who is not signed in.
        self.anonymous_user: Callable[[], Any] = AnonymousUserMixin
        #: The endpoint, or the URL, of the login page. Without one, guards answer 401.
        self.login_view: str | None = None
        #: What is flashed to a visitor who is sent to the login page; `None` for nothing.
        self.login_message: str | None = LOGIN_MESSAGE
        #: The category of that flashed message.
        self.login_message_category = LOGIN_MESSAGE_CATEGORY
        #: The name of the method that gives a user's id.
        self.id_attribute = ID_ATTRIBUTE
        #: The function that `unauthorized_handler` has registered.
        self.unauthorized_callback: Callable[..., Any] | None = None
        self._user_callback: Callable[..., Any] | None = None
        self._load_user: AsyncCallable | None = None
        self._answer_unauthorized: AsyncCallable | None = None
        if app is not None:
            self.init_app(app, add_context_processor)

    def init_app(self, app: Quart, add_context_processor: bool = True) -> None:
        """Set up sign-in on this app.

        Raises:
            ConfigurationError: The app has a `LoginManager` already.
        """
        extension.install(app, self)
        app.before_request_funcs.setdefault(None, []).insert(0, loading.note_loop)
        app.before_websocket_funcs.setdefault(None, []).insert(0, loading.note_loop)
        caching.install(app)
        if add_context_processor:
            templating.install(app)

    def user_loader(self, callback: CallbackT) -> CallbackT:
        """Register the function that finds a user by id.

        Args:
            callback: Called with the id, a `str` that came from a cookie with a valid signature but may name
                nobody; returns the user object or `None`. `async def` or `def`.
        """
        self._user_callback = callback
        self._load_user = as_loader(callback)
        return callback

    @property
    def user_callback(self) -> Callable[..., Any] | None:
        """The function that `user_loader` has registered."""
        return self._user_callback

    async def load_user(self, user_id: str) -> UserT | None:
        """Find a user by id with the function that `user_loader` has registered.

        Raises:
            ConfigurationError: No function is registered.
        """
        if self._load_user is None:
            raise ConfigurationError(
                "No user_loader: write an `async def` that takes a user's id and returns the user or None, and "
                "put @login_manager.user_loader above it."
            )
        return cast("UserT | None", await self._load_user(user_id))

    def unauthorized_handler(self, callback: CallbackT) -> CallbackT:
        """Register the function whose value answers a visitor that a guard turns away.

        Args:
            callback: Called without arguments; returns what a view may return. `async def` or `def`.
        """
        self.unauthorized_callback = callback
        self._answer_unauthorized = as_coroutine_function(callback)
        return callback

    async def unauthorized(self) -> ResponseReturnValue:
        """Answer a visitor who has to sign in first.

        With an `unauthorized_handler`, its value; else a flashed `login_message` and a redirect to `login_view`
        with the page to come back to as `next`.

        Returns:
            What the view has to return.

        Raises:
            LoginRequired: There is neither: an answer of 401.
        """
        await signals.send(signals.user_unauthorized)
        if self._answer_unauthorized is not None:
            return cast(ResponseReturnValue, await self._answer_unauthorized())
        if not self.login_view:
            raise LoginRequired
        if self.login_message:
            await _flash_once(self.login_message, self.login_message_category)
        return redirect(login_url(self.login_view, next_url=request.url))


async def _flash_once(message: str, category: str) -> None:
    """Flash a message unless it waits already: a client that never looks must not grow the cookie."""
    if (category, message) not in session.get("_flashes", []):
        await flash(message, category)
