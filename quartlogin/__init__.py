"""Sign-in for Quart: Flask-Login's flow and names, async from end to end."""

from .config import EXEMPT_METHODS, ID_ATTRIBUTE, LOGIN_MESSAGE, LOGIN_MESSAGE_CATEGORY
from .current import current_user, is_signed_in
from .errors import (
    ConfigurationError,
    LoginRequired,
    QuartLoginError,
    RequestNeededError,
    UserNotLoadedError,
)
from .flow import login_user, logout_user
from .guards import login_required
from .manager import LoginManager
from .redirects import login_url, make_next_param, safe_next
from .session import KEPT_AT_LOGIN, SESSION_KEYS, login_id
from .session_interface import SignedSessionInterface
from .signals import user_accessed, user_logged_in, user_logged_out, user_unauthorized
from .user import AnonymousUserMixin, UserMixin, UserProtocol

__version__ = "0.1.0"

__all__ = [
    "EXEMPT_METHODS",
    "ID_ATTRIBUTE",
    "KEPT_AT_LOGIN",
    "LOGIN_MESSAGE",
    "LOGIN_MESSAGE_CATEGORY",
    "SESSION_KEYS",
    "AnonymousUserMixin",
    "ConfigurationError",
    "LoginManager",
    "LoginRequired",
    "QuartLoginError",
    "RequestNeededError",
    "SignedSessionInterface",
    "UserMixin",
    "UserNotLoadedError",
    "UserProtocol",
    "current_user",
    "is_signed_in",
    "login_id",
    "login_required",
    "login_url",
    "login_user",
    "logout_user",
    "make_next_param",
    "safe_next",
    "user_accessed",
    "user_logged_in",
    "user_logged_out",
    "user_unauthorized",
]
