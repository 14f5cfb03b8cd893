"""Username enumeration by timing: response times reveal nothing (SECURITY.md says how to measure them).

First come exact checks, which no busy machine disturbs: the parameters of each verification, and the statements. Then
come measurements: attempts for a known name and for two unknown ones take turns in random order. What counts is the
median of the differences within a round, with an interval from resampling, because pooled times would drift with the
machine. The two unknown names show the noise of the machine. CPU time is measured beside the clock, because other
processes disturb it less. A measurement that fails is repeated once with four times the rounds.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from secrets import token_hex
from statistics import median
from typing import Any

import aiosqlite
import pytest
from argon2 import PasswordHasher
from quart import Quart

from client import CHEAP, KEY, Visitor, add_user, set_active
from databases import run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.cleanup import count_sets
from quartlogin.accounts.features.passwords.hash_parameters import HashParameters, read_parameters
from quartlogin.accounts.features.passwords.hashing import PasswordHashing, VerifyResult
from quartlogin.accounts.security.rate_limits import RateLimits
from quartlogin.webapp import create_app

alone = pytest.mark.alone

WARM_UP = 10  # rounds
RESAMPLES = 1000
#: A hash of 8 MiB takes some milliseconds: long enough to be missed, and short enough for many rounds.
QUICK = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
FOUR_LANES = HashParameters("id", 19, 1, 8 * 1024, 4)
OLD = HashParameters("id", 19, 1, 2 * 1024, 1)

CLOCKS = {"clock": time.perf_counter, "processor": time.process_time}

Attempt = Callable[[str], Awaitable[int]]


@dataclass(frozen=True)
class Interval:
    """Where the median of differences lies, in seconds, in 99 of 100 cases."""

    low: float
    high: float

    @classmethod
    def of(cls, differences: list[float], luck: random.Random) -> "Interval":
        medians = sorted(median(luck.choices(differences, k=len(differences))) for _ in range(RESAMPLES))
        return cls(medians[RESAMPLES // 200], medians[-RESAMPLES // 200 - 1])

    @property
    def furthest(self) -> float:
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class Measured:
    """What differs between two names, and between two that nobody has; in seconds."""

    difference: Interval
    of_nothing: Interval
    #: Of one attempt.
    typical: float

    def is_nothing(self, most: float, share: float) -> bool:
        return self.difference.furthest <= max(most, share * self.typical, 3 * self.of_nothing.furthest)

    def __str__(self) -> str:
        low, high = self.difference.low * 1e3, self.difference.high * 1e3
        return f"{low:.3f} to {high:.3f} ms, of {self.typical * 1e3:.1f} ms"


async def measure(attempt: Attempt, names: list[str], rounds: int, status: int) -> dict[str, Measured]:
    """Compare the first of three names with the second, and the second with the third."""
    luck = random.Random(0)
    took: dict[str, list[list[float]]] = {clock: [] for clock in CLOCKS}
    for number in range(WARM_UP + rounds):
        times: dict[str, dict[str, float]] = {clock: {} for clock in CLOCKS}
        for name in luck.sample(names, len(names)):
            begun = {clock: now() for clock, now in CLOCKS.items()}
            assert await attempt(name) == status
            for clock, now in CLOCKS.items():
                times[clock][name] = now() - begun[clock]
        if number >= WARM_UP:
            for clock in CLOCKS:
                took[clock].append([times[clock][name] for name in names])
    return {
        clock: Measured(
            Interval.of([one - other for one, other, _ in rows], luck),
            Interval.of([other - third for _, other, third in rows], luck),
            median(other for _, other, _ in rows),
        )
        for clock, rows in took.items()
    }


async def differs(
    attempt: Attempt, names: list[str], rounds: int, most: float, share: float = 0.0, status: int = 400
) -> str:
    """Say by how much a name differs from one that nobody has, if by more than a time and a share; else nothing.

    Args:
        attempt: Makes an attempt for a name; returns the answer's status.
        names: The name, and two that nobody has.
        rounds: How often each is tried.
        most: Seconds.
        share: Of what one attempt takes.
        status: What each attempt is answered.
    """
    told = ""
    for count in (rounds, 4 * rounds):
        found = await measure(attempt, names, count, status)
        told = "; ".join(f"{clock}: {of}" for clock, of in found.items() if not of.is_nothing(most, share))
        if not told:
            break
    return told


async def site(database: str, hasher: PasswordHasher | None, per_account: int = 1_000_000) -> AsyncIterator[Quart]:
    """A site with accounts of three parameter sets: today's, four lanes, and an old one that costs less."""
    app = create_app(DATABASE=database, SECRET_KEY=KEY)
    parts = get_accounts(app)
    parts.passwords.hashing.close()
    parts.passwords.hashing = PasswordHashing(hasher, key=KEY.encode())
    parts.passwords.rate_limits = RateLimits(parts.store.attempts, parts.audit_log, per_account, 1_000_000)
    async with app.test_app():
        for name in NAMES:
            await add_user(app, name)
        for name in ("Disabled", "Old and disabled"):
            await set_active(app, name, active=False)
        for name, changes in CHANGES.items():
            of_name = f"WHERE user_id = (SELECT id FROM quartlogin_users WHERE username = '{name}')"
            run_sql(database, f"UPDATE quartlogin_{changes} {of_name}")
        await learn(app)
        yield app


#: What is different about accounts that are not as they were made.
CHANGES = {
    "Four lanes": f"passwords SET password_hash = '{FOUR_LANES.dummy_hash()}'",
    "Four more": f"passwords SET password_hash = '{FOUR_LANES.dummy_hash()}'",
    "Outdated": f"passwords SET password_hash = '{OLD.dummy_hash()}'",
    "Old and disabled": f"passwords SET password_hash = '{OLD.dummy_hash()}'",
    "Expired": "passwords SET expires_at = 1",
    "Must change": "accounts SET must_change_password = TRUE",
    "Unreadable": "passwords SET password_hash = 'unreadable'",
    "Too costly": f"passwords SET password_hash = '{OLD._replace(passes=33).dummy_hash()}'",
}
NAMES = ["Known", "Disabled", *CHANGES]


async def learn(app: Quart) -> None:
    parts = get_accounts(app)
    parts.passwords.hashing.in_use.learn(await count_sets(parts.store.passwords, 100))


async def with_two_that_nobody_has(app: Quart, name: str) -> list[str]:
    """Return a name, and two that nobody has whose attempts cost as much."""
    parts = get_accounts(app)
    draw = parts.passwords.hashing.in_use.draw
    credentials = await parts.store.users.find_credentials(name.casefold())
    assert credentials is not None
    stored = read_parameters(credentials.password_hash)
    wanted = stored if stored is not None and stored.is_within_limits else draw(credentials.user.id)
    nobody = (f"Unknown{number}" for number in range(10_000))
    same = (unknown for unknown in nobody if draw(unknown.casefold()) == wanted)
    return [name, next(same), next(same)]


@pytest.fixture(autouse=True)
def no_last_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quartlogin.accounts.security.rate_limits.MAX_FAILURES", 1_000_000)


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


# --- the exact gates


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Gather what argon2 and the database are asked for: parameters, statements, and how many rows they find."""
    seen: list[Any] = []
    verify, hash_, execute = PasswordHasher.verify, PasswordHasher.hash, aiosqlite.Connection._execute

    def noted_verify(hasher: PasswordHasher, stored: str, password: str) -> Any:
        seen.append(read_parameters(stored))
        return verify(hasher, stored, password)

    def noted_hash(hasher: PasswordHasher, *args: Any, **options: Any) -> str:
        seen.append("a hash is made")
        return hash_(hasher, *args, **options)

    async def noted_execute(connection: aiosqlite.Connection, function: Any, *args: Any, **options: Any) -> Any:
        seen.append(args[0] if args else function.__name__)
        found = await execute(connection, function, *args, **options)
        seen.append(len(found) if isinstance(found, list) else "no rows")
        return found

    monkeypatch.setattr(PasswordHasher, "verify", noted_verify)
    monkeypatch.setattr(PasswordHasher, "hash", noted_hash)
    monkeypatch.setattr(aiosqlite.Connection, "_execute", noted_execute)
    return seen


@pytest.mark.requirement("V12")
@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize("name", NAMES)
async def test_username_enumeration_known_and_unknown_names_run_the_same_statements_and_one_verification(
    cheap: Quart, asked: list[Any], name: str
) -> None:
    attempt, seen = await attempts_at(cheap), []
    names = await with_two_that_nobody_has(cheap, name)
    for each in [names[1], *names]:  # the first of all makes what the next find
        asked.clear()
        assert await attempt(each) == 400
        seen.append(asked.copy())

    assert len([what for what in seen[0] if isinstance(what, HashParameters)]) == 1
    assert "a hash is made" not in seen[0]
    assert seen[1] == seen[2] == seen[3]


@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.slow
async def test_username_enumeration_with_mixed_parameters_unknown_names_cost_what_accounts_do(
    cheap: Quart, asked: list[Any]
) -> None:
    attempt, costs = await attempts_at(cheap), dict[str, list[HashParameters]]()
    unknown = [f"Unknown{number}" for number in range(150)]
    for name in [*NAMES, *unknown, *unknown[:20], *(name.upper() for name in unknown[:20])]:
        asked.clear()
        await attempt(name)
        costs.setdefault(name.casefold(), []).extend(what for what in asked if isinstance(what, HashParameters))

    today = HashParameters("id", 19, 1, 8, 1)
    of_known = [costs[name.casefold()] for name in NAMES if name not in {"Unreadable", "Too costly"}]
    assert of_known == [[today], [today], [FOUR_LANES], [FOUR_LANES], [OLD], [OLD], [today], [today]]
    assert {cost for name in ("unreadable", "too costly") for cost in costs[name]} <= {today, FOUR_LANES, OLD}
    assert {len(set(found)) for found in costs.values()} == {1}
    assert {len(costs[name.casefold()]) for name in unknown[:20]} == {3}
    shares = Counter(costs[name.casefold()][0] for name in unknown)
    for parameters, accounts in ((today, 4), (FOUR_LANES, 2), (OLD, 2)):
        expected = len(unknown) * accounts / 8
        assert abs(shares[parameters] - expected) < 5 * (expected * (1 - accounts / 8)) ** 0.5


# --- the stopwatch


@alone
@pytest.mark.requirement("V12")
@pytest.mark.parametrize("name", ["Known", "Disabled", "Outdated", "Four lanes", "Unreadable"])
@pytest.mark.requirement("6.3.8", "C1")
async def test_timing_of_a_known_name_is_that_of_an_unknown_one(quick: Quart, attempt: Attempt, name: str) -> None:
    assert await differs(attempt, await with_two_that_nobody_has(quick, name), 300, 0.0005, 0.05) == ""


@alone
@pytest.mark.requirement("6.3.8", "C1")
async def test_timing_of_names_is_the_same_with_the_real_parameters(database: str) -> None:
    async for app in site(database, None):
        names = await with_two_that_nobody_has(app, "Known")
        assert await differs(await attempts_at(app), names, 40, 0.005, 0.05) == ""


@alone
@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.requirement("V12")
async def test_timing_of_rate_limited_names_is_the_same(database: str) -> None:
    async for app in site(database, QUICK, per_account=4):
        attempt, names = await attempts_at(app), await with_two_that_nobody_has(app, "Known")
        for name in names * 2:
            await attempt(name)
        assert await differs(attempt, names, 300, 0.0005, status=429) == ""


@alone
@pytest.mark.requirement("6.3.8", "C1")
@pytest.mark.parametrize("name", ["Known", "Disabled"])
async def test_timing_of_names_is_the_same_apart_from_the_hash(cheap: Quart, name: str) -> None:
    async def attempt(name: str) -> int:
        assert await get_accounts(cheap).passwords.authenticate(name, token_hex(12)) is None
        return 400

    async with cheap.test_request_context("/login"):
        assert await differs(attempt, await with_two_that_nobody_has(cheap, name), 1500, 0.00005, 0.03) == ""


@alone
@pytest.mark.requirement("6.3.8", "C1")
async def test_timing_of_the_first_attempt_after_a_start_reveals_nothing(quick: Quart) -> None:
    parts, attempt = get_accounts(quick), await attempts_at(quick)
    names = await with_two_that_nobody_has(quick, "Known")

    async def first_attempt(name: str) -> int:
        parts.passwords.hashing.close()
        parts.passwords.hashing = PasswordHashing(QUICK, key=KEY.encode())
        await learn(quick)
        return await attempt(name)

    assert await differs(first_attempt, names, 300, 0.0005, 0.05) == ""


@alone
@pytest.mark.requirement("6.3.8", "C1")
async def test_timing_of_eight_concurrent_attempts_reveals_nothing(quick: Quart) -> None:
    clients = [await attempts_at(quick) for _ in range(8)]

    async def attempts(name: str) -> int:
        [status] = set(await asyncio.gather(*(attempt(name) for attempt in clients)))
        return status

    assert await differs(attempts, await with_two_that_nobody_has(quick, "Known"), 60, 0.0005, 0.1) == ""


@alone
async def test_timing_check_detects_a_missing_hash(
    quick: Quart, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = await with_two_that_nobody_has(quick, "Known")
    monkeypatch.setattr(PasswordHashing, "_verify_dummy", lambda *_: VerifyResult(is_right=False))

    assert await differs(attempt, names, 30, 0.0005) != ""


@alone
async def test_timing_check_detects_another_parameter_set(quick: Quart, attempt: Attempt) -> None:
    """As it was for four lanes, and for whatever costs more than today's."""
    outdated, unknown = (
        await with_two_that_nobody_has(quick, "Outdated"),
        await with_two_that_nobody_has(quick, "Known"),
    )

    assert await differs(attempt, [outdated[0], *unknown[1:]], 30, 0.0005) != ""
