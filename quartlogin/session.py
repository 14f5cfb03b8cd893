"""The only module that knows what quartlogin keeps in the session cookie."""

import time
from collections.abc import Collection
from datetime import timedelta
from secrets import token_urlsafe
from typing import Any, Final

from quart import session
from quart.sessions import SessionMixin

from .records import hash_of_secret

#: The id of the signed-in user: text.
USER_ID: Final = "_user_id"
#: The id of this login: text, new at every login.
LOGIN_ID: Final = "_login_id"
#: Whether the password was typed in this session: a boolean.
FRESH: Final = "_fresh"
#: When the password was typed last: seconds since 1970.
FRESH_AT: Final = "_fresh_at"
#: A hash of the remember cookie's secret that this session came with: text.
SECRET_HASH: Final = "_secret_hash"  # noqa: S105 -- a key, not a secret
#: A hash of the browser's address and of what it calls itself: text.
FINGERPRINT: Final = "_id"
#: What to do with the remember cookie in the next answer: "set" or "clear".
REMEMBER: Final = "_remember"
#: For how long this login is to be remembered, if it was given a time of its own: seconds.
REMEMBER_SECONDS: Final = "_remember_seconds"
#: The page to come back to after signing in, with `USE_SESSION_FOR_NEXT`: a URL.
NEXT: Final = "next"

#: Every key that quartlogin writes.
SESSION_KEYS: Final = frozenset(
    {USER_ID, LOGIN_ID, FRESH, FRESH_AT, SECRET_HASH, FINGERPRINT, REMEMBER, REMEMBER_SECONDS, NEXT}
)

#: What a visitor's session carries over into a login: flashed messages, whether the cookie outlives the browser, and
#: the page to come back to. All else may have been planted by someone who knew the session before (session fixation,
#: ASVS 5.0 7.2.4).
KEPT_AT_LOGIN: Final = frozenset({"_flashes", "_permanent", NEXT})

_proxy: Any = session
_ID_BYTES = 24  # 192 bits; ASVS 5.0 7.2.3 asks for at least 128


def new_id() -> str:
    """Make the id of a login, or a secret: 192 random bits as 32 characters that are safe in a URL."""
    return token_urlsafe(_ID_BYTES)


def begin(user_id: str, login_id: str, fingerprint: str, *, fresh: bool) -> None:
    """Start a login in this session; what the visitor's session held before is dropped."""
    contents = _contents()
    for key in contents.keys() - KEPT_AT_LOGIN:
        del contents[key]
    contents.update({**contents_of(user_id, login_id, fresh=fresh), FINGERPRINT: fingerprint})


def contents_of(user_id: str, login_id: str, *, fresh: bool) -> dict[str, Any]:
    """Return what a session holds that signs this user in, but for the browser's fingerprint."""
    freshness = {FRESH: True, FRESH_AT: int(time.time())} if fresh else {FRESH: False}
    return {USER_ID: user_id, LOGIN_ID: login_id, **freshness}


def resume(user_id: str, login_id: str, fingerprint: str, remember_seconds: int | None) -> None:
    """Take up a login that a remember cookie names: not fresh."""
    _contents().pop(FRESH_AT, None)
    _contents().update({USER_ID: user_id, LOGIN_ID: login_id, FRESH: False, FINGERPRINT: fingerprint})
    if remember_seconds is not None:
        _contents()[REMEMBER_SECONDS] = remember_seconds


def renew(login_id: str, fingerprint: str) -> None:
    """Go on under a new id, fresh: the password was typed just now."""
    _contents().update({LOGIN_ID: login_id, FRESH: True, FRESH_AT: int(time.time()), FINGERPRINT: fingerprint})


def belong_to(secret: str | None) -> None:
    """Keep which of the remember cookies of its login this session came with, if the login is remembered."""
    if secret is None:
        _contents().pop(SECRET_HASH, None)
    else:
        _contents()[SECRET_HASH] = hash_of_secret(secret)


def secret_hash() -> str | None:
    """Return the hash of the remember cookie's secret that this session came with."""
    return _text(_contents().get(SECRET_HASH))


def adopt(user_id: str, login_id: str, fingerprint: str) -> None:
    """Give a login that Flask-Login began an id."""
    _contents().update({USER_ID: user_id, LOGIN_ID: login_id, FINGERPRINT: fingerprint})


def end() -> None:
    """Take the login out of this session, and nothing else."""
    contents = _contents()
    for key in SESSION_KEYS & contents.keys():
        del contents[key]


def user_id(*, also_numbers: bool = False) -> str | None:
    """Return the id of the user whom this session signs in, `None` for an anonymous visitor.

    Args:
        also_numbers: Whether a whole number is taken for its digits: Flask-Login writes whatever `get_id()` gave.
    """
    value = _contents().get(USER_ID)
    if also_numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def login_id() -> str | None:
    """Return the id of the login in this session, `None` for an anonymous visitor."""
    return _text(_contents().get(LOGIN_ID))


def is_fresh() -> bool:
    """Tell whether the password was typed in this session."""
    return _contents().get(FRESH) is True


def age_of_freshness() -> timedelta | None:
    """Return how long ago the password was typed in this session, `None` if it is not known."""
    at = _contents().get(FRESH_AT)
    if isinstance(at, bool) or not isinstance(at, int):
        return None
    return timedelta(seconds=max(time.time() - at, 0))


def is_from(fingerprints: Collection[str]) -> bool:
    """Tell whether this session was begun by a browser with one of these fingerprints."""
    return _contents().get(FINGERPRINT) in fingerprints


def is_permanent() -> bool:
    """Tell whether the session cookie outlives the browser."""
    return bool(_contents().permanent)


def mark_not_fresh() -> None:
    """Have the password asked for again where it matters. Writes nothing if that is so already."""
    if _contents().get(FRESH):
        _contents()[FRESH] = False


def ask_to_remember(duration: timedelta | None = None) -> None:
    """Have the remember cookie set by the next answer.

    Args:
        duration: For how long; `None` for what was said before, or is configured.
    """
    _contents()[REMEMBER] = "set"
    if duration is not None:
        _contents()[REMEMBER_SECONDS] = int(duration.total_seconds())


def ask_to_forget() -> None:
    """Have the remember cookie deleted by the next answer."""
    _contents()[REMEMBER] = "clear"
    _contents().pop(REMEMBER_SECONDS, None)


def remember_seconds() -> int | None:
    """Return for how long this login is to be remembered, `None` for what is configured."""
    seconds = _contents().get(REMEMBER_SECONDS)
    # Flask-Login writes a fraction.
    return int(seconds) if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def take_remember_request() -> str | None:
    """Return what is to be done with the remember cookie, once: "set", "clear" or nothing."""
    contents = _contents()
    return _text(contents.pop(REMEMBER)) if REMEMBER in contents else None


def is_to_be_forgotten() -> bool:
    """Tell whether the remember cookie of this request counts no more."""
    return _contents().get(REMEMBER) == "clear"


def keep_next(url: str, fingerprint: str) -> None:
    """Keep the page to come back to."""
    _contents()[FINGERPRINT] = fingerprint
    _contents()[NEXT] = url


def _text(value: Any) -> str | None:
    """Take text, and treat everything else as absent: a driver may read `True` or `1.5` as the id 1."""
    return value if isinstance(value, str) else None


def _contents() -> SessionMixin:
    """Return the session itself: each access through the proxy would look it up again."""
    found: SessionMixin = _proxy._get_current_object()
    return found
