"""The request or the websocket that is being served, whichever it is, and the app that serves it."""

from typing import Any

from quart import Quart, current_app, has_request_context, has_websocket_context, request, websocket

_app: Any = current_app
_request: Any = request
_websocket: Any = websocket


def current_connection() -> Any:
    """Return the request or websocket object itself, not a proxy; `None` outside of both.

    It is the same object in every task and in every copied context of one request.
    """
    try:
        return _request._get_current_object()
    except RuntimeError:  # there is none: asking first would take every request as long again
        return _websocket._get_current_object() if has_websocket_context() else None


def running_app() -> Quart:
    """Return the app itself that serves this request: each attribute of the proxy would look it up again."""
    app: Quart = _app._get_current_object()
    return app


def can_set_cookies() -> bool:
    """Tell whether an answer will carry cookies: a request's does, a websocket's does not."""
    return has_request_context()
