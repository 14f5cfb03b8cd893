"""The hooks before and after each view: they do as little as possible, unless the app asks for more."""

from collections.abc import Callable
from functools import wraps
from inspect import ismethod
from typing import Any

from quart import Quart, current_app, request
from quart.typing import ResponseTypes
from quart.wrappers.response import DataBody, IterableBody

from . import tracing
from .clients import is_websocket
from .config import EXEMPT_METHODS
from .context import STATE, Manager, current_connection, current_manager, running_app
from .decorators import ALLOWED, check_authenticated, is_exempt
from .errors import ConfigurationError
from .redirects import is_url, view_at
from .remember_cookie import update_cookie
from .request_state import UserState, begin_request, end_preparing, state_of_request
from .request_steps import tell_guard, tell_request
from .request_user import user_of_request
from .sessions.login_session import mark_left_by
from .unauthorized import names_of
from .unawaited import check_awaited
from .websockets.origin import is_foreign_websocket


def wrap_requests(app: Quart, manager: Manager) -> None:
    """Make each request and websocket begin its state before everything else, and be guarded last.

    What the app's and its blueprints' `before_request` functions have set up, such as `g.db`, is available to the
    loader, whenever they were registered. Quart has no hooks there, and a wrapped method is cheaper than a registered
    function.
    """
    app.preprocess_request = _after(begin_request, app.preprocess_request)  # type: ignore[method-assign]  # no hook
    app.preprocess_websocket = _after(_begin_websocket, app.preprocess_websocket)  # type: ignore[method-assign]  # as above
    app.ensure_async = _knowing_after_view(app.ensure_async)  # type: ignore[method-assign]  # as above
    app.dispatch_request = _guarded(app.dispatch_request, manager)  # type: ignore[method-assign]  # as above
    app.dispatch_websocket = _guarded(app.dispatch_websocket, manager)  # type: ignore[method-assign]  # as above


def _after(begin: Callable[[], None], proceed: Any) -> Any:
    @wraps(proceed)
    def begin_and_proceed(*context: Any) -> Any:  # Quart 0.23 passes its context, 0.22 may
        begin()
        if tracing.listeners:
            tell_request(is_foreign=is_websocket() and is_foreign_websocket())
        return proceed(*context)

    return begin_and_proceed


def _knowing_after_view(ensure_async: Any) -> Any:
    """Return `after_view` as it is: checking that it is a coroutine function takes as long as the function itself."""

    @wraps(ensure_async)
    def ensure(function: Any) -> Any:
        return function if function is after_view else ensure_async(function)

    return ensure


def _begin_websocket() -> None:
    """Ignore the cookies of a websocket that another site's page opened; otherwise begin as a request does."""
    state = state_of_request()
    if state is not None and is_foreign_websocket():
        state.login_id, state.fresh = None, False
    begin_request()


def _guarded(dispatch: Any, manager: Manager) -> Any:
    async def dispatch_for_user(*context: Any) -> Any:
        answer = await _before_dispatch(manager)
        return await dispatch(*context) if answer is ALLOWED else answer

    @wraps(dispatch)
    def guard_and_dispatch(*context: Any) -> Any:
        end_preparing()
        return (dispatch_for_user if manager.require_login or manager.eager else dispatch)(*context)

    return guard_and_dispatch


async def _before_dispatch(manager: Manager) -> Any:
    """Return the response for a visitor who may not see this view, `ALLOWED` otherwise."""
    if manager.require_login and _is_guarded():
        check = check_authenticated()
        answer = await (tell_guard("require_login", check, ALLOWED) if tracing.listeners else check)
        if answer is None:
            raise ConfigurationError("The unauthorized_handler returned None; it must return what a view can return.")
        if answer is not ALLOWED:
            return answer
        if is_websocket():
            manager.sockets.register(manager.websocket_recheck)
    if manager.eager and not _is_file():
        await user_of_request()
    return ALLOWED


async def after_view(response: ResponseTypes) -> ResponseTypes:
    """Set the remember cookie and the cache headers, as the last of all `after_request` functions.

    Raises:
        ConfigurationError: A login or a logout was never awaited.
    """
    connection = current_connection()
    check_awaited(connection)
    state: UserState | None = vars(connection).get(STATE)
    if state is not None:
        if state.accessed:
            if state.left_by is not None:
                mark_left_by(state.left_by)
            update_cookie(state, response)
            state.mark(response)
        else:
            _look_out(state, response)
        state.is_answered = True
    return response


def _look_out(state: UserState, response: ResponseTypes) -> None:
    """Mark this response later if the user is accessed then, and keep its streamed body from accessing the user."""
    state.unmarked_response = response
    body = response.response
    if type(body) is not DataBody and isinstance(body, IterableBody):
        body.iter = state.watch(body.iter)


def _is_guarded() -> bool:
    """Tell whether `require_login` covers this view: all except files, login pages and exempt views."""
    endpoint = current_connection().endpoint
    if endpoint is None or _is_file() or is_exempt(endpoint):
        return False
    return is_websocket() or (request.method not in EXEMPT_METHODS and not _is_login_page(endpoint))


def _is_file() -> bool:
    """Tell whether this view is the one that an app or a blueprint has for its static files."""
    view = current_app.view_functions.get(current_connection().endpoint or "")
    return ismethod(view) and view.__name__ == "send_static_file"


def _is_login_page(endpoint: str) -> bool:
    manager = current_manager()
    pages = [(request.blueprint, manager.login_view), *manager.blueprint_login_views.items()]
    return any(page is not None and _names(page, blueprint, endpoint) for blueprint, page in pages)


def _names(page: str, blueprint: str | None, endpoint: str) -> bool:
    """Tell whether a login view, given as an endpoint or a URL, is this request's view."""
    if page.startswith("."):
        if blueprint is None:
            return page[1:] == endpoint
        return endpoint.endswith(page) and blueprint in names_of(running_app(), endpoint.removesuffix(page))
    if not is_url(page):
        return page == endpoint
    app = running_app()
    return (endpoint, request.view_args) == view_at(page, app.url_map, app.config["SERVER_NAME"], request.root_path)
