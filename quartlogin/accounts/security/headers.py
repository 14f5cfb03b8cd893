"""Security headers for every response."""

from typing import Any, Final

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
_SCRIPT_POLICY: Final = f"{_POLICY}; script-src 'self'"
#: For pages with a script, such as the button that shows a password. They all work without it.
SCRIPT_HEADERS: Final = {"Content-Security-Policy": _SCRIPT_POLICY}
#: For a page whose script also sends requests.
FETCH_HEADERS: Final = {"Content-Security-Policy": f"{_SCRIPT_POLICY}; connect-src 'self'"}

#: Headers of every response, pages, files and errors alike (ASVS 5.0 V3.4; OWASP HTTP Headers Cheat Sheet).
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not `no-referrer`: with it, browsers send `Origin: null` with our own forms (Fetch standard, 3.2).
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY_NAME: Final = b"content-security-policy"
#: One year in seconds; only over https, where browsers honour it (RFC 6797, 7.2).
STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000; includeSubDomains"
_ENCODED: Final = tuple((name.lower().encode(), value.encode()) for name, value in HEADERS.items())
#: Without `Strict-Transport-Security`, which holds for the whole host and its subdomains: that is the app's to decide.
_ENCODED_FOR_OWN_PAGES: Final = (*_ENCODED, (b"cache-control", b"no-store"))
_ENCODED_OVER_HTTPS: Final = (*_ENCODED, (b"strict-transport-security", STRICT_TRANSPORT_SECURITY.encode()))

#: The data that browsers delete at sign-out (ASVS 5.0 14.3.1; W3C Clear Site Data). Not "cookies": those of the sign-in
#: are deleted by name and worthless, and others of the domain may belong to another application.
CLEAR_SITE_DATA: Final = {"Clear-Site-Data": '"cache", "storage"'}


class SecurityHeadersMiddleware:
    """ASGI middleware that adds the headers to every response, also to those that never reached a view.

    Args:
        app: The ASGI application.
        report_url: Where browsers report violations of the policy, if anywhere.
    """

    def __init__(self, app: Any, report_url: str | None = None) -> None:
        self._app = app
        self._report_to = None if report_url is None else report_url.encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection with the headers."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                wanted = _ENCODED_OVER_HTTPS if scope.get("scheme") == "https" else _ENCODED
                headers = [*message["headers"], *_missing(wanted, message["headers"])]
                message = {**message, "headers": self._with_report(headers)}
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _with_report(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if self._report_to is None:
            return headers
        # Twice: Firefox and Safari only support `report-uri`, which is deprecated (CSP Level 3, 6.5).
        end = b"; report-to csp; report-uri " + self._report_to
        policies = [(name, value + end if name.lower() == _POLICY_NAME else value) for name, value in headers]
        return [*policies, (b"reporting-endpoints", b'csp="' + self._report_to + b'"')]


class OwnPagesHeadersMiddleware:
    """ASGI middleware that adds the headers to a response of the accounts' own pages, and lets nobody store it.

    Args:
        app: The ASGI application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection with the headers."""

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], *_missing(_ENCODED_FOR_OWN_PAGES, message["headers"])]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _missing(wanted: tuple[tuple[bytes, bytes], ...], present: Any) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in present}
    return [header for header in wanted if header[0] not in names]
