"""The HTML of the page that explains requests: a list, one request, and a request that is no longer kept."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..tracing import Step
from . import diagram
from .diagnosis import Case, Diagnosis, diagnose
from .recorder import KEPT, Recorder, Recording
from .story import tell_story

_FOLDER: Final = Path(__file__).parent / "templates"
_STYLE: Final = Markup((_FOLDER / "style.css").read_text(encoding="utf-8"))  # noqa: S704 -- a file of ours
#: The styles that stand within the pages.
STYLES: Final[Sequence[str]] = (_STYLE, diagram.STYLE)
#: Not the app's: its filters, globals and settings are its own.
_templates: Final = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the list says about one request."""

    recording: Recording
    diagnosis: Diagnosis

    @property
    def number(self) -> int:
        """The request's number."""
        return self.recording.number

    @property
    def clock(self) -> str:
        """When it began, in local time: the reader sits at this machine."""
        return time.strftime("%H:%M:%S", time.localtime(self.recording.began))

    @property
    def timestamp(self) -> str:
        """When it began, for programs."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.recording.began))

    @property
    def method(self) -> str:
        """Its method, or that it is a websocket."""
        request = self.recording.details("request")
        return "WS" if request.get("websocket") else str(request.get("method", ""))

    @property
    def route(self) -> str:
        """The route that serves it."""
        return self.recording.details("request").get("route") or "no route"

    @property
    def status(self) -> str:
        """The status of its response, in words if there is none (yet)."""
        status = self.recording.details("response").get("status")
        without = "websocket" if self.recording.details("request").get("websocket") else "no response"
        return without if status is None else str(status)

    @property
    def user(self) -> str:
        """Who sent it: an id, if the steps have told one."""
        login, outcome = self.recording.details("login"), self.recording.details("user").get("outcome")
        if login.get("outcome") == "signed in":
            return f"user {login['user_id']} signs in"
        if outcome != "found":
            return "user not asked for" if outcome is None else "anonymous"
        ids = (self.recording.details(step).get("user_id") for step in ("bearer", "session", "remember_cookie"))
        return next((f"user {user_id}" for user_id in ids if user_id is not None), "signed in")

    @property
    def is_file(self) -> bool:
        """Whether it asked for a static file."""
        endpoint = self.recording.details("request").get("endpoint") or ""
        return endpoint.rpartition(".")[2] == "static"


def list_page(recorder: Recorder, token: str) -> str:
    """Return the page that lists the requests, newest first."""
    summaries = [_summary(recorder, recording) for recording in reversed(list(recorder.recordings))]
    return _render(
        "list.html",
        token,
        requests=[one for one in summaries if not one.is_file],
        files=[one for one in summaries if one.is_file],
    )


def request_page(recorder: Recorder, recording: Recording, token: str) -> str:
    """Return the page about one request."""
    number, steps, summary = recording.number, list(recording.steps), _summary(recorder, recording)
    drawn = diagram.draw([recording], decisive=summary.diagnosis.step)
    return _render(
        "request.html",
        token,
        request=summary,
        diagram=Markup(drawn),  # noqa: S704 -- it escapes what it says
        steps=list(zip(steps, tell_story([recording]), strict=False)),  # more steps may come meanwhile
        decisive=summary.diagnosis.step,
        started=steps[0].at if steps else 0,
        previous=number - 1 if recorder.find(number - 1) else None,
        following=number + 1 if recorder.find(number + 1) else None,
    )


def missing_page(token: str) -> str:
    """Return the page about a request that is not, or no longer, kept."""
    return _render("missing.html", token)


def _summary(recorder: Recorder, recording: Recording) -> Summary:
    return Summary(recording, diagnose(Case(recording, recorder.app, recorder.before(recording))))


def _render(template: str, token: str, **values: Any) -> str:
    def address(number: int | None = None) -> str:
        return f"?token={token}" if number is None else f"?token={token}&request={number}"

    shared = {"style": _STYLE, "address": address, "milliseconds": _milliseconds, "details": _details, "kept": KEPT}
    return _templates.get_template(template).render(**shared, **values)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def _details(step: Step) -> Iterator[tuple[str, str]]:
    """Yield the details of a step that say something."""
    for name, value in step.details.items():
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if value is not None and text:
            yield name, text
