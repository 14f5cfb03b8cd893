"""Live account updates: what open pages receive, and that they keep no login active."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from unittest import mock

import pytest
from quart import Quart

from client import KEY, Visitor, add_user, header_of, with_cheap_hashes
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.models import Event
from quartlogin.accounts.features.logins.user_loader import BACKGROUND_HEADER
from quartlogin.webapp import create_app
from sockets import open_socket
from waiting import eventually

MINUTE = 60


@pytest.fixture
async def hasty(database: str, now: list[float]) -> AsyncIterator[Quart]:
    """The application, in which a sign-in ends that nobody uses for 10 minutes."""
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, LOGIN_IDLE_TIMEOUT=10))
    async with app.test_app():
        yield app


@pytest.mark.requirement("7.3.1")
async def test_what_a_page_fetches_by_itself_is_no_visit(hasty: Quart, now: list[float]) -> None:
    alice = Visitor(hasty.test_client())
    await alice.register("Alice")

    for _ in range(9):
        now[0] += MINUTE
        assert (await alice.get("/account", headers={BACKGROUND_HEADER: "1"})).status == 200
        await get_accounts(hasty).user_loader.last_seen.flush()
    now[0] += MINUTE

    assert not await alice.is_signed_in()


@pytest.mark.requirement("7.3.1")
async def test_an_open_page_closes_at_the_idle_timeout(hasty: Quart, now: list[float]) -> None:
    alice = Visitor(hasty.test_client())
    await alice.register("Alice")
    now[0] += 9 * MINUTE

    async with open_socket(hasty, "/account/live", **header_of(alice.cookies)) as socket:
        await socket.accepted()
        await get_accounts(hasty).user_loader.last_seen.flush()
        now[0] += MINUTE
        await Visitor(hasty.test_client()).sign_in("Alice", "not the right password")

        assert await socket.code() == 1008


async def test_a_page_is_not_told_what_happened_before_it_was_opened(
    app: Quart, visitor: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    await visitor.register("Alice")
    bob, live = new_visitor(), get_accounts(app).account_updates
    await bob.register("Bob")
    with mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.02):
        async with open_socket(app, "/account/live", **header_of(bob.cookies)):
            await eventually(lambda: len(live._known) == 1)
            await new_visitor().sign_in("Alice", "not the right password")
            live._sent.clear()  # as if another process had written it
            async with open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket:
                await socket.accepted()
                await eventually(lambda: len(live._known) == 2)
                await new_visitor().sign_in("Alice")

                assert (await socket.hear())["event"] == "signed_in"


@both_databases
@pytest.mark.slow
async def test_many_events_of_others_do_not_keep_a_page_from_its_own(
    app: Quart, visitor: Visitor, database: str
) -> None:
    await visitor.register("Alice")
    store, (alice_id,) = get_accounts(app).store, run_sql(database, "SELECT id FROM quartlogin_users")[0]
    mallory = await add_user(app, "Mallory")
    soon = int(time.time()) + 3600
    live = get_accounts(app).account_updates
    with (
        mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.02),
        live.listen(mallory.id),
    ):  # who listens, too
        async with open_socket(app, "/account/live", **header_of(visitor.cookies)) as socket:
            await socket.accepted()
            await eventually(lambda: alice_id in live._known)
            for number in range(600):
                await store.events.add(Event(f"flood {number:05}", "sign_in_failed", mallory.id, soon, "", ""))
            await store.events.add(Event("a", "token_created", alice_id, soon - 3, "", "", "backup"))

            assert (await socket.hear())["event"] == "token_created"


async def test_pages_of_more_users_than_one_statement_asks_are_all_told(app: Quart) -> None:
    store, live = get_accounts(app).store, get_accounts(app).account_updates
    users = [await add_user(app, f"User {number}") for number in range(53)]
    with mock.patch("quartlogin.accounts.audit.account_updates._INTERVAL", 0.02), live.listen(users[0].id) as first:
        others = [live.listen(user.id) for user in users[1:]]
        heard = [first, *(listening.__enter__() for listening in others)]
        await eventually(lambda: len(live._known) == len(users))
        for user in users:
            await store.events.add(Event(f"event of {user.id}", "signed_out", user.id, int(time.time()), "", ""))

        async with asyncio.timeout(60):
            told = [(await anext(aiter(events))).user_id for events in heard]
        for listening in others:
            listening.__exit__(None, None, None)

    assert told == [user.id for user in users]
