"""Request validation: reject malformed requests and unknown hosts before the application sees them."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from werkzeug.http import parse_date

from .proxy_headers import is_address, is_http2_in_clear

_HOST: Final = re.compile(
    r"(?:(?P<name>[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?)|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?",
    re.IGNORECASE | re.ASCII,
)
_MAX_HOST: Final = 255
_MAX_PORT: Final = 65535
_MAX_SEGMENT: Final = 255  # bytes between two slashes; no file system has longer names
_MAX_DATE: Final = 64  # characters; those of RFC 9110 (5.6.7) have at most 33
_DATES: Final = frozenset({b"if-modified-since", b"if-unmodified-since"})
_VERSIONS: Final = frozenset({"1.0", "1.1", "2", "3"})
_OTHER_VERSION: Final = b"Use HTTP/1.1, or HTTP/2 over TLS.\n"
_AMBIGUOUS_LENGTH: Final = b"Send Content-Length or Transfer-Encoding, not both.\n"
_MALFORMED: Final = b"The Host header or the address of this request is malformed.\n"


class RequestValidationMiddleware:
    """ASGI middleware that answers 400 to a malformed `Host` or target (RFC 9112, 3.2), and to unknown hosts.

    HTTP/2 without TLS is answered 505. To some of these requests Quart answers 500, before any handler of ours runs.

    Args:
        app: The ASGI application.
        allowed_hosts: The host names of this service; all if empty.
        on_rejected: Called with the scope of a rejected request.
    """

    def __init__(
        self, app: Any, allowed_hosts: Iterable[str] = (), on_rejected: Callable[[Any], None] = lambda _: None
    ) -> None:
        self._app = app
        self._on_rejected = on_rejected
        self._allowed_hosts = frozenset(host.lower().rstrip(".") for host in allowed_hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection, or reject it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif _is_valid(scope) and self._is_allowed_host(scope):
            await self._app({**scope, "headers": [*_without_invalid_dates(scope["headers"])]}, receive, send)
        else:
            self._on_rejected(scope)
            await _refuse(scope, send)

    def _is_allowed_host(self, scope: Any) -> bool:
        if not self._allowed_hosts:
            return True
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"), "")
        match = _HOST.fullmatch(host)
        name = match and (match["name"] or f"[{match['ipv6']}]")
        return name is not None and name.lower().rstrip(".") in self._allowed_hosts


async def _refuse(scope: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    elif _is_other_version(scope):
        await _answer(send, 505, _OTHER_VERSION)
    elif _has_ambiguous_length(scope):
        await _answer(send, 400, _AMBIGUOUS_LENGTH, (b"connection", b"close"))
    else:
        await _answer(send, 400, _MALFORMED)


async def _answer(send: Any, status: int, body: bytes, *more: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _is_valid(scope: Any) -> bool:
    if _is_other_version(scope) or _has_ambiguous_length(scope):
        return False
    return _has_well_formed_host(scope) and _has_valid_target(scope)


def _is_other_version(scope: Any) -> bool:
    """Tell whether this is an unknown version of HTTP, or HTTP/2 without TLS."""
    return str(scope.get("http_version")) not in _VERSIONS or is_http2_in_clear(scope)


def _has_ambiguous_length(scope: Any) -> bool:
    """Tell whether a body has both a length and chunks: a proxy may trust the one, and our server the other.

    The connection must be closed then (RFC 9112, 6.3), which not every server does.
    """
    names = {name.lower() for name, _ in scope["headers"]}
    return scope["type"] == "http" and {b"content-length", b"transfer-encoding"} <= names


def is_host(text: str) -> bool:
    """Tell whether this is a host name or address, without a port."""
    match = _HOST.fullmatch(text)
    return match is not None and match["port"] is None


def _has_well_formed_host(scope: Any) -> bool:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
    if not hosts:
        return str(scope.get("http_version")) < "1.1"  # HTTP/1.0 has none
    if len(hosts) > 1 or len(hosts[0]) > _MAX_HOST:
        return False
    match = _HOST.fullmatch(hosts[0])
    if match is None or int(match["port"] or 0) > _MAX_PORT:
        return False
    return _is_name(match["name"]) if match["ipv6"] is None else is_address(match["ipv6"])


def _is_name(host: str) -> bool:
    """Tell whether this can be displayed as a name: after `xn--` there may be invalid Punycode (RFC 5891, 4.2)."""
    try:
        host.encode("ascii").decode("idna")
    except UnicodeError:
        return False
    return True


def _has_valid_target(scope: Any) -> bool:
    """Tell whether the target is a path, or a URL as proxies receive it."""
    target = scope["path"]
    if any(len(part.encode("utf-8", "replace")) > _MAX_SEGMENT for part in target.split("/")):
        return False
    if target.startswith("/"):
        return True
    try:
        return bool(urlsplit(target).path.startswith("/"))
    except ValueError:
        return False


def _without_invalid_dates(headers: Any) -> Iterator[tuple[bytes, bytes]]:
    """Remove invalid dates, as RFC 9110 (13.1.3) asks; some make the parser overflow."""
    for name, value in headers:
        if name.lower() not in _DATES or _is_date(value.decode("latin-1")):
            yield name, value


def _is_date(text: str) -> bool:
    if len(text) > _MAX_DATE:
        return False
    try:
        return parse_date(text) is not None
    except (OverflowError, ValueError):
        return False
