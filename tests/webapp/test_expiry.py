"""Session timeouts, and deleted accounts."""

import time
from collections.abc import AsyncIterator, Callable

import pytest
from quart import Quart

from client import KEY, PASSWORD, Visitor, with_cheap_hashes
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.webapp import create_app

MINUTE = 60


@pytest.fixture
def now() -> list[float]:
    """The time, to be moved on."""
    return [float(int(time.time()))]


@pytest.fixture
async def hasty(database: str, now: list[float], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Quart]:
    """The application with short times: idle for 10 minutes, an hour in all."""
    monkeypatch.setattr(time, "time", lambda: now[0])
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, LOGIN_IDLE_TIMEOUT=10, LOGIN_LIFETIME=60))
    async with app.test_app():
        yield app


@pytest.fixture
async def alice(hasty: Quart) -> Visitor:
    alice = Visitor(hasty.test_client())
    await alice.register("Alice")
    await alice.fill_in("/logout")
    await alice.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    return alice


@pytest.mark.requirement("7.3.1")
@both_databases
@pytest.mark.parametrize(("seconds", "is_in"), [(10 * MINUTE - 1, True), (10 * MINUTE, False)])
async def test_session_timeout_an_unused_login_ends(
    alice: Visitor, now: list[float], seconds: int, is_in: bool
) -> None:
    now[0] += seconds

    assert await alice.is_signed_in() is is_in


@pytest.mark.requirement("7.3.1")
async def test_use_moves_the_end_on(alice: Visitor, hasty: Quart, now: list[float]) -> None:
    for _ in range(5):
        now[0] += 10 * MINUTE - 1
        assert await alice.is_signed_in()
        await get_accounts(hasty).user_loader.last_seen.flush()


@pytest.mark.requirement("7.3.2")
async def test_after_its_whole_time_a_sign_in_ends_though_it_is_used_every_minute(
    alice: Visitor, hasty: Quart, now: list[float]
) -> None:
    for _ in range(59):
        now[0] += MINUTE
        assert await alice.is_signed_in()
        await get_accounts(hasty).user_loader.last_seen.flush()
    now[0] += MINUTE

    assert not await alice.is_signed_in()


async def test_typing_the_password_again_lets_both_times_begin_anew(
    alice: Visitor, hasty: Quart, now: list[float]
) -> None:
    for _ in range(7):
        now[0] += 9 * MINUTE
        await alice.fill_in("/reauthenticate", password=PASSWORD)

    assert await alice.is_signed_in()


async def test_when_a_login_was_seen_is_written_at_most_once_a_minute(
    alice: Visitor, hasty: Quart, now: list[float], database: str
) -> None:
    written = []
    for _ in range(6):
        now[0] += 20
        await alice.get("/api/me")
        await get_accounts(hasty).user_loader.last_seen.flush()
        written.append(run_sql(database, "SELECT max(seen_at) FROM quartlogin_logins")[0][0])

    assert len(set(written)) == 3


async def test_a_failing_write_of_the_last_seen_time_blocks_no_page(
    alice: Visitor, hasty: Quart, now: list[float], database: str
) -> None:
    now[0] += 2 * MINUTE
    run_sql(database, "CREATE TRIGGER no BEFORE UPDATE ON quartlogin_logins BEGIN SELECT RAISE(FAIL, 'no'); END")

    assert await alice.is_signed_in()
    await get_accounts(hasty).user_loader.last_seen.flush()
    assert await alice.is_signed_in()


@both_databases
async def test_a_deleted_account_leaves_nothing_and_its_name_is_free(
    app: Quart, new_visitor: Callable[[], Visitor], database: str
) -> None:
    alice, phone = new_visitor(), new_visitor()
    await alice.register("Alice")
    await phone.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    refused = await alice.fill_in("/account/delete", password="not the right password")
    still_there = await alice.is_signed_in()

    deleted = await alice.fill_in("/account/delete", password=PASSWORD)

    assert (refused.status, still_there) == (400, True)
    assert (deleted.status, deleted.location) == (302, "/")
    assert not await phone.is_signed_in()
    for table in ("quartlogin_users", "quartlogin_accounts", "quartlogin_logins", "quartlogin_events"):
        assert run_sql(database, f"SELECT count(*) FROM {table}") == [(0,)]
    await new_visitor().register("Alice")
    assert not await phone.is_signed_in()
