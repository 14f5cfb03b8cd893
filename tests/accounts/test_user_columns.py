"""Users whose columns are joined to the login, in one statement: `columns` of an app's users."""

from pathlib import Path
from typing import Any

import pytest
from quart import Quart

from accounts.test_app_users import People, Person, StampedPeople, is_in, make_app, registered
from client import Visitor
from quartlogin import ConfigurationError
from quartlogin.accounts import UserColumns


def make_person(number: int, address: str, active: int) -> Person:
    return Person(number, address, bool(active))


COLUMNS = UserColumns("people", "number", ("number", "address", "active"), make_person, id_type="BIGINT")


class JoinedPeople(StampedPeople):
    columns = COLUMNS


@pytest.fixture
def people(tmp_path: Path) -> People:
    return JoinedPeople(tmp_path / "app.sqlite3")


@pytest.fixture
def app(people: People) -> Quart:
    people.path.chmod(0o600)
    return make_app(people, str(people.path))


async def test_a_login_and_its_user_are_found_without_asking_the_app(app: Quart, people: People) -> None:
    async with app.test_app():
        ada, _ = await registered(app)
        bob, _ = await registered(app, "bob@example.org")
        people.asked.clear()

        assert (await ada.get("/me")).text == "ada@example.org"
        assert (await bob.get("/me")).text == "bob@example.org"
        assert people.asked == []


@pytest.mark.parametrize("change", ["DELETE FROM people", "UPDATE people SET active = FALSE"])
async def test_the_logins_of_a_user_who_is_gone_or_inactive_end(app: Quart, people: People, change: str) -> None:
    async with app.test_app():
        ada, _ = await registered(app)
        rows = people.run("SELECT * FROM people")
        people.run(change)
        assert not await is_in(ada)

        people.run("DELETE FROM people")
        people.run("INSERT INTO people VALUES (?, ?, ?, ?)", *rows[0])  # the same person is back
        assert not await is_in(ada)


async def test_a_reused_id_with_another_stamp_is_nobody(app: Quart, people: People) -> None:
    async with app.test_app():
        ada, _ = await registered(app)
        people.run("UPDATE people SET made = 'later', address = 'eve@example.org'")

        assert not await is_in(ada)


@pytest.mark.parametrize(
    "columns",
    [
        UserColumns("persons", "number", ["number"], make_person, id_type="BIGINT"),
        UserColumns("people", "id", ["number"], make_person, id_type="BIGINT"),
        UserColumns("people", "number", ["number", "name"], make_person, id_type="BIGINT"),
    ],
    ids=["table", "id", "column"],
)
async def test_columns_that_the_database_lacks_are_refused_at_start(
    people: People, app: Quart, columns: UserColumns
) -> None:
    people.columns = columns  # type: ignore[attr-defined]
    app = make_app(people, str(people.path))

    with pytest.raises(ConfigurationError, match="columns"):
        await app.startup()
    await app.shutdown()


@pytest.mark.parametrize("name", ["", "x y", 'x"', "x;--", "ü", "a.b.c", "1a", None])
def test_names_that_are_no_identifiers_are_refused(name: Any) -> None:
    for arguments in (name, "id", ("id",)), ("people", name, ("id",)), ("people", "id", ("id", name)):
        with pytest.raises(ConfigurationError):
            UserColumns(*arguments, make_person)


@pytest.mark.parametrize("arguments", [{"names": "number"}, {"names": ()}, {"id_type": "BIGINT) OR (1=1"}])
def test_columns_of_other_forms_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        UserColumns(**{"table": "people", "id": "number", "names": ("number",), "make": make_person, **arguments})


def test_columns_that_are_no_user_columns_are_refused(tmp_path: Path) -> None:
    people = JoinedPeople(tmp_path / "app.sqlite3")
    people.columns = ("people", "number")  # type: ignore[assignment]

    with pytest.raises(ConfigurationError, match="UserColumns"):
        make_app(people, str(tmp_path / "app.sqlite3"))


@pytest.mark.parametrize(
    ("make", "status"),
    [(lambda *_: Person(7, "eve@example.org"), 500), (lambda *_: None, 500), (lambda *_: 1 / 0, 503)],
    ids=["another user", "nobody", "an error"],
)
async def test_a_make_that_fails_signs_nobody_in(people: People, make: Any, status: int) -> None:
    people.columns = UserColumns("people", "number", ("number",), make, id_type="BIGINT")  # type: ignore[attr-defined]
    people.path.chmod(0o600)
    app = make_app(people, str(people.path))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    async with app.test_app():
        ada, _ = await registered(app)

        assert (await Visitor(ada.client).get("/me")).status == status
