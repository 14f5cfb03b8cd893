"""A browser's websocket, spoken to the application without a server: also its closing is heard, on every Quart."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from quart import Quart

PATIENCE = 60  # seconds until a test gives up on what hangs


class Socket:
    """A websocket that was opened by a page."""

    def __init__(self) -> None:
        self.to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()

    async def take(self, message: Any) -> None:
        await self._from_app.put(message)
        if message["type"] == "websocket.close":
            self.to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})

    async def _next(self, kind: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            while (message := await self._from_app.get())["type"] != kind:
                pass
        return message

    async def first(self) -> Any:
        """What the application answers first, whatever it is."""
        async with asyncio.timeout(PATIENCE):
            return await self._from_app.get()

    async def accepted(self) -> None:
        """Wait until the application has accepted it."""
        await self._next("websocket.accept")

    async def hear(self) -> Any:
        """The next JSON message."""
        return json.loads((await self._next("websocket.send"))["text"])

    async def code(self) -> int:
        """With which code the application closes it."""
        return int((await self._next("websocket.close"))["code"])

    async def status(self) -> int:
        """With which status the application refuses it."""
        return int((await self._next("websocket.http.response.start"))["status"])

    def say(self, text: str) -> None:
        self.to_app.put_nowait({"type": "websocket.receive", "text": text, "bytes": None})


@asynccontextmanager
async def open_socket(app: Quart, path: str, **headers: str) -> AsyncIterator[Socket]:
    """Open a websocket with these headers, and leave at the end."""
    socket = Socket()
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 1),
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in {"Host": "localhost", **headers}.items()
        ],
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    socket.to_app.put_nowait({"type": "websocket.connect"})
    handling = asyncio.ensure_future(app(scope, socket.to_app.get, socket.take))  # type: ignore[arg-type]
    try:
        yield socket
    finally:
        socket.to_app.put_nowait({"type": "websocket.disconnect", "code": 1005})
        async with asyncio.timeout(PATIENCE):
            await handling
