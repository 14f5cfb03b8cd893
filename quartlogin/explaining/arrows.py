"""The arrows of a sequence diagram: who says what to whom at each step."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Final

from ..tracing import Step
from .names import Names
from .recorder import Recording


class Lane(IntEnum):
    """A participant, from left to right."""

    BROWSER = 0
    APP = 1
    QUARTLOGIN = 2
    COOKIES = 3
    LOADER = 4
    DATABASE = 5


@dataclass(frozen=True, slots=True)
class Arrow:
    """What one participant says to another; a note, if it is said to oneself."""

    source: Lane
    target: Lane
    text: str
    #: Whether it answers an earlier arrow.
    is_answer: bool = False
    #: Whether something is missing, failed or was refused.
    is_bad: bool = False
    #: The number of the step in the story, from 1; `None` for an arrow that belongs to the one with the number.
    number: int | None = None
    #: How long it took, in seconds.
    seconds: float | None = None
    #: Whether this step decided who is signed in.
    is_decisive: bool = False


Details = Mapping[str, Any]
#: Makes the text of an arrow: a format of the details, or a function of them.
Text = str | Callable[[Details], str]

_GOOD: Final = {
    "valid", "kept on the server", "same browser", "off", "restored", "found", "user", "allowed", "signed in", "set",
    "deleted", "hit", "ok", "correct", "none", "anonymous", "not ours",
    "active", "step required",
}  # fmt: skip
#: The steps of which a step of another outcome is drawn as a fault.
_JUDGED: Final = {
    "session_cookie", "protection", "remember_cookie", "bearer", "restored", "login_row", "loader", "guard", "login",
    "sign_in",
}  # fmt: skip
#: What runs within a loader, and is reported before the loader's own step.
_IN_LOADER: Final = {"lookup", "statement", "login_row", "login_ended", "database_error"}
_LONGEST_SQL: Final = 60  # characters
_COLUMNS: Final = re.compile(r"(?<=^SELECT) .{8,}? (?=FROM )")
_VALUES: Final = re.compile(r"^(INSERT INTO \S+|UPDATE \S+ SET|DELETE FROM \S+) .+$")


def arrows_of(recording: Recording, names: Names, *, first: int, decisive: int | None) -> list[Arrow]:
    """Return the arrows of a recording, in their order.

    Args:
        recording: The recording.
        names: The names of users and logins.
        first: The number of its first step.
        decisive: The number of the step that decided.
    """
    arrows: list[Arrow] = []
    for number, step in enumerate(recording.steps, first):
        if step.name == "loader":
            begin = _begin_of_loader(recording.steps, number - first, arrows)
            arrows[begin:] = [_call(step, names), *map(_from_loader, arrows[begin:])]
        arrows.append(_arrow(step, number, names, is_decisive=number == decisive))
        if step.name == "login" and step.details.get("outcome") == "signed in":
            arrows.append(Arrow(Lane.QUARTLOGIN, Lane.COOKIES, "user id and login id, to be signed"))
    return arrows


def title_of(recording: Recording) -> str:
    """Name a recording by what was asked and answered, such as "POST /login → 302"."""
    request, response = recording.details("request"), recording.details("response")
    status = f" → {response['status']}" if "status" in response else ""
    return f"{_request_line(request)}{status}" if request else "Steps without a request"


def short_sql(sql: str) -> str:
    """Return the beginning of a statement, in one line: its verb and its table rather than its columns."""
    line = _COLUMNS.sub(" … ", _VALUES.sub(r"\1 …", " ".join(sql.split())), count=1)
    return line if len(line) <= _LONGEST_SQL else f"{line[: _LONGEST_SQL - 1]}…"


def rows_of(statement: Details) -> str | None:
    """Return how many rows a statement returned, `None` for one that returns none by its kind."""
    rows = statement.get("rows")
    if rows is None:
        return None
    return f"{rows} {'row' if rows == 1 else 'rows'}"


def _begin_of_loader(steps: Sequence[Step], position: int, arrows: Sequence[Arrow]) -> int:
    """Return where in the arrows a loader was called: before the steps within it."""
    inside = 0
    while inside < position and steps[position - 1 - inside].name in _IN_LOADER:
        inside += 1
    return len(arrows) - inside


def _from_loader(arrow: Arrow) -> Arrow:
    """Return an arrow with the loader in the place of quartlogin."""
    source, target = (Lane.LOADER if lane is Lane.QUARTLOGIN else lane for lane in (arrow.source, arrow.target))
    return replace(arrow, source=source, target=target)


def _call(step: Step, names: Names) -> Arrow:
    user = names.named(step.details)["user"]
    return Arrow(Lane.QUARTLOGIN, Lane.LOADER, f"{step.details.get('loader') or 'user_loader'}({user or ''})")


def _arrow(step: Step, number: int, names: Names, *, is_decisive: bool) -> Arrow:
    source, target, text = DRAWN.get(step.name, (Lane.QUARTLOGIN, Lane.QUARTLOGIN, "another step"))
    named = names.named(step.details)
    said = text.format_map(named) if isinstance(text, str) else text(named)
    outcome = step.details.get("outcome")
    is_bad = step.name in _ALWAYS_BAD or (step.name in _JUDGED and outcome is not None and outcome not in _GOOD)
    return Arrow(source, target, said, target < source, is_bad, number, step.seconds, is_decisive)


def _request_line(d: Details) -> str:
    method = "websocket" if d.get("websocket") else d.get("method", "request")
    return f"{method} {d.get('route') or 'an address without a route'}"


def _request(d: Details) -> str:
    cookies = d.get("cookies") or ()
    return f"{_request_line(d)} ({'cookies: ' + ', '.join(cookies) if cookies else 'no cookies'})"


def _session_cookie(d: Details) -> str:
    if d.get("outcome") == "none":
        return f"no cookie {d.get('cookie')}"
    key = ", by a former key" if d.get("key") == "former" else ""
    return f"cookie {d.get('cookie')}: {'signature valid' if d.get('outcome') == 'valid' else d.get('outcome')}{key}"


def _session(d: Details) -> str:
    if d["user"] is None:
        return "no user id in the session"
    return ", ".join([*_user_and_login(d), "fresh" if d.get("fresh") else "not fresh"])


def _user_and_login(d: Details) -> list[str]:
    return [f"user {d['user']}", *([] if d["login"] is None else [d["login"]])]


def _outcome_for(what: str) -> Text:
    def text(d: Details) -> str:
        user = "" if d["user"] is None else f" ({', '.join(_user_and_login(d))})"
        return f"{what}: {d.get('outcome')}{user}"

    return text


def _loader(d: Details) -> str:
    if d.get("outcome") == "raised":
        return f"raised {d.get('error')}"
    if d.get("outcome") == "missing":
        return "no loader is registered"
    return "None: no such user" if d.get("outcome") == "no user" else f"the {d.get('type')}"


def _statement(d: Details) -> str:
    found = rows_of(d)
    return short_sql(str(d.get("sql"))) + ("" if found is None else f" ({found})")


def _cookie_written(d: Details) -> str:
    flags = [label for key, label in (("httponly", "HttpOnly"), ("secure", "Secure")) if d.get(key)]
    same_site = [f"SameSite={d['samesite']}"] if d.get("samesite") else []
    if d.get("outcome") == "deleted":
        return f"deletes cookie {d.get('cookie')}"
    return f"sets cookie {d.get('cookie')}" + (f" ({', '.join([*flags, *same_site])})" if flags or same_site else "")


def _unauthorized(d: Details) -> str:
    answers = {"redirect": f"redirect to {d.get('view')}", "401": "401", "handler": "the app's own handler answers"}
    return f"{d.get('reason')}: {answers.get(str(d.get('outcome')), d.get('outcome'))}"


def _login(d: Details) -> str:
    if d.get("outcome") != "signed in":
        return f"login_user: {d.get('outcome')}"
    remember = ", remember=True" if d.get("remember") else ""
    return f"login_user({d['user']}{remember})"


def _login_row(d: Details) -> str:
    if d.get("reason") is None:
        return f"{d['login']}: {d.get('outcome')}"
    return f"{d['login']} is not active: {d['reason']}"


def _login_ended(d: Details) -> str:
    reason = d.get("reason")
    return f"{d['login'] or 'the login'} ended{'' if reason is None else f': {reason}'}"


def _response(d: Details) -> str:
    return f"{d.get('status')}" + ("" if d.get("route") is None else f", redirect to {d['route']}")


def _user(d: Details) -> str:
    return f"current_user: {d.get('type') if d.get('outcome') == 'found' else 'anonymous'}"


def _lookup(d: Details) -> str:
    size = d.get("size")
    return "one lookup" if size == 1 else f"one lookup for {size} requests"


def _template(d: Details) -> str:
    line = "" if d.get("line") is None else f", line {d['line']}"
    return f"{d.get('template') or 'template'}{line}: names current_user"


_ALWAYS_BAD: Final = {"database_error", "early_read", "not_awaited", "unauthorized"}

#: From where to where each step is drawn, and its text.
DRAWN: Final[Mapping[str, tuple[Lane, Lane, Text]]] = {
    "request": (Lane.BROWSER, Lane.APP, _request),
    "session_cookie": (Lane.QUARTLOGIN, Lane.COOKIES, _session_cookie),
    "session": (Lane.COOKIES, Lane.QUARTLOGIN, _session),
    "protection": (Lane.QUARTLOGIN, Lane.QUARTLOGIN, "session protection: {outcome}"),
    "remember_cookie": (Lane.QUARTLOGIN, Lane.COOKIES, _outcome_for("remember cookie")),
    "bearer": (Lane.QUARTLOGIN, Lane.QUARTLOGIN, _outcome_for("bearer token")),
    "restored": (Lane.COOKIES, Lane.QUARTLOGIN, _outcome_for("remembered login")),
    "login_row": (Lane.LOADER, Lane.LOADER, _login_row),
    "lookup": (Lane.LOADER, Lane.LOADER, _lookup),
    "statement": (Lane.QUARTLOGIN, Lane.DATABASE, _statement),
    "database_error": (Lane.DATABASE, Lane.QUARTLOGIN, "{error}"),
    "loader": (Lane.LOADER, Lane.QUARTLOGIN, _loader),
    "user": (Lane.QUARTLOGIN, Lane.APP, _user),
    "template": (Lane.APP, Lane.QUARTLOGIN, _template),
    "early_read": (Lane.APP, Lane.QUARTLOGIN, "current_user read too early, in {where}"),
    "not_awaited": (Lane.APP, Lane.QUARTLOGIN, "{function}() never awaited, in {where}"),
    "guard": (Lane.APP, Lane.APP, "{guard}: {outcome}"),
    "unauthorized": (Lane.QUARTLOGIN, Lane.APP, _unauthorized),
    "login": (Lane.APP, Lane.QUARTLOGIN, _login),
    "logout": (Lane.APP, Lane.QUARTLOGIN, "logout_user()"),
    "confirmed": (Lane.APP, Lane.QUARTLOGIN, "confirm_login()"),
    "login_ended": (Lane.QUARTLOGIN, Lane.DATABASE, _login_ended),
    "sign_in": (Lane.APP, Lane.APP, "sign-in: {outcome}"),
    "hashing": (Lane.APP, Lane.APP, "password hashed in a thread"),
    "hashing_queue": (Lane.APP, Lane.APP, "password hashes: {waiting} waiting, {in_use} running"),
    "cookie_written": (Lane.APP, Lane.BROWSER, _cookie_written),
    "response": (Lane.APP, Lane.BROWSER, _response),
}
