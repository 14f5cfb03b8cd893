"""Request pages of ASGI apps without a server, and compare two apps side by side in one run."""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle
from statistics import median
from typing import Any, Final

from quart import Quart

Ask = Callable[[], Awaitable[None]]

#: The address and the user agent of every request.
ADDRESS: Final = "127.0.0.1"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_RESAMPLES: Final = 1000


@dataclass(frozen=True)
class Comparison:
    """The ratio of two times: the median over the rounds, with a 95 % bootstrap interval."""

    ratio: float
    low: float
    high: float
    #: Medians, in microseconds for each request.
    ours: float
    floor: float

    def __str__(self) -> str:
        return f"{self.ratio:.3f}  [{self.low:.3f}, {self.high:.3f}]  {self.ours:7.1f} / {self.floor:7.1f} µs"


def asks(app: Any, path: str, cookies: Sequence[str] = ("",)) -> Ask:
    """Return a function that requests a page with little overhead, each time as the next of several browsers.

    Args:
        app: The ASGI application.
        path: The path of the page.
        cookies: The `Cookie` header of each browser.
    """
    scopes = cycle([_scope(path, cookie) for cookie in cookies])

    async def ask() -> None:
        exchange = _Exchange()
        await app({**next(scopes)}, exchange.receive, exchange.send)

    return ask


async def page(app: Any, path: str, cookie: str = "") -> str:
    """Return the complete response of an app."""
    told: list[Any] = []

    exchange = _Exchange(told)
    await app(_scope(path, cookie), exchange.receive, exchange.send)
    return b"".join(message.get("body", b"") for message in told).decode()


def _scope(path: str, cookie: str) -> dict[str, Any]:
    headers = [
        (b"host", b"localhost:5000"),
        (b"user-agent", BROWSER.encode()),
        (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ]
    if cookie:
        headers.append((b"cookie", cookie.encode()))
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.3", "version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (ADDRESS, 50000),
        "server": ("127.0.0.1", 5000),
        "extensions": {},
    }


@asynccontextmanager
async def serving(*apps: Quart) -> AsyncIterator[None]:
    """Run apps for the duration of the block."""
    for app in apps:
        await app.startup()
    try:
        yield
    finally:
        for app in apps:
            await app.shutdown()


async def compare(ours: Ask, floor: Ask, *, rounds: int, requests: int, at_a_time: int = 1) -> Comparison:
    """Time two apps in turn, many times, so that disturbances affect both.

    Args:
        ours: The app to measure.
        floor: The app to compare it with.
        rounds: The number of turns of each.
        requests: The number of requests in a turn.
        at_a_time: The number of concurrent requests.
    """
    for ask in (ours, floor):
        await time_of(ask, requests, at_a_time)
    samples: list[tuple[float, float]] = []
    for number in range(rounds):
        first, second = (ours, floor) if number % 2 else (floor, ours)
        one = await time_of(first, requests, at_a_time)
        other = await time_of(second, requests, at_a_time)
        samples.append((one, other) if number % 2 else (other, one))
    return summary(samples)


async def time_of(ask: Ask, requests: int, at_a_time: int) -> float:
    """Return the mean time of a request, in microseconds."""
    gc.collect()
    gc.disable()
    left = iter(range(requests))
    began = time.perf_counter()
    if at_a_time == 1:
        await _ask_for_all(ask, left)
    else:
        await asyncio.gather(*(_ask_for_all(ask, left) for _ in range(at_a_time)))
    took = time.perf_counter() - began
    gc.enable()
    return took / requests * 1e6


def summary(samples: Sequence[tuple[float, float]]) -> Comparison:
    """Compare pairs of measurements from the same rounds."""
    ratios = [ours / floor for ours, floor in samples]
    chance = random.Random(1)
    medians = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    return Comparison(
        ratio=median(ratios),
        low=medians[int(_RESAMPLES * 0.025)],
        high=medians[int(_RESAMPLES * 0.975)],
        ours=median(ours for ours, _ in samples),
        floor=median(floor for _, floor in samples),
    )


async def _ask_for_all(ask: Ask, left: Iterable[int]) -> None:
    for _ in left:
        await ask()


class _Exchange:
    """One request and its response, as from a server that disconnects when the response is complete."""

    def __init__(self, told: list[Any] | None = None) -> None:
        self._told = told
        self._is_asked = False
        self._end: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Any:
        if self._is_asked:
            return await self._end
        self._is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        if self._told is not None:
            self._told.append(message)
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last and not self._end.done():
            self._end.set_result({"type": "http.disconnect"})
