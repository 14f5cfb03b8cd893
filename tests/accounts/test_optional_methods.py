"""Methods that an app's users may have: `rename`, and the pair of their address."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_app_users import People, Person

from app_modules import OWN_USERS, THREE_LINES, WriteModule, write_module
from client import PASSWORD
from commands import error_of
from databases import both_databases, run_sql
from quartlogin import ConfigurationError
from quartlogin.accounts import Accounts
from quartlogin.accounts.users.checked import CheckedUsers, UsersUnavailable
from quartlogin.webapp.cli import main

__all__ = ["write_module"]

RENAME = """
        async def rename(self, user, name):
            {refusal}
            current_app.people[int(user.get_id())] = name

    return app
"""


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed, env={})


def renaming(write_module: WriteModule, refusal: str = "pass", database: str = "app.sqlite3") -> str:
    text = OWN_USERS.replace("\n    return app\n", RENAME.format(refusal=refusal)).replace("app.sqlite3", database)
    Path("people.json").write_text('["ada@example.org", "bob@example.org"]')
    return f"{write_module(text.replace('NameTaken', 'FieldError, NameTaken', 1))}:create_app"


def people() -> list[str]:
    return list(json.loads(Path("people.json").read_text()))


@both_databases
def test_a_user_of_the_app_is_renamed(write_module: WriteModule, database: str) -> None:
    app = renaming(write_module, database=database)
    run("user", "set-password", "ada@example.org", "--password-stdin", "--app", app, typed=PASSWORD)

    done = run("user", "rename", "Ada@example.org", " ADA@Example.net", "--app", app)

    assert (done.exit_code, done.stderr) == (0, "")
    assert people() == ["ada@example.net", "bob@example.org"]
    assert run_sql(database, "SELECT kind, user_id FROM quartlogin_events ORDER BY id") == [
        ("password_set", "0"),
        ("user_renamed", "0"),
    ]


@both_databases
def test_a_user_of_ours_is_renamed(write_module: WriteModule, database: str) -> None:
    app = f"{write_module(THREE_LINES.replace('app.sqlite3', database))}:app"
    for name in ("Ada", "Bob"):
        assert run("user", "create", name, "--password-stdin", "--app", app, typed=PASSWORD).stderr == ""

    refused = run("user", "rename", "ada", "BOB", "--app", app)
    renamed = [run("user", "rename", *names, "--app", app).exit_code for names in [("ada", "Eve"), ("eve", "EVE")]]

    assert "'BOB'" in error_of(refused), refused.output
    assert renamed == [0, 0]
    stored = "SELECT username, username_key FROM quartlogin_users ORDER BY username_key"
    assert run_sql(database, stored) == [("Bob", "bob"), ("EVE", "eve")]
    events = "SELECT count(*) FROM quartlogin_events WHERE kind = 'user_renamed'"
    assert run_sql(database, events) == [(2,)]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("bob@example.org", ["'bob@example.org'"]),
        ("begun@example.org", ["'begun@example.org'"]),
        ("", ["username"]),
        ("a\0b", ["username"]),
    ],
)
def test_a_name_that_cannot_be_had_is_one_sentence(write_module: WriteModule, new: str, words: list[str]) -> None:
    app = renaming(write_module)
    run("user", "list", "--app", app)  # which creates the tables
    began = "CAST(strftime('%s') AS INTEGER)"
    run_sql("app.sqlite3", f"INSERT INTO quartlogin_registrations VALUES ('begun@example.org', 'hash', {began})")

    error = error_of(run("user", "rename", "ada@example.org", new, "--app", app))

    assert [word for word in words if word not in error] == []
    assert people() == ["ada@example.org", "bob@example.org"]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ("raise NameTaken", ["'eve'"]),
        ("raise FieldError('username', 'Not that one.')", ["Not that one."]),
        ("1 / 0", ["People.rename", "ZeroDivisionError"]),
    ],
)
def test_a_rename_that_the_app_refuses_is_one_sentence(
    write_module: WriteModule, refusal: str, words: list[str]
) -> None:
    app = renaming(write_module, refusal)

    done = run("user", "rename", "ada@example.org", "eve", "--app", app)

    assert done.exit_code == 1
    assert [word for word in words if word not in done.stderr.splitlines()[-1]] == []
    assert people() == ["ada@example.org", "bob@example.org"]


def test_a_class_without_rename_says_what_is_missing(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"

    assert "async def rename" in error_of(run("user", "rename", "ada", "eve", "--app", app))


def test_an_unknown_name_is_not_renamed(write_module: WriteModule) -> None:
    assert "'eve'" in error_of(run("user", "rename", "eve", "ada", "--app", renaming(write_module)))


# --- what is checked when a class is registered


def address_of(_: Any, user: Person) -> str:
    return user.address


async def set_address(_: Any, user: Person, address: str) -> None:
    user.address = address


async def rename(_: Any, user: Person, name: str) -> None:
    user.address = name


def register(**methods: Any) -> None:
    users = type("Users", (People,), methods)
    Accounts(database="accounts.sqlite3").users(users.__new__(users))


def test_the_optional_methods_are_accepted() -> None:
    register(address_of=address_of, set_address=set_address, rename=rename)


@pytest.mark.parametrize(
    ("methods", "word"),
    [
        ({"address_of": address_of}, "set_address"),
        ({"set_address": set_address}, "address_of"),
        ({"address_of": set_address, "set_address": set_address}, "def address_of"),
        ({"address_of": address_of, "set_address": address_of}, "async def set_address"),
        ({"rename": address_of}, "async def rename"),
        ({"stamp": "made"}, "stamp"),
        ({"old_password_hash": "hash"}, "old_password_hash"),
    ],
)
def test_an_optional_method_that_is_none_is_refused(methods: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        register(**methods)


async def test_a_rename_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(People):
        def __init__(self) -> None:
            pass

        async def rename(self, user: Person, name: str) -> None:
            await asyncio.sleep(3600)

    monkeypatch.setattr("quartlogin.accounts.users.checked.TIMEOUT", 0.01)
    with pytest.raises(UsersUnavailable, match="rename"):
        await CheckedUsers(Hanging()).rename(Person(1, "ada"), "eve")
