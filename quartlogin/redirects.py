"""Where a browser may be sent: the login page's URL, and the page to come back to."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from string import punctuation
from typing import Final
from unicodedata import category
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit, urlunsplit

from quart import request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter

from .config import option

LONGEST_NEXT: Final = 512  # characters, percent-encoded; nginx answers 502 to a Location of some thousand
_UNSAFE_CATEGORIES: Final = "CZ"  # Unicode's controls, surrogates and separators: browsers drop some of them


def safe_next(target: str | None) -> str | None:
    """Return the page to come back to if it is one of this site, `None` if it is not.

    Only a path on this site counts, such as `/account?tab=2`. A browser reads more spellings as another site
    than Python does (`//host`, a backslash for a slash, tabs and line ends that it drops: WHATWG URL standard), so
    all of those are refused rather than repaired.

    Args:
        target: What the visitor sent as `next`: not trusted at all.
    """
    if target is None or not 1 <= len(target) <= LONGEST_NEXT:
        return None
    if not target.startswith("/") or target.startswith("//") or "\\" in target:
        return None
    if any(category(character)[0] in _UNSAFE_CATEGORIES for character in target):
        return None
    if len(quote(target, safe=punctuation)) > LONGEST_NEXT:
        return None
    try:
        parts = urlsplit(target)
    except ValueError:  # such as an unclosed bracket
        return None
    return None if parts.scheme or parts.netloc else target


def make_next_param(login_url: str, current_url: str) -> str:
    """Return the current URL without scheme and host, where the login URL has the same ones."""
    login, current = urlsplit(login_url), urlsplit(current_url)
    same_scheme = not login.scheme or login.scheme == current.scheme
    same_host = not login.netloc or login.netloc == current.netloc
    if same_scheme and same_host:
        return urlunsplit(("", "", current.path, current.query, ""))
    return current_url


def this_address(login_url: str) -> str:
    """Return the address of the running request: with its host only if the login page is on another one.

    The host is what the client says it is, and may be no host at all.
    """
    if urlsplit(login_url).netloc:
        return request.url
    path = quote(request.root_path + request.path, safe="/:@!$&'()*+,;=~-._")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def expand_login_view(login_view: str) -> str:
    """Return the URL of a login view that is given by its endpoint's name, or as a URL."""
    return login_view if is_url(login_view) else url_for(login_view)


def is_url(login_view: str) -> bool:
    """Tell whether a login view is given as a URL, not by its endpoint's name."""
    return login_view.startswith(("https://", "http://", "/"))


@lru_cache(maxsize=64)
def view_at(
    url: str, url_map: Map, server_name: str | None, root_path: str = ""
) -> tuple[str, Mapping[str, object]] | None:
    """Return the endpoint that a URL of this app leads to and the view's arguments; `None` for all other URLs.

    Two views may have one path: on other hosts, in other subdomains or for other methods. A URL without a host is one
    of the app's own name, and of no other host that the app serves.

    Args:
        url: As it is given to a browser.
        url_map: The app's rules.
        server_name: The app's own name, its `SERVER_NAME`.
        root_path: Below which the app is mounted.
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
    """Bind the rules to a host; `None` if it is none of the app's. The host that a request names is no proof."""
    host = host.removesuffix({"http": ":80", "https": ":443"}.get(scheme, ":"))
    if url_map.host_matching or host in {"", server_name}:
        return url_map.bind(host or server_name)
    if not host.endswith(f".{server_name}") or not server_name:
        return None
    return url_map.bind(server_name, subdomain=host.removesuffix(f".{server_name}"))


def login_url(login_view: str, next_url: str | None = None, next_field: str = "next") -> str:
    """Return the URL of the login page, with the page to come back to in its query.

    Args:
        login_view: The name of the login view's endpoint, or a URL.
        next_url: The URL to come back to, if any.
        next_field: The name of the query's field for it.
    """
    base = expand_login_view(login_view)
    if next_url is None:
        return base
    parts = urlsplit(base)
    query = parse_qs(parts.query, keep_blank_values=True)
    query[next_field] = [make_next_param(base, next_url)]
    netloc = option("FORCE_HOST_FOR_REDIRECTS") or parts.netloc
    return urlunsplit(parts._replace(netloc=netloc, query=urlencode(query, doseq=True)))
