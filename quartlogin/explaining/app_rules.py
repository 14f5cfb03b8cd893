"""Diagnoses of mistakes in the app's code: missing awaits and loaders, and pages that ask for no user."""

from typing import Final

from .case import Case, Diagnosis, Rule, Situation

NEVER_AWAITED: Final = Situation(
    "login never awaited",
    "{function}() was called without `await` ({where}), so it did nothing.",
    "Write `await {function}(...)`, in a view that is `async def`.",
)
NO_LOADER: Final = Situation(
    "no user loader",
    "The app's LoginManager has no user_loader, so no user can be found.",
    "Put @login_manager.user_loader above an `async def` that takes an id and returns the user or None.",
)
TWO_MANAGERS: Final = Situation(
    "two LoginManagers",
    "The user_loader is registered on a LoginManager that belongs to no app; the one of this app has none.",
    "Create one LoginManager, import it wherever it is needed, and call its init_app(app) once.",
)
MISSING_ON_G: Final = Situation(
    "g is not set yet",
    "The {loader} read `g.{attribute}`, which no before_request function had set yet.",
    "Set `g.{attribute}` in a before_request function that comes before the first use of current_user, or do not use "
    "`g` in the loader.",
)
EARLY_READ: Final = Situation(
    "current_user read too early",
    "{where} reads current_user before the user of this request is loaded.",
    "Write `user = await current_user` before that line, or put @login_required directly above the view's `def`.",
)
EARLY_READ_BEFORE_REQUEST: Final = Situation(
    "current_user read in before_request",
    "{where} reads current_user in a before_request function, which runs before guards and before eager=True.",
    "Write `user = await current_user` there.",
)
NO_ROUTE: Final = Situation(
    "no such page",
    "No route matches this URL and method, so no view asked for the user.",
    "Check the URL and the methods of the route.",
)
STATIC_FILE: Final = Situation("static file", "This is a static file, which is the same for every visitor.")
NEVER_ASKED: Final = Situation(
    "never asked",
    "Neither the view, nor a guard, nor a template asked for the user, so the page is the same for every visitor.",
    "Name current_user in the template, write `await current_user` in the view, or put @login_required above its "
    "`def`.",
)


def never_awaited(case: Case) -> Diagnosis | None:
    """Notice a login or a logout without `await`."""
    found = case.recording.last("not_awaited")
    return None if found is None else NEVER_AWAITED.at(found[0], **found[1])


def no_loader(case: Case) -> Diagnosis | None:
    """Notice that the app's manager has no loader."""
    found = case.recording.last("loader")
    if found is None or found[1]["outcome"] != "missing":
        return None
    return (TWO_MANAGERS if found[1]["is_elsewhere"] else NO_LOADER).at(found[0])


def missing_on_g(case: Case) -> Diagnosis | None:
    """Notice a loader that reads an attribute of `g` which is not set yet."""
    found = case.recording.last("loader")
    attribute = None if found is None else found[1].get("missing_on_g")
    if found is None or attribute is None:
        return None
    return MISSING_ON_G.at(found[0], loader=found[1]["loader"], attribute=attribute)


def early_read(case: Case) -> Diagnosis | None:
    """Notice a use of the user before it was loaded, unless it was loaded all the same."""
    found = case.recording.last("early_read")
    if found is None or case.recording.last("user") is not None:
        return None
    situation = EARLY_READ_BEFORE_REQUEST if found[1]["during"] == "before_request" else EARLY_READ
    return situation.at(found[0], where=found[1]["where"])


def never_asked(case: Case) -> Diagnosis | None:
    """Notice that nothing asked who the user is."""
    if any(case.recording.last(step) is not None for step in ("user", "loader", "login", "logout")):
        return None
    if (case.request.get("endpoint") or "").rpartition(".")[2] == "static":
        return STATIC_FILE.at(0)
    is_unknown = case.request.get("endpoint") is None and case.recording.details("response").get("status") in {404, 405}
    return (NO_ROUTE if is_unknown else NEVER_ASKED).at(0)


FIRST_RULES: Final[tuple[Rule, ...]] = (never_awaited, no_loader, missing_on_g, early_read)
