"""The app's hash of a user whom the app has signed in by itself, such as by single sign-on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from test_app_users import make_app
from test_old_passwords import FEATURES, HASHES, PASSWORD, Movers, accounts_file, movers

from client import NEW_PASSWORD, WRONG, Page, Visitor
from databases import run_sql
from quartlogin.accounts import Deletion

__all__ = ["accounts_file"]

ADDRESS = "ada@example.org"


async def signed_in_by_the_app(people: Movers, accounts_file: str, act: Callable[[Visitor], object]) -> None:
    app = make_app(people, accounts_file, features=[*FEATURES, Deletion()])
    async with app.test_app():
        ada = Visitor(app.test_client())
        assert (await ada.request("POST", f"/invited/{ADDRESS}")).status == 200
        await act(ada)  # type: ignore[misc]


def kept_hashes(accounts_file: str) -> list[str]:
    return [row[0] for row in run_sql(accounts_file, "SELECT password_hash FROM quartlogin_passwords")]


async def test_reauthentication_with_the_password_that_the_app_has(tmp_path: Path, accounts_file: str) -> None:
    async def act(ada: Visitor) -> None:
        assert (await ada.fill_in("/reauthenticate", password=WRONG)).status == 400
        assert kept_hashes(accounts_file) == []
        assert (await ada.fill_in("/reauthenticate", password=PASSWORD)).status == 302

    await signed_in_by_the_app(movers(tmp_path, HASHES["bcrypt"]), accounts_file, act)

    [kept] = kept_hashes(accounts_file)
    assert kept.startswith("$argon2id$")


async def test_password_change_from_the_password_that_the_app_has(tmp_path: Path, accounts_file: str) -> None:
    async def change(visitor: Visitor, current: str) -> Page:
        return await visitor.fill_in("/account/password", current_password=current, new_password=NEW_PASSWORD)

    async def act(ada: Visitor) -> None:
        assert (await change(ada, WRONG)).status == 400
        assert (await change(ada, PASSWORD)).status == 302
        other = Visitor(ada.client.app.test_client())
        assert (await other.sign_in(ADDRESS, PASSWORD)).status == 400
        assert (await other.sign_in(ADDRESS, NEW_PASSWORD)).status == 302

    await signed_in_by_the_app(movers(tmp_path, HASHES["Werkzeug's scrypt"]), accounts_file, act)


async def test_deletion_with_the_password_that_the_app_has(tmp_path: Path, accounts_file: str) -> None:
    people = movers(tmp_path, HASHES["Django's PBKDF2"])

    async def act(ada: Visitor) -> None:
        assert (await ada.fill_in("/account/delete", password=WRONG)).status == 400
        assert people.find("address", ADDRESS) is not None
        assert (await ada.fill_in("/account/delete", password=PASSWORD)).status == 302

    await signed_in_by_the_app(people, accounts_file, act)

    assert people.find("address", ADDRESS) is None
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []


@pytest.mark.parametrize("had_one", [True, False])
async def test_a_removed_password_is_not_replaced_by_the_one_that_the_app_has(
    tmp_path: Path, accounts_file: str, had_one: bool
) -> None:
    people = movers(tmp_path, HASHES["bcrypt"])

    async def act(ada: Visitor) -> None:
        if had_one:
            run_sql(accounts_file, "INSERT INTO quartlogin_passwords (user_id, changed_at) VALUES ('1', 1)")
        expected = 400 if had_one else 302
        assert (await ada.fill_in("/reauthenticate", password=PASSWORD)).status == expected

    await signed_in_by_the_app(people, accounts_file, act)

    assert (kept_hashes(accounts_file) == [None]) is had_one
