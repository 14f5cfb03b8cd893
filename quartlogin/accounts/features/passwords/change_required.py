"""What somebody may open who has to change the password first: the page that does it, the way out, and files."""

import json
from typing import Any, Final

from quart import Quart, Response, abort, current_app, redirect, request, url_for
from quart.typing import ResponseReturnValue

from quartlogin import current_user, prefers_json, uses_cookies

_OPEN: Final = frozenset(
    {
        "password.change",
        "sign_in.reauthenticate",  # which the change may ask for
        "sign_in.logout",
        "sign_in.home",  # which sees to it by itself, after its template has asked who is there
        "health.healthz",
        "health.readyz",
        "files.favicon",
        "static",
        None,  # a page that there is not
    }
)
_DETAIL: Final = "The password of this account has to be changed first: sign in with a browser."


def redirect_to_password_change(app: Quart) -> None:
    """Have whoever must change the password led to the page that does it, from everywhere else."""

    async def lead() -> ResponseReturnValue | None:
        if request.endpoint in _OPEN or not await must_change():
            return None
        if prefers_json() or not uses_cookies():
            return _problem()
        return redirect(url_for("password.change"))

    async def refuse() -> None:
        if await must_change():
            abort(403)

    app.before_request(lead)
    app.before_websocket(refuse)


async def must_change() -> bool:
    """Tell whether whoever sent this request is signed in and has to change the password first."""
    user = await current_user
    return bool(user.is_authenticated and user.must_change_password)


def _problem() -> Response:
    """Make a problem document (RFC 9457) for a client that cannot follow to a page."""
    document = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": _DETAIL, "instance": request.path}
    make: Any = current_app.response_class  # typed as Flask's, but it is Quart's
    response: Response = make(json.dumps(document), 403, {"Content-Type": "application/problem+json"})
    return response
