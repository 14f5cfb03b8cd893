"""Where a visitor goes after signing in or typing the password again."""

from urllib.parse import unquote, urlsplit

from quart import current_app, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from quartlogin import safe_next

from ..accounts import services


def next_page(asked_for: str | None, otherwise: str) -> str:
    """Return the page that was asked for, if it is one of ours that can be opened.

    Args:
        asked_for: The `next` that the visitor sent.
        otherwise: The endpoint to go to without one.
    """
    url = safe_next(asked_for)
    if url is None:
        if asked_for:
            services().accounts.audit_log.warn("open_redirect_blocked")
        return url_for(otherwise)
    return url if _can_be_opened(url) else url_for("account.account")


def _can_be_opened(url: str) -> bool:
    """Tell whether an address takes GET; the buttons of the account page lead to some that do not."""
    if urlsplit(url).netloc:
        return True  # a page of another host that is trusted
    path = unquote(urlsplit(url).path).removeprefix(request.root_path)
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except (MethodNotAllowed, WebsocketMismatch):
        return False
    except HTTPException:
        return True  # a page that there is not says so itself
    return True
