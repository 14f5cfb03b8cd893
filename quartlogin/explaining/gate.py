"""The gate of the page that explains requests: only a developer's own browser, on the machine of the server, passes.

The page shows who signs in, so nothing that comes over a network, by way of a proxy, or from another site's page may
see it. Each condition is checked where the connection arrives, before anything changes what it says of itself.
"""

import re
from collections.abc import Sequence
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl

#: The address of the page, below the app's root.
PATH: Final = "/_quartlogin/"

_METHODS: Final = frozenset({"GET", "HEAD"})
_HOST: Final = re.compile(rb"(?P<name>localhost|[0-9.]{1,15}|\[[0-9a-f:.]{1,45}\])(?::[0-9]{1,5})?", re.IGNORECASE)
#: What proxies, tunnels and content delivery networks add, with underscores read as hyphens, as many servers do.
_ADDED_BY_PROXIES: Final = (
    *(b"forwarded", b"via", b"cdn-loop", b"client-ip", b"true-client-ip", b"x-client-ip", b"x-cluster-client-ip"),
    *(b"x-real-", b"x-forwarded", b"x-original-", b"x-envoy-", b"x-arr-", b"x-amz", b"x-azure-", b"x-appengine-"),
    *(b"x-cloud-trace-context", b"x-proxy", b"x-tunnel-", b"x-ms-", b"x-varnish"),
    *(b"cf-", b"fastly-", b"fly-", b"ngrok-", b"tailscale-", b"akamai-"),
)
#: The browser's own navigation, or a link of the page itself.
_FETCH_SITES: Final[Sequence[list[bytes]]] = ([], [b"none"], [b"same-origin"])
#: A document in a tab or window: no frame, image or script, and no `fetch` of a script that runs in a page of the app.
_FETCH_DESTINATIONS: Final[Sequence[list[bytes]]] = ([], [b"document"])

Headers = Sequence[tuple[bytes, bytes]]


def is_page(scope: Any) -> bool:
    """Tell whether an ASGI connection asks for the page, from any sender."""
    path: str = scope.get("path", "")
    return scope["type"] == "http" and path.removeprefix(scope.get("root_path", "")) == PATH


def admits(scope: Any, token: str) -> bool:
    """Tell whether the sender of a request may see the page.

    Args:
        scope: The request's ASGI scope, as it came from the server.
        token: The token that the start of the app has printed.
    """
    headers = [(name.lower().replace(b"_", b"-"), value) for name, value in scope["headers"]]
    return (
        scope["method"] in _METHODS
        and scope["http_version"] != "1.0"  # no browser's, but what nginx sends unless it is told otherwise
        and _is_loopback_peer(scope.get("client"))
        and _is_loopback_host(headers)
        and not any(name.startswith(_ADDED_BY_PROXIES) for name, _ in headers)
        and _values(headers, b"sec-fetch-site") in _FETCH_SITES
        and _values(headers, b"sec-fetch-dest") in _FETCH_DESTINATIONS
        and _has_token(scope["query_string"], token)
    )


def parameter(query: bytes, name: str) -> str | None:
    """Return the value of a parameter that a query has once, `None` otherwise."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    values = [value for given, value in pairs if given == name]
    return values[0] if len(values) == 1 else None


def _is_loopback_peer(client: Any) -> bool:
    """Tell whether the other end of the connection is on this machine; a Unix socket's is a proxy."""
    return bool(client) and _is_loopback(str(client[0]))


def _is_loopback_host(headers: Headers) -> bool:
    """Tell whether the browser was given a name of this machine: any other may be one that an attacker rebinds."""
    hosts = _values(headers, b"host")
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    if found is None:
        return False
    name = found["name"].decode("ascii").lower().strip("[]")
    return name == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _has_token(query: bytes, token: str) -> bool:
    return compare_digest((parameter(query, "token") or "").encode("utf-8", "replace"), token.encode())


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
