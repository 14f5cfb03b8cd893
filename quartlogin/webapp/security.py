"""What every answer says to the browser to be safe, and which requests from other sites are refused."""

from typing import Any, Final
from urllib.parse import urlsplit

from quart import Quart, abort, request

#: Headers of every answer, pages, files and errors alike (ASVS 5.0 V3.4; OWASP HTTP Headers Cheat Sheet).
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not `no-referrer`: with it, browsers send `Origin: null` with our own forms (Fetch standard, 3.2).
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: One year in seconds; only over https, where browsers heed it (RFC 6797, 7.2).
STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000; includeSubDomains"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_FETCH_SITES: Final = frozenset({"same-origin", "none"})


class SecureHeaders:
    """ASGI middleware that puts the headers on every answer, also on those that never reached a view."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection with the headers."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_missing(scope, message["headers"])]}
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _missing(scope: Any, present: Any) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in present}
    wanted = dict(HEADERS)
    if scope.get("scheme") == "https":
        wanted["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    encoded = ((name.lower().encode(), value.encode()) for name, value in wanted.items())
    return [(name, value) for name, value in encoded if name not in names]


def refuse_foreign_posts(app: Quart) -> None:
    """Have requests that change something refused when another site sent them, whatever token they carry.

    Browsers say where a request comes from in `Sec-Fetch-Site` and in `Origin`; clients that send neither are left
    to the form's token (OWASP CSRF Prevention Cheat Sheet).
    """

    async def refuse() -> None:
        if request.method not in _SAFE_METHODS and not _is_own(request.headers):
            abort(403, "This form was sent from another site, so it was refused. Nothing was changed.")

    app.before_request(refuse)


def _is_own(headers: Any) -> bool:
    if headers.get("Sec-Fetch-Site", "none") not in _OWN_FETCH_SITES:
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    # A proxy that ends TLS unannounced makes our scheme http while the browser's is https; never the other way.
    return bool(parts.netloc == request.host and parts.scheme in {request.scheme, "https"})
