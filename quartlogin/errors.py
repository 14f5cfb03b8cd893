"""What can go wrong in quartlogin, one class for each case a caller treats differently."""

from quart_auth import Unauthorized
from werkzeug.exceptions import Forbidden


class QuartLoginError(Exception):
    """The root of every error that quartlogin itself raises, but for `LoginRequired`."""


class ConfigurationError(QuartLoginError):
    """The app or the `LoginManager` is not set up the way the call needs; the message says what to write."""


class UserNotLoadedError(QuartLoginError):
    """`current_user` was read before this request knew its user.

    Derives from no built-in error that Python, Jinja or a library takes for an ordinary answer
    (`AttributeError`, `LookupError`, `TypeError`, `RuntimeError`), so an early read is never swallowed.
    """


class RequestNeededError(QuartLoginError):
    """Signing in or out was asked for where no answer can carry the session cookie."""


class LoginRequired(Unauthorized):  # so that handlers of an app that comes from quart-auth go on working
    """The page needs a signed-in user, and a redirect to a login page is not the answer: 401."""


class OriginRefused(Forbidden):
    """A page of another site opened this websocket with the visitor's cookies: 403."""


class LoginRefused(QuartLoginError):  # noqa: N818 -- a decision of the app's, not a fault
    """Raised by an app's `LoginRecords` to refuse a login: it does not begin, or does not go on."""
