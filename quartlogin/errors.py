"""Errors of quartlogin: one class for each case that callers treat differently."""

from quart_auth import Unauthorized
from werkzeug.exceptions import Forbidden


class QuartLoginError(Exception):
    """The base class of all errors that quartlogin raises, except `LoginRequired` and `OriginRefused`."""


class ConfigurationError(QuartLoginError):
    """The app or the `LoginManager` is not set up as the call requires; the message says what to write."""


class UserNotLoadedError(QuartLoginError):
    """`current_user` was read before this request's user was loaded.

    It derives from no built-in error that Python, Jinja or a library treats as an ordinary result (`AttributeError`,
    `LookupError`, `TypeError`, `RuntimeError`), so an early read is never swallowed.
    """


class RequestNeededError(QuartLoginError):
    """Signing in or out was called where no response can carry the session cookie."""


class LoginRequired(Unauthorized):  # so that handlers of an app that comes from quart-auth keep working
    """The page requires a signed-in user, and a redirect to a login page does not apply: 401."""


class OriginRefused(Forbidden):
    """A page of another site opened this websocket with the visitor's cookies: 403."""


class LoginRefused(QuartLoginError):  # noqa: N818 -- a decision of the app's, not a fault
    """Raised by an app's `LoginRecords` to reject a login: it does not begin, or does not continue."""
