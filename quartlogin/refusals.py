"""How somebody who may not see a page is answered, by the kind of client that asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from quart import flash, redirect, session
from quart.typing import ResponseReturnValue

from .callbacks import as_coroutine_function
from .clients import is_websocket, login_required_error, prefers_json
from .config import option
from .flask_login import fingerprint
from .redirects import LONGEST_NEXT, expand_login_view, login_url, make_next_param, this_address
from .session import keep_next


@dataclass(frozen=True)
class Refusal:
    """What is to be said, in every way that it may be said."""

    #: The app's own answer, if it has registered one.
    callback: Callable[..., Any] | None
    #: The endpoint, or the URL, of the page that can help.
    view: str | None
    #: What is flashed there, and its category.
    message: str | None
    category: str
    #: Translates the message.
    localize: Callable[..., Any] | None
    #: One sentence for a client that is no browser.
    detail: str
    #: The `WWW-Authenticate` header for a client that is no browser.
    challenge: str


async def answer(refusal: Refusal, *, is_by_token: bool) -> ResponseReturnValue:
    """Return what the view has to return.

    Args:
        refusal: What to say.
        is_by_token: Whether the request came with a bearer token, whose sender cannot follow to a login page.

    Raises:
        LoginRequired: The answer is 401.
    """
    if is_websocket():
        raise login_required_error(refusal.detail, refusal.challenge, as_json=False)
    if refusal.callback is not None:
        return cast(ResponseReturnValue, await as_coroutine_function(refusal.callback)())
    if is_by_token or prefers_json():
        raise login_required_error(refusal.detail, refusal.challenge, as_json=True)
    if not refusal.view:
        raise login_required_error(refusal.detail, refusal.challenge, as_json=False)
    if refusal.message:
        await _flash(refusal.message, refusal.category, refusal.localize)
    return redirect(_page_with_next(refusal.view))


async def _flash(message: str, category: str, localize: Callable[..., Any] | None) -> None:
    """Flash a message unless it waits already: a client that never looks must not grow the cookie."""
    text = message if localize is None else await as_coroutine_function(localize)(message)
    if (category, text) not in session.get("_flashes", []):
        await flash(text, category)


def _page_with_next(view: str) -> str:
    """Return the page's URL with the address to come back to, unless that is too long to be of use."""
    page = expand_login_view(view)
    here = make_next_param(page, this_address(page))
    if len(here) > LONGEST_NEXT:
        return page
    if option("USE_SESSION_FOR_NEXT"):
        keep_next(here, fingerprint())
        return page
    return login_url(page, next_url=here)
