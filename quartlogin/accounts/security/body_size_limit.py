"""Limit the size of request bodies, whatever the framework does with them.

Quart 0.23 reads a body of unknown length to its end before it checks `MAX_CONTENT_LENGTH`.
"""

from typing import Any, Final

_TOO_LARGE: Final = b"The body of this request is too large.\n"


class BodySizeLimitMiddleware:
    """ASGI middleware that answers 413 as soon as a body exceeds the limit, and stops reading it.

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
            connection = _Connection(receive, send, self._max_size)
            await self._app(scope, connection.receive, connection.send)
        else:
            await self._app(scope, receive, send)


class _Connection:
    def __init__(self, receive: Any, send: Any, max_size: int) -> None:
        self._receive = receive
        self._send = send
        self._left = max_size
        self._is_answered = False

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._left -= len(message.get("body", b""))
        if self._left >= 0:
            return message
        await self._refuse()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self._left >= 0:
            self._is_answered = True
            await self._send(message)

    async def _refuse(self) -> None:
        if self._is_answered:
            return
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(_TOO_LARGE))]
        await self._send({"type": "http.response.start", "status": 413, "headers": headers})
        await self._send({"type": "http.response.body", "body": _TOO_LARGE, "more_body": False})
