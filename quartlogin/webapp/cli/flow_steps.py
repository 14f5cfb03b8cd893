"""The twelve steps of a sign-in and of the page after it, as they were in recorded requests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from quartlogin import tracing
from quartlogin.explaining import tell_story

from .flow_browser import Exchange

TITLES: Final = (
    "The browser opens the login page.",
    "The browser sends the form to the same view.",
    "The view checks the credentials, and calls login_user.",
    "login_user writes the user's id into the session, a signed cookie.",
    "The view redirects.",
    "The browser requests the next page.",
    "The view runs, and renders its template.",
    "The template names current_user for the first time.",
    "Who is it? The session is read.",
    "The user loader is called with the id.",
    "The database is asked, and the loader returns the user.",
    "The page is rendered with that user.",
)
_STAND_IN: Final = "The loader returned None before the login: the command signs in an object that has only the id."
_FORM: Final = 2
_CHECK: Final = 3
_CREDENTIALS: Final = {"hashing", "sign_in", "statement", "login_row", "lookup", "database_error", "loader"}
_SESSION: Final = {"session_cookie", "session", "protection", "remember_cookie", "bearer", "restored"}
_QUESTIONS: Final = {"lookup", "statement", "login_row", "database_error"}
_GUARDS: Final = {"guard", "unauthorized"}
#: The step to which each step of the page's request belongs; any other to the twelfth.
_OF_PAGE: Final = {
    "request": 6,
    **dict.fromkeys(_GUARDS, 7),
    "template": 8,
    "early_read": 8,
    **dict.fromkeys(_SESSION, 9),
    "loader": 10,
    **dict.fromkeys(_QUESTIONS, 11),
}


@dataclass
class FlowStep:
    """One of the twelve."""

    number: int
    title: str
    #: What happened, each in one sentence.
    sentences: list[str] = field(default_factory=list)
    steps: list[tracing.Step] = field(default_factory=list)
    #: How long it took, in seconds, `None` if it did not happen.
    seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "number": self.number,
            "title": self.title,
            "sentences": self.sentences,
            "seconds": self.seconds,
            "steps": [{"step": step.name, "seconds": step.seconds, **step.details} for step in self.steps],
        }


@dataclass(frozen=True)
class Flow:
    """The requests of one run."""

    #: The request of the page that the user wants to see.
    home: Exchange
    #: The request that called `login_user`.
    login: Exchange
    #: The request of the login page, `None` if the command has called `login_user` itself.
    page: Exchange | None = None

    @property
    def exchanges(self) -> list[Exchange]:
        """The requests in their order."""
        return [*([] if self.page is None else [self.page]), self.login, self.home]


def twelve_steps(flow: Flow) -> list[FlowStep]:
    """Sort the steps of the requests into the twelve, with a sentence for each."""
    twelve = [FlowStep(number, title) for number, title in enumerate(TITLES, 1)]
    story = iter(tell_story([exchange.recording for exchange in flow.exchanges]))
    for exchange in flow.exchanges:
        last = exchange.recording.steps[0].at if exchange.recording.steps else 0.0
        for step, number in zip(exchange.recording.steps, _numbers_of(exchange, flow), strict=True):
            chosen = twelve[number - 1]
            chosen.steps.append(step)
            sentence = next(story)
            is_early = exchange is flow.login and step.details.get("outcome") == "no user"
            chosen.sentences.append(_STAND_IN if is_early else sentence)
            chosen.seconds = (chosen.seconds or 0) + step.at - last
            last = step.at
    _say_what_was_sent(twelve, flow)
    _say_what_is_missing(twelve, flow)
    return twelve


def _numbers_of(exchange: Exchange, flow: Flow) -> list[int]:
    steps = exchange.recording.steps
    if exchange is flow.page:
        return [1] * len(steps)
    if exchange is flow.home:
        return [_OF_PAGE.get(step.name, 12) for step in steps]
    return _numbers_of_login(steps, first=_CHECK if flow.page is None else _FORM)


def _numbers_of_login(steps: Sequence[tracing.Step], first: int) -> list[int]:
    """Return a number for each step of the request that signs in: they never go back."""
    numbers, number = [], first
    for step in steps:
        if step.name == "response":
            number = 5 if first == _FORM else 4  # the command's own view leads nowhere
        elif step.name in {"login", "login_ended", "cookie_written"}:
            number = max(number, 4)
        elif step.name in _CREDENTIALS:
            number = max(number, 3)
        numbers.append(number)
    return numbers


def _say_what_was_sent(twelve: Sequence[FlowStep], flow: Flow) -> None:
    form = flow.login.fields
    if form:
        twelve[_FORM - 1].sentences.insert(0, f"The form has the fields {', '.join(form)}.")
    if flow.page is None:
        twelve[_CHECK - 1].sentences.insert(0, "No password is checked: this command calls login_user itself.")
    endpoint = flow.home.recording.details("request").get("endpoint")
    if endpoint is not None:
        twelve[6].sentences.insert(0, f"The view has the endpoint {endpoint}.")


def _say_what_is_missing(twelve: Sequence[FlowStep], flow: Flow) -> None:
    """Explain each of the twelve of which nothing was seen."""
    names = {step.name for step in flow.home.recording.steps}
    guarded = "A guard has asked for the user before the view." if "guard" in names else ""
    asked = "What the loader asks a database of the app's own is not traced." if "loader" in names else ""
    reasons = {
        1: "The app's own login page is left out: --login-page uses it.",
        2: "The form is not sent either.",
        5: "The app's own view would redirect now.",
        7: "The app has no view at this address.",
        8: guarded or "No template of this page named current_user.",
        9: "Nothing on this page asked who is signed in.",
        10: "No loader was called.",
        11: asked or "Nothing was asked of a database.",
    }
    for step in twelve:
        if not step.sentences:
            step.sentences.append(reasons.get(step.number, "Nothing was seen of it."))
