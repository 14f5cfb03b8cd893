"""Protect the accounts' pages, and leave all others of the app as they are.

Quart fixes the limit of a body when the request is created, before it is known which view answers. So the path is
looked up here, the way Quart does it.
"""

from typing import Any, Final
from urllib.parse import urlparse

from quart import Quart
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import WebsocketMismatch

from ..context import is_own_endpoint
from .body_size_limit import BodySizeLimitMiddleware
from .headers import OwnPagesHeadersMiddleware

#: The size of a body that the pages accept, in bytes.
MAX_BODY: Final = 64 * 1024
#: The size of a body that is read at all. Beyond it, the answer is not a page.
_MAX_READ: Final = 2 * MAX_BODY
#: What Quart matches if a path is not below the app's root: no route has it.
_NO_PATH: Final = " "


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
    """Stand in for HTTP/2's push: nobody answers this request."""
