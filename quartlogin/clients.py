"""The kind of client that sent a request, and the 401 for clients that are not browsers."""

import json
from typing import Any, Final, cast

from quart import Response, current_app, has_websocket_context, request

from .context import current_connection
from .errors import LoginRequired

_MAX_ACCEPT: Final = 1024  # characters; browsers send at most 200
_PAGES: Final = frozenset({"text/html", "text/*", "application/xhtml+xml"})


def is_websocket() -> bool:
    """Tell whether a websocket is being opened, which cannot be redirected to a login page."""
    return has_websocket_context()


def prefers_json() -> bool:
    """Tell whether the client explicitly prefers JSON to pages (RFC 9110, 12.5.1).

    No `Accept`, or `*/*` alone, means a page: that is what a browser's address bar and curl send. So does an `Accept`
    that is too long to be parsed for each request.
    """
    json_, pages, anything = _qualities()
    return json_ > pages and json_ >= anything


def is_browser() -> bool:
    """Tell whether a browser sent this request, rather than an API client.

    A browser says where it fetches from (`Sec-Fetch-Site`, or `Origin`, which every websocket of a page has), and
    accepts HTML explicitly.
    """
    headers = current_connection().headers
    if "Sec-Fetch-Site" in headers or "Origin" in headers:
        return True
    json_, pages, _ = _qualities()
    return pages > 0 and pages >= json_


def _qualities() -> tuple[float, float, float]:
    """Return the client's quality values for JSON, for pages and for anything."""
    if len(current_connection().headers.get("Accept", "")) > _MAX_ACCEPT:
        return 0, 0, 0
    accepted = [
        (kind.partition(";")[0].strip().lower(), quality) for kind, quality in current_connection().accept_mimetypes
    ]
    json_ = max((quality for kind, quality in accepted if _is_json(kind)), default=0)
    pages = max((quality for kind, quality in accepted if kind in _PAGES), default=0)
    anything = max((quality for kind, quality in accepted if kind == "*/*"), default=0)
    return json_, pages, anything


def login_required_error(detail: str, challenge: str, *, as_json: bool) -> LoginRequired:
    """Make the 401.

    Args:
        detail: What the client must do.
        challenge: The `WWW-Authenticate` header, which RFC 9110 (15.5.2) requires with a document.
        as_json: Whether it carries a problem document (RFC 9457).
    """
    error = LoginRequired(detail)
    if as_json:
        document = {
            "type": "about:blank",
            "title": "Unauthorized",
            "status": 401,
            "detail": detail,
            "instance": request.path,
        }
        error.response = _response(json.dumps(document), challenge)
    return error


def _response(body: str, challenge: str) -> Response:
    headers = {"Content-Type": "application/problem+json", "WWW-Authenticate": challenge}
    make: Any = current_app.response_class  # typed as Flask's, but it is Quart's
    return cast(Response, make(body, 401, headers))


def _is_json(kind: str) -> bool:
    return kind == "application/json" or kind.endswith("+json")
