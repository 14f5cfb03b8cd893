"""The registration page."""

import asyncio
from collections.abc import Callable

import pytest
from quart import Quart

from client import KEY, PASSWORD, Visitor, with_cheap_hashes
from commands import numbers_in
from databases import both_databases, run_sql
from quartlogin.webapp import create_app
from slow import mostly_slow

pytestmark = both_databases


def rows(database: str) -> list[tuple[str, ...]]:
    return run_sql(
        database,
        "SELECT username, username_key, password_hash FROM quartlogin_users JOIN quartlogin_passwords ON user_id = id",
    )


async def test_registering_signs_in_and_leads_home(visitor: Visitor) -> None:
    page = await visitor.register("Alice")

    assert (page.status, page.location) == (302, "/")
    home = await visitor.get("/")
    assert "Alice" in home.text
    assert home.text.count('role="status"') == 1


async def test_the_name_is_shown_as_typed_and_the_password_is_stored_as_a_hash(visitor: Visitor, database: str) -> None:
    await visitor.register("Ålice Smith")

    [(username, key, password_hash)] = rows(database)
    assert (username, key) == ("Ålice Smith", "ålice smith")
    assert password_hash.startswith("$argon2id$")
    assert PASSWORD not in password_hash


@pytest.mark.parametrize("other", ["alice", "ALICE", "Ａlice", " alice"])
async def test_a_name_that_looks_like_another_is_taken(
    new_visitor: Callable[[], Visitor], database: str, other: str
) -> None:
    await new_visitor().register("Alice")

    page = await new_visitor().register(other)

    assert page.status == 400
    assert "taken" in page.errors_beside("username")
    assert len(rows(database)) == 1


@pytest.mark.requirement("2.2.1", "2.2.2")
@pytest.mark.parametrize(
    "name",
    mostly_slow(
        [
            "",
            " ",
            "x" * 65,
            "ali\x00ce",
            "ali\u200bce",
            "ali\u00a0ce",
            "ali\u3000ce",
            "ali\u2028ce",
            "\u3164",
            "ali\u2800ce",
            "alice\ufe0f",
            "\u202ealice",
            "ali  ce",
            "-alice",
            "alice.",
            "<b>alice</b>",
            "alice/../bob",
            "alice\nbob",
        ],
        quick=6,
    ),
    ids=ascii,
)
async def test_a_malformed_name_shows_an_error_beside_the_field(visitor: Visitor, database: str, name: str) -> None:
    page = await visitor.register(name)

    assert page.status == 400
    assert page.errors_beside("username")
    assert rows(database) == []


@pytest.mark.requirement("2.2.1", "2.2.2")
@pytest.mark.parametrize(
    ("password", "told"),
    [("", [15, 0]), ("x" * 14, [15, 14]), ("😀" * 4, [15, 4]), ("x" * 1025, [1024, 1025])],
    ids=["none", "14", "4 emoji of 16 bytes", "1025"],
)
@pytest.mark.requirement("6.2.1", "N1", "N3", "N8")
async def test_a_password_of_the_wrong_length_shows_an_error_beside_the_field(
    visitor: Visitor, database: str, password: str, told: list[int]
) -> None:
    page = await visitor.register("Alice", password)

    assert page.status == 400
    assert numbers_in(page.errors_beside("password")) == told
    assert 'value="Alice"' in page.text
    assert rows(database) == []


@pytest.mark.parametrize(
    "password",
    ["alllowercaseletters", "384710293847561", "         a     ", "😀" * 15, "x" * 1024, "<>&\"' {{7*7}} %00 \\"],
    ids=["letters", "digits", "spaces", "emoji", "1024", "special"],
)
@pytest.mark.requirement("6.2.5", "6.2.9", "N2", "N5", "N9")
async def test_a_password_may_be_made_of_anything(new_visitor: Callable[[], Visitor], password: str) -> None:
    await new_visitor().register("Alice", password)
    visitor = new_visitor()

    await visitor.sign_in("Alice", password)

    assert await visitor.is_signed_in()


@pytest.mark.parametrize(
    ("registered", "typed"),
    [
        ("correct horse battery", "correct horse battery "),
        ("correct horse battery", "Correct horse battery"),
        ("x" * 72 + "a", "x" * 72 + "b"),
        ("correct\x00horse battery", "correct\x00house battery"),
        ("ﬁve boxing wizards", "five boxing wizards"),
    ],
    ids=["space", "case", "behind 72", "behind NUL", "ligature"],
)
@pytest.mark.requirement("6.2.8", "N4")
async def test_a_password_is_checked_exactly_and_whole(
    new_visitor: Callable[[], Visitor], registered: str, typed: str
) -> None:
    await new_visitor().register("Alice", registered)
    visitor = new_visitor()

    page = await visitor.sign_in("Alice", typed)

    assert page.status == 400


@pytest.mark.requirement("N6")
async def test_the_same_letters_composed_differently_are_the_same_password(new_visitor: Callable[[], Visitor]) -> None:
    await new_visitor().register("Alice", "Zoe\u0308 likes umlauts")
    visitor = new_visitor()

    await visitor.sign_in("Alice", "Zo\u00eb likes umlauts")

    assert await visitor.is_signed_in()


@pytest.mark.requirement("2.3.4")
async def test_race_of_twenty_registrations_creates_one_account(
    new_visitor: Callable[[], Visitor], database: str
) -> None:
    pages = await asyncio.gather(*(new_visitor().register("Alice") for _ in range(20)))

    assert sorted(page.status for page in pages) == [302] + [400] * 19
    assert len(rows(database)) == 1


@pytest.mark.requirement("15.3.3")
async def test_mass_assignment_unknown_fields_are_ignored(visitor: Visitor, database: str) -> None:
    await visitor.fill_in("/register", username="Alice", password=PASSWORD, id="1", is_active="0", username_key="x")

    [(_, key, _)] = rows(database)
    assert key == "alice"


async def test_registration_can_be_switched_off(database: str) -> None:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, REGISTRATION=False))

    async with app.test_app():
        visitor = Visitor(app.test_client())
        page, home = await visitor.get("/register"), await visitor.get("/")

    assert page.status == 404
    assert "Create account" not in home.text


async def test_the_shortest_password_is_a_setting(database: str) -> None:
    app = with_cheap_hashes(create_app(DATABASE=database, SECRET_KEY=KEY, PASSWORD_MIN_LENGTH=8))

    async with app.test_app():
        visitor = Visitor(app.test_client())
        page = await visitor.register("Alice", "8 chars!")

    assert page.status == 302


@pytest.mark.requirement("6.3.2")
async def test_a_new_database_has_no_accounts(app: Quart, database: str) -> None:
    assert rows(database) == []
