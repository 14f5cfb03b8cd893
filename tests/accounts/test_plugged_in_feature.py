"""A feature that the package does not ship, plugged in without a change elsewhere: `code_words/` beside this module."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from code_words.feature import FOLDER, SCHEMA, CodeWords
from quart import Quart

from app_modules import THREE_LINES, WriteModule, write_module
from client import KEY, PASSWORD, Visitor
from commands import error_of
from databases import run_sql
from quartlogin.accounts import Accounts, ApiTokens, Logins, Passwords, Registration, get_accounts
from quartlogin.accounts.testing import check_templates, create_user, use_cheap_hashes
from quartlogin.webapp.cli import main

__all__ = ["write_module"]

#: An app with the feature, and without API tokens.
WITH_CODE_WORDS = f"""
from code_words.feature import CodeWords
from quartlogin.accounts import Logins, Passwords
{THREE_LINES}
""".replace('database="app.sqlite3"', 'database="app.sqlite3", features=[Passwords(), Logins(), CodeWords()]')


def make_app(database: str) -> Quart:
    app = Quart("shop", root_path=str(FOLDER))
    app.config["SECRET_KEY"] = KEY
    Accounts(app, database=database, features=[Passwords(), Logins(), CodeWords(), Registration(), ApiTokens()])
    use_cheap_hashes(app)

    @app.before_serving
    async def create_table() -> None:
        await get_accounts(app).store.database.write(SCHEMA)

    return app


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, list(arguments), input=PASSWORD, env=environment)


# --- pages, panel, event, rows


async def test_a_features_page_panel_and_event_stand_among_the_shipped_ones(database: str) -> None:
    app = make_app(database)
    async with app.test_app():
        visitor = Visitor(app.test_client())
        await visitor.register()
        before = (await visitor.get("/account")).text
        assert (await visitor.fill_in("/account/code-word", word="mellon")).location == "/account"
        after = (await visitor.get("/account")).text

    sections = ['id="sign-ins"', 'id="code-word"', 'id="tokens"', 'id="events"']
    assert [after.count(section) for section in sections] == [1] * 4
    assert sections == sorted(sections, key=after.index)
    assert "You have none." in before
    assert "You have a code word." in after
    assert "<strong>Code word set: m</strong>" in after


async def test_the_fields_of_a_features_forms_are_checked(database: str) -> None:
    app = make_app(database)
    async with app.test_app():
        await check_templates(app, await create_user(app))


async def test_cleanup_removes_a_features_expired_rows(database: str) -> None:
    app = make_app(database)
    async with app.test_app():
        accounts, user = get_accounts(app), await create_user(app)
        await accounts.store.database.write(f"INSERT INTO quartlogin_code_words VALUES ('{user.id}', 'mellon', 1)")

        assert await accounts.cleanup.clean() == 1
        assert await accounts.store.database.read("SELECT * FROM quartlogin_code_words") == []


# --- commands


def test_an_apps_commands_are_those_of_its_features_and_the_shared_ones(write_module: WriteModule) -> None:
    app = f"{write_module(WITH_CODE_WORDS)}:app"

    listed = run("--help", QUARTLOGIN_APP=app).stdout

    assert [name for name in ("code-word", "logins", "serve", "token", "user") if f"\n  {name} " in listed] == [
        *("code-word", "logins", "serve", "user")
    ]
    assert "\n  code-word " not in run("--help").stdout
    assert "\n  token " in run("--help").stdout


@pytest.mark.parametrize("form", ["--app NAME", "--app=NAME", "variable"])
def test_a_features_command_manages_the_accounts_of_the_app(write_module: WriteModule, form: str) -> None:
    app = f"{write_module(WITH_CODE_WORDS)}:app"
    assert run("user", "create", "Ada", "--password-stdin", "--app", app).exit_code == 0
    run_sql("app.sqlite3", SCHEMA)
    run_sql("app.sqlite3", "INSERT INTO quartlogin_code_words SELECT user_id, 'mellon', 1 FROM quartlogin_accounts")

    if form == "variable":
        done = run("code-word", "remove", "ada", QUARTLOGIN_APP=app)
    else:
        done = run("code-word", "remove", "ada", *form.replace("NAME", app).split())

    assert (done.exit_code, done.stdout) == (0, "Removed.\n")
    assert run_sql("app.sqlite3", "SELECT * FROM quartlogin_code_words") == []


def test_a_command_of_a_feature_that_the_app_does_not_have_is_refused(write_module: WriteModule) -> None:
    app = f"{write_module(WITH_CODE_WORDS)}:app"

    refused = run("token", "list", "ada", "--app", app)

    assert refused.exit_code == 2
    assert "'token'" in refused.stderr
    assert run("code-word", "remove", "ada").exit_code == 2
    assert not Path("quartlogin.sqlite3").exists()


def test_an_app_that_cannot_be_loaded_is_one_sentence(write_module: WriteModule) -> None:
    app = f"{write_module('import nothing_of_this_name')}:app"

    assert "nothing_of_this_name" in error_of(run("code-word", "remove", "ada", "--app", app))
    helped = run("--help", QUARTLOGIN_APP=app)
    assert helped.exit_code == 0
    assert "nothing_of_this_name" in helped.stderr
    assert "\n  user " in helped.stdout
