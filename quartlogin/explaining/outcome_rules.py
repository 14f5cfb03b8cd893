"""Diagnoses of what a request did itself: signed in or out, or was let in or turned away as a known user."""

from typing import Final

from .case import Case, Diagnosis, Rule, Situation, describe_duration
from .missing_cookie_rules import fault_of_own

SIGNS_IN: Final = Situation(
    "signs in", "This request signed user {user_id!r} in, and its response sets the cookie {cookie}."
)
SIGNS_OUT: Final = Situation("signs out", "This request signed the visitor out.")
LOGIN_SETS_NO_COOKIE: Final = Situation(
    "login sets no cookie",
    "This request called login_user, and its response does not set the cookie {cookie}, so the next request comes "
    "without it.",
    "Do not clear or replace the session after login_user, and let nothing remove Set-Cookie from the response.",
)
LOGIN_NOT_ACTIVE: Final = Situation(
    "login of an inactive user",
    "login_user returned False and did nothing: the user {user_id!r} is not active.",
    "Activate the user, check the value that login_user returns, or write login_user(user, force=True).",
)
LOGIN_REFUSED: Final = Situation(
    "login refused",
    "login_user returned False and did nothing: the app's LoginRecords refused the login of user {user_id!r}.",
    "Look at login_began of the app's LoginRecords, and check the value that login_user returns.",
)
NO_RESPONSE: Final = Situation(
    "login without a response",
    "{function} raised an error: a websocket, or a response that is finished, can set no cookie.",
    "Sign in and out in a view, and let the page open the websocket afterwards.",
)
NOT_FRESH_REMEMBERED: Final = Situation(
    "not fresh: remembered",
    "The user is signed in by a remember cookie, and this page asks for a password that was entered in this session.",
    "Enter the password again, on a page that calls confirm_login (LoginManager.refresh_view).",
)
NOT_FRESH_OTHER_BROWSER: Final = Situation(
    "not fresh: other browser",
    "The session began in a browser with another address or user agent, so the login is not fresh any more.",
    "Enter the password again; behind a proxy, have the app trust its X-Forwarded-For.",
)
NOT_FRESH_TOO_OLD: Final = Situation(
    "not fresh: too long ago",
    "The password was entered {age} ago, and this page asks for a more recent time.",
    "Enter the password again, or give fresh_login_required a longer max_age.",
)
NOT_FRESH_BEARER: Final = Situation(
    "not fresh: bearer token",
    "A bearer token signed the user in, whose login is never fresh.",
    "Guard what programs may do with @login_required instead of @fresh_login_required.",
)
NOT_FRESH: Final = Situation(
    "not fresh",
    "The user is signed in, and the login is not fresh.",
    "Enter the password again, on a page that calls confirm_login; login_user(user, fresh=False) begins such a login.",
)
TURNED_AWAY: Final = Situation(
    "turned away by another guard",
    "The user is signed in, and the guard {guard} turned them away.",
    "Look at what {guard} asks for, besides being signed in.",
)
BY_SESSION: Final = Situation(
    "signed in by the session", "The session cookie names user {user_id!r}, and the loader found them."
)
BY_SESSION_IN_OTHER_BROWSER: Final = Situation(
    "signed in, in another browser",
    "The session cookie names user {user_id!r}, and it began in a browser with another address or user agent, so the "
    "login is not fresh.",
    "Nothing is wrong if the network changed; behind a proxy, have the app trust its X-Forwarded-For.",
)
BY_REMEMBER_COOKIE: Final = Situation(
    "signed in by the remember cookie",
    "The session was over, and the remember cookie restored the login of user {user_id!r}.",
)
BY_BEARER_TOKEN: Final = Situation("signed in by a bearer token", "The bearer token names user {user_id!r}.")
BY_REQUEST_LOADER: Final = Situation(
    "signed in by the request_loader", "The app's request_loader found the user, and no cookie was needed."
)


def no_response(case: Case) -> Diagnosis | None:
    """Notice a login or a logout where no response can set a cookie."""
    for name, function in (("login", "login_user"), ("logout", "logout_user"), ("confirmed", "confirm_login")):
        found = case.recording.last(name)
        if found is not None and found[1].get("outcome") == "no response":
            return NO_RESPONSE.at(found[0], function=function)
    return None


def signs_in(case: Case) -> Diagnosis | None:
    """Notice a call of `login_user` in this request."""
    found = case.recording.last("login")
    if found is None:
        return None
    step, login = found
    if login["outcome"] == "not active":
        return LOGIN_NOT_ACTIVE.at(step, user_id=login["user_id"])
    if login["outcome"] == "refused":
        return LOGIN_REFUSED.at(step, user_id=login["user_id"])
    written = case.session_cookie_set_by(case.recording)
    if written is None or written[1]["outcome"] != "set":
        return LOGIN_SETS_NO_COOKIE.at(step, cookie=case.cookie)
    return fault_of_own(case, written[0]) or SIGNS_IN.at(step, user_id=login["user_id"], cookie=case.cookie)


def signs_out(case: Case) -> Diagnosis | None:
    """Notice a call of `logout_user` in this request."""
    found = case.recording.last("logout")
    return None if found is None else SIGNS_OUT.at(found[0])


def not_fresh(case: Case) -> Diagnosis | None:
    """Notice a page that asks for a fresh login."""
    found = case.recording.last("unauthorized")
    if found is None or found[1]["reason"] != "not fresh":
        return None
    recording, session = case.recording, case.recording.details("session")
    if recording.details("bearer").get("outcome") == "valid":
        return NOT_FRESH_BEARER.at(found[0])
    if recording.details("restored").get("outcome") == "restored":
        return NOT_FRESH_REMEMBERED.at(found[0])
    if recording.details("protection").get("outcome") == "other browser":
        return NOT_FRESH_OTHER_BROWSER.at(found[0])
    if session.get("fresh") and session["fresh_age"] is not None:
        return NOT_FRESH_TOO_OLD.at(found[0], age=describe_duration(session["fresh_age"]))
    return NOT_FRESH.at(found[0])


def turned_away(case: Case) -> Diagnosis | None:
    """Notice a signed-in user whom a guard turned away."""
    found = case.recording.last("guard")
    if found is None or found[1]["outcome"] != "refused" or not _is_signed_in(case):
        return None
    return TURNED_AWAY.at(found[0], guard=found[1]["guard"])


def signed_in(case: Case) -> Diagnosis | None:
    """Notice that all is well, and say what has signed the user in."""
    found = case.recording.last("user")
    if found is None or not _is_signed_in(case):
        return None
    step, recording = found[0], case.recording
    if recording.details("bearer").get("outcome") == "valid":
        return BY_BEARER_TOKEN.at(step, user_id=recording.details("bearer")["user_id"])
    if recording.details("restored").get("outcome") == "restored":
        return BY_REMEMBER_COOKIE.at(step, user_id=recording.details("restored")["user_id"])
    if recording.details("loader").get("loader") == "request_loader":
        return BY_REQUEST_LOADER.at(step)
    is_moved = recording.details("protection").get("outcome") == "other browser"
    situation = BY_SESSION_IN_OTHER_BROWSER if is_moved else BY_SESSION
    return situation.at(step, user_id=recording.details("session").get("user_id"))


OWN_RULES: Final[tuple[Rule, ...]] = (no_response, signs_in, signs_out, not_fresh)
SIGNED_IN_RULES: Final[tuple[Rule, ...]] = (turned_away, signed_in)


def _is_signed_in(case: Case) -> bool:
    user = case.recording.details("user")
    return user.get("outcome") == "found" and user["authenticated"] is True
