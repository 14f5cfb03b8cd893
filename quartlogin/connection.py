"""The request or the websocket that is being served, whichever it is."""

from typing import Any

from quart import has_request_context, has_websocket_context, request, websocket

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


def can_set_cookies() -> bool:
    """Tell whether an answer will carry cookies: a request's does, a websocket's does not."""
    return has_request_context()
