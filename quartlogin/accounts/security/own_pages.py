"""Protect the accounts' pages, and leave all others of the app as they are.

Quart fixes the limit of a body when the request is created, before it is known which view answers. So this is ASGI
middleware that looks the path up by itself.
"""

from collections.abc import Callable
from typing import Any, Final

from quart import Quart
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ..checks import BLUEPRINT
from .body_size_limit import BodySizeLimitMiddleware
from .headers import SecurityHeadersMiddleware

#: The size of a body that the pages accept, in bytes.
MAX_BODY: Final = 64 * 1024


class OwnPagesMiddleware:
    """ASGI middleware that adds the security headers to the accounts' pages, and limits the bodies they accept.

    Args:
        app: The ASGI application.
        is_own: Tells whether a request, by path and method, is answered by a page of the accounts.
    """

    def __init__(self, app: Any, is_own: Callable[[str, str], bool]) -> None:
        self._app = app
        self._protected = SecurityHeadersMiddleware(BodySizeLimitMiddleware(app, MAX_BODY))
        self._is_own = is_own

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        is_own = scope["type"] == "http" and self._is_own(_path_of(scope), scope["method"])
        await (self._protected if is_own else self._app)(scope, receive, send)


class OwnPages:
    """Knows which requests are answered by a page of the accounts.

    Args:
        app: The app.
    """

    def __init__(self, app: Quart) -> None:
        self._app = app
        self._beginnings: tuple[str, ...] = ()

    def has(self, path: str, method: str) -> bool:
        """Tell whether a request is answered by a page of the accounts, be it only to refuse the method."""
        if not self._beginnings:  # the first request: no route is added any more
            self._beginnings = tuple({_beginning(rule.rule) for rule in self._rules()})
        if not f"/{path.lstrip('/')}".startswith(self._beginnings):  # Werkzeug takes `//login` for `/login`
            return False
        routes = self._app.url_map.bind("")
        try:
            endpoint, _ = routes.match(path, method=method)
        except MethodNotAllowed as error:
            endpoint = str(routes.match(path, method=next(iter(error.valid_methods or ["GET"])))[0])
        except HTTPException:
            return False
        return str(endpoint).startswith(f"{BLUEPRINT}.")

    def _rules(self) -> list[Any]:
        return [rule for rule in self._app.url_map.iter_rules() if rule.endpoint.startswith(f"{BLUEPRINT}.")]


def _beginning(rule: str) -> str:
    """Return the part of a rule before its first variable: a quick look rules most requests out."""
    return rule.partition("<")[0]


def _path_of(scope: Any) -> str:
    """Return the path below the app's root, as Quart does."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] or "/" if root and path.startswith(root) else path
