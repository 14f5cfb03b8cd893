"""Limit the size of request bodies, whatever the framework does with them.

Quart 0.23 reads a body of unknown length to its end before it checks `MAX_CONTENT_LENGTH`.
"""

import asyncio
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
            is_announced = announced_size(scope) > self._max_size
            connection = _Connection(receive, send, self._max_size, is_refused=is_announced)
            await self._app(scope, connection.receive, connection.send)
        else:
            await self._app(scope, receive, send)


class _Connection:
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
