"""Measure sign-ins per second against argon2 alone, and how they delay other pages.

python benchmarks/sign_ins.py [--small]

The application runs with its real password hashes and an SQLite file. Eight users sign in repeatedly, each with an
account of their own; then again while a public page is requested every few milliseconds, whose latency is compared
with that of the same page without sign-ins.
"""

import asyncio
import os
import re
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlencode

from argon2 import PasswordHasher
from driving import page, serving
from people import fill
from quart import Quart
from quart.testing import QuartClient

from quartlogin.accounts import get_accounts
from quartlogin.accounts.features.passwords.hash_parameters import TODAY
from quartlogin.webapp import create_app

PEOPLE = 8
PASSWORD = "correct horse battery staple"
PAUSE = 0.005  # seconds between two requests of the public page


@dataclass
class Round:
    """The measurements of one round."""

    alone: float
    signed_in: float
    idle: list[float] = field(default_factory=list)
    flooded: list[float] = field(default_factory=list)


async def main() -> None:
    rounds, seconds = (1, 3.0) if "--small" in sys.argv else (9, 6.0)
    stored = PasswordHasher(TODAY.passes, TODAY.memory, TODAY.lanes).hash(PASSWORD)
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/people.sqlite3"
        await fill(database, PEOPLE, 0, stored)
        app = create_app(DATABASE=database, SECRET_KEY=secrets.token_urlsafe(48))
        async with serving(app):
            await flood(app, 1.0)
            measured = [await one_round(app, stored, seconds) for _ in range(rounds)]
    show(measured)


async def one_round(app: Quart, stored: str, seconds: float) -> Round:
    passwords = get_accounts(app).passwords.hashing
    idle = await times_of_page(app, asyncio.ensure_future(asyncio.sleep(seconds / 2)))
    alone = await hashes_alone(passwords.threads, stored, seconds)
    signed_in = await flood(app, seconds)
    flooded = await times_of_page(app, asyncio.ensure_future(flood(app, seconds)))
    return Round(alone, signed_in, idle, flooded)


async def hashes_alone(threads: int, stored: str, seconds: float) -> float:
    """Return the hashes per second that argon2 alone verifies, in as many threads as the application has."""
    hasher, end = PasswordHasher(), time.perf_counter() + seconds

    def check() -> int:
        count = 0
        while time.perf_counter() < end:
            hasher.verify(stored, PASSWORD)
            count += 1
        return count

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        loop = asyncio.get_running_loop()
        counts = await asyncio.gather(*(loop.run_in_executor(pool, check) for _ in range(threads)))
    return sum(counts) / (time.perf_counter() - began)


async def flood(app: Quart, seconds: float) -> float:
    """Sign all users in repeatedly; return the sign-ins per second."""
    began = time.perf_counter()
    counts = await asyncio.gather(*(keep_signing_in(app, number, began + seconds) for number in range(PEOPLE)))
    return sum(counts) / (time.perf_counter() - began)


async def keep_signing_in(app: Quart, number: int, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        await sign_in(app.test_client(), f"user{number}")
        count += 1
    return count


async def sign_in(client: QuartClient, username: str) -> None:
    text = await (await client.get("/login")).get_data(as_text=True)
    token = re.search(r'name="csrf_token" value="(\w+)"', str(text))[1]  # type: ignore[index]  # every form has one
    body = urlencode({"csrf_token": token, "username": username, "password": PASSWORD})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post("/login", data=body, headers=headers)
    assert answer.status_code == 302, answer.status_code


async def times_of_page(app: Quart, meanwhile: "asyncio.Future[object]") -> list[float]:
    """Request the public page until a future is done; return the latencies, each from when its request was due."""
    times = []
    while not meanwhile.done():
        asked = time.perf_counter() + PAUSE
        await asyncio.sleep(PAUSE)
        await page(app, "/")
        times.append(time.perf_counter() - asked)
    await meanwhile
    return times


def show(measured: list[Round]) -> None:
    rates = [each.signed_in / each.alone for each in measured]
    print(f"{os.cpu_count()} cores; {len(measured)} rounds")
    print(f"argon2 alone           {median(each.alone for each in measured):6.2f} per second")
    print(f"sign-ins               {median(each.signed_in for each in measured):6.2f} per second")
    print(f"sign-ins / argon2      {median(rates):6.3f}  [{min(rates):.3f}, {max(rates):.3f}]")
    for name, share in (("median", 0.5), ("99th percentile", 0.99)):
        idle, flooded = (
            [quantile(times, share) for times in both]
            for both in zip(*((e.idle, e.flooded) for e in measured), strict=True)
        )
        ratios = [one / other for one, other in zip(flooded, idle, strict=True)]
        print(
            f"public page, {name:16}{median(ratios):5.2f}  [{min(ratios):.2f}, {max(ratios):.2f}]"
            f"  {median(flooded) * 1e3:.2f} / {median(idle) * 1e3:.2f} ms"
        )


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)]


if __name__ == "__main__":
    asyncio.run(main())
