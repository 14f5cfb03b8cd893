"""The body size limit holds while a body arrives, whatever the application reads."""

import asyncio
from typing import Any

import pytest

from quartlogin.accounts.security.hardening import BodySizeLimitMiddleware
from servers import PATIENCE

CHUNK = 1000
LIMIT = 10 * CHUNK


class Client:
    """The server's side of one request: a body that has no end, and what was answered."""

    def __init__(self) -> None:
        self.sent = 0
        self.answers: list[Any] = []

    async def receive(self) -> Any:
        self.sent += CHUNK
        return {"type": "http.request", "body": b"x" * CHUNK, "more_body": True}

    async def send(self, message: Any) -> None:
        self.answers.append(message)


async def reads_everything(_: Any, receive: Any, send: Any) -> None:
    """An application that reads a body to its end before it looks at its size, as Quart 0.23 does."""
    for _ in range(1000):
        if (await receive())["type"] == "http.disconnect":
            return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@pytest.mark.requirement("V9")
async def test_a_body_without_end_is_read_no_further_than_the_limit() -> None:
    client = Client()
    await BodySizeLimitMiddleware(reads_everything, LIMIT)({"type": "http"}, client.receive, client.send)
    assert client.sent == LIMIT + CHUNK
    assert client.answers[0]["status"] == 413


async def test_a_response_that_has_begun_is_sent_to_its_end() -> None:
    async def answers_and_reads(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        reading = asyncio.ensure_future(reads_everything(_, receive, send))
        await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b"refused", "more_body": False})
        reading.cancel()

    class SlowClient(Client):
        async def receive(self) -> Any:
            await asyncio.sleep(0)
            return await super().receive() if self.sent < 3 * LIMIT else {"type": "http.disconnect"}

    client = SlowClient()
    await BodySizeLimitMiddleware(answers_and_reads, CHUNK - 1)({"type": "http"}, client.receive, client.send)

    assert [answer["type"] for answer in client.answers] == ["http.response.start", "http.response.body"]
    assert client.answers[-1]["body"] == b"refused"


async def test_denial_of_service_a_body_refused_by_its_length_does_not_hold_the_end_of_the_answer() -> None:
    class FullServer(Client):
        """As Hypercorn: the end of an answer puts a message into the queue that the application reads, and waits."""

        def __init__(self) -> None:
            super().__init__()
            self.is_read = asyncio.Event()

        async def receive(self) -> Any:
            self.is_read.set()
            await asyncio.sleep(0)
            return await super().receive() if self.sent < LIMIT else {"type": "http.disconnect"}

        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.body":
                await self.is_read.wait()
            await super().send(message)

    async def answers_by_the_length(_: Any, receive: Any, send: Any) -> None:
        reading = asyncio.ensure_future(reads_everything(_, receive, send))
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"refused", "more_body": False})
        await reading

    server = FullServer()
    scope = {"type": "http", "headers": [(b"content-length", b"%d" % (2 * LIMIT))]}
    async with asyncio.timeout(PATIENCE):
        await BodySizeLimitMiddleware(answers_by_the_length, LIMIT)(scope, server.receive, server.send)

    assert server.answers[-1]["body"] == b"refused"
