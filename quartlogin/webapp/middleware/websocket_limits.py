"""Websocket limits: restrict what a client may send before any of it is inflated or kept.

Hypercorn has no setting for either: it always accepts `permessage-deflate`, inflates each frame before it compares the
message with its limit (60 kB became 60 MB), and keeps receiving a message that it has rejected. Other servers do not
report what they have accepted: docs/deploying.md names their settings.
"""

import asyncio
from typing import Any, Final

from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from wsproto.events import Message

#: Characters or bytes of a message: our pages only receive.
MAX_MESSAGE_SIZE: Final = 64 * 1024
_TOO_BIG: Final = 1009  # RFC 6455, 7.4.1


class WebSocketLimitsMiddleware:
    """ASGI middleware that makes Hypercorn reject compression, and messages in several frames.

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
