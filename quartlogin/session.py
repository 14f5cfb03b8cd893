"""The only module that knows what quartlogin keeps in the session cookie."""

from secrets import token_urlsafe
from typing import Any, Final

from quart import session

#: The id of the signed-in user: text.
USER_ID: Final = "_user_id"
#: The id of this login: text, new at every login.
LOGIN_ID: Final = "_login_id"
#: Whether the password was typed in this session: a boolean.
FRESH: Final = "_fresh"

#: Every key that quartlogin writes.
SESSION_KEYS: Final = frozenset({USER_ID, LOGIN_ID, FRESH})

#: What a visitor's session may carry over into a login: flashed messages and whether the cookie outlives the
#: browser. All else may have been planted by someone who knew the session before (session fixation,
#: ASVS 5.0 7.2.4).
KEPT_AT_LOGIN: Final = frozenset({"_flashes", "_permanent"})

_LOGIN_ID_BYTES = 24  # 192 bits; ASVS 5.0 7.2.3 asks for at least 128


def new_login_id() -> str:
    """Make the id of a new login: 192 random bits as 32 characters that are safe in a URL."""
    return token_urlsafe(_LOGIN_ID_BYTES)


def begin(user_id: str, login_id: str, *, fresh: bool) -> None:
    """Start a login in this session; what the visitor's session held before is dropped."""
    for key in session.keys() - KEPT_AT_LOGIN:
        del session[key]
    session[USER_ID] = user_id
    session[LOGIN_ID] = login_id
    session[FRESH] = fresh


def end() -> None:
    """Take the login out of this session, and nothing else."""
    for key in SESSION_KEYS & session.keys():
        del session[key]


def user_id() -> str | None:
    """Return the id of the user whom this session signs in, `None` for an anonymous visitor."""
    return _text(session.get(USER_ID))


def login_id() -> str | None:
    """Return the id of this login, `None` for an anonymous visitor.

    It is new at every login and unguessable (192 bits), so an app that keeps its logins in a database can look
    it up in its `user_loader` and refuse the ones that have ended.
    """
    return _text(session.get(LOGIN_ID))


def _text(value: Any) -> str | None:
    """Take text, and treat everything else as absent: a driver may read `True` or `1.5` as the id 1."""
    return value if isinstance(value, str) else None
