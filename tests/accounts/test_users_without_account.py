"""Commands on users of an app who have no account yet: those whom it has invited, or who sign in elsewhere."""

import asyncio
import json
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app_modules import OWN_USERS, WriteModule, write_module
from client import NEW_PASSWORD, Page, Visitor, with_cheap_hashes
from commands import error_of
from databases import both_databases, run_sql
from quartlogin.webapp.cli import main

__all__ = ["write_module"]

ADA = "ada@example.org"


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed, env={})


def invite(*addresses: str) -> None:
    """Let the app of `OWN_USERS` have users, without accounts."""
    Path("people.json").write_text(json.dumps(addresses))


async def signed_in(module: str, password: str) -> tuple[Page, Page]:
    """Sign in to the app of a module; return the answer, and the page that follows."""
    app = with_cheap_hashes(import_module(module).create_app())
    async with app.test_app():
        ada = Visitor(app.test_client())
        return await ada.sign_in(ADA, password), await ada.get("/account")


@both_databases
@pytest.mark.parametrize("is_temporary", [True, False])
def test_the_operator_gives_a_password_to_a_user_without_an_account(
    write_module: WriteModule, database: str, is_temporary: bool
) -> None:
    module = write_module(OWN_USERS.replace("app.sqlite3", database))
    invite("bob@example.org", ADA)
    option = "--temporary" if is_temporary else "--password-stdin"

    done = run("user", "set-password", " ADA@example.org", option, "--app", f"{module}:create_app", typed=NEW_PASSWORD)

    assert done.exit_code == 0, done.stderr
    assert run_sql(database, "SELECT user_id, must_change_password FROM quartlogin_accounts") == [("1", is_temporary)]
    assert run_sql(database, "SELECT kind, user_id FROM quartlogin_events") == [("password_set", "1")]
    answer, next_page = asyncio.run(signed_in(module, done.stdout.strip() if is_temporary else NEW_PASSWORD))
    assert answer.status == 302
    assert next_page.location == ("/account/password" if is_temporary else None)


@both_databases
def test_a_password_that_cannot_be_set_leaves_no_account(write_module: WriteModule, database: str) -> None:
    app = f"{write_module(OWN_USERS.replace('app.sqlite3', database))}:create_app"
    invite(ADA)
    run("user", "list", "--app", app)  # which creates the tables
    run_sql(database, "ALTER TABLE quartlogin_events RENAME TO quartlogin_gone")

    done = run("user", "set-password", ADA, "--password-stdin", "--app", app, typed=NEW_PASSWORD)

    assert done.exit_code != 0
    assert run_sql(database, "SELECT * FROM quartlogin_accounts") == []


def test_a_name_that_the_app_does_not_have_gets_no_account(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"

    done = run("user", "set-password", ADA, "--temporary", "--app", app)

    assert f"{ADA!r}" in error_of(done)
    assert run_sql("app.sqlite3", "SELECT * FROM quartlogin_accounts") == []


@pytest.mark.parametrize(
    "command",
    [("user", "disable"), ("user", "enable"), ("user", "require-change"), ("logins", "list"), ("token", "create")],
    ids=" ".join,
)
def test_other_commands_say_how_a_user_gets_an_account(write_module: WriteModule, command: tuple[str, str]) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    invite(ADA)

    assert "set-password" in error_of(run(*command, ADA, "--app", app))
    assert run_sql("app.sqlite3", "SELECT * FROM quartlogin_accounts") == []
