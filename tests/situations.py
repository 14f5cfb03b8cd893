"""Tests that make a situation, which is then diagnosed."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from quart import Quart

from quartlogin.explaining import Case, Diagnosis, Recorder, diagnose
from quartlogin.explaining.case import Situation


class Recorded:
    """An app whose requests are recorded."""

    def __init__(self, app: Quart) -> None:
        self.app = app
        self.recorder = Recorder(app)

    def explain(self) -> Diagnosis:
        """Diagnose the last request."""
        recording = self.recorder.recordings[-1]
        return diagnose(Case(recording, self.app, self.recorder.before(recording)))

    def step_of(self, diagnosis: Diagnosis) -> str | None:
        """Return the name of the step that decided."""
        return None if diagnosis.step is None else self.recorder.recordings[-1].steps[diagnosis.step].name


def makes(situation: Situation, step: str | None) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Mark a test that makes a situation; it is then diagnosed, and must be this one.

    Args:
        situation: The situation.
        step: The name of the step that decided.
    """

    def mark(test: Callable[..., Awaitable[None]]) -> Any:
        @wraps(test)
        async def make_and_explain(site: Recorded, **fixtures: Any) -> None:
            await test(site, **fixtures)
            diagnosis = site.explain()
            assert (diagnosis.situation, site.step_of(diagnosis)) == (situation.name, step), diagnosis
            assert all(text.endswith(".") for text in (diagnosis.sentence, diagnosis.cure) if text)
            assert "{" not in diagnosis.sentence

        return make_and_explain

    return mark
