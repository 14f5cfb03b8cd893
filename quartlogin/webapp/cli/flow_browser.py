"""The browser of `quartlogin flow`: it sends requests to an app in this process, and keeps their steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from quart import Quart

from quartlogin import tracing
from quartlogin.accounts.commands import EXPECTED
from quartlogin.explaining import Recorder, Recording

from ..app_errors import AppError, describe

_AGENT: Final = "quartlogin-flow"
#: The types of inputs into which people type a name.
_TYPED: Final = {"text", "email", "tel", "search"}


@dataclass(frozen=True)
class Exchange:
    """A request and its response."""

    method: str
    #: Without the query.
    path: str
    status: int
    recording: Recording
    #: The names of the form's fields.
    fields: tuple[str, ...] = ()
    #: Where it redirects to, if anywhere.
    location: str | None = None
    body: str = field(default="", repr=False)

    @property
    def shown_path(self) -> str:
        """The path that was given on the command line; of a form, whose page names its path, only the route."""
        route: str | None = self.recording.details("request").get("route")
        return self.path if not self.fields or route is None else route


@dataclass
class LoginForm:
    """The form of a login page."""

    action: str = ""
    #: The fields as the page has them, such as the CSRF token.
    values: dict[str, str] = field(default_factory=dict, repr=False)
    name_field: str | None = None
    password_field: str | None = None

    def filled_in(self, name: str, password: str) -> dict[str, str]:
        """Return all fields, with a name and a password."""
        typed = {self.name_field: name, self.password_field: password}
        return {**self.values, **{key: text for key, text in typed.items() if key is not None}}


class FlowBrowser:
    """Sends requests with the cookies that it was given.

    Args:
        app: The app, started.
    """

    def __init__(self, app: Quart) -> None:
        self._client = app.test_client()
        self._recorder = Recorder(app)
        self._host = app.config.get("SERVER_NAME") or "localhost"
        self._scheme = "https" if app.config.get("SESSION_COOKIE_SECURE") else "http"

    async def send(self, method: str, address: str, form: dict[str, str] | None = None) -> Exchange:
        """Send a request.

        Args:
            method: GET or POST.
            address: The path, with a query if there is one; or an address of this host.
            form: The fields of a form.

        Raises:
            AppError: The app raised an error.
        """
        parts = urlsplit(address)
        path, already = parts.path or "/", len(self._recorder.recordings)
        target = f"{path}?{parts.query}" if parts.query else path
        try:
            with tracing.listening(self._recorder):
                response = await self._client.open(target, method=method, form=form, **self._request_options(path))
                body = await response.get_data(as_text=False)
        except Exception as error:
            cause = _cause_of(error)
            if isinstance(cause, EXPECTED):
                raise cause from error
            what = f"{method} {path}" if form is None else "Sending the form"
            raise AppError(f"{what} fails: {describe(cause, is_in_request=True)}") from error
        recorded = list(self._recorder.recordings)[already:]
        return Exchange(
            method,
            path,
            response.status_code,
            recorded[-1] if recorded else Recording(0, 0),
            tuple(form or ()),
            response.headers.get("Location"),
            body.decode("utf-8", "replace"),
        )

    def _request_options(self, path: str) -> dict[str, Any]:
        origin = f"{self._scheme}://{self._host}"
        headers = {"Host": self._host, "User-Agent": _AGENT, "Origin": origin, "Referer": f"{origin}{path}"}
        return {"headers": headers, "scheme": self._scheme, "scope_base": {"client": ("127.0.0.1", 0)}}


def _cause_of(error: Exception) -> Exception:
    """Return the app's own error: Quart 0.23 handles requests in a task group."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def login_form_of(page: Exchange) -> LoginForm:
    """Find the form of a page in which a password is entered.

    Raises:
        AppError: There is none.
    """
    parser = _Forms()
    parser.feed(page.body)
    found = [form for form in parser.forms if form.password_field is not None and form.name_field is not None]
    if not found:
        raise AppError(f"The page {page.path} answers {page.status} and has no form with a name and a password.")
    found[0].action = urljoin(page.path, found[0].action)
    return found[0]


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[LoginForm] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a form, or add a field to it."""
        given = dict(attrs)
        if tag == "form":
            self.forms.append(LoginForm(given.get("action") or ""))
        name = given.get("name")
        if name and self.forms and tag in {"input", "button"}:
            kind = (given.get("type") or ("text" if tag == "input" else "submit")).lower()
            _add(self.forms[-1], name, kind, given)


def _add(form: LoginForm, name: str, kind: str, given: Mapping[str, str | None]) -> None:
    if kind == "password":
        form.password_field = form.password_field or name
    elif kind in _TYPED:
        form.name_field = form.name_field or name
    elif kind in {"hidden", "submit"} or "checked" in given:
        form.values.setdefault(name, given.get("value") or "")
