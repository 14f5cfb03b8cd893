"""The extension's settings: Flask-Login's constants, and the keys of `app.config` with their defaults."""

import re
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from logging import getLogger
from typing import Any, Final
from unicodedata import normalize

from quart import Quart
from quart.sessions import SecureCookieSessionInterface

from .context import running_app
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
#: The message flashed to a visitor who is redirected to the login page.
LOGIN_MESSAGE: Final = "Please log in to access this page."
#: The category of that flashed message.
LOGIN_MESSAGE_CATEGORY: Final = "message"
#: The message flashed to a user who must enter the password again.
REFRESH_MESSAGE: Final = "Please reauthenticate to access this page."
#: The category of that flashed message.
REFRESH_MESSAGE_CATEGORY: Final = "message"
#: The name of the method that returns a user's id.
ID_ATTRIBUTE: Final = "get_id"
#: The methods that guards let through: a browser's CORS preflight carries no cookies (Fetch standard).
EXEMPT_METHODS: Final = frozenset({"OPTIONS"})
#: Whether the page to return to is kept in the session instead of the login page's URL.
USE_SESSION_FOR_NEXT: Final = False
#: How many characters a page to come back to may have, percent-encoded: nginx answers 502 to a head of some thousand.
NEXT_MAX_LENGTH: Final = 2048

#: The keys of `app.config` and what they are without being set. They are read when they are used.
DEFAULTS: Final[Mapping[str, Any]] = {
    "FORCE_HOST_FOR_REDIRECTS": None,  # host name: of the login page, whatever host the request names
    "NEXT_MAX_LENGTH": NEXT_MAX_LENGTH,  # characters
    "NEXT_TRUSTED_HOSTS": None,  # list of hosts; None: those that SESSION_COOKIE_DOMAIN and SERVER_NAME cover
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


#: The longest duration of a login: dates would overflow beyond it.
MAX_DURATION: Final = timedelta(days=36525)  # 100 years
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~\w-]+", re.ASCII)  # a token (RFC 9110, 5.6.2)
_COOKIE_PATH: Final = re.compile(r"/[^;\x00-\x20\x7f-\U0010ffff]*")
_COOKIE_DOMAIN: Final = re.compile(r"[\w.:-]+", re.ASCII)


def option(name: str) -> Any:
    """Return what the running app has configured under this key, or its default.

    Raises:
        ConfigurationError: It is a value that cannot be.
    """
    value = running_app().config.get(name, DEFAULTS[name])
    _check_value(name, value)
    return value


def fallback_keys(app: Quart) -> list[Any]:
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
    """Return the mode of session protection: as configured, or else `LoginManager.session_protection`.

    `True` is for quart-session, which has a setting of the same name: where sessions are not kept in Quart's cookie, it
    does not change ours.

    Raises:
        ConfigurationError: There is no such mode.
    """
    app = running_app()
    mode = app.config.get("SESSION_PROTECTION", otherwise)
    if mode is True and not isinstance(app.session_interface, SecureCookieSessionInterface):
        mode = otherwise
    if not mode:
        return None
    if mode not in ("basic", "strong"):  # a tuple: what is configured may not be hashable
        raise ConfigurationError(f"SESSION_PROTECTION must be 'basic', 'strong' or None, not {mode!r}.")
    return str(mode)


def remember_duration() -> timedelta:
    """Return how long a login is remembered without its own duration.

    Raises:
        ConfigurationError: `REMEMBER_COOKIE_DURATION` is neither a timedelta nor whole seconds.
    """
    duration = option("REMEMBER_COOKIE_DURATION")
    return duration if isinstance(duration, timedelta) else timedelta(seconds=duration)


def next_trusted_hosts() -> list[str]:
    """Return the hosts that a page to come back to may be on; `.example` stands for `example` and what is below it.

    Raises:
        ConfigurationError: `NEXT_TRUSTED_HOSTS` is not a list of hosts.
    """
    app, configured = running_app(), option("NEXT_TRUSTED_HOSTS")
    if configured is not None:
        return list(configured)
    domain, server_name = app.config["SESSION_COOKIE_DOMAIN"], app.config["SERVER_NAME"]
    # A cookie's domain covers what is below it, on every port (RFC 6265, 5.1.3).
    hosts = [f".{domain.removeprefix('.')}"] if domain else []
    return [*hosts, f".{server_name}" if app.subdomain_matching else server_name] if server_name else hosts


def check(app: Quart) -> None:
    """Refuse a key that looks like one of ours and is not, and a value that cannot be.

    Raises:
        ConfigurationError: There is such a key, or such a value.
    """
    for name, value in app.config.items():
        if name.startswith("REMEMBER_") and name not in DEFAULTS:
            close = get_close_matches(name, DEFAULTS, n=1)
            raise ConfigurationError(f"There is no setting {name}: did you mean {(close or list(DEFAULTS))[0]}?")
        _check_value(name, value)
    _warn_of_quart_auths_settings(app)


def _check_value(name: str, value: Any) -> None:
    if name in _CHECKS:
        is_possible, wanted = _CHECKS[name]
        if not is_possible(value):
            raise ConfigurationError(f"{name} must be {wanted}, not {value!r}.")


def _is_duration(value: Any) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return 0 < value <= MAX_DURATION.total_seconds()
    # Cookies count whole seconds.
    return isinstance(value, timedelta) and timedelta(seconds=1) <= value <= MAX_DURATION


def _is_list_of_hosts(value: Any) -> bool:
    """Tell a list of hosts from a text, whose letters would be taken for hosts, and from URLs."""
    return isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(host, str) and "/" not in host for host in value
    )


def _is_text_of(form: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


#: Validators of the settings: the check, and a description of valid values.
_CHECKS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "NEXT_MAX_LENGTH": (
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value > 0,
        "a whole number above 0",
    ),
    "NEXT_TRUSTED_HOSTS": (
        lambda value: value is None or _is_list_of_hosts(value),
        "a list of hosts, such as ['app.example', '.shops.example'], or None",
    ),
    "REMEMBER_COOKIE_DURATION": (
        _is_duration,
        f"a timedelta or seconds, a whole number, from one second to {MAX_DURATION.days} days",
    ),
    "REMEMBER_COOKIE_NAME": (partial(_is_text_of, _COOKIE_NAME), "a cookie's name, such as 'remember_token'"),
    "REMEMBER_COOKIE_PATH": (partial(_is_text_of, _COOKIE_PATH), "a path, such as '/'"),
    "REMEMBER_COOKIE_DOMAIN": (
        lambda value: not value or _is_text_of(_COOKIE_DOMAIN, value),
        "a host name, such as 'example.org', or None",
    ),
    "REMEMBER_COOKIE_SAMESITE": (
        lambda value: value is None or (isinstance(value, str) and value.title() in {"Lax", "Strict", "None"}),
        "'Lax', 'Strict', 'None', or None for no attribute",
    ),
}


def _warn_of_quart_auths_settings(app: Quart) -> None:
    """Warn of settings that nothing reads any more: what they made safe may be so no longer."""
    if "QUART_AUTH" in app.extensions:
        return
    orphans = [name for name in app.config if name.startswith("QUART_AUTH_") and "_BASIC_" not in name]
    if orphans:
        warnings.warn(
            f"{', '.join(sorted(orphans))}: these are quart-auth's settings, which quartlogin does not read. Its "
            "cookies follow SESSION_COOKIE_SECURE, SESSION_COOKIE_SAMESITE and REMEMBER_COOKIE_*; set those, and "
            "remove these (or set QuartAuth up before LoginManager, if the app needs both).",
            stacklevel=5,
        )


_HOW_TO_MAKE_ONE: Final = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
#: The minimum length: characters of a text, bytes of a key in bytes; a key of one repeated letter is long, too.
_SHORTEST: Final = {str: 32, bytes: 16}
_FEWEST_DIFFERENT: Final = {str: 10, bytes: 8}

#: Keys from Flask's documentation, and so in many programs; letters and digits only, as they are compared.
_PUBLISHED: Final = frozenset(
    {
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "5f352379324c22463451387a0aec5d2f",
        "5y2lf4q8zì",  # b'_5#y2L"F4Q8z\\n\\xec]/', which Flask's quickstart had for years
    }
)
#: What examples write in place of a key, this package's included.
_OF_EXAMPLES: Final = (
    *("changeme", "changethis", "replaceme", "insecure", "yoursecret", "supersecret", "topsecret", "alongrandomtext"),
    *("secretstokenurlsafe", "thisisasecret", "secretkeyhere", "donottellanyone"),
)
_log = getLogger("quartlogin")


def secret_key_weakness(key: str | bytes) -> str | None:
    """Return what is wrong with a secret key, as the end of a sentence; `None` if it is strong (ASVS 5.0 11.2.3).

    A key from an example is recognized regardless of case, spaces and punctuation.

    Args:
        key: The key; at least 32 characters of text, or 16 random bytes.
    """
    kind: Any = str if isinstance(key, str) else bytes
    bare = _letters_and_digits(key if isinstance(key, str) else key.decode("latin-1"))
    if bare in _PUBLISHED or any(words in bare for words in _OF_EXAMPLES):
        return f"is a published example; {_HOW_TO_MAKE_ONE}"
    if len(key) < _SHORTEST[kind]:
        unit = "characters" if kind is str else "bytes"
        return f"is too short: it has {len(key)} {unit} and needs at least {_SHORTEST[kind]}; {_HOW_TO_MAKE_ONE}"
    if len(set(key)) < _FEWEST_DIFFERENT[kind]:
        return f"is too simple: it needs at least {_FEWEST_DIFFERENT[kind]} different characters; {_HOW_TO_MAKE_ONE}"
    return None


def warn_of_weak_keys(app: Quart) -> None:
    """Log a warning for each weak key of an app that is about to be served, except in tests."""
    if app.testing:
        return
    fallbacks = app.config.get("SECRET_KEY_FALLBACKS") or []
    for name, keys in (("SECRET_KEY", [app.secret_key]), ("SECRET_KEY_FALLBACKS", fallbacks)):
        for key in keys:
            complaint = secret_key_weakness(key) if key and isinstance(key, str | bytes) else None
            if complaint:
                _log.warning("%s: anyone can sign in as any user: %s %s", app.name, name, complaint)


def _letters_and_digits(text: str) -> str:
    return "".join(character for character in normalize("NFKC", text).casefold() if character.isalnum())
