"""`Recorder`: keeps the steps of an app's last requests."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from quart import Quart

from ..request_state import state_of_request
from ..tracing import Step

#: How many requests are kept.
KEPT: Final = 100
#: How many steps of one request are kept: a websocket may stay open for days.
MOST_STEPS: Final = 500
#: Where a connection keeps its recordings, by their recorders.
_RECORDINGS: Final = "_quartlogin_recordings"


@dataclass(eq=False)
class Recording:
    """The steps of one request or websocket."""

    #: Counts the requests of a recorder, from 1.
    number: int
    #: When it began, in seconds since 1970.
    began: float
    #: The steps, without the app and the connection.
    steps: list[Step] = field(default_factory=list)

    def all(self, name: str) -> Iterator[tuple[int, Step]]:
        """Yield the steps of a name, each with its position."""
        return ((position, step) for position, step in enumerate(self.steps) if step.name == name)

    def last(self, name: str) -> tuple[int, Mapping[str, Any]] | None:
        """Return the position and the details of the last step of a name, `None` if there is none."""
        found = [(position, step.details) for position, step in self.all(name)]
        return found[-1] if found else None

    def details(self, name: str) -> Mapping[str, Any]:
        """Return the details of the last step of a name; none if there is no such step."""
        found = self.last(name)
        return {} if found is None else found[1]


class Recorder:
    """Listens to the steps of one app, and keeps those of its last requests.

    Args:
        app: The app.
        kept: How many requests are kept.
    """

    def __init__(self, app: Quart, kept: int = KEPT) -> None:
        self.app = app
        #: The requests, oldest first.
        self.recordings: deque[Recording] = deque(maxlen=kept)
        self._numbers = count(1)

    def __call__(self, step: Step) -> None:
        """Keep a step, if it belongs to a request of this app."""
        if step.app is not self.app or step.connection is None:
            return
        kept = vars(step.connection).setdefault(_RECORDINGS, {})
        recording = kept.get(self)
        if recording is None:
            recording = kept[self] = Recording(next(self._numbers), time.time())
            self.recordings.append(recording)
        if len(recording.steps) < MOST_STEPS:
            recording.steps.append(replace(step, app=None, connection=None))

    def find(self, number: int) -> Recording | None:
        """Return a recording by its number, `None` if it is not, or no longer, kept."""
        return next((one for one in self.recordings if one.number == number), None)

    def before(self, recording: Recording) -> list[Recording]:
        """Return the requests that began before this one, newest first."""
        return [one for one in reversed(self.recordings) if one.number < recording.number]


class ReadOnlyRecorder(Recorder):
    """Records requests with a browser's cookies that the browser did not send, and so gets no new ones for.

    No remember cookie is replaced: the browser's copy would count as stolen afterwards. No user signs in or out.
    """

    def __call__(self, step: Step) -> None:
        """Keep a step; at a request's first, refuse cookies to it."""
        if step.name == "request" and step.app is self.app and (state := state_of_request()) is not None:
            state.is_answered = True  # as in a finished response, no cookie can be set
        super().__call__(step)
