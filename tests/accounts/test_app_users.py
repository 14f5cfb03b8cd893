"""Accounts on the users table of an app: integer ids, e-mail addresses, other columns."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from quart import Quart
from wtforms import BooleanField, Form, StringField
from wtforms.validators import InputRequired

from client import KEY, NEW_PASSWORD, PASSWORD, WRONG, Page, Visitor, change_password, with_cheap_hashes
from databases import run_sql
from quartlogin import ConfigurationError, UserMixin, current_user, login_required, login_user
from quartlogin.accounts import (
    Accounts,
    DatabaseRefused,
    DeleteRefused,
    FieldError,
    Logins,
    NameTaken,
    Passwords,
    Registration,
    get_accounts,
)
from quartlogin.accounts.users.checked import CheckedUsers
from waiting import eventually


@dataclass(eq=False)
class Person(UserMixin):
    number: int
    address: str
    active: bool = True

    def get_id(self) -> str:
        return str(self.number)

    @property
    def is_active(self) -> bool:
        return self.active


class People:
    """The users of an app, in a table of its own."""

    table = "people"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[str] = []
        self.run(
            "CREATE TABLE IF NOT EXISTS people (number INTEGER PRIMARY KEY, address TEXT UNIQUE, made TEXT,"
            " active BOOLEAN DEFAULT TRUE)"
        )

    def run(self, statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()

    def find(self, column: str, value: Any) -> Person | None:
        statement = f"SELECT number, address, active FROM people WHERE {column} = ?"
        rows = self.run(statement, value)
        return Person(rows[0][0], rows[0][1], bool(rows[0][2])) if rows else None

    async def by_id(self, user_id: str) -> Person | None:
        self.asked.append(user_id)
        return self.find("number", int(user_id))

    async def by_name(self, name: str) -> Person | None:
        return self.find("address", name)

    async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
        if "@" not in name:
            raise FieldError("username", "This is not an address.")
        try:
            self.run("INSERT INTO people (address, made) VALUES (?, hex(randomblob(8)))", name)
        except sqlite3.IntegrityError:
            raise NameTaken from None
        found = self.find("address", name)
        assert found is not None
        return found

    def name_of(self, user: Person) -> str:
        return user.address

    async def delete(self, user: Person) -> None:
        self.remove(user.address)

    def remove(self, address: str) -> None:
        self.run("DELETE FROM people WHERE address = ?", address)


class StampedPeople(People):
    """The same, with a stamp."""

    def stamp(self, user: Person) -> str:
        return str(self.run("SELECT made FROM people WHERE number = ?", user.number)[0][0])


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "people.sqlite3")


@pytest.fixture
def accounts_file(tmp_path: Path) -> str:
    return str(tmp_path / "accounts.sqlite3")


def make_app(people: Any, accounts_file: str, **options: Any) -> Quart:
    app = Quart("shop", root_path=str(Path(__file__).parent))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=accounts_file, **options).users(people)

    @app.get("/me")
    @login_required
    async def me() -> str:
        return str(current_user.address)

    @app.post("/invited/<address>")
    async def let_in(address: str) -> str:
        await login_user(people.find("address", address))
        return "in"

    return with_cheap_hashes(app)


@pytest.fixture
async def app(people: People, accounts_file: str) -> AsyncIterator[Quart]:
    made = make_app(people, accounts_file)
    async with made.test_app():
        yield made


async def registered(app: Quart, address: str = "Ada@example.org") -> tuple[Visitor, Page]:
    visitor = Visitor(app.test_client())
    return visitor, await visitor.register(address)


async def is_in(visitor: Visitor) -> bool:
    return (await visitor.get("/me")).status == 200


async def test_users_register_and_sign_in_with_their_address(app: Quart, people: People) -> None:
    ada, answer = await registered(app)
    assert answer.status == 302
    assert (await ada.get("/me")).text == "ada@example.org"

    again = Visitor(app.test_client())
    assert (await again.sign_in(" ADA@EXAMPLE.ORG ", WRONG)).status == 400
    assert not await is_in(again)
    await again.sign_in(" ADA@EXAMPLE.ORG ")
    assert await is_in(again)
    assert people.run("SELECT count(*) FROM people") == [(1,)]


async def test_a_user_is_asked_for_once_in_a_request(app: Quart, people: People) -> None:
    ada, _ = await registered(app)
    people.asked.clear()

    await ada.get("/account")

    assert people.asked == ["1"]


async def test_users_change_their_password(app: Quart) -> None:
    ada, _ = await registered(app)

    await change_password(ada)

    other = Visitor(app.test_client())
    await other.sign_in("ada@example.org", NEW_PASSWORD)
    assert await is_in(ada)
    assert await is_in(other)


async def test_many_users_are_asked_for_at_once(
    people: People, accounts_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    asked: list[str] = []
    by_id = CheckedUsers.by_id

    def told(self: CheckedUsers, user_id: str) -> Any:
        asked.append(user_id)
        return by_id(self, user_id)

    class Batched(People):
        async def by_ids(self, user_ids: list[str]) -> dict[str, Person]:
            batches.append(user_ids)
            if len(batches) == 1:
                await eventually(lambda: len(asked) == 4)
            found = [(user_id, await super(Batched, self).by_id(user_id)) for user_id in user_ids]
            return {user_id: user for user_id, user in found if user is not None}

    app = make_app(Batched(people.path), accounts_file)
    async with app.test_app():
        visitors = [(await registered(app, f"user{number}@example.org"))[0] for number in range(4)]
        batches.clear()
        monkeypatch.setattr(CheckedUsers, "by_id", told)
        pages = await asyncio.gather(*(visitor.get("/me") for visitor in visitors))

    assert [page.text for page in pages] == [f"user{number}@example.org" for number in range(4)]
    assert sum(map(len, batches)) == 4
    assert len(batches) < 4


# --- registration


async def test_a_name_that_is_taken_is_refused(app: Quart, people: People) -> None:
    await registered(app)

    _, answer = await registered(app, "ADA@example.org")

    assert answer.status == 400
    assert answer.errors_beside("username")


async def test_a_value_that_the_app_refuses_is_shown_beside_its_field(app: Quart, accounts_file: str) -> None:
    _, answer = await registered(app, "ada")

    assert answer.status == 400
    assert answer.errors_beside("username") == "This is not an address."
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []


async def test_a_user_of_the_app_without_an_account_is_nobodys_to_take(app: Quart, people: People) -> None:
    people.run("INSERT INTO people (address) VALUES ('ada@example.org')")

    stranger, answer = await registered(app)
    await stranger.sign_in("ada@example.org")

    assert answer.status == 400
    assert not await is_in(stranger)


async def test_a_user_whom_the_app_signs_in_gets_an_account(app: Quart, people: People, accounts_file: str) -> None:
    people.run("INSERT INTO people (address) VALUES ('ada@example.org')")
    ada = Visitor(app.test_client())

    await ada.request("POST", "/invited/ada@example.org")

    assert await is_in(ada)
    assert run_sql(accounts_file, "SELECT user_id FROM quartlogin_accounts") == [("1",)]


class Killed(BaseException):
    """Stands for the end of the process: nothing that follows is done."""


class CrashingPeople(People):
    """Their process dies at one of two moments."""

    moment = "never"

    async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
        if self.moment == "before":
            raise Killed
        created = await super().create(name, fields)
        if self.moment == "after":
            raise Killed
        return created


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_an_interrupted_registration_is_continued_with_its_password(
    tmp_path: Path, accounts_file: str, moment: str
) -> None:
    people = CrashingPeople(tmp_path / "people.sqlite3")
    app = make_app(people, accounts_file)
    async with app.test_app():
        people.moment = moment
        with pytest.raises((Killed, BaseExceptionGroup)):
            await registered(app)
        people.moment = "never"
        run_sql(accounts_file, "UPDATE quartlogin_registrations SET created_at = created_at - 60")

        stranger = Visitor(app.test_client())
        await stranger.register("ada@example.org", NEW_PASSWORD)
        await stranger.sign_in("ada@example.org", NEW_PASSWORD)
        assert not await is_in(stranger)

        ada = Visitor(app.test_client())
        if moment == "before":
            await ada.register("ada@example.org")
        else:
            await ada.sign_in("ada@example.org")
        assert await is_in(ada)
    assert people.run("SELECT count(*) FROM people") == [(1,)]
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []


async def test_race_a_user_who_is_invited_during_a_registration_is_not_the_strangers(
    tmp_path: Path, accounts_file: str
) -> None:
    """The stranger registers with an address, and signs in while the app is still busy creating the user."""

    class Inviting(People):
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            self.begun.set()
            await self.goes_on.wait()
            return await super().create(name, fields)

    people = Inviting(tmp_path / "people.sqlite3")
    app = make_app(people, accounts_file)
    async with app.test_app():
        registering = asyncio.ensure_future(registered(app))
        await people.begun.wait()
        people.run("INSERT INTO people (address) VALUES ('ada@example.org')")  # by an invitation

        stranger = Visitor(app.test_client())
        answer = await stranger.sign_in("ada@example.org")
        people.goes_on.set()
        _, refused = await registering

        assert (answer.status, refused.status) == (400, 400)
        assert not await is_in(stranger)
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []


@pytest.mark.parametrize(("moment", "accounts"), [("before", 0), ("after", 1)])
async def test_cleaning_completes_or_removes_interrupted_registrations(
    tmp_path: Path, accounts_file: str, moment: str, accounts: int
) -> None:
    people = CrashingPeople(tmp_path / "people.sqlite3")
    app = make_app(people, accounts_file)
    async with app.test_app():
        people.moment = moment
        with pytest.raises((Killed, BaseExceptionGroup)):
            await registered(app)
        run_sql(accounts_file, "UPDATE quartlogin_registrations SET created_at = 0")

        await get_accounts(app).cleanup.clean()

        assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []
        assert run_sql(accounts_file, "SELECT count(*) FROM quartlogin_accounts") == [(accounts,)]
        ada = Visitor(app.test_client())
        await ada.sign_in("ada@example.org")
        assert await is_in(ada) is bool(accounts)


# --- fields of the app's own


class SignUp(Form):
    nickname = StringField("Nickname", [InputRequired("Enter a nickname.")], description="Others see it.")
    newsletter = BooleanField("Send me news")


class Members(People):
    """Users with more columns, whom pages call by their address."""

    name_label = "E-mail address"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.fields: list[dict[str, Any]] = []

    async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
        if fields["nickname"] == "root":
            raise FieldError("nickname", "Choose another one.")
        self.fields.append({**fields})
        return await super().create(name, fields)


@pytest.fixture
async def members(tmp_path: Path, accounts_file: str) -> AsyncIterator[tuple[Quart, Members]]:
    members = Members(tmp_path / "people.sqlite3")
    app = make_app(members, accounts_file, features=[Passwords(), Logins(), Registration(form=SignUp)])
    async with app.test_app():
        yield app, members


async def test_fields_of_the_app_reach_its_users(members: tuple[Quart, Members]) -> None:
    app, users = members
    ada = Visitor(app.test_client())
    fields = {"username": "ada@example.org", "password": PASSWORD}

    without = await ada.fill_in("/register", **fields)
    refused = await ada.fill_in("/register", nickname="root", **fields)
    done = await ada.fill_in("/register", nickname="<b>", newsletter="y", **fields)

    assert without.errors_beside("nickname") == "Enter a nickname."
    assert refused.errors_beside("nickname") == "Choose another one."
    assert done.status == 302
    assert users.fields == [{"nickname": "<b>", "newsletter": True}]


async def test_pages_call_the_name_as_the_app_does(members: tuple[Quart, Members]) -> None:
    app, _ = members
    visitor = Visitor(app.test_client())

    for path in ("/login", "/register"):
        page = (await visitor.get(path)).text
        assert "E-mail address" in page
        assert "Username" not in page
    assert "e-mail address" in (await visitor.sign_in("ada@example.org", WRONG)).errors_beside("password")


@pytest.mark.parametrize("name", ["username", "password", "csrf_token", "next"])
def test_a_field_with_a_name_of_ours_is_refused(name: str) -> None:
    form = type("SignUp", (Form,), {name: StringField()})

    with pytest.raises(ConfigurationError, match=name):
        Registration(form=form)


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="wtforms"):
        Registration(form=dict)  # type: ignore[arg-type]


async def test_fields_need_users_of_the_app(accounts_file: str) -> None:
    app = Quart("shop")
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=accounts_file, features=[Passwords(), Logins(), Registration(form=SignUp)])

    with pytest.raises(ConfigurationError, match="users"):
        await app.startup()


# --- users who are gone, others, or not active


async def test_the_logins_of_a_user_who_is_gone_end_for_good(app: Quart, people: People, accounts_file: str) -> None:
    ada, _ = await registered(app)
    people.run("UPDATE people SET number = 7")
    assert not await is_in(ada)
    people.run("UPDATE people SET number = 1")

    assert not await is_in(ada)
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_logins") == []


async def test_the_logins_of_a_user_who_is_not_active_end_for_good(app: Quart, people: People) -> None:
    ada, _ = await registered(app)
    people.run("UPDATE people SET active = FALSE")
    assert not await is_in(ada)
    assert (await Visitor(app.test_client()).sign_in("ada@example.org")).status == 400
    people.run("UPDATE people SET active = TRUE")

    assert not await is_in(ada)
    await ada.sign_in("ada@example.org")
    assert await is_in(ada)


async def test_nothing_of_a_former_user_is_left_to_the_next_one_with_the_id(app: Quart, people: People) -> None:
    ada, _ = await registered(app)
    people.remove("ada@example.org")  # by the app, which forgot to say so

    bob, _ = await registered(app, "bob@example.org")

    assert people.find("address", "bob@example.org").get_id() == "1"  # type: ignore[union-attr]
    assert not await is_in(ada)
    assert (await bob.get("/me")).text == "bob@example.org"
    intruder = Visitor(app.test_client())
    await intruder.sign_in("bob@example.org")  # with the password of both
    assert await is_in(intruder)


@pytest.mark.parametrize("way", ["session", "password"])
async def test_another_stamp_is_another_person(tmp_path: Path, accounts_file: str, way: str) -> None:
    people = StampedPeople(tmp_path / "people.sqlite3")
    app = make_app(people, accounts_file)
    async with app.test_app():
        ada, _ = await registered(app)
        people.remove("ada@example.org")
        people.run("INSERT INTO people (address, made) VALUES ('bob@example.org', 'later')")

        if way == "password":
            await ada.sign_in("bob@example.org")
        assert not await is_in(ada)

    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []


async def test_a_stamp_that_is_added_later_is_kept(people: People, tmp_path: Path, accounts_file: str) -> None:
    async with make_app(people, accounts_file).test_app() as running:
        ada = Visitor(running.test_client())
        await ada.register("ada@example.org")
    app = make_app(StampedPeople(people.path), accounts_file)
    async with app.test_app():
        again = Visitor(app.test_client())
        await again.sign_in("ada@example.org")
        assert await is_in(again)

    assert run_sql(accounts_file, "SELECT count(stamp) FROM quartlogin_accounts") == [(1,)]


# --- deletion


async def delete(visitor: Visitor) -> Page:
    return await visitor.fill_in("/account/delete", password=PASSWORD)


async def test_a_deleted_account_is_gone_from_both(app: Quart, people: People, accounts_file: str) -> None:
    ada, _ = await registered(app)

    await delete(ada)

    assert not await is_in(ada)
    assert people.find("address", "ada@example.org") is None
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []


async def test_a_refused_deletion_is_a_sentence_on_the_page(tmp_path: Path, accounts_file: str) -> None:
    class Kept(People):
        async def delete(self, user: Person) -> None:
            raise DeleteRefused("There is an open order.")

    app = make_app(Kept(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        ada, _ = await registered(app)
        answer = await delete(ada)

        assert answer.status == 400
        assert "There is an open order." in answer.text
        assert await is_in(ada)


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_cleaning_completes_or_takes_back_an_interrupted_deletion(
    tmp_path: Path, accounts_file: str, is_deleted: bool
) -> None:
    class Crashing(People):
        async def delete(self, user: Person) -> None:
            if is_deleted:
                await super().delete(user)
            raise RuntimeError("the database went away")

    app = make_app(Crashing(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        ada, _ = await registered(app)
        assert (await delete(ada)).status == 503
        assert not await is_in(ada)
        run_sql(accounts_file, "UPDATE quartlogin_accounts SET deleting_at = 0")

        await get_accounts(app).cleanup.clean()

        assert run_sql(accounts_file, "SELECT count(*) FROM quartlogin_accounts") == [(0 if is_deleted else 1,)]
        again = Visitor(app.test_client())
        await again.sign_in("ada@example.org")
        assert await is_in(again) is not is_deleted


async def test_without_a_delete_of_the_app_there_is_no_page_for_it(tmp_path: Path, accounts_file: str) -> None:
    class Kept(People):
        delete = None  # type: ignore[assignment]

    app = make_app(Kept(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        ada, _ = await registered(app)
        assert (await ada.get("/account/delete")).status == 404


# --- a class that does not keep its word


@pytest.mark.parametrize("method", ["by_id", "by_name", "create", "name_of"])
def test_a_class_that_lacks_a_method_is_refused(method: str) -> None:
    lacking = type("Lacking", (People,), {method: None})

    with pytest.raises(ConfigurationError, match=method):
        Accounts(database="accounts.sqlite3").users(lacking.__new__(lacking))


@pytest.mark.parametrize("method", ["by_id", "by_name", "create", "by_ids", "delete"])
def test_a_function_where_a_coroutine_function_must_be_is_refused(method: str) -> None:
    plain = type("Plain", (People,), {method: lambda *_: None})

    with pytest.raises(ConfigurationError, match=f"async def {method}"):
        Accounts(database="accounts.sqlite3").users(plain.__new__(plain))


def test_a_class_that_needs_arguments_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="arguments"):
        Accounts(database="accounts.sqlite3").users(People)


class WrongPeople(People):
    """They return what they must not."""

    result: Any = None

    async def by_id(self, user_id: str) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (Person(2, "bob@example.org"), 500),
        ("ada", 500),
        (object(), 500),
        (RuntimeError("the database went away"), 503),
        (KeyError("x"), 503),
    ],
)
async def test_a_wrong_user_is_nobody(tmp_path: Path, accounts_file: str, result: Any, status: int) -> None:
    people = WrongPeople(tmp_path / "people.sqlite3")
    app = make_app(people, accounts_file)
    async with app.test_app():
        people.result = Person(1, "ada@example.org")
        ada, _ = await registered(app)
        assert await is_in(ada)
        people.result = result

        assert (await ada.get("/me")).status == status
        people.result = Person(1, "ada@example.org")
        assert await is_in(ada)


async def test_a_method_that_hangs_is_given_up(
    tmp_path: Path, accounts_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hanging(People):
        async def by_name(self, name: str) -> Person | None:
            await asyncio.sleep(3600)
            return None

    monkeypatch.setattr("quartlogin.accounts.users.checked.TIMEOUT", 0.01)
    app = make_app(Hanging(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        assert (await Visitor(app.test_client()).sign_in("ada@example.org")).status == 503


@pytest.mark.parametrize("user_id", ["", "a\0b", "\ud800", "x" * 256, 5, None])
async def test_an_id_that_cannot_be_kept_leaves_nothing(tmp_path: Path, accounts_file: str, user_id: Any) -> None:
    class Odd(Person):
        def get_id(self) -> str:
            return user_id  # type: ignore[no-any-return]

    class OddPeople(People):
        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            return Odd(1, name)

    app = make_app(OddPeople(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        _, answer = await registered(app)

    assert answer.status == 500
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_accounts") == []
    assert run_sql(accounts_file, "SELECT * FROM quartlogin_registrations") == []


@pytest.mark.parametrize("user_id", ["é", "'; --", "a/b c", "%00", "x" * 255, "😀" * 255, "..", "-1"])
async def test_an_odd_id_is_kept_as_it_is(tmp_path: Path, accounts_file: str, user_id: str) -> None:
    class Odd(Person):
        def get_id(self) -> str:
            return user_id

    class OddPeople(People):
        created: Person | None = None

        async def create(self, name: str, fields: Mapping[str, Any]) -> Person:
            self.created = Odd(1, name)
            return self.created

        async def by_name(self, name: str) -> Person | None:
            return self.created

        async def by_id(self, user_id: str) -> Person | None:
            return self.created

    app = make_app(OddPeople(tmp_path / "people.sqlite3"), accounts_file)
    async with app.test_app():
        ada, _ = await registered(app)
        assert await is_in(ada)


# --- whose accounts they are


async def test_accounts_of_another_users_table_are_refused(people: People, accounts_file: str) -> None:
    async with make_app(people, accounts_file).test_app():
        pass

    class Others(People):
        table = "others"

    with pytest.raises(DatabaseRefused, match="people"):
        await make_app(Others(people.path), accounts_file).startup()


async def test_accounts_of_an_apps_users_are_not_those_of_an_app_without(people: People, accounts_file: str) -> None:
    async with make_app(people, accounts_file).test_app():
        pass
    app = Quart("shop")
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=accounts_file)

    with pytest.raises(DatabaseRefused, match="people"):
        await app.startup()
