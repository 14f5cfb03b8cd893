"""`LoginManager`: the app's settings and callbacks."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakSet

from quart import Blueprint, Quart
from quart.typing import ResponseReturnValue

from . import config, context, jinja, request_hooks, signals, tracing
from .batching import as_single_loader
from .callbacks import as_loader
from .clients import login_required_error
from .context import current_connection, running_app
from .current_user import CurrentUser, unwrap
from .errors import ConfigurationError
from .records import LoginRecords, NoRecords
from .request_state import acting_as, state_of_request
from .request_steps import tell_loader
from .request_user import resolved_user, user_of_request
from .unauthorized import UnauthorizedResponse, answer, login_view_for, registered_names
from .user import AnonymousUserMixin, UserT, require_bool
from .websockets.registry import WebSocketRegistry

#: The managers that no app has: a loader registered on one of them is never called.
_without_app: Final["WeakSet[LoginManager[Any]]"] = WeakSet()

CallbackT = TypeVar("CallbackT", bound=Callable[..., Any])

#: The challenge for an invalid bearer token (RFC 6750, 3.1).
_BAD_BEARER = 'Bearer error="invalid_token"'
#: The challenge where the password must have been entered recently (RFC 9470, 3).
_STEP_UP = 'Bearer error="insufficient_user_authentication"'


class LoginManager(Generic[UserT]):
    """The settings and callbacks of sign-in for one app, or for each app that a factory makes.

    Args:
        app: The app to set up, if it exists already; otherwise call `init_app`.
        add_context_processor: Whether templates see `current_user`. (The name is Flask-Login's; no context processor is
            involved.)
        eager: Whether the user is loaded before every view, as if each began with `await current_user`.
        require_login: Whether every view is guarded, except files, login pages and those marked `login_exempt`. This
            and `eager` come after all `before_request` functions; a response from one of those is not guarded.
        import_flask_login: Whether Flask-Login's sessions and remember cookies are taken over, each at its first use.
        explain: Whether the page `/_quartlogin/` explains the last requests to a browser on this machine; if `None`, it
            does so where `app.debug` is set when the app starts.
    """

    def __init__(
        self,
        app: Quart | None = None,
        add_context_processor: bool = True,
        *,
        eager: bool = False,
        require_login: bool = False,
        import_flask_login: bool = False,
        explain: bool | None = None,
    ) -> None:
        self.eager = eager
        self.require_login = require_login
        self.import_flask_login = import_flask_login
        self.explain = explain
        #: A class or function that makes the user object of an anonymous visitor.
        self.anonymous_user: Callable[[], Any] = AnonymousUserMixin
        #: The endpoint, or the URL, of the login page. Without one, guards answer 401.
        self.login_view: str | None = None
        #: The login pages of blueprints, by the name that the blueprint is registered under (`shop.admin`), or its
        #: original one (`admin`). Blueprints inside it inherit it; `None` as a page is a 401.
        self.blueprint_login_views: dict[str | None, str | None] = {}
        #: The message flashed to a visitor who is redirected to the login page; `None` for none.
        self.login_message: str | None = config.LOGIN_MESSAGE
        #: The category of that message.
        self.login_message_category = config.LOGIN_MESSAGE_CATEGORY
        #: The endpoint, or the URL, of the page that asks for the password again.
        self.refresh_view: str | None = None
        #: The message flashed to a user who is redirected there; `None` for none.
        self.needs_refresh_message: str | None = config.REFRESH_MESSAGE
        #: The category of that message.
        self.needs_refresh_message_category = config.REFRESH_MESSAGE_CATEGORY
        #: What happens when a session comes from another browser than it began in: "basic" asks for the password again
        #: where it matters, "strong" signs out, `None` does nothing. `SESSION_PROTECTION` takes precedence.
        self.session_protection: str | None = "basic"
        #: Translates flashed messages: a function from text to text.
        self.localize_callback: Callable[..., Any] | None = None
        #: The function that `unauthorized_handler` has registered.
        self.unauthorized_callback: Callable[..., Any] | None = None
        #: The function that `needs_refresh_handler` has registered.
        self.needs_refresh_callback: Callable[..., Any] | None = None
        #: The name of the method that returns a user's id.
        self.id_attribute = config.ID_ATTRIBUTE
        #: Separates the remember cookies and bearer tokens of apps that share a secret key (ASVS 5.0 9.2.4), as that of
        #: `SignedSessionInterface` does their sessions; the app's name if `None`.
        self.audience: str | None = None
        #: The app's record of its logins, if it keeps one.
        self.records: LoginRecords = NoRecords()
        #: Origins, such as "https://chat.example", whose pages may open websockets here, in addition to this site's.
        self.websocket_origins: Collection[str] = ()
        #: How often an open websocket's user is loaded again; `None` for never.
        self.websocket_recheck: timedelta | None = timedelta(seconds=30)
        #: The open websockets of guarded handlers in this process.
        self.sockets = WebSocketRegistry()
        #: `await login_manager.current_user` is `current_user` with your user class's type.
        self.current_user: CurrentUser[UserT | AnonymousUserMixin] = CurrentUser()
        self._user_callback: Callable[..., Any] | None = None
        self._users_callback: Callable[..., Any] | None = None
        self._request_callback: Callable[..., Any] | None = None
        _without_app.add(self)
        if app is not None:
            self.init_app(app, add_context_processor)

    def init_app(self, app: Quart, add_context_processor: bool = True) -> None:
        """Set up sign-in on this app.

        Raises:
            ConfigurationError: The app has a `LoginManager` already, or an unknown or invalid setting.
        """
        config.check(app)
        context.install(app, self)
        _without_app.discard(self)
        # These run in reverse order: the first of the list runs last, since another part of the app may access the user
        # in one of its own.
        app.after_request_funcs.setdefault(None, []).insert(0, request_hooks.after_view)
        request_hooks.wrap_requests(app, self)

        async def check_keys() -> None:
            config.warn_of_weak_keys(app)

        app.before_serving(check_keys)  # only then does every app have its key
        self._explain_while_serving(app)
        if add_context_processor:
            jinja.install(app)

    def _explain_while_serving(self, app: Quart) -> None:
        serving = ExitStack()

        async def begin() -> None:
            if app.debug if self.explain is None else self.explain:
                from .explaining.page import explaining_requests  # noqa: PLC0415 -- not in production

                serving.enter_context(explaining_requests(app))

        async def end() -> None:
            serving.close()

        app.before_serving(begin)
        app.after_serving(end)

    @property
    def user(self) -> UserT:
        """The signed-in user with your user class's type, for guarded views.

        Raises:
            LoginRequired: The visitor is not signed in.
            UserNotLoadedError: The user is not loaded yet.
        """
        user = resolved_user()
        if user is None or not require_bool(user, "is_authenticated"):
            raise login_required_error("Sign in first.", "Bearer", as_json=False)
        return cast(UserT, user)

    @asynccontextmanager
    async def as_user(self, user: UserT) -> AsyncIterator[UserT]:
        """Make `current_user` this user within an `async with` block: for jobs, shells and tests."""
        real = cast(UserT, unwrap(user))
        with acting_as(real):
            yield real

    def user_loader(self, callback: CallbackT) -> CallbackT:
        """Register the function that finds a user by id.

        Args:
            callback: Called with the id, a `str` from a cookie with a valid signature, which may belong to no user;
                returns the user object or `None`. `async def` or `def`.

        Raises:
            ConfigurationError: A `users_loader` is registered.
        """
        self._refuse_second_loader(self._users_callback)
        self._user_callback = callback
        self._load_user = as_loader(callback)
        return callback

    def users_loader(self, callback: CallbackT) -> CallbackT:
        """Register the function that finds many users by their ids: it is called once for all waiting requests.

        Args:
            callback: Called with a list of distinct ids; returns a mapping from ids to users, without those that belong
                to no user. `async def` or `def`. It runs outside of any request.

        Raises:
            ConfigurationError: A `user_loader` is registered.
        """
        self._refuse_second_loader(self._user_callback)
        self._users_callback = callback
        self._load_user = as_single_loader(callback)
        return callback

    @staticmethod
    def _refuse_second_loader(other: Callable[..., Any] | None) -> None:
        if other is not None:
            raise ConfigurationError("Register a user_loader or a users_loader, not both.")

    @property
    def user_callback(self) -> Callable[..., Any] | None:
        """The function that `user_loader` or `users_loader` has registered."""
        return self._user_callback or self._users_callback

    def request_loader(self, callback: CallbackT) -> CallbackT:
        """Register the function that finds a user by anything else in a request.

        Args:
            callback: Called with the request or websocket object; returns the user object or `None`. `async def` or
                `def`.
        """
        self._request_callback = callback
        self._load_from_request = as_loader(callback)
        return callback

    @property
    def request_callback(self) -> Callable[..., Any] | None:
        """The function that `request_loader` has registered."""
        return self._request_callback

    def check_loaders(self) -> None:
        """Check that there is a loader.

        Raises:
            ConfigurationError: No `user_loader`, `users_loader` or `request_loader` is registered.
        """
        if self._user_callback is None and self._users_callback is None and self._request_callback is None:
            if tracing.listeners:
                is_elsewhere = any(other.user_callback is not None for other in _without_app)
                tracing.tell("loader", loader=None, user_id=None, outcome="missing", is_elsewhere=is_elsewhere)
            raise ConfigurationError(
                "No user_loader: write an `async def` that takes a user's id and returns the user or None, and "
                "put @login_manager.user_loader above it."
            )

    async def load_user(self, user_id: str) -> UserT | None:
        """Find a user by id with the function that `user_loader` or `users_loader` has registered; `None` without."""
        if self._user_callback is None and self._users_callback is None:
            return None
        work = self._load_user(user_id)
        if tracing.listeners:
            kind = "user_loader" if self._users_callback is None else "users_loader"
            work = tell_loader(kind, user_id, work)
        user: UserT | None = await work
        return user

    async def load_user_from_request(self, connection: Any) -> UserT | None:
        """Find a user with the function that `request_loader` has registered; `None` without one."""
        if self._request_callback is None:
            return None
        work = self._load_from_request(connection)
        return cast("UserT | None", await (tell_loader("request_loader", None, work) if tracing.listeners else work))

    def unauthorized_handler(self, callback: CallbackT) -> CallbackT:
        """Register the function whose value is the response to a visitor that a guard rejects.

        Args:
            callback: Called without arguments; returns what a view may return. `async def` or `def`. Without one, a
                websocket is refused.
        """
        self.unauthorized_callback = callback
        return callback

    def needs_refresh_handler(self, callback: CallbackT) -> CallbackT:
        """Register the function whose value is the response to a user whose login is not fresh.

        Args:
            callback: As for `unauthorized_handler`.
        """
        self.needs_refresh_callback = callback
        return callback

    async def unauthorized(self) -> ResponseReturnValue:
        """Return the response to a visitor who must sign in first.

        With an `unauthorized_handler`, its value. Otherwise 401 with a problem document for clients that prefer JSON,
        and for pages a flashed `login_message` and a redirect to the login page with the page to return to as `next`.

        Returns:
            The view's result.

        Raises:
            LoginRequired: The response is 401: for JSON, for websockets, and where there is no login view.
        """
        await user_of_request()  # before a `def` receiver or handler asks, and blocks a thread meanwhile
        await signals.send(signals.user_unauthorized)
        is_by_token = _is_by_token()
        refusal = UnauthorizedResponse(
            callback=self.unauthorized_callback,
            view=self._login_view_here(),
            message=self.login_message,
            category=self.login_message_category,
            localize=self.localize_callback,
            detail="Sign in first.",
            challenge=_BAD_BEARER if is_by_token else "Bearer",
        )
        return await answer(refusal, is_by_token=is_by_token)

    async def needs_refresh(
        self, *, max_age: timedelta | None = None, acr_values: Sequence[str] = (), view: str | None = None
    ) -> ResponseReturnValue:
        """Return the response to a user whose login is not fresh: like `unauthorized`, with its own settings.

        Args:
            max_age: How long ago the user may have been authenticated, for the challenge (RFC 9470).
            acr_values: The alternatives of what must have been proved, as names without spaces, for the challenge.
            view: The endpoint, or the URL, of the page to redirect to; `refresh_view` if `None`.

        Returns:
            The view's result.

        Raises:
            LoginRequired: The response is 401.
        """
        await user_of_request()
        await signals.send(signals.user_needs_refresh)
        refusal = UnauthorizedResponse(
            callback=self.needs_refresh_callback,
            view=view or self.refresh_view,
            message=self.needs_refresh_message,
            category=self.needs_refresh_message_category,
            localize=self.localize_callback,
            detail="Type your password again first.",
            challenge=_challenge(max_age, acr_values),
            is_stale=True,
        )
        return await answer(refusal, is_by_token=_is_by_token())

    def _login_view_here(self) -> str | None:
        """Return the login page of the innermost blueprint that serves this request and has one, else the app's."""
        blueprints = current_connection().blueprints
        return login_view_for(running_app(), blueprints, self.blueprint_login_views, self.login_view)


def _challenge(max_age: timedelta | None, acr_values: Sequence[str]) -> str:
    """Return the challenge of a step-up (RFC 9470, 3)."""
    parameters = [] if max_age is None else [f', max_age="{int(max_age.total_seconds())}"']
    parameters += [f', acr_values="{" ".join(acr_values)}"'] if acr_values else []
    return _STEP_UP + "".join(parameters)


def _is_by_token() -> bool:
    """Tell whether the sender of this request has only a bearer token, so that no page helps it."""
    state = state_of_request()
    return state is not None and not state.uses_cookies


def set_login_view(login_view: str, blueprint: Blueprint | None = None) -> None:
    """Set the login page of the running app, or of one of its blueprints and those inside it that have none.

    The other blueprints keep the app's.

    Args:
        login_view: The endpoint, or the URL. One that starts with a dot is an endpoint of the blueprint.
        blueprint: The blueprint, under whatever names it is registered; `None` for the whole app.
    """
    manager = context.current_manager()
    if blueprint is None:
        manager.blueprint_login_views.pop(None, None)
        manager.login_view = login_view
        return
    for name in registered_names(running_app(), blueprint):
        manager.blueprint_login_views[name] = login_view
