"""An app whose requests are recorded, a browser that keeps cookies as browsers do, and tests that make a situation."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from http.cookiejar import Cookie, CookieJar
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request

from quart import Quart, Response
from users import User
from werkzeug.datastructures import Headers

from quartlogin import LoginManager
from quartlogin.explaining import Case, Diagnosis, Recorder, diagnose
from quartlogin.explaining.case import Situation

LONGEST_COOKIE = 4096
#: The names of the tests that `makes` marks, by the name of the situation.
MADE_BY: defaultdict[str, list[str]] = defaultdict(list)


@dataclass
class Site:
    """An app whose requests are recorded."""

    app: Quart
    manager: LoginManager[User]
    recorder: Recorder
    #: What the user_loader answers, by id: a user, or an error to raise.
    users: dict[Any, Any]

    def explain(self) -> Diagnosis:
        """Diagnose the last request."""
        recording = self.recorder.recordings[-1]
        return diagnose(Case(recording, self.app, self.recorder.before(recording)))

    def step_of(self, diagnosis: Diagnosis) -> str | None:
        """Return the name of the step that decided."""
        return None if diagnosis.step is None else self.recorder.recordings[-1].steps[diagnosis.step].name


@dataclass
class Browser:
    """Keeps and sends cookies as browsers do, unlike Quart's test client, which sends all of them everywhere."""

    app: Quart
    agent: str = "Firefox"
    jar: CookieJar = field(default_factory=CookieJar)

    async def get(self, url: str, method: str = "GET", **headers: str) -> Response:
        """Open a URL, such as "http://localhost/page"; headers are written `Sec_Fetch_Site`."""
        parts, sent = urlsplit(url), {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(url)
        self.jar.add_cookie_header(request)
        cookie = request.get_header("Cookie")
        if cookie and self._sends_cookies(method, sent):
            sent.setdefault("Cookie", cookie)
        sent |= {"Host": parts.netloc, "User-Agent": self.agent}
        client = self.app.test_client(use_cookies=False)
        response = await client.open(parts.path, method=method, headers=sent, scheme=parts.scheme)
        self.keep(url, *response.headers.getlist("Set-Cookie"))
        return response

    def value_of(self, name: str) -> str:
        """Return the value of a cookie."""
        return next(cookie.value or "" for cookie in self.jar if cookie.name == name)

    def _sends_cookies(self, method: str, headers: dict[str, str]) -> bool:
        site, kind = headers.get("Sec-Fetch-Site"), headers.get("Sec-Fetch-Dest")
        if site in {None, "same-origin", "none"}:
            return True
        return kind == "document" and method == "GET" and not any(_is_strict(cookie) for cookie in self.jar)

    def keep(self, url: str, *lines: str) -> None:
        """Keep the cookies of `Set-Cookie` headers that came from a URL, but for those that are too long."""
        headers = Headers([("Set-Cookie", line) for line in lines if len(line.split(";")[0]) <= LONGEST_COOKIE])
        self.jar.extract_cookies(_WithHeaders(headers), Request(url))  # type: ignore[arg-type]


class _WithHeaders:
    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def info(self) -> Any:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return self._headers.getlist(name) or default


def _is_strict(cookie: Cookie) -> bool:
    return cookie.get_nonstandard_attr("SameSite") == "Strict"


def makes(situation: Situation, step: str | None) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Mark a test that makes a situation; it is then diagnosed, and must be this one.

    Args:
        situation: The situation.
        step: The name of the step that decided.
    """

    def mark(test: Callable[..., Awaitable[None]]) -> Any:
        MADE_BY[situation.name].append(test.__name__)

        @wraps(test)
        async def make_and_explain(site: Site, **fixtures: Any) -> None:
            await test(site, **fixtures)
            diagnosis = site.explain()
            assert (diagnosis.situation, site.step_of(diagnosis)) == (situation.name, step), diagnosis
            assert all(text.endswith(".") for text in (diagnosis.sentence, diagnosis.cure) if text)
            assert "{" not in diagnosis.sentence

        return make_and_explain

    return mark
