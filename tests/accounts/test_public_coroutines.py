"""What an app's own views do by the public coroutines of `Accounts`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from quart import Quart, request

from client import KEY, NEW_PASSWORD, PASSWORD, WRONG, Visitor, with_cheap_hashes
from databases import run_sql
from quartlogin import current_user
from quartlogin.accounts import (
    Accounts,
    FieldError,
    LoginEnded,
    NameTaken,
    TooManyAttempts,
    WrongCredentials,
    WrongPassword,
)

ERRORS = (FieldError, LoginEnded, NameTaken, TooManyAttempts, WrongCredentials, WrongPassword)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "app.sqlite3")


@pytest.fixture
async def app(database: str) -> AsyncIterator[Quart]:
    made = Quart("shop", root_path=str(Path(__file__).parent))
    made.config["SECRET_KEY"] = KEY
    accounts = Accounts(database=database)  # at the top of a module
    accounts.init_app(made)

    @made.post("/api/<name>")
    async def call(name: str) -> tuple[str, int]:
        try:
            result = await getattr(accounts, name)(**await request.get_json())
        except ERRORS as error:
            return f"{type(error).__name__} {getattr(error, 'field', '')}".strip(), 400
        return getattr(result, "username", "done"), 200

    @made.get("/me")
    async def me() -> str:
        user = await current_user
        return user.get_id() if user.is_authenticated else "nobody"

    with_cheap_hashes(made)
    async with made.test_app():
        yield made


async def call(visitor: Visitor, coroutine: str, /, **arguments: Any) -> str:
    return (await visitor.request("POST", f"/api/{coroutine}", json=arguments)).text


async def registered(app: Quart) -> Visitor:
    visitor = Visitor(app.test_client())
    assert await call(visitor, "register", name="Ada", password=PASSWORD) == "Ada"
    return visitor


async def id_of(visitor: Visitor) -> str:
    return (await visitor.get("/me")).text


async def test_register_creates_an_account_and_signs_in(app: Quart) -> None:
    ada = await registered(app)

    assert await id_of(ada) != "nobody"
    assert await call(ada, "register", name="ADA", password=PASSWORD) == "NameTaken"


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("", PASSWORD, "username"),
        ("a\0b", PASSWORD, "username"),
        ("Ada", "short", "password"),
        ("Ada Countess of Lovelace", "ada countess of lovelace", "password"),
        ("Ada", "\ud800" * 20, "password"),
    ],
)
async def test_register_refuses_what_the_form_refuses(
    app: Quart, database: str, name: str, password: str, field: str
) -> None:
    visitor = Visitor(app.test_client())

    assert await call(visitor, "register", name=name, password=password) == f"FieldError {field}"
    assert run_sql(database, "SELECT * FROM quartlogin_users") == []


async def test_sign_in_checks_the_password(app: Quart) -> None:
    await registered(app)
    visitor = Visitor(app.test_client())

    assert await call(visitor, "sign_in", name="ada", password=WRONG) == "WrongCredentials"
    assert await call(visitor, "sign_in", name="nobody", password=WRONG) == "WrongCredentials"
    assert await call(visitor, "sign_in", name="ada", password="\ud800") == "WrongCredentials"
    assert await call(visitor, "sign_in", name="\ud800", password=WRONG) == "WrongCredentials"
    assert await call(visitor, "sign_in", name="ada", password=PASSWORD) == "Ada"
    assert await id_of(visitor) != "nobody"


async def test_sign_in_counts_failures_as_the_page_does(app: Quart) -> None:
    await registered(app)
    answers = [await call(Visitor(app.test_client()), "sign_in", name="ada", password=WRONG) for _ in range(7)]

    assert answers[-1] == "TooManyAttempts"


async def test_change_password_ends_the_other_logins(app: Quart) -> None:
    ada, other = await registered(app), Visitor(app.test_client())
    await call(other, "sign_in", name="ada", password=PASSWORD)

    assert await call(ada, "change_password", current=WRONG, new=NEW_PASSWORD) == "WrongPassword"
    assert await call(ada, "change_password", current=PASSWORD, new="short") == "FieldError new_password"
    assert await call(ada, "change_password", current=PASSWORD, new=NEW_PASSWORD) == "done"

    assert await id_of(ada) != "nobody"
    assert await id_of(other) == "nobody"


async def test_delete_removes_the_account_and_signs_out(app: Quart, database: str) -> None:
    ada = await registered(app)

    assert await call(ada, "delete", password=WRONG) == "WrongPassword"
    assert await call(ada, "delete", password=PASSWORD) == "done"

    assert await id_of(ada) == "nobody"
    assert run_sql(database, "SELECT * FROM quartlogin_users") == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("change_password", {"current": PASSWORD, "new": NEW_PASSWORD}), ("delete", {"password": PASSWORD})],
)
async def test_a_visitor_who_is_not_signed_in_changes_nothing(app: Quart, name: str, arguments: dict[str, str]) -> None:
    await registered(app)

    assert await call(Visitor(app.test_client()), name, **arguments) == "LoginEnded"


async def test_end_logins_ends_every_login_of_one_user(app: Quart) -> None:
    ada, bob = await registered(app), Visitor(app.test_client())
    await call(bob, "register", name="Bob", password=PASSWORD)

    await call(bob, "end_logins", user_id=await id_of(ada))

    assert await id_of(ada) == "nobody"
    assert await id_of(bob) != "nobody"


async def test_forget_removes_what_is_kept_under_an_id(app: Quart, database: str) -> None:
    ada = await registered(app)

    await call(Visitor(app.test_client()), "forget", user_id=await id_of(ada))

    assert await id_of(ada) == "nobody"
    for table in ("accounts", "passwords", "logins"):
        assert run_sql(database, f"SELECT * FROM quartlogin_{table}") == []
