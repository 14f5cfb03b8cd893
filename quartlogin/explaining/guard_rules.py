"""Diagnoses of guards that do not run, and of login pages that cannot be reached."""

from typing import Any, Final

from ..config import EXEMPT_METHODS
from ..decorators import was_guarded
from ..redirects import is_url
from .case import Case, Diagnosis, Rule, Situation

GUARD_ABOVE_ROUTE: Final = Situation(
    "guard above the route",
    "The view {endpoint} was registered without its guard, which stands above the route, so anyone may see it.",
    "Move the guard below the route, directly above the view's `def`.",
)
LOGIN_PAGE_GUARDED: Final = Situation(
    "guarded login page",
    "The login page {route} is guarded itself, so it redirects to itself without end.",
    "Remove the guard from the login page.",
)
LOGIN_VIEW_UNKNOWN: Final = Situation(
    "unknown login view",
    "A guard rejected the visitor, and LoginManager.login_view or refresh_view is {view!r}, which is no endpoint of "
    "this app.",
    "Set it to the name of a view, such as auth.login for one of the blueprint auth, or to a URL.",
)
PREFLIGHT: Final = Situation(
    "OPTIONS passes guards",
    "Guards let OPTIONS pass, since browsers send it without cookies before a request from another origin.",
)
BEFORE_GUARD: Final = Situation(
    "answered before the guard",
    "The guard of {endpoint} was not asked: a before_request function, or an error in one, answered with {status}.",
    "Look at the app's before_request functions, such as those of its extensions.",
)


def guard_above_route(case: Case) -> Diagnosis | None:
    """Notice a view that was registered below its guard."""
    endpoint, view = case.request.get("endpoint"), _view_of(case)
    if view is None or case.recording.last("guard") is not None or not was_guarded(view):
        return None
    return GUARD_ABOVE_ROUTE.at(0, endpoint=endpoint)


def login_page(case: Case) -> Diagnosis | None:
    """Notice a guard whose login page does not exist, or is guarded itself."""
    found = case.recording.last("unauthorized")
    if found is None or found[1]["outcome"] != "redirect":
        return None
    step, view, response = found[0], found[1]["view"], case.recording.last("response")
    if not is_url(view) and not view.startswith(".") and view not in case.app.view_functions:
        return LOGIN_VIEW_UNKNOWN.at(step, view=view)
    route = case.request.get("route")
    if response is None or route is None or response[1]["route"] != route or case.request.get("method") != "GET":
        return None
    return LOGIN_PAGE_GUARDED.at(step, route=route)


def guard_not_reached(case: Case) -> Diagnosis | None:
    """Notice that a view's guard was not asked."""
    if not _has_guard(_view_of(case)) or any(case.recording.last(name) for name in ("guard", "login", "logout")):
        return None
    if case.request.get("method") in EXEMPT_METHODS:
        return PREFLIGHT.at(0)
    response = case.recording.details("response")
    if case.recording.last("user") is not None or not response:
        return None
    return BEFORE_GUARD.at(0, endpoint=case.request["endpoint"], status=response["status"])


FIRST_RULES: Final[tuple[Rule, ...]] = (guard_above_route, login_page)


def _view_of(case: Case) -> Any:
    return case.app.view_functions.get(case.request.get("endpoint") or "")


def _has_guard(view: Any) -> bool:
    """Tell whether one of a view's decorators is a guard."""
    while view is not None:
        if was_guarded(view):
            return True
        view = getattr(view, "__wrapped__", None)
    return False
