"""Race conditions of a step at sign-in: two processes' worth of connections to one PostgreSQL, in many rounds."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from code_words.feature import CodeWords
from quart import Quart
from test_sign_in_steps import STEP, WORD, give_word, make_app

from client import PASSWORD, Visitor, set_active
from databases import on_postgresql, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.testing import create_user

pytestmark = [pytest.mark.slow, on_postgresql]

ROUNDS = 30


@pytest.fixture
async def apps(database: str) -> AsyncIterator[tuple[Quart, Quart]]:
    """Two apps with one secret key, each with its own connections."""
    one, two = make_app(database, CodeWords()), make_app(database, CodeWords())
    async with one.test_app():
        await give_word(one, await create_user(one, "Ada", password=PASSWORD))
        two.before_serving_funcs = [step for step in two.before_serving_funcs if step.__name__ != "create_table"]
        async with two.test_app():
            yield one, two


async def waiting(apps: tuple[Quart, Quart]) -> list[Visitor]:
    """One session that waits for the step, as a browser of each app."""
    first = Visitor(apps[0].test_client())
    assert (await first.sign_in("ada")).location == STEP
    second = Visitor(apps[1].test_client())
    return [first, second]


async def complete(visitor: Visitor, token: str) -> str | None:
    return (await visitor.post(STEP, {"csrf_token": token, "word": WORD})).location


async def test_race_of_two_requests_that_complete_one_step_begins_one_login(
    apps: tuple[Quart, Quart], database: str
) -> None:
    outcomes = []
    for _ in range(ROUNDS):
        browsers = await waiting(apps)
        form = await browsers[0].get(STEP)
        for name, value in browsers[0].cookies.items():
            browsers[1].client.set_cookie("localhost", name, value)
        done = await asyncio.gather(*[complete(browser, form.token) for browser in browsers])
        [(logins,)] = run_sql(database, "SELECT count(*) FROM quartlogin_logins")
        outcomes.append((sorted(map(str, done)), logins))
        await get_accounts(apps[0]).logins.revoke_all()

    assert outcomes == [(["/account", "/login"], 1)] * ROUNDS
    assert run_sql(database, "SELECT * FROM quartlogin_pending_sign_ins") == []
    left = run_sql(database, "SELECT name, number FROM quartlogin_attempt_counters WHERE name NOT LIKE 'address:%'")
    assert left == []


async def test_race_of_a_step_with_disabling_the_account_leaves_nobody_signed_in(
    apps: tuple[Quart, Quart], database: str
) -> None:
    outcomes, survived = set(), []
    for number in range(ROUNDS):
        [browser, _] = await waiting(apps)
        form = await browser.get(STEP)

        async def disable(wait: float) -> None:
            await asyncio.sleep(wait)
            await set_active(apps[1], "Ada", active=False)
            await set_active(apps[1], "Ada", active=True)

        done, _ = await asyncio.gather(complete(browser, form.token), disable(number % 10 / 1000))
        outcomes.add(done)
        if await browser.is_signed_in():
            survived.append(number)
        run_sql(database, "DELETE FROM quartlogin_attempt_counters")

    assert outcomes <= {"/account", "/login"}
    assert survived == []
