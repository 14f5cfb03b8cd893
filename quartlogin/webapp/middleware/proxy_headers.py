"""Proxy headers: the client's address and scheme behind trusted proxies."""

from ipaddress import ip_address
from typing import Any


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
