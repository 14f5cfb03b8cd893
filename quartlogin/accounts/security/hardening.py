"""Hardening: the security headers and the limit of bodies, for every page of an app or for the accounts' pages."""

import asyncio
from typing import Any, Final
from urllib.parse import urlparse

from quart import Quart
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from ..context import is_own_endpoint

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

_TOO_LARGE: Final = b"The body of this request is too large.\n"

#: The size of a body that the pages accept, in bytes.
MAX_BODY: Final = 64 * 1024
#: The size of a body that is read at all. Beyond it, the answer is not a page.
_MAX_READ: Final = 2 * MAX_BODY
#: What Quart matches if a path is not below the app's root: no route has it.
_NO_PATH: Final = " "


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
    """ASGI middleware that adds the headers to a response of the accounts' own pages, and lets no cache store it.

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


class BodySizeLimitMiddleware:
    """ASGI middleware that answers 413 as soon as a body exceeds the limit, and stops reading it.

    Quart 0.23 reads a body of unknown length to its end before it checks `MAX_CONTENT_LENGTH`.

    Args:
        app: The ASGI application.
        max_size: Bytes.
    """

    def __init__(self, app: Any, max_size: int) -> None:
        self._app = app
        self._max_size = max_size

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            is_announced = announced_size(scope) > self._max_size
            connection = _LimitedConnection(receive, send, self._max_size, is_refused=is_announced)
            await self._app(scope, connection.receive, connection.send)
        else:
            await self._app(scope, receive, send)


class _LimitedConnection:
    def __init__(self, receive: Any, send: Any, max_size: int, *, is_refused: bool) -> None:
        self._receive = receive
        self._send = send
        self._left = max_size
        self._is_answered = False
        #: Whether nothing is read: the application answers by the length that the client has announced.
        self._is_refused = is_refused
        self._is_asked = False
        self._is_complete = asyncio.Event()

    async def receive(self) -> Any:
        if self._is_refused:
            return await self._receive_nothing()
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        if self._is_answered:
            return await self._disconnect()
        await self._refuse()
        return {"type": "http.disconnect"}

    async def _receive_nothing(self) -> Any:
        if self._is_asked:
            await self._is_complete.wait()
            return await self._disconnect()
        self._is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _disconnect(self) -> Any:
        """Wait until the client is gone: the answer has begun, and what is still sent is not kept."""
        while (message := await self._receive())["type"] != "http.disconnect":
            pass
        return message

    async def send(self, message: Any) -> None:
        if self._left >= 0 or self._is_answered:
            self._is_answered = True
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # Before the end is sent: Hypercorn then waits for a place in its queue, which the body has filled.
                self._is_complete.set()
            await self._send(message)

    async def _refuse(self) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(_TOO_LARGE))]
        await self._send({"type": "http.response.start", "status": 413, "headers": headers})
        await self._send({"type": "http.response.body", "body": _TOO_LARGE, "more_body": False})


def announced_size(scope: Any) -> int:
    """Return the `Content-Length`, 0 without a valid one."""
    lengths = [value for name, value in scope.get("headers", ()) if name.lower() == b"content-length"]
    return max((int(length[:20]) for length in lengths if length.isdigit()), default=0)


def protect_own_pages(app: Quart) -> None:
    """Add the security headers to the accounts' pages, and limit the bodies they accept.

    This wraps Quart's connection, not `app.asgi_app`: middleware may change a request's path, and only here it is the
    one that Quart matches.
    """
    pages, connect = OwnPages(app), app.asgi_http_class

    def connect_protected(of: Quart, scope: Any) -> Any:
        connection = connect(of, scope)
        return _ProtectedConnection(connection, scope) if pages.include(scope) else connection

    app.asgi_http_class = connect_protected  # type: ignore[assignment]  # Quart only calls it


class _ProtectedConnection:
    def __init__(self, connection: Any, scope: Any) -> None:
        self._connection = connection
        self._scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        protected = OwnPagesHeadersMiddleware(BodySizeLimitMiddleware(self._serve, _MAX_READ))
        await protected(self._scope, receive, send)

    async def _serve(self, _: Any, receive: Any, send: Any) -> None:
        await self._connection(receive, send)


class OwnPages:
    """Knows which requests are answered by a page of the accounts.

    Quart fixes the limit of a body when the request is created, before it is known which view answers. So the path is
    looked up here, the way Quart does it.

    Args:
        app: The app.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        self._beginnings: tuple[str, ...] = ()

    def include(self, scope: Any) -> bool:
        """Tell whether a request is answered by a page of the accounts, be it only to refuse the method."""
        if not self._beginnings:  # the first request: no page is added any more
            self._beginnings = tuple(
                {_beginning(rule.rule) for rule in self._app.url_map.iter_rules() if _is_own(rule)}
            )
        if not any(beginning in scope["path"] for beginning in self._beginnings):
            return False  # matching takes longer, and most requests are the app's
        try:
            return _is_own(self._match(scope))
        except HTTPException:
            return False  # a page that does not exist, a redirect to one, or a host that Quart refuses

    def _match(self, scope: Any) -> Any:
        adapter: Any = self._app.create_url_adapter(self._request(scope))
        try:
            return adapter.match(return_rule=True)[0]
        except MethodNotAllowed as error:
            return adapter.match(method=next(iter(error.valid_methods or ["GET"])), return_rule=True)[0]
        except WebsocketMismatch:
            return adapter.match(websocket=True, return_rule=True)[0]

    def _request(self, scope: Any) -> Any:
        """Create a request to match: with the path and the host of the one that Quart creates later."""
        root = scope.get("root_path", "")
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"host"]
        headers = Headers([("Host", host) for host in hosts or [self._app.config["SERVER_NAME"] or ""]])
        address = (scope["scheme"], _path_below(scope["path"], root), b"", headers, root)
        return self._app.request_class(
            scope["method"], *address, scope["http_version"], scope, send_push_promise=_push_nothing
        )


def _is_own(rule: Any) -> bool:
    return is_own_endpoint(rule.endpoint)


def _beginning(rule: str) -> str:
    """Return the part of a rule before its first variable, without the slashes: Quart accepts more, and none."""
    return rule.partition("<")[0].strip("/")


def _path_below(path: str, root: str) -> str:
    """Return the path below the app's root, as Quart does; proxies may send a whole URL (RFC 9112, 3.2.2)."""
    path = path if path.startswith("/") else urlparse(path).path
    if not root:
        return path
    return path.removeprefix(root) if path != root and path.startswith(root) else _NO_PATH


async def _push_nothing(*_: Any) -> None:
    """Stand in for HTTP/2's push: no handler answers this request."""
