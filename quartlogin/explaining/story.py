"""The steps of a request as sentences, for people who have not read the code."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..tracing import Step
from .arrows import rows_of
from .case import describe_duration
from .names import Names
from .recorder import Recording

_LONGEST_SQL: Final = 1000  # characters
Details = Mapping[str, Any]
#: A format of the details, or a function of them.
Sentence = str | Callable[[Details], str]


def tell_story(recordings: Sequence[Recording], *, times: bool = True) -> list[str]:
    """Return one sentence for each step of some requests, in their order.

    Args:
        recordings: One or several requests.
        times: Whether to say how long steps took, and the ids as they are. Without, the same steps give the same
            sentences at each run.
    """
    names = Names(as_recorded=times)
    return [sentence_of(step, names, times=times) for recording in recordings for step in recording.steps]


def sentence_of(step: Step, names: Names, *, times: bool = True) -> str:
    """Return what happened at a step, in one sentence.

    Args:
        step: The step.
        names: The names of users and logins.
        times: Whether to say how long it took.
    """
    named = names.named(step.details)
    sentence = _sentence_for(step.name, named.get("outcome"))
    text = sentence.format_map(named) if isinstance(sentence, str) else sentence(named)
    if not times or step.seconds is None:
        return text
    return f"{text.removesuffix('.')} ({step.seconds * 1000:.1f} ms)."


def _sentence_for(name: str, outcome: object) -> Sentence:
    found = SENTENCES.get(name, f"The step {name.replace('_', ' ')}.")
    if not isinstance(found, Mapping):
        return found
    other = f"The step {name.replace('_', ' ')} had the outcome {{outcome!r}}."
    return found.get(str(outcome), found.get("", other))


def _request(d: Details) -> str:
    kind = "opened the websocket" if d.get("websocket") else f"sent {d.get('method')}"
    to = d.get("route") or "to an address for which the app has no route"
    cookies = d.get("cookies") or ()
    sent = f"with {_listed('cookie', cookies)}" if cookies else "without cookies"
    return f"The browser {kind} {to}, {sent}."


def _listed(noun: str, names: Sequence[str]) -> str:
    return f"the {noun if len(names) == 1 else f'{noun}s'} {', '.join(names)}"


def _session(d: Details) -> str:
    if d["user"] is None:
        return "The session names no user."
    login = "" if d["login"] is None else f" and {d['login']}"
    age = f" {_duration(d['fresh_age'])} ago" if d.get("fresh_age") else ""
    fresh = f"the password was entered{age} in this session" if d.get("fresh") else "the login is not fresh"
    return f"The session names user {d['user']}{login}; {fresh}."


def _duration(seconds: Any) -> str:
    """Return seconds in words; what is no whole number, as in a header that the app wrote, as it is."""
    text = str(seconds)
    return describe_duration(int(text)) if text.isdecimal() else f"{text} seconds"


def _aged(sentence: str) -> Sentence:
    def text(d: Details) -> str:
        age = d.get("age")
        key = ", with a former key" if d.get("key") == "former" else ""
        return sentence.format_map({**d, "aged": f"{_duration(age)} ago" if age else "just now", "key": key})

    return text


def _loader_found(d: Details) -> str:
    argument = "" if d["user"] is None else f" with the id {d['user']}"
    return f"The {d['loader']} was called{argument}, and returned an object of type {d['type']}."


def _loader_raised(d: Details) -> str:
    missing = f", since g.{d['missing_on_g']} was not set yet" if d.get("missing_on_g") else ""
    return f"The {d['loader']} raised {d['error']}{missing}."


def _statement(d: Details) -> str:
    if d.get("error"):
        return f"The database was asked: {_line(d['sql'])}, and failed with {d['error']}."
    found = rows_of(d)
    answer = "" if found is None else f", and returned {found}"
    return f"The database was asked: {_line(d['sql'])}{answer}."


def _line(sql: Any) -> str:
    """Return a statement in one line."""
    line = " ".join(str(sql).split())
    return line if len(line) <= _LONGEST_SQL else f"{line[: _LONGEST_SQL - 1]}…"


def _template(d: Details) -> str:
    line = "" if d.get("line") is None else f" on line {d['line']}"
    return f"The template {d['template'] or 'from a text'} named current_user for the first time{line}."


def _login_not_active(d: Details) -> str:
    if d.get("reason") is None:
        return "There is no record of the login: it has ended."
    return f"The login is not active: {d['reason']}."


def _login(d: Details) -> str:
    remember = ", and is to be remembered after the browser was closed" if d.get("remember") else ""
    return f"login_user wrote the id of user {d['user']} and a new login id into the session{remember}."


def _login_ended(d: Details) -> str:
    which = "Every login" if d.get("record") == "all" else "A login" if d["login"] is None else d["login"].capitalize()
    reason = "" if d.get("reason") is None else f": {d['reason']}"
    return f"{which} ended{reason}."


def _cookie_set(d: Details) -> str:
    flags = [label for key, label in (("httponly", "HttpOnly"), ("secure", "Secure")) if d.get(key)]
    given = [*flags, *([f"SameSite={d['samesite']}"] if d.get("samesite") else [])]
    kept = f", to be kept for {_duration(d['max_age'])}" if d.get("max_age") else ""
    attributes = f" ({', '.join(given)})" if given else ""
    return f"The response sets the cookie {d['cookie']}{attributes}{kept}."


def _response(d: Details) -> str:
    to = "" if d.get("route") is None else f", and sends the browser to {d['route']}"
    return f"The app answered {d['status']}{to}."


def _lookup(d: Details) -> str:
    return (
        "One lookup asked for the user." if d.get("size") == 1 else "One lookup asked for {size} users.".format_map(d)
    )


def _sign_in(d: Details) -> str:
    feature = f" (the step of {d['feature']})" if d.get("feature") else ""
    return f"The sign-in: {d['outcome']}{feature}."


#: What is said of each step: one sentence, or one for each outcome; "" is for any other.
SENTENCES: Final[Mapping[str, Sentence | Mapping[str, Sentence]]] = {
    "request": _request,
    "session_cookie": {
        "none": "The browser sent no session cookie {cookie}.",
        "valid": _aged("The signature of the session cookie {cookie} is valid: it was signed {aged}{key}."),
        "too long": "The session cookie {cookie} was ignored: its {length} characters are more than browsers keep.",
        "bad signature": "The session cookie {cookie} was rejected: it was not signed with a key of this app.",
        "expired": _aged("The session cookie {cookie} was rejected: it has expired, since it was signed {aged}{key}."),
        "from the future": "The session cookie {cookie} was rejected: its date is in the future, so a clock is wrong.",
        "malformed": "The session cookie {cookie} was rejected: its signature is valid, but it contains no session.",
        "kept on the server": "The session cookie {cookie} came; the session itself is kept on the server.",
    },
    "session": _session,
    "protection": {
        "off": "Session protection is off.",
        "same browser": "Session protection found the browser in which the session began.",
        "other browser": "Session protection, in the mode {mode!r}, found another browser or address.",
    },
    "remember_cookie": {
        "valid": "The remember cookie {cookie} is valid, and names user {user}.",
        "expired or ended": "The remember cookie {cookie} has expired, or its login has ended.",
        "bad signature": "The remember cookie {cookie} was rejected: it was not signed with a key of this app.",
    },
    "bearer": {
        "valid": "The bearer token is valid, and names user {user}.",
        "invalid": "The bearer token was rejected: it has expired, has ended, or was changed.",
        "not ours": "The bearer token is not one of this app: the request_loader may know it.",
    },
    "restored": {
        "restored": "The remembered login of user {user} was restored: the user is signed in again, but not freshly.",
        "refused": "The remembered login of user {user} was not restored: its loader found no user.",
    },
    "login_row": {
        "active": "The record of the login exists: the login is valid.",
        "ended or unknown": _login_not_active,
        "": "The login was not accepted: {outcome}.",
    },
    "lookup": _lookup,
    "statement": _statement,
    "database_error": "The database failed with {error}.",
    "loader": {
        "user": _loader_found,
        "no user": "The {loader} returned None: it knows no user {user}.",
        "raised": _loader_raised,
        "missing": "No user_loader is registered, so no user can be loaded.",
    },
    "user": {
        "found": "current_user is an object of type {type}, for the rest of this request.",
        "anonymous": "current_user is the anonymous user, for the rest of this request.",
    },
    "template": _template,
    "early_read": "current_user was used in {where}, in a {during}, before it was loaded, which is an error.",
    "not_awaited": "{function}() was called in {where} and never awaited, so nothing happened.",
    "guard": {
        "allowed": "The guard {guard} let the request pass.",
        "refused": "The guard {guard} stopped the request before the view.",
    },
    "unauthorized": {
        "redirect": "The visitor is {reason}, and is sent to the login page {view}.",
        "401": "The visitor is {reason}, and gets the status 401.",
        "handler": "The visitor is {reason}, and the app's own handler answers.",
    },
    "login": {
        "signed in": _login,
        "not active": "login_user refused user {user}, who is not active.",
        "refused": "login_user refused user {user}: the app's records do not accept the login.",
    },
    "logout": "logout_user removed the user from the session.",
    "confirmed": "confirm_login made the login fresh, with a new id.",
    "login_ended": _login_ended,
    "sign_in": {
        "signed in": "The password is correct, and the user is signed in.",
        "step required": "The password is correct, and one more step is required.",
        "wrong password": "The password is wrong.",
        "unknown name": "There is no user with this name.",
        "rate limited": "Too many sign-ins failed before: this attempt was not checked.",
        "": _sign_in,
    },
    "hashing": "The password was hashed in a thread.",
    "hashing_queue": "Password hashes: {waiting} waiting, {in_use} running.",
    "cookie_written": {"set": _cookie_set, "deleted": "The response deletes the cookie {cookie}."},
    "response": _response,
}
