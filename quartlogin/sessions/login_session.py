"""The login in the session: the only module that knows its keys."""

import hmac
import re
import time
from collections.abc import Collection
from inspect import isawaitable
from secrets import token_urlsafe
from typing import Any, Final
from weakref import WeakSet

from .. import tracing
from ..config import fallback_keys
from ..context import current_connection, current_session, running_app
from ..records import hash_of_secret

#: The id of the signed-in user: text.
USER_ID: Final = "_user_id"
#: The id of this login: text, new at every login.
LOGIN_ID: Final = "_login_id"
#: Whether the password was entered in this session: a boolean.
FRESH: Final = "_fresh"
#: When the password was last entered: seconds since 1970.
FRESH_AT: Final = "_fresh_at"
#: A hash of the remember cookie's secret that this session came with: text.
SECRET_HASH: Final = "_secret_hash"  # noqa: S105 -- a key, not a secret
#: A hash of the browser's address and user agent: text.
FINGERPRINT: Final = "_id"
#: What an app requests for the remember cookie of this response, as in Flask-Login: "set" or "clear".
REMEMBER: Final = "_remember"
#: How long this login is remembered, if it has its own duration: seconds.
REMEMBER_SECONDS: Final = "_remember_seconds"
#: The page to return to after signing in, with `USE_SESSION_FOR_NEXT`: a URL.
NEXT: Final = "next"

#: Whose session this was before a logout, if anything is left in it: a keyed hash of the user's id.
LEFT_BY: Final = "_left_by"

#: Every key of a login. An ended login leaves none of them behind.
SESSION_KEYS: Final = frozenset(
    {USER_ID, LOGIN_ID, FRESH, FRESH_AT, SECRET_HASH, FINGERPRINT, REMEMBER, REMEMBER_SECONDS, NEXT}
)

#: What stays in the session even if another user signs in: flashed messages, whether the cookie outlives the browser,
#: and the page to return to.
KEPT_AT_LOGIN: Final = frozenset({"_flashes", "_permanent", NEXT})
#: That, and what an interface keeps in the session for itself: the address that quart-session binds a session to.
_NOBODYS: Final = KEPT_AT_LOGIN | {"_addr"}

_MARK_PURPOSE: Final = b"quartlogin session left by:"
#: The session interfaces without `regenerate` that were logged.
_warned_of: Final[WeakSet[Any]] = WeakSet()

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
#: Seconds: 317 years. We never write more, and dates and durations would overflow.
_LONGEST: Final = 10**10
_ID_BYTES = 24  # 192 bits; ASVS 5.0 7.2.3 asks for at least 128


def new_id() -> str:
    """Create a login id or a secret: 192 random bits as 32 URL-safe characters."""
    return token_urlsafe(_ID_BYTES)


async def prepare(signs_in: str, fingerprint: str, *, left_by: str | None = None) -> None:
    """Prepare the session for a login of this user.

    What an anonymous visitor's session contained stays, such as a cart, and so does what this user's contained. Another
    user's is dropped: two people may use one browser. An interface that keeps sessions on the server gives it a new id
    first, so that no one has known the id before (session fixation, ASVS 5.0 7.2.4).

    Args:
        signs_in: The id of the user to be signed in.
        fingerprint: The browser's.
        left_by: The user whom this request has signed out, if any.
    """
    contents = current_session()
    is_anothers = left_by not in {None, signs_in} or _is_of_another(signs_in)
    former_login = contents.keys() & (SESSION_KEYS | {LEFT_BY})
    for key in (contents.keys() if is_anothers else former_login) - _NOBODYS:
        del contents[key]
    contents[FINGERPRINT] = fingerprint  # now it is not empty: Flask-Session keeps the id of an empty one
    await regenerate()


async def regenerate() -> None:
    """Give a session that is kept on the server a new id; the old one becomes worthless.

    `login_user`, `confirm_login` and `logout_user` do so. Call it where your own code grants something to a session
    (ASVS 5.0 7.2.4). A session in a cookie has no id.
    """
    interface = running_app().session_interface
    ask = getattr(interface, "regenerate", None)
    if ask is None:
        _warn_of_fixation(interface)
        return
    answer = ask(current_session())
    if isawaitable(answer):
        await answer


def _warn_of_fixation(interface: Any) -> None:
    """Log once that an interface keeps a session's id at sign-in."""
    if hasattr(current_session(), "sid") and interface not in _warned_of:
        _warned_of.add(interface)
        running_app().logger.warning(
            "%s keeps sessions on the server and has no regenerate(session): a session keeps its id at a login, so an "
            "attacker who planted the id is signed in, too (session fixation). Add the method.",
            type(interface).__name__,
        )


def begin(user_id: str, login_id: str, *, fresh: bool) -> None:
    """Start a login in this session, which is prepared for it."""
    current_session().update(contents_of(user_id, login_id, fresh=fresh))


def contents_of(user_id: str, login_id: str, *, fresh: bool) -> dict[str, Any]:
    """Return the contents of a session that signs this user in, without the browser's fingerprint."""
    freshness = {FRESH: True, FRESH_AT: int(time.time())} if fresh else {FRESH: False}
    return {USER_ID: user_id, LOGIN_ID: login_id, **freshness}


def resume(user_id: str, login_id: str, remember_seconds: int | None) -> None:
    """Resume a login that a remember cookie names, not fresh, in this session, which is prepared for it."""
    begin(user_id, login_id, fresh=False)
    keep_remember_seconds(remember_seconds)


def renew(login_id: str, fingerprint: str) -> None:
    """Continue under a new id, fresh: the password was entered just now."""
    current_session().update({LOGIN_ID: login_id, FRESH: True, FRESH_AT: int(time.time()), FINGERPRINT: fingerprint})


def bind_remember_token(secret: str | None) -> None:
    """Keep the hash of the remember cookie that this session came with, if the login is remembered."""
    if secret is None:
        current_session().pop(SECRET_HASH, None)
    else:
        current_session()[SECRET_HASH] = hash_of_secret(secret)


def secret_hash() -> str | None:
    """Return the hash of the remember cookie's secret that this session came with."""
    return text_of(current_session().get(SECRET_HASH))


def adopt(user_id: str, login_id: str, fingerprint: str) -> None:
    """Give a login that Flask-Login began an id."""
    current_session().update({USER_ID: user_id, LOGIN_ID: login_id, FINGERPRINT: fingerprint})


def end() -> None:
    """Remove the login from this session, and nothing else."""
    contents = current_session()
    for key in SESSION_KEYS & contents.keys():
        del contents[key]


def mark_left_by(user_id: str) -> None:
    """Keep whose session this was, if anything else is left in it."""
    contents = current_session()
    if contents.keys() - _NOBODYS - {LEFT_BY}:
        contents[LEFT_BY] = _marks_of(user_id)[0]


async def login_id_as_sent() -> str | None:
    """Return the login id in the session cookie, if the view has removed it from the session meanwhile."""
    if login_id() is not None or not current_session().modified:
        return None
    app = running_app()
    sent = await app.session_interface.open_session(app, current_connection())
    return None if sent is None else text_of(sent.get(LOGIN_ID))


def user_id(*, also_numbers: bool = False) -> str | None:
    """Return the id of the user whom this session signs in, `None` for an anonymous visitor.

    Args:
        also_numbers: Whether to accept a whole number as its digits: Flask-Login writes whatever `get_id()` returned.
    """
    value = current_session().get(USER_ID)
    if also_numbers and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(value)


def tell() -> None:
    """Tell what the session says about who is signed in."""
    at = fresh_at()
    tracing.tell(
        "session",
        user_id=user_id(also_numbers=True),
        login=tracing.label_of(login_id()),
        fresh=is_fresh(),
        fresh_age=None if at is None else int(time.time()) - at,
        permanent=is_permanent(),
    )


def login_id() -> str | None:
    """Return the id of the login in this session, `None` for an anonymous visitor."""
    return text_of(current_session().get(LOGIN_ID))


def is_fresh() -> bool:
    """Tell whether the password was entered in this session."""
    return current_session().get(FRESH) is True


def fresh_at() -> int | None:
    """Return when the password was entered in this session, in seconds since 1970; `None` if unknown."""
    at = current_session().get(FRESH_AT)
    return None if isinstance(at, bool) or not isinstance(at, int) or abs(at) > _LONGEST else at


def matches_fingerprint(fingerprints: Collection[str]) -> bool:
    """Tell whether this session began in a browser with one of these fingerprints."""
    return current_session().get(FINGERPRINT) in fingerprints


def is_permanent() -> bool:
    """Tell whether the session cookie outlives the browser."""
    return bool(current_session().permanent)


def mark_not_fresh() -> None:
    """Make the login not fresh. Write nothing if it is not."""
    if current_session().get(FRESH):
        current_session()[FRESH] = False


def keep_remember_seconds(seconds: int | None) -> None:
    """Keep how long this login is remembered, if it has its own duration."""
    if seconds is not None:
        current_session()[REMEMBER_SECONDS] = seconds


def remember_seconds() -> int | None:
    """Return how long this login is remembered, `None` for the configured duration."""
    seconds = current_session().get(REMEMBER_SECONDS)
    # Flask-Login writes a fraction.
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not abs(seconds) <= _LONGEST:  # NaN
        return None
    return int(seconds)


def pop_remember_action() -> str | None:
    """Return, once, what the app has requested for the remember cookie: "set", "clear" or nothing."""
    contents = current_session()
    return text_of(contents.pop(REMEMBER)) if REMEMBER in contents else None


def is_to_be_forgotten() -> bool:
    """Tell whether the remember cookie of this request is to be ignored."""
    return current_session().get(REMEMBER) == "clear"


def store_next(url: str, fingerprint: str) -> None:
    """Keep the page to return to."""
    current_session()[FINGERPRINT] = fingerprint
    current_session()[NEXT] = url


def forget_next() -> None:
    """Remove the page to return to."""
    current_session().pop(NEXT, None)


def with_next(url: str) -> dict[str, Any]:
    """Return the session's contents with a page to return to."""
    return {**current_session(), NEXT: url}


def _is_of_another(signs_in: str) -> bool:
    """Tell whether this session is, or was before a logout, that of another user than the one with this id."""
    contents = current_session()
    if USER_ID in contents and user_id(also_numbers=True) != signs_in:
        return True
    return LEFT_BY in contents and contents[LEFT_BY] not in _marks_of(signs_in)


def _marks_of(user_id: str) -> list[str]:
    """Return the marks of a session's former user, with the app's secret key and its former ones.

    They are keyed hashes: the browser can read its cookie, and user ids are easy to guess.
    """
    app = running_app()
    keys = [app.secret_key or "", *fallback_keys(app)]  # without a key, sessions are kept on the server
    text = _MARK_PURPOSE + user_id.encode("utf-8", "surrogatepass")
    return [hmac.new(key.encode() if isinstance(key, str) else key, text, "sha256").hexdigest() for key in keys]


def text_of(value: Any) -> str | None:
    """Return a value that loaders, databases and responses accept as text, `None` for anything else.

    Signed data may still have any type and contain any text. A driver may read `True` or `1.5` as the id 1, and drivers
    raise on NUL and on lone surrogates, which UTF-8 cannot encode.
    """
    if not isinstance(value, str) or "\0" in value:
        return None
    return value if value.isascii() or not _SURROGATE.search(value) else None
