"""Changing the password: all other logins end, and this one continues under a new id."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from quart import Quart

from client import NEW_PASSWORD, PASSWORD, Visitor, change_password
from databases import both_databases
from quartlogin.accounts import get_accounts
from quartlogin.accounts.audit.log import Events
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.features.logins.table import Logins
from quartlogin.accounts.features.passwords.hashing import PasswordHashing
from quartlogin.accounts.features.passwords.table import PasswordTable
from quartlogin.accounts.pages.messages import WRONG_PASSWORD


@pytest.fixture
async def alice(visitor: Visitor) -> Visitor:
    await visitor.register("Alice")
    return visitor


async def is_password(new_visitor: Callable[[], Visitor], password: str) -> bool:
    return (await new_visitor().sign_in("Alice", password)).status == 302


async def who_has(app: Quart, cookies: dict[str, str]) -> int:
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return (await app.test_client(use_cookies=False).get("/account", headers={"Cookie": header})).status_code


@both_databases
@pytest.mark.requirement("6.2.2")
async def test_the_new_password_counts_and_the_old_one_does_not(
    alice: Visitor, new_visitor: Callable[[], Visitor]
) -> None:
    answer = await change_password(alice)

    assert (answer.status, answer.location) == (302, "/account")
    assert await is_password(new_visitor, NEW_PASSWORD)
    assert not await is_password(new_visitor, PASSWORD)


@pytest.mark.requirement("7.4.3", "C6", "V21")
@both_databases
async def test_all_other_sign_ins_end_and_this_one_goes_on_under_a_new_id(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor]
) -> None:
    phone = new_visitor()
    await phone.fill_in("/login", username="Alice", password=PASSWORD, remember="y")
    before = alice.cookies

    await change_password(alice)

    assert await alice.is_signed_in()
    assert await who_has(app, before) == 302
    assert await who_has(app, phone.cookies) == 302
    assert await who_has(app, {"quartlogin_remember": phone.cookies["quartlogin_remember"]}) == 302


@pytest.mark.requirement("2.2.3")
@pytest.mark.parametrize(
    ("current", "new", "field", "told"),
    [
        ("not the right password", NEW_PASSWORD, "current_password", WRONG_PASSWORD),
        ("", NEW_PASSWORD, "current_password", "current password"),
        ("x" * 1025, NEW_PASSWORD, "current_password", WRONG_PASSWORD),
        (PASSWORD, "short", "new_password", "15"),
        (PASSWORD, "x" * 1025, "new_password", "1024"),
        (PASSWORD, "manchesterunited", "new_password", "common"),
        (PASSWORD, "alice-quartlogin-2026", "new_password", "your username"),
    ],
)
@pytest.mark.requirement("6.2.3", "6.2.4", "6.2.11", "N8")
async def test_errors_are_shown_beside_their_field_and_nothing_changes(
    alice: Visitor, new_visitor: Callable[[], Visitor], current: str, new: str, field: str, told: str
) -> None:
    answer = await change_password(alice, current, new)

    assert answer.status == 400
    assert told in answer.errors_beside(field)
    assert await is_password(new_visitor, PASSWORD)


@pytest.mark.requirement("15.4.2")
@both_databases
async def test_race_of_two_password_changes_one_wins_and_the_other_is_signed_out(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor]
) -> None:
    phone = new_visitor()
    await phone.sign_in("Alice")
    pages = [await browser.get("/account/password") for browser in (alice, phone)]
    passwords = ["the password of the desk", "the password of the phone"]

    answers = await asyncio.gather(
        *(
            browser.post(
                "/account/password",
                {"csrf_token": page.token, "current_password": PASSWORD, "new_password": password},
            )
            for browser, page, password in zip((alice, phone), pages, passwords, strict=True)
        )
    )

    won = [answer.location == "/account" for answer in answers]
    assert won.count(True) == 1
    assert [(answer.location or "").startswith("/login") for answer in answers] == [not has_won for has_won in won]
    assert [await is_password(new_visitor, password) for password in passwords] == won


@pytest.mark.requirement("2.3.3")
@pytest.mark.parametrize(
    ("table", "step"),
    [
        (PasswordTable, "change"),
        (Logins, "revoke_others"),
        (Logins, "carry_over"),
        (Events, "insert"),
        (Logins, "renew"),
    ],
)
async def test_a_database_that_fails_on_the_way_changes_nothing(
    alice: Visitor,
    app: Quart,
    new_visitor: Callable[[], Visitor],
    monkeypatch: pytest.MonkeyPatch,
    table: Any,
    step: str,
) -> None:
    page = await alice.get("/account/password")
    before = alice.cookies

    async def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(table, step, staticmethod(fail))
        fields = {"csrf_token": page.token, "current_password": PASSWORD, "new_password": NEW_PASSWORD}
        answer = await alice.post("/account/password", fields)

    assert answer.status == 503
    assert await who_has(app, before) == 200
    assert await is_password(new_visitor, PASSWORD)


# --- a hash that is renewed with today's parameters while it is checked (rehash)


STRONGER = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)


@pytest.fixture
async def raised(alice: Visitor, app: Quart) -> Quart:
    """The application after the parameters of argon2 rose: Alice's hash is outdated."""
    parts = get_accounts(app)
    parts.passwords.hashing.close()
    parts.passwords.hashing = PasswordHashing(STRONGER)
    return app


FORMS = {
    "/account/password": ({"current_password": PASSWORD, "new_password": NEW_PASSWORD}, "/account"),
    "/reauthenticate": ({"password": PASSWORD}, "/account"),
    "/account/delete": ({"password": PASSWORD}, "/"),
}


@pytest.mark.usefixtures("raised")
@both_databases
@pytest.mark.requirement("N12")
@pytest.mark.parametrize("path", FORMS)
async def test_rehash_during_verification_keeps_the_password_valid(alice: Visitor, path: str) -> None:
    fields, leads_to = FORMS[path]

    assert (await alice.fill_in(path, **fields)).location == leads_to


@both_databases
@pytest.mark.parametrize("path", FORMS)
async def test_rehash_by_another_request_is_no_password_change(
    alice: Visitor, raised: Quart, new_visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    fields, leads_to = FORMS[path]
    find, phone = PasswordTable.find_of, new_visitor()

    async def find_and_be_overtaken(passwords: PasswordTable, user: Any, by: Any) -> Any:
        found = await find(passwords, user, by)
        assert (await phone.sign_in("Alice")).status == 302  # which renews the hash
        return found

    monkeypatch.setattr(PasswordTable, "find_of", find_and_be_overtaken)

    assert (await alice.fill_in(path, **fields)).location == leads_to


async def test_password_managers_find_the_page_and_can_tell_that_the_address_is_meant(visitor: Visitor) -> None:
    """W3C, A Well-Known URL for Changing Passwords: a redirect, and 404 for an address that nobody has."""
    found = await visitor.get("/.well-known/change-password")
    other = await visitor.get("/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200")

    assert (found.status, found.location) == (302, "/account/password")
    assert other.status == 404
