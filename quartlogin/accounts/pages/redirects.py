"""Redirect targets after signing in or reauthenticating."""

from urllib.parse import unquote, urlsplit

from quart import current_app, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from quartlogin import safe_next

from ..context import current_accounts


def landing_page() -> str:
    """Return the URL of the page to go to when no page was requested."""
    return url_for(current_accounts().options.landing_endpoint)


def next_page(requested: str | None, default: str | None = None) -> str:
    """Return the requested page, if it is on this site and can be opened.

    Args:
        requested: The `next` parameter that the visitor sent.
        default: The endpoint to go to without one; the landing page if `None`.
    """
    url = safe_next(requested)
    if url is None:
        if requested:
            current_accounts().audit_log.warn("open_redirect_blocked")
        return landing_page() if default is None else url_for(default)
    return url if _accepts_get(url) else url_for("accounts.account")


def _accepts_get(url: str) -> bool:
    """Tell whether a URL can be opened; the buttons of the account page lead to some that only accept POST."""
    if urlsplit(url).netloc:
        return True  # a page of another trusted host
    path = unquote(urlsplit(url).path).removeprefix(request.root_path)
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except (MethodNotAllowed, WebsocketMismatch):
        return False
    except HTTPException:
        return True  # a missing page answers 404 by itself
    return True
