"""The request or the websocket that is being served, whichever it is."""

from typing import Any

from quart import has_request_context, has_websocket_context, request, websocket


def current_connection() -> Any:
    """Return the request or websocket object itself, not a proxy; `None` outside of both.

    It is the same object in every task and in every copied context of one request.
    """
    if has_request_context():
        proxy: Any = request
    elif has_websocket_context():
        proxy = websocket
    else:
        return None
    return proxy._get_current_object()


def can_set_cookies() -> bool:
    """Tell whether an answer will carry cookies: a request's does, a websocket's does not."""
    return has_request_context()
