"""The page to come back to after signing in: which one a guard offers, and which one a visitor may ask for."""

import re
from logging import getLogger
from string import punctuation
from typing import Final
from unicodedata import category
from urllib.parse import quote, unquote, urlsplit

from quart import current_app, has_app_context, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from .config import NEXT_MAX_LENGTH, next_trusted_hosts, option
from .context import current_connection, running_app

_UNSAFE_CATEGORIES: Final = "CZ"  # Unicode's controls, surrogates and separators: browsers drop some of them
#: Absolute, and read alike by every browser: no name or password, no address in figures, nothing to decode.
_ABSOLUTE: Final = re.compile(r"(https?)://((?:[a-z0-9-]+\.)*[a-z0-9-]+)(?::(\d{1,5}))?(?:[/?#].*)?", re.ASCII | re.I)
_HIGHEST_PORT: Final = 65535
_PORTS: Final = {"http": "80", "https": "443"}

_log = getLogger(__name__)


def longest_next() -> int:
    """Return how many characters a page to come back to may have, percent-encoded: `NEXT_MAX_LENGTH`."""
    return int(option("NEXT_MAX_LENGTH")) if has_app_context() else NEXT_MAX_LENGTH


def safe_next(target: str | None) -> str | None:
    """Return the page to come back to if it is one of this site, `None` if it is not.

    A path on this site counts, such as `/account?tab=2`, and an absolute URL whose host is trusted: by
    `NEXT_TRUSTED_HOSTS`, or, without it, because the app's `SESSION_COOKIE_DOMAIN` or `SERVER_NAME` covers it. What the
    request calls its host is no reason to trust it. A browser reads more spellings as another site than Python does
    (`//host`, a backslash for a slash, tabs and line ends that it drops: WHATWG URL standard), so all of those are
    refused rather than repaired.

    Args:
        target: What the visitor sent as `next`: not trusted at all.
    """
    if not isinstance(target, str) or not target:  # a session may hold anything
        return None
    if "\\" in target or not _is_short(target):
        return None
    if any(category(character)[0] in _UNSAFE_CATEGORIES for character in target):
        return None
    is_safe = _is_path(target) if target.startswith("/") else _is_trusted(target)
    return target if is_safe else None


def page_to_come_back_to(login_page: str) -> str | None:
    """Return the address of the page that a visitor of the running request wants to see after signing in.

    Args:
        login_page: The login page's URL. Only if it is on another host, the address has one: the host is what the
            client says it is, and may be no host at all.

    Returns:
        The request's own address, or, for a form that was sent, the address of the page with the form. `None` where
        there is none that GET would show.
    """
    if request.method not in {"GET", "HEAD"}:
        return _page_with_form(login_page)
    if urlsplit(login_page).netloc:
        return request.url
    path = quote(request.root_path + request.path, safe="/:@!$&'()*+,;=~-._")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def is_navigation() -> bool:
    """Tell whether a person has gone to this page, as far as its browser says: polls and icons are fetched."""
    headers = request.headers
    return (
        headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and headers.get("Sec-Fetch-Dest", "document") == "document"
        and "prefetch" not in headers.get("Sec-Purpose", headers.get("Purpose", ""))
    )


def _is_short(target: str) -> bool:
    longest = longest_next()
    if len(target) <= longest and len(quote(target, safe=punctuation, errors="replace")) <= longest:
        return True
    _log.debug("A `next` of %d characters was dropped: NEXT_MAX_LENGTH is %d.", len(target), longest)
    return False


def _is_path(target: str) -> bool:
    if target.startswith("//"):
        return False
    try:
        parts = urlsplit(target)
    except ValueError:  # such as an unclosed bracket
        return False
    return not (parts.scheme or parts.netloc)


def _is_trusted(target: str) -> bool:
    """Tell whether an absolute URL leads to a host that is trusted, and not from https to http."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not has_app_context():
        return False
    scheme, host, port = match[1].lower(), match[2].lower(), match[3] or _PORTS[match[1].lower()]
    if int(port) > _HIGHEST_PORT or (scheme == "http" and not _is_plain()):
        return False
    return any(_covers(entry, host, str(int(port))) for entry in next_trusted_hosts())


def _covers(entry: str, host: str, port: str) -> bool:
    """Tell whether an entry such as `app.example`, `app.example:8443` or `.example` covers a host."""
    name, _, wanted_port = entry.lower().partition(":")
    if wanted_port and wanted_port != port:
        return False
    return host == name.removeprefix(".") or (name.startswith(".") and host.endswith(name))


def _is_plain() -> bool:
    """Tell whether the site is visited over plain http, so that a page over http is no worse."""
    connection = current_connection()
    return connection is not None and not connection.is_secure and not current_app.config["SESSION_COOKIE_SECURE"]


def _page_with_form(login_page: str) -> str | None:
    """Return the page that a form was sent from, as its browser says, if it is one of this host that takes GET."""
    referrer = request.referrer or ""
    try:
        parts = urlsplit(referrer)
    except ValueError:
        return None
    parts = parts._replace(path=parts.path or "/", fragment="")
    if parts.netloc != request.host or not _takes_get(parts.path):
        return None
    relative = parts._replace(scheme="", netloc="").geturl()
    if not _is_path(relative):
        return None
    return parts.geturl() if urlsplit(login_page).netloc else relative


def _takes_get(path: str) -> bool:
    """Tell whether a page of this host can be opened; one that there is not says so itself."""
    adapter = running_app().create_url_adapter(request)
    if adapter is None:
        return False
    try:
        adapter.match(unquote(path).removeprefix(request.root_path), method="GET")
    except (MethodNotAllowed, WebsocketMismatch):
        return False
    except HTTPException:
        return True
    return True
