"""Measure what listening to the steps of requests costs: a logged-in page, and a sign-in without its hash.

python benchmarks/tracing.py [--small]

Each is requested without listeners and with one, in turn, in one run. The listeners are a `Recorder`, the metrics for
Prometheus, and OpenTelemetry: without an SDK, and with one that records all spans and exports none, beside requests
whose span is recorded, too.
"""

import asyncio
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import cycle

from driving import Ask, Comparison, asks, serving, summary, time_of
from opentelemetry.sdk.trace import TracerProvider
from ours import make_ours
from people import cookie_of_login, fill
from quart import Quart
from sign_ins import PASSWORD, sign_in

from quartlogin import tracing
from quartlogin.accounts import get_accounts
from quartlogin.accounts.testing import use_cheap_hashes
from quartlogin.explaining import Recorder
from quartlogin.telemetry.metrics import Metrics
from quartlogin.telemetry.opentelemetry import SpanMaker
from quartlogin.webapp import create_app

Listen = Callable[[tracing.Step], None]


async def main() -> None:
    """Print one ratio for each page and listener."""
    people, rounds, requests = (64, 5, 128) if "--small" in sys.argv else (2_000, 61, 512)
    with tempfile.TemporaryDirectory() as folder:
        for name, ask, app, each in (
            await logged_in_page(f"{folder}/pages.sqlite3", people, requests),
            await one_sign_in(f"{folder}/sign-ins.sqlite3", requests // 4),
        ):
            async with serving(app):
                await ask()
                for listener, (add, wrap) in listeners(app).items():
                    result = await compare(wrap(ask), add, rounds, each)
                    print(f"{name}, {listener:24}{result}", flush=True)


async def logged_in_page(database: str, people: int, requests: int) -> tuple[str, Ask, Quart, int]:
    """Return the page of `pages.py`, requested by its signed-in users in turn."""
    await fill(database, people, people)
    app = make_ours(database)
    cookies = [f"session={cookie_of_login(app, number, people)}" for number in range(people)]
    return "logged-in page", asks(app, "/home", cookies), app, requests


async def one_sign_in(database: str, requests: int) -> tuple[str, Ask, Quart, int]:
    """Return a sign-in of the application, the login page included; its hash takes no time."""
    app = create_app(DATABASE=database, SECRET_KEY=secrets.token_urlsafe(48))
    use_cheap_hashes(app)
    stored = await get_accounts(app).passwords.hashing.hash(PASSWORD)
    await fill(database, 8, 0, stored)
    names = cycle([f"user{number}" for number in range(8)])

    async def ask() -> None:
        await sign_in(app.test_client(), next(names))

    return "sign-in", ask, app, requests


def listeners(app: Quart) -> Mapping[str, tuple[Listen, Callable[[Ask], Ask]]]:
    """Return the listeners, each with what begins the span of a request, if it needs one."""
    provider = TracerProvider()
    return {
        "a Recorder": (Recorder(app), _as_it_is),
        "metrics": (Metrics(app), _as_it_is),
        "OpenTelemetry, no SDK": (SpanMaker(app, None, user_ids=False), _as_it_is),
        "OpenTelemetry, an SDK": (SpanMaker(app, provider, user_ids=False), _in_span_of(provider)),
    }


async def compare(ask: Ask, listener: Listen, rounds: int, requests: int) -> Comparison:
    """Time requests with and without a listener in turn, many times."""
    samples: list[tuple[float, float]] = []
    await _both(ask, listener, requests, 0)
    for number in range(rounds):
        samples.append(await _both(ask, listener, requests, number))
    return summary(samples)


async def _both(ask: Ask, listener: Listen, requests: int, number: int) -> tuple[float, float]:
    """Return the time with the listener and that without it; the first to be measured alternates."""
    without = await time_of(ask, requests, 1) if number % 2 else 0.0
    with tracing.listening(listener):
        heard = await time_of(ask, requests, 1)
    return heard, without or await time_of(ask, requests, 1)


def _as_it_is(ask: Ask) -> Ask:
    return ask


def _in_span_of(provider: TracerProvider) -> Callable[[Ask], Ask]:
    tracer = provider.get_tracer(__name__)

    def wrap(ask: Ask) -> Ask:
        async def ask_in_span() -> None:
            with tracer.start_as_current_span("request"):
                await ask()

        return ask_in_span

    return wrap


if __name__ == "__main__":
    asyncio.run(main())
