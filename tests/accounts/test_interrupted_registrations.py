"""The hour of a registration whose user the app has not created, or whose account is missing."""

import time
from pathlib import Path

import pytest
from test_app_users import CrashingPeople, Killed, People, accounts_file, is_in, make_app, registered

from client import NEW_PASSWORD, PASSWORD, Visitor
from databases import both_databases, run_sql
from quartlogin.accounts import NameTaken
from quartlogin.accounts.features.registration.table import LIFETIME
from quartlogin.accounts.store import store_at
from quartlogin.accounts.testing import create_user

__all__ = ["accounts_file"]

HOUR = 60 * 60


async def interrupted(people: CrashingPeople, accounts_file: str, moment: str, seconds_ago: int) -> None:
    """Let a process die while ada@example.org registers."""
    people.moment = moment
    async with make_app(people, accounts_file).test_app() as running:
        with pytest.raises((Killed, BaseExceptionGroup)):
            await Visitor(running.test_client()).register("ada@example.org")
    people.moment = "never"
    run_sql(accounts_file, f"UPDATE quartlogin_registrations SET created_at = {int(time.time()) - seconds_ago}")


@both_databases
async def test_a_registration_is_found_for_an_hour_to_the_second(database: str) -> None:
    store = store_at(database)
    await store.database.open()
    try:
        assert await store.registrations.begin("ada", "a hash", 1000, 900)

        found = [await store.registrations.find("ada", since, until) for since, until in [(1000, 1000), (0, 2000)]]
        missed = [await store.registrations.find("ada", since, until) for since, until in [(1001, 2000), (0, 999)]]
    finally:
        await store.database.close()

    assert found == [("ada", "a hash", 1000), ("ada", "a hash", 1000)]
    assert missed == [None, None]
    assert LIFETIME == HOUR


@pytest.mark.parametrize(("seconds_ago", "is_let_in"), [(HOUR - 600, True), (HOUR + 1, False)])
async def test_a_registration_that_began_an_hour_ago_lets_nobody_in(
    tmp_path: Path, accounts_file: str, seconds_ago: int, is_let_in: bool
) -> None:
    people = CrashingPeople(tmp_path / "people.sqlite3")
    await interrupted(people, accounts_file, "after", seconds_ago)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada = Visitor(app.test_client())
        await ada.sign_in("ada@example.org")

        assert await is_in(ada) is is_let_in


@pytest.mark.parametrize(("seconds_ago", "status"), [(HOUR - 600, 400), (HOUR + 1, 302)])
async def test_a_name_is_free_again_an_hour_after_an_interrupted_registration(
    tmp_path: Path, accounts_file: str, seconds_ago: int, status: int
) -> None:
    people = CrashingPeople(tmp_path / "people.sqlite3")
    await interrupted(people, accounts_file, "before", seconds_ago)
    app = make_app(people, accounts_file)
    async with app.test_app():
        visitor = Visitor(app.test_client())

        assert (await visitor.register("ada@example.org", NEW_PASSWORD)).status == status
        assert await is_in(visitor) is (status == 302)


async def test_a_user_whose_registration_was_interrupted_keeps_the_name_and_the_password(
    tmp_path: Path, accounts_file: str
) -> None:
    people = CrashingPeople(tmp_path / "people.sqlite3")
    await interrupted(people, accounts_file, "after", HOUR + 1)
    app = make_app(people, accounts_file)
    async with app.test_app():
        with pytest.raises(NameTaken):
            await create_user(app, "ada@example.org", password=NEW_PASSWORD)
        _, refused = await registered(app)
        ada = Visitor(app.test_client())
        await ada.sign_in("ada@example.org", PASSWORD)

        assert refused.status == 400
        assert await is_in(ada)
    assert People(people.path).run("SELECT count(*) FROM people") == [(1,)]
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []
