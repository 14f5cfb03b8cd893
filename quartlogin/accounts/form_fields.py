"""The fields of the forms in a page, compared with those that the features' forms must have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin, urlsplit

from quart import Quart
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter

from .context import BLUEPRINT
from .security.csrf import FIELD_NAME

_CONTROLS: Final = frozenset({"input", "select", "textarea"})


@dataclass
class _SubmittedForm:
    action: str
    names: set[str] = field(default_factory=set)


class _FormParser(HTMLParser):
    """Finds the forms that are posted, with the names of the fields inside each."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_SubmittedForm] = []
        self._open: _SubmittedForm | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a form, or add a field to it."""
        values = dict(attrs)
        if tag == "form":
            self._open = _SubmittedForm(values.get("action") or "")
            if (values.get("method") or "").lower() == "post":
                self.forms.append(self._open)
        elif tag in _CONTROLS and self._open is not None and "disabled" not in values:
            self._open.names.add(values.get("name") or "")

    def handle_endtag(self, tag: str) -> None:
        """End a form."""
        if tag == "form":
            self._open = None


def missing_fields(
    app: Quart, path: str, html: str, expected: Iterable[str], fields: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return what the forms of a page lack, in words.

    Args:
        app: The app.
        path: The path of the page.
        html: The page.
        expected: The endpoints to which it must have a form.
        fields: The fields of the forms, by their endpoints.
    """
    parser = _FormParser()
    parser.feed(html)
    adapter = app.url_map.bind(app.config["SERVER_NAME"] or "localhost")
    found = [(_endpoint_of(adapter, urljoin(path, form.action)), form.names) for form in parser.forms]
    missing = [
        f"{path}: a form for {endpoint} has no field {name!r}"
        for endpoint, names in found
        if endpoint is not None
        for name in (FIELD_NAME, *fields.get(endpoint, ()))
        if name not in names
    ]
    absent = {*expected} - {endpoint for endpoint, _ in found}
    return missing + [f"{path}: there is no form for {endpoint}" for endpoint in sorted(absent)]


def _endpoint_of(adapter: MapAdapter, url: str) -> str | None:
    """Return the endpoint of the accounts that a form is posted to; `None` for any other form."""
    try:
        endpoint, _ = adapter.match(urlsplit(url).path, "POST")
    except HTTPException:
        return None
    name = str(endpoint)
    return name.removeprefix(f"{BLUEPRINT}.") if name.startswith(f"{BLUEPRINT}.") else None
