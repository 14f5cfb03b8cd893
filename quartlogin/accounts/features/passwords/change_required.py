"""Required password changes: until then, only the page for it, signing out and static files are open."""

import json
from collections.abc import Collection
from typing import Any, Final

from quart import Response, abort, current_app, redirect, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import prefers_json, uses_cookies

from ...context import current_login

#: Endpoints of the accounts that stay open.
EXEMPT: Final[frozenset[str | None]] = frozenset(
    {
        "accounts.change_password",
        "accounts.reauthenticate",  # which the change may ask for
        "accounts.logout",
        "accounts.static",
        "static",
        None,  # a page that does not exist
    }
)
_DETAIL: Final = "The password of this account must be changed first. Sign in with a browser."


async def redirect_to_password_change(exempt: Collection[str | None]) -> ResponseReturnValue | None:
    """Return the response to a user who must change the password first, `None` for any other.

    Args:
        exempt: Endpoints that stay open.
    """
    if request.endpoint in exempt or not await must_change_password():
        return None
    if prefers_json() or not uses_cookies():
        return _problem()
    return redirect(url_for("accounts.change_password"))


async def refuse_websocket() -> None:
    """Reject the websocket of a user who must change the password first."""
    if await must_change_password():
        abort(403)


async def must_change_password() -> bool:
    """Tell whether this request's user is signed in and must change the password."""
    login = await current_login()
    return login is not None and login.must_change_password


def _problem() -> Response:
    """Create a problem document (RFC 9457) for a client that cannot follow a redirect to a page."""
    document = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": _DETAIL, "instance": request.path}
    make: Any = current_app.response_class  # typed as Flask's, but it is Quart's
    response: Response = make(json.dumps(document), 403, {"Content-Type": "application/problem+json"})
    return response
