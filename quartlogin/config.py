"""Every setting of the extension once: Flask-Login's constants, and the keys of `app.config` with their defaults."""

from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from quart import Quart

from .connection import running_app
from .errors import ConfigurationError

#: The name of the remember cookie.
COOKIE_NAME: Final = "remember_token"
#: How long a login is remembered, on the server and in the browser.
COOKIE_DURATION: Final = timedelta(days=365)
#: Whether the remember cookie is `Secure`. It also is whenever the session cookie is.
COOKIE_SECURE: Final = False
#: Whether scripts cannot read the remember cookie.
COOKIE_HTTPONLY: Final = True
#: With which requests from other sites the remember cookie is sent: none but links.
COOKIE_SAMESITE: Final = "Lax"
#: What is flashed when a visitor is sent to the login page.
LOGIN_MESSAGE: Final = "Please log in to access this page."
#: The category of that flashed message.
LOGIN_MESSAGE_CATEGORY: Final = "message"
#: What is flashed when a user is sent to type the password again.
REFRESH_MESSAGE: Final = "Please reauthenticate to access this page."
#: The category of that flashed message.
REFRESH_MESSAGE_CATEGORY: Final = "message"
#: The name of the method that gives a user's id.
ID_ATTRIBUTE: Final = "get_id"
#: The methods that guards let through unasked: a browser's CORS preflight carries no cookies (Fetch standard).
EXEMPT_METHODS: Final = frozenset({"OPTIONS"})
#: Whether the page to come back to is kept in the session instead of the login page's URL.
USE_SESSION_FOR_NEXT: Final = False

#: The keys of `app.config` and what they are without being set. They are read when they are used.
DEFAULTS: Final[Mapping[str, Any]] = {
    "FORCE_HOST_FOR_REDIRECTS": None,  # host name: of the login page, whatever host the request names
    "REMEMBER_COOKIE_DOMAIN": None,  # host name
    "REMEMBER_COOKIE_DURATION": COOKIE_DURATION,  # timedelta, or seconds
    "REMEMBER_COOKIE_HTTPONLY": COOKIE_HTTPONLY,  # bool
    "REMEMBER_COOKIE_NAME": COOKIE_NAME,  # text
    "REMEMBER_COOKIE_PATH": "/",  # path
    "REMEMBER_COOKIE_REFRESH_EACH_REQUEST": False,  # bool: whether its time begins anew at each request
    "REMEMBER_COOKIE_SAMESITE": COOKIE_SAMESITE,  # "Lax", "Strict" or "None"
    "REMEMBER_COOKIE_SECURE": COOKIE_SECURE,  # bool
    "USE_SESSION_FOR_NEXT": USE_SESSION_FOR_NEXT,  # bool
}


def option(name: str) -> Any:
    """Return what the running app has configured under this key, or its default."""
    return running_app().config.get(name, DEFAULTS[name])


def former_keys(app: Quart) -> list[Any]:
    """Return the app's former secret keys.

    Raises:
        ConfigurationError: They are not a list: each letter of a text would be taken for a key.
    """
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    if isinstance(fallbacks, str | bytes):
        raise ConfigurationError("SECRET_KEY_FALLBACKS is a list of keys: write ['the old key'].")
    return list(fallbacks)


def session_lifetime(app: Quart) -> int:
    """Return for how many seconds a session cookie is good: `PERMANENT_SESSION_LIFETIME`, a timedelta or seconds."""
    lifetime = app.config["PERMANENT_SESSION_LIFETIME"]
    return int(lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime)


def session_protection(otherwise: str | None) -> str | None:
    """Return the mode of session protection: what the app has configured, or else `LoginManager.session_protection`.

    Raises:
        ConfigurationError: It is none that there is.
    """
    mode = running_app().config.get("SESSION_PROTECTION", otherwise)
    if not mode:
        return None
    if mode not in ("basic", "strong"):  # a tuple: what is configured may not be hashable
        raise ConfigurationError(f"SESSION_PROTECTION has to be 'basic', 'strong' or None, not {mode!r}.")
    return str(mode)


def remember_duration() -> timedelta:
    """Return how long a login is remembered that was not given a time of its own.

    Raises:
        ConfigurationError: `REMEMBER_COOKIE_DURATION` is neither a timedelta nor whole seconds.
    """
    duration = option("REMEMBER_COOKIE_DURATION")
    if isinstance(duration, int) and not isinstance(duration, bool):
        return timedelta(seconds=duration)
    if isinstance(duration, timedelta):
        return duration
    raise ConfigurationError(f"REMEMBER_COOKIE_DURATION has to be a timedelta or seconds, not {duration!r}.")


def check_names(app: Quart) -> None:
    """Refuse a key that looks like one of ours and is not.

    Raises:
        ConfigurationError: There is such a key.
    """
    for name in app.config:
        if name.startswith("REMEMBER_") and name not in DEFAULTS:
            close = get_close_matches(name, DEFAULTS, n=1)
            raise ConfigurationError(f"There is no setting {name}: did you mean {(close or list(DEFAULTS))[0]}?")
