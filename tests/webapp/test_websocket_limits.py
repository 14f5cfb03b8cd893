"""Websocket limits: no message in several frames, and none that is too long (decompression bombs)."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypercorn.protocol.ws_stream import FrameTooLargeError
from wsproto.events import BytesMessage, TextMessage

from quartlogin.webapp.middleware import MAX_MESSAGE_SIZE, _WholeMessages


@pytest.fixture
def stream() -> Any:
    """The part of a Hypercorn stream that is used."""
    return SimpleNamespace(app_put=AsyncMock())


@pytest.mark.parametrize("data", ["", "x", "x" * MAX_MESSAGE_SIZE], ids=len)
async def test_a_whole_message_within_the_limit_is_kept(stream: Any, data: str) -> None:
    messages = _WholeMessages(stream)

    messages.extend(TextMessage(data))

    assert messages.to_message()["text"] == data
    stream.app_put.assert_not_called()


@pytest.mark.parametrize(
    "message",
    [
        TextMessage("x" * (MAX_MESSAGE_SIZE + 1)),
        BytesMessage(b"x" * (MAX_MESSAGE_SIZE + 1)),
        TextMessage("x", message_finished=False),
        BytesMessage(b"", message_finished=False),
    ],
    ids=["long text", "long bytes", "part of a text", "part of bytes"],
)
async def test_decompression_bombs_and_parts_end_the_websocket_once(stream: Any, message: Any) -> None:
    messages = _WholeMessages(stream)

    for rejected in (message, message, TextMessage("x")):
        with pytest.raises(FrameTooLargeError):
            messages.extend(rejected)
    await messages._ending  # type: ignore[misc]

    stream.app_put.assert_awaited_once_with({"type": "websocket.disconnect", "code": 1009})
    assert not messages.value


async def test_a_websocket_that_is_over_by_then_is_not_notified(stream: Any) -> None:
    messages, stream.app_put = _WholeMessages(stream), None

    with pytest.raises(FrameTooLargeError):
        messages.extend(TextMessage("x", message_finished=False))

    await messages._ending  # type: ignore[misc]
