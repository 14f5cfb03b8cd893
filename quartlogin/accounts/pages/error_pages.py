"""Error pages, in the style of all others."""

import time
from logging import getLogger
from typing import Any, Final, cast

from markupsafe import Markup
from quart import Blueprint, Quart, Response, flash, redirect, render_template, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from quartlogin import LoginRefused, LoginRequired, OriginRefused, safe_next

from ..context import current_accounts, is_own_page
from ..database.errors import ReauthenticationRequired, StoreUnavailable
from ..features.passwords.hashing import Overloaded
from ..hooks import HookFailed
from ..security.hardening import SCRIPT_HEADERS
from ..security.rate_limits import TooManyAttempts
from ..security.step_up import ask_for_proof
from ..sign_in.steps import NoPendingSignIn, StepRequired
from . import filters
from .redirects import redirect_to_step

_log = getLogger(__name__)

_RETRY_AFTER: Final = 5  # seconds
_OVERLOADED: Final = "Too many people are signing in at the moment. Nothing was changed. Try again in a few seconds."

_NOT_PENDING: Final = "Your sign-in took too long, or was ended. Sign in again."

#: Title and text for each status; views may pass another text with `abort(status, text)`.
PAGES: Final = {
    400: ("Bad request", "The request could not be understood. Go back, reload the page and try again."),
    401: ("Sign in required", "Sign in to see this page."),
    403: ("Not allowed", "You do not have permission to do this."),
    404: ("Page not found", "There is no page at this address. Check it, or start from the home page."),
    405: ("Method not allowed", "This address does not accept this kind of request. Start from the home page."),
    408: ("Request timed out", "The request took too long to arrive. Try again."),
    409: ("Conflict", "Something else changed this at the same time. Go back, reload the page and try again."),
    413: ("Request too large", "The request is larger than this site accepts. Send less."),
    415: ("Unsupported content type", "Send the form as browsers do."),
    429: ("Too many attempts", "Wait a while and try again."),
    500: ("Something went wrong", "This is our fault, not yours, and has been logged. Try again later."),
    503: (
        "Service unavailable",
        "The site cannot answer at the moment. If you were changing something, check whether it was saved, then try "
        "again.",
    ),
}


def install(where: Quart | Blueprint) -> None:
    """Answer every error of an app, or of a blueprint's views, with a page."""
    # By status, since a blueprint's handler of `HTTPException` comes after the app's handler of a status.
    for status in PAGES if isinstance(where, Blueprint) else ():
        where.register_error_handler(status, _show)
    where.register_error_handler(HTTPException, _show)
    for error, handler in _HANDLERS.items():
        where.register_error_handler(error, handler)


def install_own(app: Quart) -> None:
    """Answer the errors of the accounts that the app's views raise, without a page, unless the app has a handler."""
    present = app.error_handler_spec[None][None]
    for error, handler in _HANDLERS.items():
        present.setdefault(error, handler)


async def _show(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return cast(Response, error.response)  # already created, such as a problem document
    if not (current_accounts().request_checks.is_hardened or is_own_page()):
        return cast(ResponseReturnValue, error)  # one of the accounts' errors in a view of the app
    status = error.code or 500
    if isinstance(error, OriginRefused):
        current_accounts().audit_log.warn("cross_site_request_rejected")
    title, text = PAGES.get(status, (error.name, PAGES[400][1]))
    if error.description and error.description != type(error).description:
        text = error.description  # passed by a view; Werkzeug's own are for developers
    headers = {
        name: value for name, value in error.get_headers() if name.lower() not in {"content-type", "content-length"}
    }
    return await render_template("accounts/error.html", title=title, text=text), status, headers


async def _show_sign_in(_: LoginRefused) -> ResponseReturnValue:
    """Answer a request whose login has ended meanwhile as an unauthenticated one."""
    try:
        return await current_accounts().login_manager.unauthorized()
    except LoginRequired as error:
        return await _show(error)


async def _show_reauthentication(error: ReauthenticationRequired) -> ResponseReturnValue:
    """Answer a request whose proof was gone when it was to be written as its guard would."""
    try:
        return await ask_for_proof(error.requirement)
    except LoginRequired as refusal:
        return await _show(refusal)


async def _show_rate_limit(error: TooManyAttempts) -> ResponseReturnValue:
    """Say when the next attempt is allowed: to known and unknown usernames alike."""
    if not (current_accounts().request_checks.is_hardened or is_own_page()):
        return cast(ResponseReturnValue, TooManyRequests(retry_after=error.wait))
    text = Markup(
        "There were too many failed attempts, so this one was not checked. Try again in {}, at {}. "
        "If you have signed in to your account from another browser before, you may not have to wait there."
    ).format(filters.duration(error.wait), filters.moment(int(time.time()) + error.wait))
    title, headers = PAGES[429][0], {"Retry-After": str(error.wait), **SCRIPT_HEADERS}
    page = await render_template("accounts/error.html", title=title, text=text, form_url=_url_of_form(), has_times=True)
    return page, 429, headers


def _url_of_form() -> str | None:
    """Return the URL of the form that was sent, with its `next`; `None` if it only accepts POST."""
    rule = request.url_rule
    if rule is None or "GET" not in (rule.methods or ()):
        return None
    return url_for(rule.endpoint, **(request.view_args or {}), next=request.args.get("next"))


async def _show_overloaded(error: Overloaded) -> ResponseReturnValue:
    _log.warning("Rejected a password check because too many others are waiting: %s.", error)
    current_accounts().audit_log.warn("overloaded")
    return await _show(ServiceUnavailable(_OVERLOADED, retry_after=_RETRY_AFTER))


async def _show_failed_hook(_: HookFailed) -> ResponseReturnValue:
    return await _show(ServiceUnavailable(retry_after=_RETRY_AFTER))


async def _show_unavailable(error: StoreUnavailable) -> ResponseReturnValue:
    _log.error("A request was answered 503: %s", error)
    current_accounts().audit_log.warn("database_unavailable")
    return await _show(ServiceUnavailable(retry_after=_RETRY_AFTER))


async def _show_step(required: StepRequired) -> ResponseReturnValue:
    return redirect_to_step(required, request.args.get("next"))


async def _show_start(_: NoPendingSignIn) -> ResponseReturnValue:
    """Let the user enter the password again."""
    await flash(_NOT_PENDING)
    return redirect(url_for("accounts.login", next=safe_next(request.args.get("next"))))


_HANDLERS: Final[dict[type[Exception], Any]] = {
    LoginRefused: _show_sign_in,
    ReauthenticationRequired: _show_reauthentication,
    TooManyAttempts: _show_rate_limit,
    Overloaded: _show_overloaded,
    HookFailed: _show_failed_hook,
    StoreUnavailable: _show_unavailable,
    StepRequired: _show_step,
    NoPendingSignIn: _show_start,
}
