"""Sign-in for Quart: Flask-Login's flow and names, async from end to end."""

from .batching import BatchLoader
from .clients import prefers_json
from .config import (
    COOKIE_DURATION,
    COOKIE_HTTPONLY,
    COOKIE_NAME,
    COOKIE_SAMESITE,
    COOKIE_SECURE,
    EXEMPT_METHODS,
    ID_ATTRIBUTE,
    LOGIN_MESSAGE,
    LOGIN_MESSAGE_CATEGORY,
    REFRESH_MESSAGE,
    REFRESH_MESSAGE_CATEGORY,
    USE_SESSION_FOR_NEXT,
    secret_key_weakness,
)
from .current_user import current_user, is_signed_in, login_fresh, login_id, login_secret_hash, uses_cookies
from .decorators import fresh_login_required, login_exempt, login_required, make_guard
from .errors import (
    ConfigurationError,
    LoginRefused,
    LoginRequired,
    OriginRefused,
    QuartLoginError,
    RequestNeededError,
    UserNotLoadedError,
)
from .flask_login import decode_cookie, encode_cookie
from .login import confirm_login, create_bearer_token, login_user, logout_user
from .manager import LoginManager, set_login_view
from .records import FreshnessRecords, Login, LoginRecords, NoRecords, hash_of_secret
from .redirects import login_url, make_next_param, safe_next
from .remember_cookie import login_remembered
from .request_user import loaded_user, reload_user
from .sessions.interface import SignedSessionInterface
from .sessions.login_session import KEPT_AT_LOGIN, SESSION_KEYS
from .sessions.login_session import regenerate as regenerate_session
from .signals import (
    credentials_refused,
    session_protected,
    user_accessed,
    user_loaded_from_cookie,
    user_loaded_from_request,
    user_logged_in,
    user_logged_out,
    user_login_confirmed,
    user_needs_refresh,
    user_unauthorized,
)
from .testing import QuartLoginClient
from .user import AnonymousUserMixin, UserMixin, UserProtocol

__version__ = "0.1.0"

__all__ = [
    "COOKIE_DURATION",
    "COOKIE_HTTPONLY",
    "COOKIE_NAME",
    "COOKIE_SAMESITE",
    "COOKIE_SECURE",
    "EXEMPT_METHODS",
    "ID_ATTRIBUTE",
    "KEPT_AT_LOGIN",
    "LOGIN_MESSAGE",
    "LOGIN_MESSAGE_CATEGORY",
    "REFRESH_MESSAGE",
    "REFRESH_MESSAGE_CATEGORY",
    "SESSION_KEYS",
    "USE_SESSION_FOR_NEXT",
    "AnonymousUserMixin",
    "BatchLoader",
    "ConfigurationError",
    "FreshnessRecords",
    "Login",
    "LoginManager",
    "LoginRecords",
    "LoginRefused",
    "LoginRequired",
    "NoRecords",
    "OriginRefused",
    "QuartLoginClient",
    "QuartLoginError",
    "RequestNeededError",
    "SignedSessionInterface",
    "UserMixin",
    "UserNotLoadedError",
    "UserProtocol",
    "confirm_login",
    "create_bearer_token",
    "credentials_refused",
    "current_user",
    "decode_cookie",
    "encode_cookie",
    "fresh_login_required",
    "hash_of_secret",
    "is_signed_in",
    "loaded_user",
    "login_exempt",
    "login_fresh",
    "login_id",
    "login_remembered",
    "login_required",
    "login_secret_hash",
    "login_url",
    "login_user",
    "logout_user",
    "make_guard",
    "make_next_param",
    "prefers_json",
    "regenerate_session",
    "reload_user",
    "safe_next",
    "secret_key_weakness",
    "session_protected",
    "set_login_view",
    "user_accessed",
    "user_loaded_from_cookie",
    "user_loaded_from_request",
    "user_logged_in",
    "user_logged_out",
    "user_login_confirmed",
    "user_needs_refresh",
    "user_unauthorized",
    "uses_cookies",
]
