"""Diagnoses of a user id that came and led to no user: what the loader returned."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..context import manager_of
from ..errors import UserNotLoadedError
from .case import Case, Diagnosis, Rule, Situation
from .recorder import Recording

SIGNED_OUT_BY_PROTECTION: Final = Situation(
    "other browser, strong protection",
    "The session began in a browser with another address or user agent, and strong session protection ended the login.",
    'Sign in again, or set session_protection = "basic"; behind a proxy, have the app trust its X-Forwarded-For.',
)
FLASK_LOGIN_SESSION: Final = Situation(
    "session of Flask-Login",
    "The session has a user's id as Flask-Login writes it, and it is not taken over.",
    "Write LoginManager(app, import_flask_login=True).",
)
ID_TYPE: Final = Situation(
    "id of another type",
    "The {loader} was called with the text {user_id!r} and found no user, while the one who signed in has an id of "
    "type {id_type}.",
    "Convert the id in the loader, if it does not yet, such as int(user_id): ids come from cookies, where they are "
    "text.",
)
LOADER_ASKED_FOR_USER: Final = Situation(
    "loader asks for current_user",
    "The {loader} asked for current_user, which is what it is there to find out.",
    "Use the id with which the loader is called.",
)
LOADER_RAISED: Final = Situation(
    "loader raised",
    "The {loader} raised {error}.",
    "Look at the traceback in the app's log; the id is text, so a column of numbers needs int(user_id).",
)
LOADER_FOUND_NO_USER: Final = Situation(
    "loader returned None",
    "The {loader} was called with the text {user_id!r} and returned None.",
    "Look the id up where the loader does (the user may be deleted, or a database in memory be new), and check that "
    "the loader compares it as text, or converts it (int(user_id)), and has a return statement.",
)
NOT_A_USER: Final = Situation(
    "not a user",
    "The loader returned an object of type {type}, which has no is_authenticated.",
    "Return an object of a class that derives from UserMixin: not a row, an id, or a coroutine that was not awaited.",
)
NOT_A_PROPERTY: Final = Situation(
    "is_authenticated is a method",
    "{type}.is_authenticated is a method, which is always true, so guards refuse to use it.",
    "Put @property above it, or remove it and derive the class from UserMixin.",
)
NOT_ACTIVE: Final = Situation(
    "user not active",
    "The user was found, and {type}.is_active is False.",
    "Activate the user; UserMixin.is_authenticated follows is_active.",
)
STAND_IN: Final = Situation(
    "anonymous user from the loader",
    "The loader returned an anonymous user, {type}.",
    "Change the password, if it is temporary: on other pages than those of the accounts, its user is anonymous until "
    "then; a loader of your own returns None where there is no user.",
)
NOT_AUTHENTICATED: Final = Situation(
    "is_authenticated is False",
    "The user was found, and {type}.is_authenticated is False.",
    "Remove your own is_authenticated: every user that the loader returns is signed in, and it need not be set or "
    "saved.",
)


def not_a_user(case: Case) -> Diagnosis | None:
    """Notice an object from the loader that guards do not take for a signed-in user."""
    found = case.recording.last("user")
    if found is None or found[1]["outcome"] != "found":
        return None
    step, user = found
    if user["authenticated"] == "missing":
        return NOT_A_USER.at(step, type=user["type"])
    if user["authenticated"] == "method":
        return NOT_A_PROPERTY.at(step, type=user["type"])
    if user["authenticated"] is not False:
        return None
    not_active = NOT_ACTIVE if user["active"] is False else NOT_AUTHENTICATED
    return (STAND_IN if user["anonymous"] is True else not_active).at(step, type=user["type"])


def strong_protection(case: Case) -> Diagnosis | None:
    """Notice that session protection ended the login."""
    found = case.recording.last("protection")
    if found is None or found[1]["outcome"] != "other browser" or found[1]["mode"] != "strong":
        return None
    if case.recording.details("session")["permanent"]:
        return None  # such a session is made not fresh instead
    return SIGNED_OUT_BY_PROTECTION.at(found[0])


def flask_login_session(case: Case) -> Diagnosis | None:
    """Notice a session of Flask-Login's that is not taken over."""
    found = case.recording.last("session")
    if found is None or found[1]["user_id"] is None or _was_asked(case, "user_loader", "users_loader"):
        return None
    if manager_of(case.app).import_flask_login:
        return None
    return FLASK_LOGIN_SESSION.at(found[0])


def loader_failed(case: Case) -> Diagnosis | None:
    """Notice a loader that raised, or that returned None for an id."""
    found = _failing_loader(case)
    if found is None:
        return None
    step, loader = found
    id_type = _other_id_type(case, loader["user_id"])
    if id_type is not None:
        return ID_TYPE.at(step, loader=loader["loader"], user_id=loader["user_id"], id_type=id_type)
    if loader.get("error") == UserNotLoadedError.__name__:
        return LOADER_ASKED_FOR_USER.at(step, loader=loader["loader"])
    if loader["outcome"] == "raised":
        return LOADER_RAISED.at(step, loader=loader["loader"], error=loader["error"])
    return LOADER_FOUND_NO_USER.at(step, loader=loader["loader"], user_id=loader["user_id"])


RULES: Final[tuple[Rule, ...]] = (strong_protection, loader_failed, flask_login_session)


def _failing_loader(case: Case) -> tuple[int, Mapping[str, Any]] | None:
    """Return the step of the loader that raised, or else of the first that was called with an id and found no user."""
    steps = [(at, step.details) for at, step in case.recording.all("loader")]
    raised = [one for one in steps if one[1]["outcome"] == "raised"]
    without_user = [one for one in steps if one[1]["outcome"] == "no user" and one[1]["user_id"] is not None]
    return next(iter(raised or without_user), None)


def _other_id_type(case: Case, user_id: str | None) -> str | None:
    """Return the type of the id of a user who signed in, unless it is text, or a loader has found this user since."""
    for recording in case.earlier:
        if any(step.details["user_id"] == user_id for step in _loaded(recording)):
            return None
        login = recording.details("login")
        if login.get("user_id") == user_id and login.get("id_type", "str") != "str":
            id_type: str = login["id_type"]
            return id_type
    return None


def _loaded(recording: Recording) -> Iterator[Any]:
    return (step for _, step in recording.all("loader") if step.details["outcome"] == "user")


def _was_asked(case: Case, *loaders: str) -> bool:
    return any(step.details["loader"] in loaders for _, step in case.recording.all("loader"))
