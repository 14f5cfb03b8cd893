"""Attacks on a sign-in that waits for a step: by strangers, planted sessions, and what happens in between."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from code_words.feature import CodeWords
from quart import Quart
from quart.sessions import SecureCookieSessionInterface

from accounts.test_sign_in_steps import STEP, enter, give_word, make_app, rows, started
from client import PASSWORD, WRONG, Visitor
from quartlogin import create_bearer_token, user_logged_in
from quartlogin.accounts import ApiTokens, get_accounts
from quartlogin.accounts.testing import create_user


@pytest.fixture
async def app(database: str) -> AsyncIterator[Quart]:
    """An app in which Ada has a code word."""
    app = make_app(database, CodeWords(), ApiTokens())
    async with app.test_app():
        await give_word(app, await create_user(app, "Ada", password=PASSWORD))
        yield app


async def test_denial_of_service_by_failures_of_strangers_does_not_outlast_the_right_password(
    app: Quart, now: list[float]
) -> None:
    """The step needs no further wait, which would be longer than the sign-in lasts."""
    stranger = Visitor(app.test_client())
    failed = 0
    while failed < 10:
        if (await stranger.sign_in("ada", WRONG)).status == 400:
            failed += 1
        now[0] += 600
    visitor = await started(app)

    assert (await enter(visitor)).location == "/account"


async def test_brute_force_of_a_step_waits_before_each_further_guess(app: Quart, now: list[float]) -> None:
    visitor = await started(app)
    statuses = [(await enter(visitor, f"guess {number}")).status for number in range(8)]

    assert statuses == [400] * 4 + [429] * 4
    assert (await Visitor(app.test_client()).sign_in("ada")).status == 429  # nor does the right password help


async def test_session_fixation_a_pending_sign_in_gets_a_session_of_another_id(
    app: Quart, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed: list[Any] = []
    monkeypatch.setattr(SecureCookieSessionInterface, "regenerate", renewed.append, raising=False)
    visitor = Visitor(app.test_client())
    before = (await visitor.get("/login")).token

    await visitor.post("/login", {"csrf_token": before, "username": "ada", "password": PASSWORD})

    assert len(renewed) == 1
    assert (await visitor.post(STEP, {"csrf_token": before, "word": "mellon"})).status == 400


async def test_a_correct_password_without_the_step_is_on_record(app: Quart, database: str) -> None:
    await started(app)

    assert rows(database, "subject", "quartlogin_events WHERE kind = 'sign_in_step_required'") == [("code_words",)]


@pytest.mark.parametrize("by", ["owner", "operator"])
async def test_ending_the_other_logins_ends_sign_ins_that_wait_for_a_step(app: Quart, by: str) -> None:
    owner = await started(app)
    await enter(owner)
    thief = await started(app)
    form = await thief.get(STEP)

    if by == "owner":
        account = await owner.get("/account")
        await owner.post("/account/logins/revoke-others", {"csrf_token": account.token})
    else:
        await get_accounts(app).store.logins.revoke_all()

    assert (await thief.post(STEP, {"csrf_token": form.token, "word": "mellon"})).location == "/login"
    assert not await thief.is_signed_in()


async def test_the_hook_is_asked_again_after_the_step(app: Quart) -> None:
    allowed = [True]

    @get_accounts(app).before_sign_in
    async def check(_: Any) -> bool:
        return allowed[0]

    visitor = await started(app)
    allowed[0] = False

    assert (await enter(visitor)).status == 400
    assert not await visitor.is_signed_in()


async def test_a_receiver_that_makes_a_token_does_not_repeat_what_belongs_to_the_login(app: Quart) -> None:
    tokens = []

    async def make_token(_: Any, user: Any) -> None:
        tokens.append(await create_bearer_token(user, duration=timedelta(days=1), name="a program"))

    user_logged_in.connect(make_token, app)
    visitor = await started(app)

    assert (await enter(visitor)).location == "/account"
    assert len(tokens) == 1
