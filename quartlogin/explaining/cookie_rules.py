"""Diagnoses of credentials that came and do not count: session and remember cookies, and bearer tokens."""

from collections.abc import Mapping
from typing import Final

from quart.sessions import SecureCookieSessionInterface

from ..config import session_lifetime
from ..context import manager_of
from .case import Case, Diagnosis, Rule, Situation, describe_duration

NO_SECRET_KEY: Final = Situation(
    "no secret key",
    "The app has no SECRET_KEY, so it has no session.",
    "Set SECRET_KEY to a long random text that stays the same at every start.",
)
TWO_COOKIES: Final = Situation(
    "two cookies of one name",
    "The browser sent the cookie {cookie} {number} times, of which only one is read: others were set for another path "
    "or domain.",
    "Delete the site's cookies in the browser, and change SESSION_COOKIE_NAME whenever you change "
    "SESSION_COOKIE_DOMAIN or SESSION_COOKIE_PATH.",
)
TOO_LONG: Final = Situation(
    "session cookie too long",
    "The session cookie has {length} characters, and one of over 4096 is not read.",
    "Keep less in the session: an id of what is in the database, or a session interface that keeps sessions on the "
    "server.",
)
OTHER_KEY: Final = Situation(
    "signature of another key",
    "The session cookie was signed with another SECRET_KEY, or for another app.",
    "Use one SECRET_KEY for all processes and starts (never a random one made at the start), and list former keys in "
    "SECRET_KEY_FALLBACKS.",
)
OVERWRITTEN: Final = Situation(
    "cookie of another app",
    "The session cookie has a signature that is not ours, although this process set the cookie {cookie} on this host "
    "{ago} ago: another app on this host, on whatever port, or another process with its own SECRET_KEY seems to have "
    "replaced it.",
    "Give each app on a host its own SESSION_COOKIE_NAME, and all processes of one app the same SECRET_KEY.",
)
OTHER_INTERFACE: Final = Situation(
    "session cookie of Flask or Quart",
    "The session cookie was written by Flask's or Quart's own session interface with the same SECRET_KEY.",
    "Write SignedSessionInterface(read_flask_cookie=True), which reads it once and replaces it.",
)
EXPIRED: Final = Situation(
    "session expired",
    "The session cookie was signed {age} ago, and PERMANENT_SESSION_LIFETIME is {lifetime}.",
    "Sign in again, or set a longer PERMANENT_SESSION_LIFETIME.",
)
FROM_THE_FUTURE: Final = Situation(
    "session cookie from the future",
    "The session cookie was signed {ahead} in the future, so the clocks of two servers differ.",
    "Set the clocks of all servers by NTP.",
)
MALFORMED: Final = Situation(
    "malformed session cookie",
    "The session cookie has our signature, and its contents are no session.",
    "Sign nothing else with the salt of the session cookie, and delete the site's cookies in the browser.",
)
BEARER_NOT_OURS: Final = Situation(
    "bearer token not ours",
    "The bearer token was not created by this app with this SECRET_KEY, and no request_loader accepted it.",
    "Create one with create_bearer_token, or register a request_loader that accepts the tokens of others.",
)
BEARER_INVALID: Final = Situation(
    "bearer token expired",
    "The bearer token was created by this app, and has expired or is malformed.",
    "Create a new one with create_bearer_token, with a longer duration if need be.",
)
REMEMBER_NOT_OURS: Final = Situation(
    "remember cookie of another key",
    "The remember cookie {cookie} was signed with another SECRET_KEY, or for another app.",
    "Use one SECRET_KEY for all processes and starts, and list former keys in SECRET_KEY_FALLBACKS.",
)
REMEMBER_EXPIRED: Final = Situation(
    "remember cookie expired",
    "The remember cookie {cookie} has expired.",
    "Sign in again, or set a longer REMEMBER_COOKIE_DURATION.",
)
REMEMBER_REFUSED: Final = Situation(
    "remember cookie refused",
    "The remember cookie {cookie} is valid, and the app's LoginRecords refused to restore its login.",
    "Sign in again, or look at login_restored of the app's LoginRecords.",
)
REMEMBER_OF_FLASK_LOGIN: Final = Situation(
    "remember cookie of Flask-Login",
    "The remember cookie {cookie} was written by Flask-Login with the same SECRET_KEY, and it is not taken over.",
    "Write LoginManager(app, import_flask_login=True).",
)
FOREIGN_WEBSOCKET: Final = Situation(
    "websocket from another site",
    "A page of another origin opened this websocket, so its cookies are ignored.",
    "Open it from a page of this site, or add that page's origin to LoginManager.websocket_origins.",
)

#: What is wrong with a session cookie that is not read, by the outcome of its step.
_UNREADABLE: Final[Mapping[str, Situation]] = {
    "other interface": OTHER_INTERFACE,
    "too long": TOO_LONG,
    "from the future": FROM_THE_FUTURE,
    "malformed": MALFORMED,
}


def foreign_websocket(case: Case) -> Diagnosis | None:
    """Notice a websocket whose cookies are ignored."""
    return FOREIGN_WEBSOCKET.at(0) if case.request.get("websocket") == "foreign" else None


def bearer(case: Case) -> Diagnosis | None:
    """Notice a bearer token that does not count, unless cookies were checked beside it."""
    found = case.recording.last("bearer")
    if found is None or case.recording.last("session") is not None:
        return None
    situations = {"not ours": BEARER_NOT_OURS, "invalid": BEARER_INVALID}
    situation = situations.get(found[1]["outcome"])
    return None if situation is None else situation.at(found[0])


def session_cookie(case: Case) -> Diagnosis | None:
    """Notice a session cookie that came and does not count."""
    found = case.recording.last("session_cookie")
    if found is None:
        return None
    step, facts = found
    if facts["outcome"] == "bad signature":
        return _other_key(case, step)
    situation = _UNREADABLE.get(facts["outcome"])
    if situation is None or case.recording.details("session").get("user_id") is not None:
        return None
    return situation.at(step, length=facts["length"], ahead=describe_duration(-(facts["age"] or 0)))


def two_cookies(case: Case) -> Diagnosis | None:
    """Notice that the session cookie came more than once."""
    found = case.recording.last("session_cookie")
    number = sum(name == case.cookie for name in case.request.get("cookies", ()))
    if found is None or number < 2:  # noqa: PLR2004 -- two of one name
        return None
    return TWO_COOKIES.at(found[0], cookie=case.cookie, number=number)


def remember_cookie(case: Case) -> Diagnosis | None:
    """Notice a remember cookie that came and does not count."""
    found = case.recording.last("remember_cookie")
    if found is None:
        return None
    step, facts = found
    situations = {"bad signature": REMEMBER_NOT_OURS, "expired or ended": REMEMBER_EXPIRED, "valid": REMEMBER_REFUSED}
    situation = situations[facts["outcome"]]
    if situation is REMEMBER_REFUSED and facts["login"] is None and not manager_of(case.app).import_flask_login:
        situation = REMEMBER_OF_FLASK_LOGIN
    return situation.at(step, cookie=facts["cookie"])


def expired(case: Case) -> Diagnosis | None:
    """Notice a session cookie that has expired."""
    found = case.recording.last("session_cookie")
    if found is None or found[1]["outcome"] != "expired":
        return None
    return EXPIRED.at(
        found[0], age=describe_duration(found[1]["age"]), lifetime=describe_duration(session_lifetime(case.app))
    )


def no_secret_key(case: Case) -> Diagnosis | None:
    """Notice an app that cannot sign sessions."""
    found = case.recording.last("session_cookie")
    if case.app.secret_key or not isinstance(case.app.session_interface, SecureCookieSessionInterface):
        return None
    return NO_SECRET_KEY.at(None if found is None else found[0])


RULES: Final[tuple[Rule, ...]] = (no_secret_key, session_cookie, remember_cookie, expired)


def _other_key(case: Case, step: int) -> Diagnosis:
    twice, found = two_cookies(case), case.last_response_with_cookie("set")
    if twice is not None:
        return twice
    if found is None:
        return OTHER_KEY.at(step)
    return OVERWRITTEN.at(step, cookie=found[1]["cookie"], ago=case.ago(found[0]))
