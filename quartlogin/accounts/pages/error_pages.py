"""The pages for what went wrong, in the style of all others."""

import time
from logging import getLogger
from typing import Final, cast

from markupsafe import Markup
from quart import Quart, Response, render_template, request, url_for
from quart.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from quartlogin import LoginRefused, LoginRequired, OriginRefused

from ..accounts import services
from ..database.errors import StoreUnavailable
from ..features.passwords.hashing import Overloaded
from ..hooks import SecondStepFailed
from ..security.rate_limits import TooManyAttempts
from . import filters

_log = getLogger(__name__)

_RETRY_AFTER: Final = 5  # seconds
_OVERLOADED: Final = "Too many people are signing in just now. Nothing was changed: try again in a moment."

#: Title and sentence for each status; views may give a sentence of their own with `abort(status, sentence)`.
PAGES: Final = {
    400: (
        "That did not work",
        "The request could not be understood. Go back, reload the page and try again.",
    ),
    401: ("Please sign in", "This page is for people who are signed in."),
    403: ("Not allowed", "You may not do this."),
    404: ("Page not found", "There is nothing at this address. Check it, or start from the home page."),
    405: ("Not this way", "This address does not take that kind of request. Start from the home page."),
    408: ("Too slow", "The request took too long to arrive. Please try again."),
    409: ("Changed meanwhile", "Something else changed this a moment ago. Go back, reload the page and try again."),
    413: ("Too large", "That was more than this site takes. Send less."),
    415: ("Wrong kind of content", "Send the form as browsers do."),
    429: ("Too many attempts", "Wait a while and try again."),
    500: ("Something broke", "It is our fault, not yours, and has been noted. Please try again later."),
    503: (
        "Not available",
        "The site cannot answer just now. If you were changing something, see whether it was done; then try again.",
    ),
}


def install(app: Quart) -> None:
    """Answer every error with a page."""
    app.register_error_handler(HTTPException, _show)
    app.register_error_handler(LoginRefused, _turn_away)
    app.register_error_handler(TooManyAttempts, _show_when_to_come_back)
    app.register_error_handler(Overloaded, _show_overloaded)
    app.register_error_handler(SecondStepFailed, _show_unavailable_step)
    app.register_error_handler(StoreUnavailable, _show_unavailable)


async def _show(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return cast(Response, error.response)  # made already: a problem document, say
    status = error.code or 500
    if isinstance(error, OriginRefused):
        services().accounts.audit_log.warn("cross_site_request_rejected")
    title, sentence = PAGES.get(status, (error.name, PAGES[400][1]))
    if error.description and error.description != type(error).description:
        sentence = error.description  # one that a view gave; Werkzeug's own are for developers
    headers = {
        name: value for name, value in error.get_headers() if name.lower() not in {"content-type", "content-length"}
    }
    return await render_template("error.html", title=title, sentence=sentence), status, headers


async def _turn_away(_: LoginRefused) -> ResponseReturnValue:
    """Answer a request whose login has ended while it was on its way as a visitor's who is not signed in."""
    try:
        return await services().login_manager.unauthorized()
    except LoginRequired as error:
        return await _show(error)


async def _show_when_to_come_back(error: TooManyAttempts) -> ResponseReturnValue:
    """Say when the next attempt may be made: to known and unknown names alike."""
    sentence = Markup(
        "Too many attempts have failed, so this one was not looked at. Try again in {}, at {}. "
        "A browser in which you signed in to your account before may not have to wait."
    ).format(filters.duration(error.wait), filters.moment(int(time.time()) + error.wait))
    title, headers = PAGES[429][0], {"Retry-After": str(error.wait)}
    page = await render_template("error.html", title=title, sentence=sentence, way_back=_page_of_form())
    return page, 429, headers


def _page_of_form() -> str | None:
    """Return where the form stands that was sent, with its `next`; `None` if its address takes forms alone."""
    rule = request.url_rule
    if rule is None or "GET" not in (rule.methods or ()):
        return None
    return url_for(rule.endpoint, **(request.view_args or {}), next=request.args.get("next"))


async def _show_overloaded(error: Overloaded) -> ResponseReturnValue:
    _log.warning("A password was not looked at, because too many others are waiting: %s.", error)
    services().accounts.audit_log.warn("overloaded")
    return await _show(ServiceUnavailable(_OVERLOADED, retry_after=_RETRY_AFTER))


async def _show_unavailable_step(_: SecondStepFailed) -> ResponseReturnValue:
    return await _show(ServiceUnavailable(retry_after=_RETRY_AFTER))


async def _show_unavailable(error: StoreUnavailable) -> ResponseReturnValue:
    _log.error("The database does not answer: %s", error)
    services().accounts.audit_log.warn("database_unavailable")
    return await _show(ServiceUnavailable(retry_after=_RETRY_AFTER))
