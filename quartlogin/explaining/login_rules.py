"""Diagnoses of a login that has ended, or of a sign-in with a password that did not begin one."""

from collections.abc import Mapping
from typing import Any, Final

from .case import Case, Diagnosis, Rule, Situation

LOGIN_ENDED: Final = Situation(
    "login ended",
    "This login ended {ago} ago in {endpoint}: {reason}.",
    "Sign in again.",
)
ENDED_NOW: Final = Situation(
    "login ended by this request",
    "This request ended the login: {reason}.",
    "Sign in again.",
)
RECORD_NOT_ACTIVE: Final = Situation(
    "login not active",
    "The database says why this login is not active: {reason}.",
    "Sign in again; the page “What ends a login” of the documentation lists what does.",
)
ENDED_ELSEWHERE: Final = Situation(
    "login ended elsewhere",
    "The database has no active login for this cookie or token: it was ended, it expired, or it was not used for too "
    "long.",
    "Sign in again; the page “What ends a login” of the documentation lists what does.",
)
REMEMBER_REPLACED: Final = Situation(
    "remember cookie replaced",
    "This session came with a remember cookie that has been replaced since: another browser came back with a copy of "
    "it.",
    "Sign in again, and change the password if the copy was not yours.",
)
SIGNED_OUT_BEFORE: Final = Situation(
    "signed out before",
    "No user is signed in here: of the recorded logins and logouts, the last was the logout in {endpoint}, {ago} ago.",
    "Sign in again.",
)
SIGN_IN_FAILED: Final = Situation(
    "sign-in failed",
    "The sign-in with a password did not begin a login: {outcome}.",
    "Enter the username and the password again; the page names no reason, so that it does not tell who has an account.",
)
SIGN_IN_WAITS: Final = Situation(
    "one more step",
    "The password was right, and the sign-in waits for one more step: {feature}.",
    "Take that step on the page to which this response redirects.",
)


def sign_in(case: Case) -> Diagnosis | None:
    """Notice a sign-in with a password that failed, or waits."""
    found = case.recording.last("sign_in")
    if found is None or found[1]["outcome"] == "signed in":
        return None
    if found[1]["outcome"] == "step required":
        return SIGN_IN_WAITS.at(found[0], feature=found[1]["feature"])
    return SIGN_IN_FAILED.at(found[0], outcome=found[1]["outcome"])


def login_ended(case: Case) -> Diagnosis | None:
    """Notice that the login of this request was seen to end."""
    step, names = _login_of(case)
    if step is None or case.recording.details("user").get("outcome") == "found":
        return None
    for position, ended in case.recording.all("login_ended"):
        if _is_one_of(ended.details, names):
            return ENDED_NOW.at(position, reason=ended.details["reason"])
    for recording in case.earlier:
        for _, ended in recording.all("login_ended"):
            if _is_one_of(ended.details, names):
                endpoint = recording.details("request").get("endpoint")
                return LOGIN_ENDED.at(step, ago=case.ago(recording), endpoint=endpoint, reason=ended.details["reason"])
        if recording.details("login").get("login") in names:
            return None  # it began here, so what ended before is no concern of it
    return None


def login_row(case: Case) -> Diagnosis | None:
    """Notice that the record of the login says that it does not count."""
    found = case.recording.last("login_row")
    if found is None or found[1]["outcome"] == "active":
        return None
    if found[1]["outcome"] != "ended or unknown":
        return REMEMBER_REPLACED.at(found[0])
    reason = found[1].get("reason")
    return ENDED_ELSEWHERE.at(found[0]) if reason is None else RECORD_NOT_ACTIVE.at(found[0], reason=reason)


def signed_out_before(case: Case) -> Diagnosis | None:
    """Notice a logout after all recorded logins, if this request came without a user's id."""
    recording, logout = case.recording, case.last_logout()
    cookie, session = recording.last("session_cookie"), recording.last("session")
    if logout is None or cookie is None or session is None or session[1]["user_id"] is not None:
        return None
    if cookie[1]["outcome"] not in {"none", "valid"}:
        return None
    step = cookie[0] if cookie[1]["outcome"] == "none" else session[0]
    return SIGNED_OUT_BEFORE.at(step, endpoint=logout.details("request").get("endpoint"), ago=case.ago(logout))


RULES: Final[tuple[Rule, ...]] = (login_ended, login_row)


def _login_of(case: Case) -> tuple[int | None, frozenset[str]]:
    """Return the step that names the login with which the request came, and its names."""
    for name in ("login_row", "session", "remember_cookie", "bearer"):
        found = case.recording.last(name)
        if found is not None and found[1].get("login") is not None:
            return found[0], frozenset({found[1]["login"], found[1].get("record", found[1]["login"])})
    return None, frozenset()


def _is_one_of(ended: Mapping[str, Any], names: frozenset[str]) -> bool:
    return ended.get("record") == "all" or ended.get("login") in names or ended.get("record") in names
