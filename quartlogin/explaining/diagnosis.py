"""Why a request is, or is not, signed in: one sentence, and one that says what to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from quart import Quart

from .recorder import Recording


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a request is, or is not, signed in."""

    #: The name of the situation, as in the table of the docs.
    situation: str
    #: What happened, in one sentence.
    sentence: str
    #: What to do, in one sentence; empty where nothing is wrong.
    cure: str
    #: The position of the step that decided in `Recording.steps`, `None` if no step did.
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to judge a request by."""

    recording: Recording
    app: Quart
    #: The requests that began before this one, newest first.
    earlier: Sequence[Recording] = ()


Rule = Callable[[Case], Diagnosis | None]


def diagnose(case: Case) -> Diagnosis:
    """Return the first diagnosis that applies: causes come before consequences."""
    return next(found for rule in _RULES if (found := rule(case)) is not None)


def _signed_in(case: Case) -> Diagnosis | None:
    found = case.recording.last("user")
    if found is None or found[1]["outcome"] != "found":
        return None
    return Diagnosis("signed in", "The user loader found the user.", "", found[0])


def _never_asked(case: Case) -> Diagnosis | None:
    if case.recording.last("user") is not None:
        return None
    return Diagnosis(
        "never asked",
        "Nothing in this request asked for the user.",
        "Name current_user in the template or the view, or put @login_required above the view.",
    )


def _no_cookie(case: Case) -> Diagnosis:
    found = case.recording.last("session_cookie")
    return Diagnosis("not signed in", "The session signs nobody in.", "Sign in.", None if found is None else found[0])


_RULES: Final[Sequence[Rule]] = (_signed_in, _never_asked, _no_cookie)
