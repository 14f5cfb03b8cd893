"""The checks before every view: the size of the body, who sent it, and whether the password must be changed first."""

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from quart import Response, abort, current_app, redirect, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import prefers_json, uses_cookies

from ..context import current_login
from .csrf import reject_cross_site_request
from .hardening import MAX_BODY, announced_size

if TYPE_CHECKING:
    from ..services import Services

#: Endpoints that stay open to users who must change the password first: the page for it, signing out, static files.
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


class RequestChecks:
    """What is checked before every view of a hardened app, and of any other before the accounts' own.

    Args:
        services: The accounts of the app.
    """

    def __init__(self, services: "Services") -> None:
        self._services = services
        #: Whether every page of the app is protected as those of the accounts are.
        self.is_hardened = False
        #: Bytes that the body of a request may have, if the app is hardened; `None`: no limit but the app's.
        self.max_body: int | None = None

    async def before_own_view(self) -> ResponseReturnValue | None:
        """Check a request for a page of the accounts."""
        if announced_size(request.scope) > MAX_BODY:
            abort(413)
        return None if self.is_hardened else await self.before_view()

    async def before_view(self) -> ResponseReturnValue | None:
        """Check a request; return the response if it goes no further."""
        if self.max_body is not None and announced_size(request.scope) > self.max_body:
            abort(413)  # the middleware reads nothing of it
        reject_cross_site_request(self._services.audit_log)
        return await redirect_to_password_change(self._services.password_change_exempt)


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
