"""Responses to unauthenticated requests, by the kind of client."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Final, cast

from quart import Blueprint, Quart, flash, redirect, session
from quart.typing import ResponseReturnValue

from . import tracing
from .callbacks import as_coroutine_function
from .clients import is_websocket, login_required_error, prefers_json
from .config import option
from .context import running_app
from .fingerprint import fingerprint
from .redirects import expand_login_view, is_navigation, login_url, longest_next, make_next_param, page_to_come_back_to
from .sessions.inspection import LONGEST_COOKIE
from .sessions.login_session import forget_next, store_next, with_next

#: How many times longer a `next` of maximum length may be in a query, where `/` takes 3 characters: nginx answers 502
#: if the head of a response, with its cookies, exceeds 4096.
_WIDEST: Final = 1.5
_ROOM_FOR_LOGIN: Final = 1024  # characters of it: ids, hashes, and the login page's own contents

_log = getLogger(__name__)


@dataclass(frozen=True)
class UnauthorizedResponse:
    """The response in each of its forms."""

    #: The app's own handler, if it has registered one.
    callback: Callable[..., Any] | None
    #: The endpoint, or the URL, of the page to redirect to.
    view: str | None
    #: The message to flash, and its category.
    message: str | None
    category: str
    #: Translates the message.
    localize: Callable[..., Any] | None
    #: One sentence for clients other than browsers.
    detail: str
    #: The `WWW-Authenticate` header for clients other than browsers.
    challenge: str
    #: Whether there is a login, which is only not fresh.
    is_stale: bool = False


async def answer(refusal: UnauthorizedResponse, *, is_by_token: bool) -> ResponseReturnValue:
    """Return the view's result.

    Args:
        refusal: The response.
        is_by_token: Whether the request came with a bearer token, whose sender cannot follow to a login page.

    Raises:
        LoginRequired: The response is 401.
    """
    if tracing.listeners:
        _tell(refusal, is_by_token)
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


@tracing.harmless
def _tell(refusal: UnauthorizedResponse, is_by_token: bool) -> None:
    is_401 = is_websocket() or (refusal.callback is None and (is_by_token or prefers_json() or not refusal.view))
    outcome = "401" if is_401 else "redirect" if refusal.callback is None else "handler"
    tracing.tell(
        "unauthorized",
        reason="not fresh" if refusal.is_stale else "not signed in",
        outcome=outcome,
        view=refusal.view if outcome == "redirect" else None,
    )


async def _flash(message: str, category: str, localize: Callable[..., Any] | None) -> None:
    """Flash a message unless it is waiting already: a client that never shows it must not grow the cookie."""
    text = message if localize is None else await as_coroutine_function(localize)(message)
    waiting = session.get("_flashes", [])
    if not isinstance(waiting, list):  # Quart would fail on it
        session["_flashes"] = waiting = []
    if (category, text) not in waiting:
        await flash(text, category)


def _page_with_next(view: str) -> str:
    """Return the page's URL with the page to return to, unless that is too long to be useful."""
    page = expand_login_view(view)
    here = _address_to_come_back_to(page)
    if option("USE_SESSION_FOR_NEXT"):
        _keep_in_session(here)
        return page
    if here is None:
        return page
    with_next = login_url(page, next_url=here)
    if len(with_next) - len(page) <= longest_next() * _WIDEST:
        return with_next
    _log.debug("A `next` was dropped that has %d characters in a query.", len(with_next))
    return page


def _address_to_come_back_to(page: str) -> str | None:
    address = page_to_come_back_to(page)
    if address is None:
        return None
    here = make_next_param(page, address)
    if len(here) <= longest_next():
        return here
    _log.debug("A `next` of %d characters was dropped: NEXT_MAX_LENGTH is %d.", len(here), longest_next())
    return None


def _keep_in_session(here: str | None) -> None:
    """Keep the page that the visitor navigated to; requests that a page makes meanwhile do not replace it."""
    if not is_navigation():
        return
    if here is None or not _fits_into_cookie(with_next(here)):
        forget_next()
    else:
        store_next(here, fingerprint())


def _fits_into_cookie(contents: dict[str, Any]) -> bool:
    """Tell whether a session kept in a cookie has room for a login: browsers drop cookies that are too long."""
    interface: Any = running_app().session_interface
    serializer = getattr(interface, "get_signing_serializer", lambda _: None)(running_app())
    if serializer is None or len(serializer.dumps(contents)) <= LONGEST_COOKIE - _ROOM_FOR_LOGIN:
        return True
    _log.debug("A `next` was dropped that leaves no room for a login in the session cookie.")
    return False


def login_view_for(
    app: Quart, blueprints: Sequence[str], views: Mapping[str | None, str | None], otherwise: str | None
) -> str | None:
    """Return the login view for a request.

    Args:
        app: The app.
        blueprints: The names of the blueprints that serve the request, innermost first.
        views: The login views of blueprints, by name; `None` stands for the views outside of blueprints.
        otherwise: The app's login view.
    """
    for registered in blueprints:
        for name in names_of(app, registered):
            if name in views:
                view = views[name]
                return f"{registered}{view}" if view is not None and view.startswith(".") else view
    return otherwise if blueprints else views.get(None, otherwise)


def names_of(app: Quart, registered: str | None) -> list[str | None]:
    """Return the names under which the login view of a registered blueprint may be set.

    First the name that it is registered under, such as `shop.admin`, then its original one, unless another blueprint is
    registered under that.
    """
    blueprint = app.blueprints.get(registered or "")
    if blueprint is None:
        return [registered]
    is_its_own = app.blueprints.get(blueprint.name, blueprint) is blueprint
    return [registered, blueprint.name] if is_its_own else [registered]


def registered_names(app: Quart, blueprint: Blueprint) -> list[str]:
    """Return every name that a blueprint is registered under, or its original name if it is not registered yet."""
    return [name for name, known in app.blueprints.items() if known is blueprint] or [blueprint.name]
