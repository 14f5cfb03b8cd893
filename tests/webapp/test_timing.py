"""What a stopwatch tells about names: nothing (SECURITY.md says how to measure it).

Attempts for two names are made in turn, in random order; what counts is the median of the differences within the pairs,
with an interval from resampling: pooled times would drift with the machine. Two names differ if the whole interval lies
beyond what is allowed, so that a busy machine, which only widens it, makes nothing fail. A measurement that fails is
made once more with four times the pairs.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from secrets import token_hex
from statistics import median

import pytest
from argon2 import PasswordHasher
from quart import Quart

from databases import run_sql
from quartlogin.webapp import create_app
from quartlogin.webapp.passwords import Passwords
from quartlogin.webapp.services import services_of
from quartlogin.webapp.throttle import Throttle
from visitors import CHEAP, KEY, Visitor, add_user, set_active

pytestmark = pytest.mark.alone

WARM_UP = 10  # pairs
RESAMPLES = 1000
#: A hash of 8 MiB takes some milliseconds: long enough to be missed, and short enough for many pairs.
QUICK = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)

Attempt = Callable[[str], Awaitable[int]]


@dataclass(frozen=True)
class Measured:
    """What differs between two names, in seconds."""

    low: float
    high: float
    #: Of one attempt.
    typical: float

    def is_more_than(self, most: float) -> bool:
        return self.low > most or self.high < -most


async def measure(attempt: Attempt, one: str, other: str, pairs: int, status: int) -> Measured:
    differences, times, luck = [], [], random.Random(0)
    for number in range(WARM_UP + pairs):
        took = {}
        for name in luck.sample([one, other], 2):
            begun = time.perf_counter()
            assert await attempt(name) == status
            took[name] = time.perf_counter() - begun
        if number >= WARM_UP:
            differences.append(took[one] - took[other])
            times.append(took[other])
    medians = sorted(median(luck.choices(differences, k=pairs)) for _ in range(RESAMPLES))
    return Measured(medians[RESAMPLES // 200], medians[-RESAMPLES // 200 - 1], median(times))


async def differs(attempt: Attempt, one: str, pairs: int, most: float, share: float = 0.0, status: int = 400) -> str:
    """Say by how much a name differs from one that nobody has, if by more than a time and a share; else nothing."""
    for count in (pairs, 4 * pairs):
        found = await measure(attempt, one, "Unknown", count, status)
        if not found.is_more_than(max(most, share * found.typical)):
            return ""
    return f"{found.low * 1e3:.3f} to {found.high * 1e3:.3f} ms, of {found.typical * 1e3:.1f} ms"


async def site(database: str, hasher: PasswordHasher | None, per_account: int = 1_000_000) -> AsyncIterator[Quart]:
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    parts = services_of(app)
    parts.accounts.passwords.close()
    throttle = Throttle(parts.store, per_account, 1_000_000)
    parts.accounts = replace(parts.accounts, passwords=Passwords(hasher), throttle=throttle)
    async with app.test_app():
        for name in ("Known", "Disabled", "Outdated"):
            await add_user(app, name)
        await set_active(app, "Disabled", active=False)
        old = PasswordHasher(time_cost=1, memory_cost=QUICK.memory_cost // 4, parallelism=1).hash("x" * 20)
        run_sql(database, f"UPDATE users SET password_hash = '{old}' WHERE username = 'Outdated'")
        yield app


@pytest.fixture(autouse=True)
def no_last_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartlogin.webapp.throttle.MOST_FAILURES", 1_000_000)


@pytest.fixture
async def quick(database: str) -> AsyncIterator[Quart]:
    async for app in site(database, QUICK):
        yield app


@pytest.fixture
async def cheap(database: str) -> AsyncIterator[Quart]:
    async for app in site(database, CHEAP):
        yield app


@pytest.fixture
async def attempt(quick: Quart) -> Attempt:
    return await attempts_at(quick)


async def attempts_at(app: Quart) -> Attempt:
    """How somebody without cookies of a sign-in tries a password that was never tried before."""
    visitor = Visitor(app.test_client())
    token = (await visitor.get("/login")).token

    async def attempt(name: str) -> int:
        fields = {"csrf_token": token, "username": name, "password": token_hex(12)}
        return (await visitor.post("/login", fields)).status

    return attempt


@pytest.mark.requirement("V12")
@pytest.mark.parametrize("name", ["Known", "Disabled", "Outdated"])
@pytest.mark.requirement("6.3.8", "C1")
async def test_a_name_takes_as_long_as_one_that_nobody_has(attempt: Attempt, name: str) -> None:
    assert await differs(attempt, name, 300, 0.0005, 0.05) == ""


@pytest.mark.requirement("6.3.8", "C1")
async def test_with_the_real_parameters_too(database: str) -> None:
    async for app in site(database, None):
        assert await differs(await attempts_at(app), "Known", 100, 0.005, 0.05) == ""


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.requirement("V12")
async def test_throttled_names_take_the_same_time(database: str) -> None:
    async for app in site(database, QUICK, per_account=4):
        attempt = await attempts_at(app)
        for _ in range(2):
            await attempt("Known"), await attempt("Unknown")
        assert await differs(attempt, "Known", 300, 0.0005, status=429) == ""


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize("name", ["Known", "Disabled"])
async def test_with_a_hash_that_costs_nothing_not_even_the_rest_differs(cheap: Quart, name: str) -> None:
    async def attempt(name: str) -> int:
        assert await services_of(cheap).accounts.authenticate(name, token_hex(12)) is None
        return 400

    async with cheap.test_request_context("/login"):
        assert await differs(attempt, name, 1500, 0.00005, 0.03) == ""


@pytest.mark.requirement("6.3.8", "C1")
async def test_the_first_attempt_after_a_start_tells_no_more(quick: Quart) -> None:
    parts, attempt = services_of(quick), await attempts_at(quick)

    async def first_attempt(name: str) -> int:
        parts.accounts.passwords.close()
        parts.accounts = replace(parts.accounts, passwords=Passwords(QUICK))
        return await attempt(name)

    assert await differs(first_attempt, "Known", 300, 0.0005, 0.05) == ""


@pytest.mark.requirement("6.3.8", "C1")
async def test_eight_who_ask_at_once_learn_no_more(quick: Quart) -> None:
    clients = [await attempts_at(quick) for _ in range(8)]

    async def attempts(name: str) -> int:
        [status] = set(await asyncio.gather(*(attempt(name) for attempt in clients)))
        return status

    assert await differs(attempts, "Known", 60, 0.0005, 0.1) == ""


async def test_the_stopwatch_would_notice_a_hash_that_is_missing(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Passwords, "_verify_decoy", lambda *_: None)

    assert await differs(attempt, "Known", 30, 0.0005) != ""
