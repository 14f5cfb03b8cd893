"""The ASGI middleware of the application: trusted proxies, malformed requests and large websocket messages."""

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from werkzeug.http import parse_date
from wsproto.events import Message

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

#: Characters or bytes of a message: our pages only receive.
MAX_MESSAGE_SIZE: Final = 64 * 1024
_TOO_BIG: Final = 1009  # RFC 6455, 7.4.1


class ProxyHeadersMiddleware:
    """ASGI middleware that takes the client's address and scheme from trusted proxies only.

    Hypercorn's own `ProxyFixMiddleware` would also trust `X-Forwarded-Host`, and deep-copies the scope.

    Args:
        app: The ASGI application.
        count: The number of proxies, each of which appends to the headers. 0: none is trusted.
    """

    def __init__(self, app: Any, count: int) -> None:
        self._app = app
        self._count = count

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection with the values of the outermost trusted proxy."""
        if self._count and scope["type"] in {"http", "websocket"} and not is_http2_in_clear(scope):
            scope = {**scope, **self._trusted_values(scope)}
        await self._app(scope, receive, send)

    def _trusted_values(self, scope: Any) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        address = _value_from_the_end(scope["headers"], b"x-forwarded-for", self._count)
        if address is not None and is_address(address):
            changes["client"] = (address, 0)
        scheme = _value_from_the_end(scope["headers"], b"x-forwarded-proto", self._count)
        if scheme in {"http", "https"}:
            secure = scheme == "https"
            changes["scheme"] = ("wss" if secure else "ws") if scope["type"] == "websocket" else scheme
        return changes


def is_http2_in_clear(scope: Any) -> bool:
    """Tell whether this is HTTP/2 without TLS, which no browser speaks.

    A server that switches to it within a connection is a tunnel past a proxy that forwards `Upgrade: h2c`. Call this
    before `X-Forwarded-Proto` is applied: until then `scheme` is the connection's own.
    """
    return str(scope.get("http_version")) == "2" and scope.get("scheme") in {"http", "ws"}


def _value_from_the_end(headers: Any, wanted: bytes, count: int) -> str | None:
    """Return the value that the outermost trusted proxy wrote; the client may have forged earlier ones."""
    values = [
        value.strip() for name, text in headers if name.lower() == wanted for value in text.decode("latin-1").split(",")
    ]
    return values[-count] if len(values) >= count else None


def is_address(text: str) -> bool:
    """Tell whether this is an IP address without a zone, which may be any text."""
    if "%" in text:
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


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


class WebSocketLimitsMiddleware:
    """ASGI middleware that makes Hypercorn reject compression, and messages in several frames.

    Hypercorn has no setting for either: it always accepts `permessage-deflate`, inflates each frame before it compares
    the message with its limit (60 kB became 60 MB), and keeps receiving a message that it has rejected. Other servers
    do not report what they have accepted: docs/deploying.md names their settings.

    Args:
        app: The ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        stream = getattr(send, "__self__", None)
        if isinstance(stream, WSStream):
            stream.handshake.extensions = None  # read when the application accepts the websocket
            stream.buffer = _WholeMessages(stream)
        await self._app(scope, receive, send)


class _WholeMessages(WebsocketBuffer):
    """Accepts messages of one frame, and ends the websocket at the first part of any other."""

    def __init__(self, stream: WSStream) -> None:
        super().__init__(MAX_MESSAGE_SIZE)
        self._stream = stream
        self._ending: asyncio.Task[None] | None = None

    def extend(self, event: Message[Any]) -> None:
        """Keep a message.

        Raises:
            FrameTooLargeError: It is too long, or incomplete. Hypercorn closes the websocket, but neither disconnects
                nor notifies the application, which is done here.
        """
        if event.message_finished and len(event.data) <= self.max_length and self._ending is None:
            super().extend(event)
            return
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._notify_application())
        raise FrameTooLargeError

    async def _notify_application(self) -> None:
        if self._stream.app_put is not None:
            await self._stream.app_put({"type": "websocket.disconnect", "code": _TOO_BIG})
