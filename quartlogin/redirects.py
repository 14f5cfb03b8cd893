"""Login URLs, and the page to return to after login: never one of another site."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from logging import getLogger
from string import punctuation
from typing import Final
from unicodedata import category
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from quart import current_app, has_app_context, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter, WebsocketMismatch

from .config import NEXT_MAX_LENGTH, next_trusted_hosts, option
from .context import current_connection, running_app


def make_next_param(login_url: str, current_url: str) -> str:
    """Return the current URL without scheme and host, if the login URL has the same ones."""
    login, current = urlsplit(login_url), urlsplit(current_url)
    same_scheme = not login.scheme or login.scheme == current.scheme
    same_host = not login.netloc or login.netloc == current.netloc
    if same_scheme and same_host:
        return urlunsplit(("", "", current.path, current.query, ""))
    return current_url


def expand_login_view(login_view: str) -> str:
    """Return the URL of a login view that is given as an endpoint or as a URL."""
    return login_view if is_url(login_view) else url_for(login_view)


def is_url(login_view: str) -> bool:
    """Tell whether a login view is given as a URL rather than an endpoint."""
    return login_view.startswith(("https://", "http://", "/"))


@lru_cache(maxsize=64)
def view_at(
    url: str, url_map: Map, server_name: str | None, root_path: str = ""
) -> tuple[str, Mapping[str, object]] | None:
    """Return the endpoint and arguments of the view that a URL of this app leads to; `None` for all other URLs.

    Two views may have the same path: on other hosts, in other subdomains or for other methods. A URL without a host is
    one of the app's own name, and of no other host that the app serves.

    Args:
        url: As it is sent to a browser.
        url_map: The app's rules.
        server_name: The app's own name, its `SERVER_NAME`.
        root_path: The path under which the app is mounted.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    adapter = _adapter_for(parts.scheme, parts.netloc.lower(), url_map, (server_name or "").lower())
    if adapter is None or not path.startswith(f"{root_path}/"):
        return None
    for method in ("GET", "POST"):
        with suppress(HTTPException):
            return adapter.match(path.removeprefix(root_path), method=method)
    return None


def _adapter_for(scheme: str, host: str, url_map: Map, server_name: str) -> MapAdapter | None:
    """Bind the rules to a host; `None` if it is not the app's. The request's `Host` is no proof."""
    host = host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))
    if url_map.host_matching or host in {"", server_name}:
        return url_map.bind(host or server_name)
    if not host.endswith(f".{server_name}") or not server_name:
        return None
    return url_map.bind(server_name, subdomain=host.removesuffix(f".{server_name}"))


def login_url(login_view: str, next_url: str | None = None, next_field: str = "next") -> str:
    """Return the URL of the login page, with the page to return to in its query.

    Args:
        login_view: The endpoint of the login view, or a URL.
        next_url: The URL to return to, if any.
        next_field: The name of its query parameter.
    """
    base = expand_login_view(login_view)
    if next_url is None:
        return base
    parts = urlsplit(base)
    query = parse_qs(parts.query, keep_blank_values=True)
    query[next_field] = [make_next_param(base, next_url)]
    netloc = option("FORCE_HOST_FOR_REDIRECTS") or parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query, doseq=True)))


_UNSAFE_CATEGORIES: Final = "CZ"  # Unicode's controls, surrogates and separators, some of which browsers drop
#: Absolute, and parsed alike by every browser: no credentials, no numeric address, nothing to decode.
_ABSOLUTE: Final = re.compile(r"(https?)://((?:[a-z0-9-]+\.)*[a-z0-9-]+)(?::(\d{1,5}))?(?:[/?#].*)?", re.ASCII | re.I)
_HIGHEST_PORT: Final = 65535
_PORTS: Final = {"http": "80", "https": "443"}

_log = getLogger(__name__)


def longest_next() -> int:
    """Return the maximum number of characters of `next`, percent-encoded: `NEXT_MAX_LENGTH`."""
    return int(option("NEXT_MAX_LENGTH")) if has_app_context() else NEXT_MAX_LENGTH


def safe_next(target: str | None) -> str | None:
    """Return the page to return to if it is on this site, `None` if it is not.

    Accepted are a path on this site, such as `/account?tab=2`, and an absolute URL with a trusted host: by
    `NEXT_TRUSTED_HOSTS`, or, without it, one that the app's `SESSION_COOKIE_DOMAIN` or `SERVER_NAME` covers. The
    request's own `Host` is not trusted. Browsers interpret more spellings as another site than Python does (`//host`, a
    backslash for a slash, tabs and line breaks that they drop: WHATWG URL standard), so all of those are rejected
    rather than repaired.

    Args:
        target: The `next` parameter that the visitor sent: untrusted.
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
    """Return the URL to return to after the visitor of the current request has signed in.

    Args:
        login_page: The login page's URL. Only if it is on another host, the result has a host: the request's own, which
            the client chose.

    Returns:
        The request's own URL or, for a submitted form, the URL of its page. `None` if there is none that GET shows.
    """
    if request.method not in {"GET", "HEAD"}:
        return _page_with_form(login_page)
    if urlsplit(login_page).netloc:
        return request.url
    path = quote(request.root_path + request.path, safe="/:@!$&'()*+,;=~-._")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def is_navigation() -> bool:
    """Tell whether the browser says that the visitor navigated here; polls and icons are fetched."""
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
    """Tell whether an absolute URL leads to a trusted host, and not from https to http."""
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
    """Return the page that a form was sent from, according to the browser, if it is on this host and takes GET."""
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
    """Tell whether a page of this host can be opened; a missing page answers 404 by itself."""
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
