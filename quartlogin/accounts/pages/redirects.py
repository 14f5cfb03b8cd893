"""Redirect targets after signing in or reauthenticating."""

from typing import Final
from urllib.parse import unquote, urlsplit

from quart import Quart, current_app, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from quartlogin import ConfigurationError, safe_next

from ..context import current_accounts
from ..options import AccountsOptions

_ACCOUNT: Final = "accounts.account"
_LOGIN: Final = "accounts.login"


def home_page() -> str:
    """Return the URL of the site's home page; the account page if there is none."""
    return _url_of(current_accounts().options.home or _ACCOUNT)


def page_after_login() -> str:
    """Return the URL of the page to go to after signing in when no page was requested."""
    options = current_accounts().options
    return _url_of(options.page_after_login or options.home or _ACCOUNT)


def page_after_registration() -> str:
    """Return the URL of the page to go to after creating an account."""
    options = current_accounts().options
    return _url_of(options.page_after_registration or options.page_after_login or options.home or _ACCOUNT)


def page_after_logout() -> str:
    """Return the URL of the page to go to after signing out."""
    options = current_accounts().options
    return _url_of(options.page_after_logout or options.home or _LOGIN)


def check_landing_pages(app: Quart, options: AccountsOptions) -> None:
    """Check that each landing page is a path or an endpoint of the app.

    Raises:
        ConfigurationError: One is neither.
    """
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    for name in ("home", "page_after_login", "page_after_logout", "page_after_registration"):
        page = getattr(options, name)
        if page is not None and not page.startswith("/") and page not in endpoints:
            raise ConfigurationError(
                f"Accounts({name}={page!r:.80}): the app has no such endpoint. Use one of its endpoints, or a path "
                "that begins with a slash."
            )


def _url_of(page: str) -> str:
    return request.root_path + page if page.startswith("/") else url_for(page)


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
        return page_after_login() if default is None else url_for(default)
    return url if _accepts_get(url) else url_for(_ACCOUNT)


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
