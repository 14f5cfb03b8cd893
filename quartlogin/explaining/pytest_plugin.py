"""A section for a failed test in which a visitor was sent to the login page, or got a 401: why, and what to do.

pytest loads this where quartlogin is installed; `-p no:quartlogin` turns it off.
"""

from collections.abc import Generator
from typing import Any, Final

import pytest
from quart import Quart

from .. import tracing
from ..tracing import Step
from .diagnosis import Case, diagnose
from .recorder import Recorder, Recording

_TITLE: Final = "Why quartlogin refused"
_MOST: Final = 5  # requests of one test; the last ones
_UNAUTHORIZED: Final = 401

_recorders: Final = pytest.StashKey["Recorders"]()


class Recorders:
    """Listens to the steps of all apps during one test."""

    def __init__(self) -> None:
        self._by_app: dict[Quart, Recorder] = {}

    def __call__(self, step: Step) -> None:
        """Keep a step, if it belongs to a request."""
        if step.app is None:
            return
        if step.app not in self._by_app:
            self._by_app[step.app] = Recorder(step.app)
        self._by_app[step.app](step)

    def explain(self) -> str:
        """Explain the last requests that were refused; empty if none was."""
        refused = [
            (recorder, one) for recorder in self._by_app.values() for one in recorder.recordings if _is_refused(one)
        ]
        return "\n\n".join(_explanation_of(recorder, one) for recorder, one in refused[-_MOST:])

    def forget(self) -> None:
        """Release the apps and their requests."""
        self._by_app.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Listen while a test and its fixtures run."""
    recorders = item.stash[_recorders] = Recorders()
    try:
        with tracing.listening(recorders):
            return (yield)
    finally:
        recorders.forget()  # pytest keeps all tests until its end, and they would keep their apps


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the section to the report of a failed test."""
    report = yield
    recorders = item.stash.get(_recorders, None)  # plugins that repeat tests may not call the hook above
    if report.failed and recorders is not None and (text := _explain(recorders)):
        report.sections.append((_TITLE, text))
    return report


def _explain(recorders: Recorders) -> str:
    try:
        return recorders.explain()
    except Exception as error:  # the report matters more
        return f"The explanation failed: {type(error).__name__}."


def _is_refused(recording: Recording) -> bool:
    return recording.last("unauthorized") is not None or recording.details("response").get("status") == _UNAUTHORIZED


def _explanation_of(recorder: Recorder, recording: Recording) -> str:
    request, response = recording.details("request"), recording.details("response")
    found = diagnose(Case(recording, recorder.app, recorder.before(recording)))
    to = "" if response.get("route") is None else f" to {response['route']}"
    asked = f"{request.get('method', 'GET')} {request.get('route') or '(no such page)'}"
    return "\n".join(filter(None, [f"{asked}: {response.get('status', 'refused')}{to}", found.sentence, found.cure]))
