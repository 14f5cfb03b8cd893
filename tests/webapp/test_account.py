"""The account page, and deleting an account."""

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from quart import Quart

from client import PASSWORD, Page, Visitor
from databases import both_databases, run_sql
from quartlogin.accounts import get_accounts
from quartlogin.accounts.database.errors import StoreUnavailable
from quartlogin.accounts.features.logins.table import Logins
from quartlogin.accounts.features.passwords.table import PasswordTable
from quartlogin.accounts.users.table import OwnUsers

pytestmark = both_databases


@pytest.fixture
async def alice(visitor: Visitor) -> Visitor:
    await visitor.register("Alice")
    return visitor


async def delete(visitor: Visitor, password: str = PASSWORD) -> Page:
    return await visitor.fill_in("/account/delete", password=password)


async def test_a_browser_cannot_pass_for_the_operator(alice: Visitor, new_visitor: Callable[[], Visitor]) -> None:
    stranger = new_visitor()
    page = await stranger.get("/login")
    fields = {"csrf_token": page.token, "username": "Alice", "password": "not the right password"}
    await stranger.post("/login", fields, headers={"User-Agent": "command line"})

    assert "Command line" not in (await alice.get("/account")).text


async def test_signing_out_everywhere_else_counts_what_the_page_showed(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor], database: str
) -> None:
    for _ in range(4):
        await new_visitor().sign_in("Alice")
    page = await alice.get("/account")
    this = re.search(r'class="badge".*?/account/logins/(\w+)/revoke', page.text, re.DOTALL)[1]  # type: ignore[index]
    others = [
        public_id for (public_id,) in run_sql(database, "SELECT public_id FROM quartlogin_logins") if public_id != this
    ]
    assert len(others) == 4
    run_sql(
        database, f"UPDATE quartlogin_logins SET expires_at = {int(time.time()) - 1} WHERE public_id = '{others[0]}'"
    )
    run_sql(database, f"UPDATE quartlogin_logins SET seen_at = 1000 WHERE public_id = '{others[1]}'")
    run_sql(database, f"UPDATE quartlogin_logins SET security_stamp = 7 WHERE public_id = '{others[2]}'")

    await alice.post("/account/logins/revoke-others", {"csrf_token": page.token})

    assert "1 other sign-in" in (await alice.get("/account")).text
    assert run_sql(database, "SELECT public_id FROM quartlogin_logins") == [(this,)]


@pytest.mark.requirement("7.5.3")
async def test_the_right_password_deletes_everything_and_signs_out(alice: Visitor, database: str) -> None:
    wrong = await delete(alice, "not the right password")
    done = await delete(alice)

    assert (wrong.status, bool(wrong.errors_beside("password"))) == (400, True)
    assert (done.status, done.location) == (302, "/")
    assert "deleted" in (await alice.get("/")).text
    for table in ("quartlogin_users", "quartlogin_accounts", "quartlogin_logins"):
        assert run_sql(database, f"SELECT count(*) FROM {table}") == [(0,)]


async def test_race_of_two_account_deletions_both_succeed(alice: Visitor, database: str) -> None:
    page = await alice.get("/account/delete")
    fields = {"csrf_token": page.token, "password": PASSWORD}

    pages = await asyncio.gather(*(alice.post("/account/delete", fields) for _ in range(4)))

    assert {page.location for page in pages} <= {"/", "/login?next=%2Faccount%2Fdelete", "/login"}
    assert {page.status for page in pages} == {302}
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(0,)]


async def test_a_deletion_is_confirmed_even_if_the_database_fails_right_after_it(
    alice: Visitor, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreUnavailable("gone")

    page = await alice.get("/account/delete")
    monkeypatch.setattr(Logins, "end", fail)
    done = await alice.post("/account/delete", {"csrf_token": page.token, "password": PASSWORD})

    assert (done.status, done.location) == (302, "/")
    assert run_sql(database, "SELECT count(*) FROM quartlogin_users") == [(0,)]


@pytest.mark.parametrize("path", ["/reauthenticate", "/account/password", "/account/delete"])
@pytest.mark.parametrize("password", [PASSWORD, "not the right password"])
async def test_race_of_account_deletion_and_password_check_is_no_error(
    alice: Visitor, app: Quart, database: str, monkeypatch: pytest.MonkeyPatch, path: str, password: str
) -> None:
    real = PasswordTable.find_of
    page = await alice.get(path)

    async def find_and_lose(passwords: PasswordTable, user: Any, by: Any) -> Any:
        found = await real(passwords, user, by)
        await get_accounts(app).store.database.write("DELETE FROM quartlogin_accounts")
        return found

    monkeypatch.setattr(PasswordTable, "find_of", find_and_lose)
    fields = {"password": password, "current_password": password, "new_password": "another staple, another horse"}
    answer = await alice.post(path, {"csrf_token": page.token, **fields})

    assert (answer.status, answer.location) == (302, "/login")  # without a `next`: nobody could open it
    assert not await alice.is_signed_in()
    assert run_sql(database, "SELECT count(*) FROM quartlogin_logins") == [(0,)]


async def test_race_of_account_deletion_and_sign_in_is_an_unknown_name(
    alice: Visitor, app: Quart, new_visitor: Callable[[], Visitor], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = OwnUsers.find_credentials

    async def find_and_lose(users: OwnUsers, key: str) -> Any:
        found = await real(users, key)
        await get_accounts(app).store.database.write("DELETE FROM quartlogin_accounts")
        return found

    monkeypatch.setattr(OwnUsers, "find_credentials", find_and_lose)

    assert (await new_visitor().sign_in("Alice", "not the right password")).status == 400
    assert (await new_visitor().sign_in("Alice")).status == 400


@pytest.mark.parametrize("target", ["/%61ccount/tokens", "/account/live", "/account/%6Cive", "/account/tokens"])
async def test_sign_in_does_not_lead_to_a_url_that_cannot_be_opened(
    alice: Visitor, new_visitor: Callable[[], Visitor], target: str
) -> None:
    visitor = new_visitor()
    page = await visitor.get("/login")
    fields = {"csrf_token": page.token, "username": "Alice", "password": PASSWORD, "next": target}

    assert (await visitor.post("/login", fields)).location == "/account"
