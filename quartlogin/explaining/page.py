"""The page `/_quartlogin/`: it is served beside the app, outside of its routes, guards and middleware."""

import base64
import hashlib
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from quart import Quart

from .. import tracing
from . import views
from .gate import PATH, admits, is_page, parameter
from .recorder import Recorder

_TOKEN_BYTES: Final = 32
_LONGEST_NUMBER: Final = 12  # digits


def _source_of(style: str) -> str:
    """Return what allows a style within a page (CSP Level 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": f"default-src 'none'; style-src {' '.join(map(_source_of, views.STYLES))}; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ENCODED: Final = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


@contextmanager
def explaining_requests(app: Quart) -> Iterator[None]:
    """Record the requests of an app within a `with` block, and serve the page that explains them."""
    recorder, token, wrapped = Recorder(app), secrets.token_urlsafe(_TOKEN_BYTES), app.asgi_app
    page = ExplainingMiddleware(wrapped, recorder, token)
    app.asgi_app = page  # type: ignore[method-assign]  # as Quart asks
    tracing.add(recorder)
    _print_address(token)
    try:
        yield
    finally:
        tracing.remove(recorder)
        page.is_open = False  # other middleware may have wrapped it meanwhile
        if app.asgi_app is page:
            app.asgi_app = wrapped  # type: ignore[method-assign]  # as above


def _print_address(token: str) -> None:
    """Print the page's address, in which only the port is a guess; not by a logger, whose lines are kept and sent."""
    sys.stderr.write(
        f" * Why is my user anonymous? Open http://127.0.0.1:5000{PATH}?token={token}"
        " (on another port, if your app has another).\n"
    )
    sys.stderr.flush()


class ExplainingMiddleware:
    """ASGI middleware that serves the page to a developer, and everything else to the app.

    Other visitors get what the app answers at that address, as if there were no page.

    Args:
        app: The ASGI application.
        recorder: Has the app's last requests.
        token: What the page's address must contain.
    """

    def __init__(self, app: Any, recorder: Recorder, token: str) -> None:
        self.is_open = True
        self._app = app
        self._recorder = recorder
        self._token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one connection."""
        if not (self.is_open and is_page(scope) and admits(scope, self._token)):
            await self._app(scope, receive, send)
            return
        status, text = self._answer(scope)
        body = text.encode("utf-8", "replace")
        headers = [*_ENCODED, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False}
        )

    def _answer(self, scope: Any) -> tuple[int, str]:
        number = parameter(scope["query_string"], "request")
        if number is None:
            return 200, views.list_page(self._recorder, self._token)
        is_number = number.isdecimal() and len(number) <= _LONGEST_NUMBER
        recording = self._recorder.find(int(number)) if is_number else None
        if recording is None:
            return 404, views.missing_page(self._token)
        return 200, views.request_page(self._recorder, recording, self._token)
