"""The app commits a user, the accounts commit the account: what happens between the two leaves no user to another."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from test_app_users import Killed, People, Person, StampedPeople, delete, is_in, make_app, registered

from client import NEW_PASSWORD, WRONG, Page, Visitor
from databases import run_sql
from quartlogin.accounts import get_accounts

ADA, BOB = "ada@example.org", "bob@example.org"
#: Seconds after which neither a registration nor a deletion may still be running.
LATER = 1000


@pytest.fixture
def people_file(tmp_path: Path) -> Path:
    return tmp_path / "people.sqlite3"


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    return str(tmp_path / "accounts.sqlite3")


async def nothing() -> None:
    """Happens meanwhile."""


class Interrupted(People):
    """Something happens, once, while a method of theirs is running."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.meanwhile: dict[str, Callable[[], Awaitable[Any]]] = {}

    async def wait(self, method: str) -> None:
        await self.meanwhile.pop(method, nothing)()

    async def by_id(self, user_id: str) -> Person | None:
        found = await super().by_id(user_id)
        await self.wait("by_id")
        return found

    async def by_name(self, name: str) -> Person | None:
        found = await super().by_name(name)
        await self.wait("by_name")
        return found

    async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
        created = await super().create(name, fields)
        await self.wait("create")
        return created

    async def delete(self, user: Person) -> None:
        await super().delete(user)
        await self.wait("delete")


async def killed() -> None:
    raise Killed


async def kill(request: Awaitable[Any]) -> None:
    """Send a request that ends the process."""
    with pytest.raises((Killed, BaseExceptionGroup)):
        await request


def let_time_pass(accounts_file: str) -> None:
    run_sql(accounts_file, f"UPDATE quartlogin_registrations SET created_at = created_at - {LATER}")
    run_sql(accounts_file, f"UPDATE quartlogin_accounts SET deleting_at = deleting_at - {LATER}")


async def signs_in(app: Quart, address: str, password: str | None = None) -> bool:
    visitor = Visitor(app.test_client())
    await (visitor.sign_in(address) if password is None else visitor.sign_in(address, password))
    return await is_in(visitor)


async def register_bob(app: Quart) -> Page:
    """Bob registers, and gets the id of whoever was deleted last."""
    return await Visitor(app.test_client()).register(BOB, NEW_PASSWORD)


# --- a user who gets the id of a former one keeps the account


async def test_race_a_user_who_gets_the_id_during_a_deletion_keeps_the_account(
    people_file: Path, accounts_file: str
) -> None:
    people = Interrupted(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        people.meanwhile["delete"] = lambda: register_bob(app)

        await delete(ada)

        assert people.run("SELECT number, address FROM people") == [(1, BOB)]
        assert await signs_in(app, BOB, NEW_PASSWORD)


async def test_race_a_user_who_gets_the_id_during_a_cleanup_keeps_the_account(
    people_file: Path, accounts_file: str
) -> None:
    people = Interrupted(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        people.meanwhile["delete"] = killed
        await kill(delete(ada))
        let_time_pass(accounts_file)
        people.meanwhile["by_id"] = lambda: register_bob(app)

        await get_accounts(app).cleanup.clean()

        assert await signs_in(app, BOB, NEW_PASSWORD)


async def test_race_a_user_who_gets_the_id_of_a_stale_session_keeps_the_account(
    people_file: Path, accounts_file: str
) -> None:
    class Stamped(Interrupted, StampedPeople):
        async def by_id(self, user_id: str) -> Person | None:
            await self.wait("by_id")
            return await super().by_id(user_id)

    people = Stamped(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        people.remove(ADA)
        people.meanwhile["by_id"] = lambda: register_bob(app)

        assert not await is_in(ada)

        assert await signs_in(app, BOB, NEW_PASSWORD)


@pytest.mark.parametrize("is_cleaned", [False, True])
async def test_a_registration_killed_after_a_killed_deletion_is_the_new_users(
    people_file: Path, accounts_file: str, is_cleaned: bool
) -> None:
    people = Interrupted(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        people.meanwhile["delete"] = killed
        await kill(delete(ada))
        people.meanwhile["create"] = killed
        await kill(register_bob(app))
        let_time_pass(accounts_file)

        if is_cleaned:
            await get_accounts(app).cleanup.clean()

        assert not await signs_in(app, BOB)  # with Ada's password
        assert not await is_in(ada)
        assert await signs_in(app, BOB, NEW_PASSWORD)


# --- a registration that has begun is kept until it is known how it ended


async def test_race_sending_the_form_twice_keeps_the_registration(people_file: Path, accounts_file: str) -> None:
    class Twice(People):
        """The second registration asks for the name before the first has created the user."""

        begun: list[Any] | None = None
        again: Any = None

        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            if self.again is None:
                self.in_create, self.is_created = asyncio.Event(), asyncio.Event()
                self.again = asyncio.ensure_future(registered(app, ADA))
                waiting = asyncio.ensure_future(self.in_create.wait())
                await asyncio.wait({self.again, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                created = await super().create(name, fields)
                self.is_created.set()
                await self.again
                self.begun = run_sql(accounts_file, "SELECT username_key FROM quartlogin_registrations")
                return created
            self.in_create.set()
            await self.is_created.wait()
            return await super().create(name, fields)

    people = Twice(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        _, answer = await registered(app, ADA)

    assert people.begun == [(ADA,)]
    assert answer.status == 302


async def test_race_a_registration_that_begins_again_during_a_cleanup_is_kept(
    people_file: Path, accounts_file: str
) -> None:
    people = Interrupted(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        people.meanwhile["create"] = killed
        await kill(registered(app, ADA))
        people.remove(ADA)  # as if it had not been committed
        run_sql(accounts_file, "UPDATE quartlogin_registrations SET created_at = 0")

        async def register_again() -> None:
            people.meanwhile["create"] = killed
            await kill(registered(app, ADA))

        people.meanwhile["by_name"] = register_again
        await get_accounts(app).cleanup.clean()
        let_time_pass(accounts_file)

        assert await signs_in(app, ADA)


# --- a user whom the app calls new


async def test_a_user_who_was_there_before_is_not_the_strangers(
    people_file: Path, accounts_file: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The app finds names as they are typed, and creates them in lower case, unless they exist."""

    class Found(People):
        def normalize(self, typed: str) -> str:
            return typed.strip()

        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            return self.find("address", name.lower()) or await super().create(name.lower(), fields)

    app = make_app(Found(people_file), accounts_file)
    async with app.test_app():
        await registered(app, ADA)
        stranger, answer = Visitor(app.test_client()), None
        with caplog.at_level(logging.CRITICAL, "quart.app"):
            answer = await stranger.register(ADA.upper(), WRONG)

        assert answer.status == 500
        assert not await is_in(stranger)
        assert not await signs_in(app, ADA, WRONG)
        assert await signs_in(app, ADA)
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []


async def test_a_user_who_is_not_active_yet_has_an_account(people_file: Path, accounts_file: str) -> None:
    class Confirmed(People):
        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            created = await super().create(name, fields)
            self.run("UPDATE people SET active = FALSE")
            created.active = False
            return created

    people = Confirmed(people_file)
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app, ADA)
        assert not await is_in(ada)
        assert run_sql(accounts_file, "SELECT user_id FROM quartlogin_accounts") == [("1",)]
        assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []

        people.run("UPDATE people SET active = TRUE")
        assert await signs_in(app, ADA)
