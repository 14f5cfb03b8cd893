"""The pages that follow a form: after signing in, with the notices for the user, registering and signing out."""

from typing import Final
from urllib.parse import unquote, urlsplit

from quart import Quart, current_app, flash, redirect, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from quartlogin import ConfigurationError, safe_next

from ..audit.log import MAX_EVENTS
from ..context import current_accounts
from ..database.models import Account
from ..options import AccountsOptions
from ..sign_in.steps import Activity, SignedIn, StepRequired
from .filters import time_as_text

_ACCOUNT: Final = "accounts.account"
_LOGIN: Final = "accounts.login"

#: From this number on, failed sign-ins are more than the owner's typing errors (ASVS 5.0, 6.3.5).
_MANY_FAILURES: Final = 5

_REUSE_NOTICE: Final = (
    "A copy of one of your “keep me signed in” cookies was used, so that sign-in was ended. "
    "If you do not know why, change your password and check your recent activity."
)


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


async def redirect_after_sign_in(signed_in: SignedIn, requested: str | None) -> ResponseReturnValue:
    """Flash the notices for the user, and redirect.

    Args:
        signed_in: The user.
        requested: The `next` parameter that the visitor sent.
    """
    await _show_notices(signed_in.account, signed_in.activity)
    return redirect(next_page(requested))


def redirect_to_step(required: StepRequired, requested: str | None) -> ResponseReturnValue:
    """Redirect to the page of a step.

    Args:
        required: The step.
        requested: The `next` parameter that the visitor sent; one that leads off the site is left out.
    """
    return redirect(url_for(required.endpoint, next=safe_next(requested)))


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


async def _show_notices(account: Account, activity: Activity) -> None:
    """Flash the notices of a user who has just signed in."""
    accounts = current_accounts()
    if await accounts.store.accounts.take_token_reuse_at(account.user_id) is not None:
        await flash(_REUSE_NOTICE)
    if activity.failures < _MANY_FAILURES:
        return
    event = accounts.audit_log.event("signed_in_after_failures", account.user_id)
    await accounts.audit_log.record(event, failures=str(activity.failures))
    count = f"{activity.failures}{' or more' if activity.failures == MAX_EVENTS else ''}"
    last = activity.last_sign_in
    since = "" if last is None else f" since your last sign-in on {time_as_text(last)}"
    await flash(f"{count} failed sign-in attempts{since}. If they weren't yours, check your recent activity.")


def _url_of(page: str) -> str:
    return request.root_path + page if page.startswith("/") else url_for(page)


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
