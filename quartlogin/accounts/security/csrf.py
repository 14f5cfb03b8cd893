"""The token that shows that a form came from one of our own pages.

A synchroniser token: HMAC-SHA-256 over something that is in this visitor's session and in nobody else's. While signed
in that is the login id, so the token changes with every sign-in; before, a random value that is made when a form is
shown. WTForms' own `SessionCSRF` uses SHA-1 and compares with `!=`.
"""

import hmac
from secrets import token_urlsafe
from typing import Any, Final

from markupsafe import Markup
from quart import Quart, current_app, has_request_context, session
from wtforms import ValidationError
from wtforms.csrf.core import CSRF

from quartlogin import user_loaded_from_cookie, user_logged_in

_VISITOR: Final = "_csrf"  # in the session of a visitor who has been shown a form
#: Where the extension keeps the login's id.
_LOGIN: Final = "_login_id"
_VISITOR_BYTES: Final = 24
_PURPOSE: Final = b"quartlogin form token:"

FIELD_NAME: Final = "csrf_token"


def renew_at_login(app: Quart) -> None:
    """Have no token of before a sign-in be good again after it: somebody may have known that session."""

    async def forget(_: Any, user: Any) -> None:  # noqa: ARG001 -- the signals' argument
        if has_request_context() and _VISITOR in session:
            del session[_VISITOR]

    user_logged_in.connect(forget, app, weak=False)
    user_loaded_from_cookie.connect(forget, app, weak=False)


def issue_token() -> str:
    """Return the token for a form that is shown now; a visitor's session gets something to bind it to."""
    if _binding() is None:
        session[_VISITOR] = token_urlsafe(_VISITOR_BYTES)
    return _sign(current_app.secret_key, _binding() or "")


def csrf_field() -> Markup:
    """Return the hidden field with the token, for the forms in templates."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD_NAME, issue_token())


def is_valid(token: str | None) -> bool:
    """Tell whether this token was issued to this session, with the present secret key or a former one."""
    binding = _binding()
    if not token or binding is None:
        return False  # absent on both sides is no match
    keys = [current_app.secret_key, *(current_app.config["SECRET_KEY_FALLBACKS"] or [])]
    return any(hmac.compare_digest(_sign(key, binding).encode(), token.encode()) for key in keys)


class SessionBoundCSRF(CSRF):  # type: ignore[misc]  # WTForms ships no types
    """WTForms' hook: forms get their token from `issue_token` and are checked with `is_valid`."""

    def generate_csrf_token(self, csrf_token_field: Any) -> str:  # noqa: ARG002 -- WTForms' names
        """Return nothing: the page asks for the token, so a form that is only read makes no session."""
        return ""

    def validate_csrf_token(self, form: Any, field: Any) -> None:  # noqa: ARG002 -- WTForms' names
        """Refuse a form whose token is not this session's.

        Raises:
            ValidationError: The token is missing or wrong.
        """
        if not is_valid(field.data):
            raise ValidationError("This form was not made for this session.")


def _binding() -> str | None:
    """Return what this session is told by: its login, also one that has ended, or else the visitor's own value."""
    # The session itself is asked, not `login_id()`: whether the login counts may be known to one request and not yet to
    # the next, and the token must not depend on it.
    values = (session.get(_LOGIN), session.get(_VISITOR))
    return next((value for value in values if value and isinstance(value, str)), None)


def _sign(key: Any, binding: str) -> str:
    secret = key.encode() if isinstance(key, str) else key
    return hmac.new(secret, _PURPOSE + binding.encode("utf-8", "surrogatepass"), "sha256").hexdigest()
