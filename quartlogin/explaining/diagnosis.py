"""Why a request is, or is not, signed in: one sentence, and one that says what to do."""

from collections.abc import Iterator
from types import ModuleType
from typing import Final

from . import app_rules, cookie_rules, guard_rules, loading_rules, login_rules, missing_cookie_rules, outcome_rules
from .case import Case, Diagnosis, Rule, Situation

__all__ = ["Case", "Diagnosis", "Rule", "Situation", "diagnose", "situations"]

SERVER_SESSION_EMPTY: Final = Situation(
    "session not on the server",
    "The cookie names a session that is kept on the server, and that session names no user.",
    "Sign in again; if that happens often, look how long the store keeps sessions and whether all processes use the "
    "same one.",
)
NO_USER_IN_SESSION: Final = Situation(
    "no user in the session",
    "The session cookie is valid, and the session in it names no user.",
    "Sign in; if you have, look for code that clears the session, or for a second cookie of this name for another "
    "path.",
)
ANONYMOUS: Final = Situation("not signed in", "Nothing in this request signs the visitor in.", "Sign in.")


def diagnose(case: Case) -> Diagnosis:
    """Return the first diagnosis that applies: causes come before consequences."""
    return next((found for rule in _RULES if (found := rule(case)) is not None), ANONYMOUS.at(None))


def situations() -> Iterator[Situation]:
    """Yield every situation that can be diagnosed, in the order in which the modules list them."""
    for module in (*_MODULES, None):
        contents = globals() if module is None else vars(module)
        yield from (value for value in contents.values() if isinstance(value, Situation))


def _no_user_in_session(case: Case) -> Diagnosis | None:
    found = case.recording.last("session")
    if found is None or found[1]["user_id"] is not None:
        return None
    outcome = case.recording.details("session_cookie").get("outcome")
    if outcome == "valid" and (twice := cookie_rules.two_cookies(case)) is not None:
        return twice
    situation = {"valid": NO_USER_IN_SESSION, "kept on the server": SERVER_SESSION_EMPTY}.get(outcome or "")
    return None if situation is None else situation.at(found[0])


_MODULES: Final[tuple[ModuleType, ...]] = (
    app_rules,
    guard_rules,
    outcome_rules,
    login_rules,
    loading_rules,
    cookie_rules,
    missing_cookie_rules,
)
_RULES: Final[tuple[Rule, ...]] = (
    *guard_rules.FIRST_RULES,
    *app_rules.FIRST_RULES,
    *outcome_rules.OWN_RULES,
    login_rules.sign_in,
    loading_rules.not_a_user,
    *outcome_rules.SIGNED_IN_RULES,
    cookie_rules.foreign_websocket,
    cookie_rules.bearer,
    *login_rules.RULES,
    *loading_rules.RULES,
    guard_rules.guard_not_reached,
    app_rules.never_asked,
    *cookie_rules.RULES,
    *missing_cookie_rules.FIRST_RULES,
    login_rules.signed_out_before,
    *missing_cookie_rules.RULES,
    _no_user_in_session,
)
