"""Login URLs, and the view that a URL leads to."""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from urllib.parse import parse_qs, unquote, urlencode, urlsplit, urlunsplit

from quart import url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter

from .config import option


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
