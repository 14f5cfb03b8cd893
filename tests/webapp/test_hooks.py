"""Hooks: what the operator's own code receives, and what its failure does."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from quart import Quart, request

from client import KEY, NEW_PASSWORD, PASSWORD, Page, Visitor, add_user, change_password, with_cheap_hashes
from databases import run_sql
from quartlogin.accounts import get_accounts, hooks
from quartlogin.accounts.database.models import User
from quartlogin.accounts.pages.messages import BREACHED_PASSWORD
from quartlogin.webapp import create_app

TOLD = BREACHED_PASSWORD


@dataclass
class Hook:
    """A hook that keeps what it was called with, and answers, raises or hangs."""

    answer: Any = None
    calls: list[Any] = field(default_factory=list)

    async def __call__(self, *called_with: Any) -> Any:
        self.calls.append(called_with)
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer == "hang":
            await asyncio.sleep(60)
        return self.answer


FAILING = [pytest.param(OSError("no network"), id="raises"), pytest.param("hang", id="hangs")]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "TIMEOUT", 0.1)


Site = Callable[..., Any]


@pytest.fixture
def site(database: str) -> Site:
    """The application with hooks."""

    @asynccontextmanager
    async def serve(**named: Any) -> AsyncIterator[Quart]:
        app = with_cheap_hashes(create_app(named.pop("is_breached", None), DATABASE=database, SECRET_KEY=KEY))
        for moment, hook in named.items():
            getattr(get_accounts(app), moment)(hook)
        async with app.test_app():
            yield app

    return serve


# --- passwords known from a breach


@pytest.mark.requirement("6.2.12", "N7")
async def test_a_breached_password_is_refused_at_registering_and_changing(site: Site, database: str) -> None:
    hook = Hook(answer=True)
    async with site(is_breached=hook) as app:
        visitor = Visitor(app.test_client())
        registering = await visitor.register("Alice", "Zoe\u0308 likes umlauts")
        await add_user(app, "Bob")
        await visitor.sign_in("Bob")
        changing = await change_password(visitor)
        await visitor.sign_out()

        assert (registering.status, registering.errors_beside("password")) == (400, TOLD)
        assert (changing.status, changing.errors_beside("new_password")) == (400, TOLD)
        assert hook.calls == [("Zo\u00eb likes umlauts",), (NEW_PASSWORD,)]
        assert run_sql(database, "SELECT username FROM quartlogin_users") == [("Bob",)]
        assert (await visitor.sign_in("Bob")).status == 302  # with a password that is never asked about


@pytest.mark.requirement("6.2.12")
async def test_what_is_not_breached_is_taken(site: Site) -> None:
    hook = Hook(answer=False)
    async with site(is_breached=hook) as app:
        visitor = Visitor(app.test_client())

        assert (await visitor.register("Alice")).status == 302
        assert (await change_password(visitor)).status == 302
        assert hook.calls == [(PASSWORD,), (NEW_PASSWORD,)]


@pytest.mark.requirement("6.2.12")
@pytest.mark.parametrize("answer", FAILING)
async def test_a_failing_password_check_blocks_no_user_and_is_logged_without_the_password(
    site: Site, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(is_breached=Hook(answer)) as app:
        visitor = Visitor(app.test_client())

        assert (await visitor.register("Alice")).status == 302
        assert (await change_password(visitor)).status == 302
    assert caplog.text.count("is_breached hook failed") == 2
    assert PASSWORD not in caplog.text
    assert NEW_PASSWORD not in caplog.text


async def test_nothing_is_asked_about_what_is_refused_anyhow(site: Site) -> None:
    hook = Hook(answer=False)
    async with site(is_breached=hook) as app:
        await add_user(app, "Alice")
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")  # the name is taken
        await visitor.register("Bob", "too short")
        await visitor.sign_in("Alice")
        await change_password(visitor, current="not the right password")

    assert hook.calls == []


# --- a second step


@pytest.mark.requirement("6.3.3")
@pytest.mark.parametrize("answer", [False, None, "yes", 1])
async def test_before_sign_in_can_reject_a_correct_password(
    site: Site, answer: Any, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "quartlogin.audit")
    hook = Hook(answer)
    async with site(before_sign_in=hook) as app:
        user = await add_user(app, "Alice")
        visitor = Visitor(app.test_client())
        refused = await visitor.sign_in("Alice")
        wrong = await Visitor(app.test_client()).sign_in("Alice", "not the right password")

        assert refused.text.replace(refused.token, "") == wrong.text.replace(wrong.token, "")
        assert (refused.status, wrong.status) == (400, 400)
        assert not await visitor.is_signed_in()
        assert hook.calls == [(user,)]  # and never asked about a wrong password
        assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]
    lines = [json.loads(record.message) for record in caplog.records if record.name == "quartlogin.audit"]
    assert [line["reason"] for line in lines if "reason" in line] == ["before_sign_in", "wrong password"]


@pytest.mark.requirement("6.3.3")
async def test_brute_force_of_what_before_sign_in_checks_is_rate_limited(site: Site) -> None:
    async def code_is_right(_: User) -> bool:
        return (await request.form).get("code") == "271828"

    async with site(before_sign_in=code_is_right) as app:
        await add_user(app, "Alice")

        async def sign_in(code: str) -> Page:
            return await Visitor(app.test_client()).fill_in("/login", username="Alice", password=PASSWORD, code=code)

        assert (await sign_in("271828")).status == 302
        assert [(await sign_in(str(number))).status for number in range(6)] == [400] * 5 + [429]
        assert (await sign_in("271828")).status == 429


@pytest.mark.requirement("6.3.3")
@pytest.mark.parametrize("answer", FAILING)
async def test_a_failing_before_sign_in_does_not_sign_in_and_is_not_a_wrong_password(
    site: Site, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with site(before_sign_in=Hook(answer)) as app:
        await add_user(app, "Alice")
        visitor = Visitor(app.test_client())
        pages = [await visitor.sign_in("Alice") for _ in range(7)]  # nor is it counted as one

        assert {(page.status, page.headers["Retry-After"]) for page in pages} == {(503, "5")}
        assert not await visitor.is_signed_in()
    assert "before_sign_in" in caplog.text


# --- a changed password


@pytest.mark.requirement("6.3.7")
async def test_a_changed_password_calls_the_hook_once_after_the_commit(site: Site, database: str) -> None:
    kept: list[Any] = []
    told: list[str] = []

    async def listener(user: User) -> None:
        told.append(user.username)
        kept.extend(run_sql(database, "SELECT kind FROM quartlogin_events WHERE kind = 'password_changed'"))

    async with site(after_password_change=listener) as app:
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")
        await change_password(visitor, current="not the right password")
        await change_password(visitor, new="too short")
        assert told == []
        await change_password(visitor)

    assert told == ["Alice"]
    assert kept == [("password_changed",)]


@pytest.mark.requirement("6.3.7")
@pytest.mark.parametrize("answer", FAILING)
async def test_a_listener_that_fails_undoes_nothing(site: Site, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    async with site(after_password_change=Hook(answer)) as app:
        visitor = Visitor(app.test_client())
        await visitor.register("Alice")

        assert (await change_password(visitor)).status == 302
        assert await visitor.is_signed_in()
        assert (await Visitor(app.test_client()).sign_in("Alice", NEW_PASSWORD)).status == 302
    assert "The hook Hook failed" in caplog.text


# --- other events


async def test_hooks_are_called_after_registration_sign_in_and_deletion(site: Site) -> None:
    told: list[tuple[str, str]] = []

    def listener(moment: str) -> Any:
        async def tell(user: User) -> None:
            told.append((moment, user.username))

        return tell

    moments = ("after_registration", "after_sign_in", "after_deletion")
    async with site(**{moment: listener(moment) for moment in moments}) as app:
        alice = Visitor(app.test_client())
        await alice.register("Alice")
        await alice.sign_out()
        await alice.sign_in("Alice", "not the right password")
        await alice.sign_in("Alice")
        await alice.fill_in("/account/delete", password="not the right password")
        await alice.fill_in("/account/delete", password=PASSWORD)

    assert told == [(moment, "Alice") for moment in moments]
