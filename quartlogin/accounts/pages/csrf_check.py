"""Reject forms without the CSRF token: those of the accounts, and the app's own."""

from typing import Final, NoReturn

from quart import abort, request

from quartlogin import uses_cookies

from ..context import current_accounts
from ..security.csrf import FIELD_NAME, is_valid
from ..security.origin_check import SAFE_METHODS

_REFUSED: Final = (
    "This form was open for too long, or it was opened before you signed in or out. Nothing was changed. "
    "Go back, reload the page and send it again."
)


async def check_csrf() -> None:
    """Reject a form of the app's own that lacks the token of `{{ accounts.csrf_field() }}`.

    Register it with `before_request` of the app or a blueprint, or await it in a view. GET, HEAD and OPTIONS need no
    token, nor do requests with a bearer token, which no other site can make a browser send.

    Raises:
        HTTPException: The CSRF token is missing or wrong (400).
    """
    if request.method in SAFE_METHODS or not uses_cookies():
        return
    if not is_valid((await request.form).get(FIELD_NAME)):
        reject_form()


def reject_form() -> NoReturn:
    """Reject a form whose CSRF token is missing or wrong.

    Raises:
        HTTPException: 400.
    """
    current_accounts().audit_log.warn("csrf_rejected")
    abort(400, _REFUSED)
