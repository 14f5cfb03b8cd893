"""CSRF protection: the token of each form, and the origin of each request.

A synchronizer token: HMAC-SHA-256 over a value that only this visitor's session contains. While signed in that is the
login id, so the token changes with every sign-in; before that, a random value that is created when a form is shown.
WTForms' own `SessionCSRF` uses SHA-1 and compares with `!=`.
"""

import hmac
from secrets import token_urlsafe
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

from markupsafe import Markup
from quart import Quart, abort, current_app, has_request_context, request, session
from wtforms import ValidationError
from wtforms.csrf.core import CSRF

from quartlogin import user_loaded_from_cookie, user_logged_in, uses_cookies

from ..audit.log import AuditLog
from ..context import current_accounts

_VISITOR: Final = "_csrf"  # in the session of a visitor who was shown a form
#: The session key of the login id, as the extension writes it.
_LOGIN: Final = "_login_id"
_VISITOR_BYTES: Final = 24
_PURPOSE: Final = b"quartlogin form token:"

FIELD_NAME: Final = "csrf_token"
#: Methods of requests that change nothing.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})

_REFUSED: Final = (
    "This form was open for too long, or it was opened before you signed in or out. Nothing was changed. "
    "Go back, reload the page and send it again."
)


def renew_at_login(app: Quart) -> None:
    """Invalidate the tokens from before a sign-in: an attacker may have known that session."""

    async def forget(_: Any, user: Any) -> None:  # noqa: ARG001 -- the signals' argument
        if has_request_context():
            forget_visitor()

    user_logged_in.connect(forget, app, weak=False)
    user_loaded_from_cookie.connect(forget, app, weak=False)


def forget_visitor() -> None:
    """Invalidate the tokens that this session's visitor was shown."""
    session.pop(_VISITOR, None)


def issue_token() -> str:
    """Return the token for a form, binding it to the session; a visitor's session gets a random value."""
    if _binding() is None:
        session[_VISITOR] = token_urlsafe(_VISITOR_BYTES)
    return _sign(current_app.secret_key, _binding() or "")


def csrf_field() -> Markup:
    """Return the hidden field with the token, for templates."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD_NAME, issue_token())


def is_valid(token: str | None) -> bool:
    """Tell whether this token was issued to this session, with the current or a former secret key."""
    binding = _binding()
    if not token or binding is None:
        return False  # two absent values do not match
    keys = [current_app.secret_key, *(current_app.config["SECRET_KEY_FALLBACKS"] or [])]
    return any(hmac.compare_digest(_sign(key, binding).encode(), token.encode()) for key in keys)


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


class SessionBoundCSRF(CSRF):  # type: ignore[misc]  # WTForms ships no types
    """Connects WTForms with `issue_token` and `is_valid`."""

    def generate_csrf_token(self, csrf_token_field: Any) -> str:  # noqa: ARG002 -- WTForms' names
        """Return nothing: the page asks for the token, so that a form that is only read creates no session."""
        return ""

    def validate_csrf_token(self, form: Any, field: Any) -> None:  # noqa: ARG002 -- WTForms' names
        """Reject a form whose token is not this session's.

        Raises:
            ValidationError: The token is missing or wrong.
        """
        if not is_valid(field.data):
            raise ValidationError("This form was not issued to this session.")


def reject_cross_site_request(audit_log: AuditLog) -> None:
    """Reject this request if another site sent it to change something, whatever CSRF token it carries.

    Browsers name the sender in `Sec-Fetch-Site` and in `Origin`; for clients that send neither, the form's token
    decides (OWASP CSRF Prevention Cheat Sheet).

    Raises:
        HTTPException: 403.
    """
    if request.method not in SAFE_METHODS and not _is_same_origin(request.headers):
        audit_log.warn("cross_site_request_rejected")
        abort(403, "This form was sent from another site and has been rejected. Nothing was changed.")


def _binding() -> str | None:
    """Return the value that identifies this session: its login, even an ended one, or else the random value."""
    # From the session, not `login_id()`: whether the login is active may be known to one request and not to the next,
    # and the token must not depend on it.
    values = (session.get(_LOGIN), session.get(_VISITOR))
    return next((value for value in values if value and isinstance(value, str)), None)


def _sign(key: Any, binding: str) -> str:
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, _PURPOSE + binding.encode("utf-8", "surrogatepass"), "sha256").hexdigest()


def _is_same_origin(headers: Any) -> bool:
    if headers.get("Sec-Fetch-Site", "none") not in _OWN_FETCH_SITES:
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # A proxy that ends TLS unannounced makes our scheme http while the browser's is https; never the other way.
    return bool(parts.netloc == request.host and parts.scheme in {request.scheme, "https"})
