"""A case: a request to diagnose, those before it, and the words for what is found."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart

from .recorder import Recording

#: The prefixes that browsers enforce (RFC 6265bis, 4.1.3).
_PREFIXES: Final = ("__Host-", "__Secure-")
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"))


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
class Situation:
    """A situation, with sentences in which `{names}` stand for facts."""

    name: str
    sentence: str
    #: Empty where nothing is wrong.
    cure: str = ""

    def at(self, step: int | None, **facts: object) -> Diagnosis:
        """Return the diagnosis of one request.

        Args:
            step: The position of the step that decided.
            facts: What the sentences name.
        """
        return Diagnosis(self.name, self.sentence.format(**facts), self.cure.format(**facts), step)


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to judge a request by."""

    recording: Recording
    app: Quart
    #: The requests that began before this one, newest first. They may come from several browsers.
    earlier: Sequence[Recording] = ()

    @property
    def request(self) -> Mapping[str, Any]:
        """The details of the step with which the request began."""
        return self.recording.details("request")

    @property
    def cookie(self) -> str:
        """The name of the session cookie, as the request was expected to have it."""
        name: str = self.recording.details("session_cookie").get("cookie") or self.app.config["SESSION_COOKIE_NAME"]
        return name

    def session_cookie_set_by(self, recording: Recording) -> tuple[int, Mapping[str, Any]] | None:
        """Return the step in which a response sets or deletes the session cookie, `None` if it does neither."""
        base = without_prefix(self.cookie)
        written = [(at, step.details) for at, step in recording.all("cookie_written")]
        return next((one for one in reversed(written) if without_prefix(one[1]["cookie"]) == base), None)

    def last_response_with_cookie(self, *outcomes: str) -> tuple[Recording, Mapping[str, Any]] | None:
        """Return the last earlier request whose response changed the session cookie, and that step's details.

        Args:
            outcomes: "set", "deleted", or both.
        """
        for recording in self.earlier:
            found = self.session_cookie_set_by(recording)
            if found is not None and found[1]["outcome"] in outcomes:
                return recording, found[1]
        return None

    def last_logout(self) -> Recording | None:
        """Return the last earlier request that signed someone out, `None` if one has signed someone in since."""
        for recording in self.earlier:
            if recording.details("login").get("outcome") == "signed in":
                return None
            if recording.last("logout") is not None:
                return recording
        return None

    def ago(self, recording: Recording) -> str:
        """Return how long ago an earlier request began, in words."""
        return describe_duration(self.recording.began - recording.began)


Rule = Callable[[Case], Diagnosis | None]


def earlier_steps(case: Case, name: str) -> Iterator[tuple[Recording, Mapping[str, Any]]]:
    """Yield the earlier steps of a name with their requests, newest first."""
    for recording in case.earlier:
        for _, step in reversed([*recording.all(name)]):
            yield recording, step.details


def without_prefix(cookie: str) -> str:
    """Return a cookie's name without `__Host-` or `__Secure-`."""
    for prefix in _PREFIXES:
        cookie = cookie.removeprefix(prefix)
    return cookie


def host_name(host: str) -> str:
    """Return a `Host` header without its port, which cookies do not distinguish."""
    try:
        return urlsplit(f"//{host}").hostname or host
    except ValueError:
        return host


def describe_duration(seconds: float) -> str:
    """Return a duration in words, such as "5 minutes"."""
    for size, unit in _UNITS:
        if seconds >= size:
            return _counted(int(seconds // size), unit)
    return _counted(max(0, int(seconds)), "second")


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
