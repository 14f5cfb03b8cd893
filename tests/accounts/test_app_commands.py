"""The command line on the accounts of an app of somebody's own: `--app`."""

import json
import re
import subprocess
import time
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from quart import Quart

from app_modules import OWN_USERS, THREE_LINES, WITH_FIELD, WriteModule, write_module
from client import KEY, NEW_PASSWORD, PASSWORD
from commands import error_of
from databases import run_sql
from quartlogin import ConfigurationError
from quartlogin.accounts import get_accounts
from quartlogin.webapp.cli import main
from servers import PATIENCE, SCRIPTS
from slow import mostly_slow

__all__ = ["write_module"]


def run(*arguments: str, typed: str = "", environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=typed, env=environment or {})


def create(app: str, name: str = "ada@example.org") -> Result:
    return run("user", "create", name, "--password-stdin", "--app", app, typed=PASSWORD)


def rows(app: str, *arguments: str) -> list[dict[str, object]]:
    done = run(*arguments, "--json", "--app", app)
    assert (done.exit_code, done.stderr) == (0, "")
    return json.loads(done.stdout)


def token_of(app: str, name: str) -> str:
    done = run("token", "create", name, "--app", app)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.strip()


# --- which app


def test_a_command_manages_the_accounts_of_the_app(write_module: WriteModule) -> None:
    app = f"{write_module(THREE_LINES)}:app"

    assert create(app, "Ada").exit_code == 0

    assert run_sql("app.sqlite3", "SELECT username FROM quartlogin_users") == [("Ada",)]
    assert [(row["username"], row["active"]) for row in rows(app, "user", "list")] == [("Ada", True)]
    assert not Path("quartlogin.sqlite3").exists()


@pytest.mark.parametrize("name", ["create_app", "create_app()"])
def test_a_function_without_arguments_creates_the_app(write_module: WriteModule, name: str) -> None:
    assert create(f"{write_module(OWN_USERS)}:{name}").exit_code == 0


def test_the_app_may_be_named_in_the_environment(write_module: WriteModule) -> None:
    module = write_module(THREE_LINES)

    done = run("user", "list", "--json", environment={"QUARTLOGIN_APP": f"{module}:app"})

    assert (done.exit_code, done.stdout) == (0, "[]\n")
    assert Path("app.sqlite3").exists()


def test_the_variable_of_the_app_is_no_setting(write_module: WriteModule) -> None:
    module = write_module(f"from quartlogin.webapp import create_app\napp = create_app(SECRET_KEY={KEY!r})\n")

    done = run("user", "list", "--json", environment={"QUARTLOGIN_APP": f"{module}:app"})

    assert (done.exit_code, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.parametrize("by_environment", [False, True])
def test_an_app_and_a_database_exclude_each_other(write_module: WriteModule, by_environment: bool) -> None:
    app = f"{write_module(THREE_LINES)}:app"
    chosen = [] if by_environment else ["--app", app]

    done = run(
        "user",
        "list",
        *chosen,
        "--database",
        "x.sqlite3",
        environment={"QUARTLOGIN_APP": app} if by_environment else {},
    )

    assert done.exit_code == 2
    assert {"--app", "--database"} <= {*re.findall(r"--\w+", done.stderr.splitlines()[-1])}
    assert list(Path().glob("*.sqlite3")) == []


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("", "{module}", ["mymodule:app"]),
        ("", "{module}.py:app", ["mymodule:app"]),
        ("", "no_such_module:app", ["no_such_module", "PYTHONPATH"]),
        ("", "{module}.deeper:app", ["deeper"]),
        ("import no_such_package", "{module}:app", ["no_such_package", "{module}.py", "line 1"]),
        ("\n1 / 0", "{module}:app", ["ZeroDivisionError", "{module}.py", "line 2"]),
        ("raise SystemExit(3)", "{module}:app", ["SystemExit", "line 1"]),
        ("raise ValueError('one\\ntwo')", "{module}:app", ["ValueError", "one"]),
        ("raise ValueError", "{module}:app", ["ValueError", "line 1"]),
        ("\n\napp = (", "{module}:app", ["SyntaxError", "line 3"]),
        ("import quart\nthe_app = quart.Quart('x')", "{module}:app", ["'app'", "the_app"]),
        ("import quart\nfrom typing import Mapping\ndef make_shop_app(): ...", "{module}:app", ["make_shop_app?"]),
        ("def create_app(): ...", "{module}:create_ap", ["'create_ap'", "create_app"]),
        ("", "{module}:app", ["'app'"]),
        ("app = 5", "{module}:app", ["int"]),
        ("def create_app(): return 5", "{module}:create_app()", ["int"]),
        ("def create_app(settings): ...", "{module}:create_app", ["'settings'"]),
        ("def create_app(*, settings): ...", "{module}:create_app()", ["'settings'"]),
        ("async def create_app(): ...", "{module}:create_app()", ["async def"]),
        ("\ndef create_app(): raise KeyError('X')", "{module}:create_app()", ["KeyError", "X", "line 2"]),
        ("import quart\napp = quart.Quart('shop')", "{module}:app", ["'shop'", "Accounts"]),
        (THREE_LINES.replace("app.sqlite3", ":memory:"), "{module}:app", [":memory:"]),
        (THREE_LINES.replace("app.sqlite3", "no/folder"), "{module}:app", ["no/folder"]),
    ],
)
def test_an_app_that_cannot_be_had_is_one_sentence(
    write_module: WriteModule, text: str, name: str, words: list[str]
) -> None:
    module = write_module(text)

    done = run("user", "list", "--app", name.format(module=module))

    error = error_of(done)
    assert [word for word in words if word.format(module=module) not in error] == []


@pytest.mark.parametrize(
    ("moment", "is_first"),
    mostly_slow(list(product(["before_serving", "after_serving"], [False, True])), quick=1),
)
def test_an_app_that_fails_at_its_start_or_end_ends_the_command(
    write_module: WriteModule, moment: str, is_first: bool
) -> None:
    """In a process of its own: the threads of the database would keep it from ending."""
    failing = f"@app.{moment}\nasync def fail():\n    1 / 0\n"
    module = write_module(
        THREE_LINES.replace("accounts =", f"{failing}accounts =") if is_first else THREE_LINES + failing
    )
    command = [SCRIPTS / "quartlogin", "user", "list", "--app", f"{module}:app"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)

    error = done.stderr.splitlines()[-1]  # below the traceback that Quart logs
    assert (done.returncode, error.startswith("Error: ")) == (1, True)
    assert "ZeroDivisionError" in error
    assert f"{module}.py, line " in error


def test_an_app_without_accounts_is_an_error_that_says_how_to_add_them() -> None:
    with pytest.raises(ConfigurationError, match=r"'shop'.*init_app"):
        get_accounts(Quart("shop"))


# --- an app's own users


def test_commands_run_between_the_start_and_the_end_of_the_app(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"

    done = create(app)

    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(Path("people.json").read_text()) == ["ada@example.org"]
    assert run_sql("app.sqlite3", "SELECT user_id FROM quartlogin_accounts") == [("0",)]
    assert run_sql("app.sqlite3", "SELECT kind, user_id FROM quartlogin_events") == [("registered", "0")]


def test_users_of_the_app_are_listed_by_name(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    for name in ("bob@example.org", "Ada@example.org"):
        create(app, name)

    assert [(row["username"], row["active"], row["sign_ins_and_tokens"]) for row in rows(app, "user", "list")] == [
        ("ada@example.org", True, 0),
        ("bob@example.org", True, 0),
    ]


def test_users_of_an_app_that_loads_many_at_once_are_listed_by_one_lookup(write_module: WriteModule) -> None:
    many = """
        async def by_ids(self, user_ids):
            with open("lookups", "a") as file:
                print(len(user_ids), file=file)
            return {user_id: Person(int(user_id), app.people[int(user_id)]) for user_id in user_ids}
"""
    app = f"{write_module(OWN_USERS.replace('    return app', f'{many}    return app'))}:create_app"
    for name in ("bob@example.org", "ada@example.org"):
        create(app, name)

    assert [row["username"] for row in rows(app, "user", "list")] == ["ada@example.org", "bob@example.org"]
    assert Path("lookups").read_text() == "2\n"


def test_a_user_of_the_app_who_is_gone_is_not_listed(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)
    Path("people.json").write_text("[]")

    assert rows(app, "user", "list") == []


def test_a_value_that_the_app_refuses_is_one_sentence(write_module: WriteModule) -> None:
    refusing = OWN_USERS.replace("raise NameTaken", "pass").replace("NameTaken", "FieldError")
    refusing = refusing.replace("current_app.people.append(name)", "raise FieldError('age', 'Enter your age.')")
    app = f"{write_module(refusing)}:create_app"

    assert "'age'" in error_of(create(app))
    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_registrations") == [(0,)]


def test_a_new_user_gets_the_fields_of_the_app(write_module: WriteModule) -> None:
    app = f"{write_module(WITH_FIELD)}:create_app"
    command = ["user", "create", "ada@example.org", "--password-stdin", "--app", app]

    assert run(*command, "--field", "age=36", typed=PASSWORD).exit_code == 0
    assert json.loads(Path("fields.json").read_text()) == {"age": 36}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], ["'age'", "Enter your age.", "--field age="]),
        (["age=old"], ["'age'"]),
        (["age=36", "size=9"], ["'size'", "age"]),
    ],
)
def test_fields_that_the_form_of_the_app_refuses_are_one_sentence(
    write_module: WriteModule, fields: list[str], words: list[str]
) -> None:
    app = f"{write_module(WITH_FIELD)}:create_app"
    options = [part for field in fields for part in ("--field", field)]

    error = error_of(
        run("user", "create", "ada@example.org", "--password-stdin", "--app", app, *options, typed=PASSWORD)
    )

    assert [word for word in words if word not in error] == []
    assert not Path("app.sqlite3").exists()


def test_a_field_without_a_value_or_an_app_is_an_error(write_module: WriteModule) -> None:
    command = ["user", "create", "Ada", "--temporary", "--app", f"{write_module(THREE_LINES)}:app"]

    assert run(*command, "--field", "age").exit_code == 2
    assert "'age'" in error_of(run(*command, "--field", "age=36"))


def test_a_name_that_the_app_has_is_taken(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)

    assert "'ADA@example.org'" in error_of(create(app, "ADA@example.org"))
    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_accounts") == [(1,)]


def test_an_account_of_a_user_of_the_app_is_disabled_and_enabled(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)

    assert run("user", "disable", "ada@example.org", "--app", app).exit_code == 0
    assert rows(app, "user", "list")[0]["active"] is False
    assert run("user", "enable", "ada@example.org", "--app", app).exit_code == 0
    assert rows(app, "user", "list")[0]["active"] is True


def test_a_temporary_password_of_a_user_of_the_app_must_be_changed(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"

    done = run("user", "create", "ada@example.org", "--temporary", "--app", app)

    assert done.exit_code == 0
    assert run_sql("app.sqlite3", "SELECT must_change_password FROM quartlogin_accounts") == [(1,)]
    assert run_sql("app.sqlite3", "SELECT expires_at > changed_at FROM quartlogin_passwords") == [(1,)]


def test_tokens_and_logins_of_a_user_of_the_app_are_listed_and_revoked(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)

    token_of(app, "ada@example.org")
    [token] = rows(app, "token", "list", "ada@example.org")
    revoked = run("token", "revoke", str(token["ref"]), "--app", app)

    assert (revoked.exit_code, "'ada@example.org'" in revoked.stdout) == (0, True)
    assert rows(app, "token", "list", "ada@example.org") == rows(app, "logins", "list", "ada@example.org") == []


def test_another_password_of_a_user_of_the_app_revokes_the_tokens(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)
    token_of(app, "ada@example.org")

    done = run("user", "set-password", "ada@example.org", "--password-stdin", "--app", app, typed=NEW_PASSWORD)

    assert done.exit_code == 0
    assert rows(app, "token", "list", "ada@example.org") == []


@pytest.mark.parametrize(("seconds_ago", "is_left"), [(5, True), (60 * 60 + 1, False)])
def test_an_interrupted_registration_is_left_to_its_password_for_an_hour(
    write_module: WriteModule, seconds_ago: int, is_left: bool
) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    create(app)
    [(hash_,)] = run_sql("app.sqlite3", "SELECT password_hash FROM quartlogin_passwords")
    run_sql("app.sqlite3", "DELETE FROM quartlogin_accounts")
    began = int(time.time()) - seconds_ago
    run_sql("app.sqlite3", f"INSERT INTO quartlogin_registrations VALUES ('ada@example.org', '{hash_}', {began})")

    done = run("user", "set-password", "ada@example.org", "--password-stdin", "--app", app, typed=NEW_PASSWORD)

    assert ("interrupted" in done.stderr, done.exit_code) == (is_left, int(is_left))
    assert run_sql("app.sqlite3", "SELECT password_hash FROM quartlogin_registrations") == [(hash_,)]
    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_accounts") == [(int(not is_left),)]


def test_an_import_into_the_accounts_own_table_works(write_module: WriteModule) -> None:
    app = f"{write_module(THREE_LINES)}:app"
    Path("people.csv").write_text(f"username,password\nAda,{PASSWORD}\n")

    assert run("user", "import", "people.csv", "--app", app).exit_code == 0
    assert [row["username"] for row in rows(app, "user", "list")] == ["Ada"]


# --- the secret key

WITHOUT_KEY = THREE_LINES.replace("app.secret_key =", "unused =")


def test_an_app_without_a_key_can_be_managed_and_gets_none(write_module: WriteModule) -> None:
    app = f"{write_module(WITHOUT_KEY)}:app"

    assert create(app, "Ada").exit_code == 0
    assert not Path("app.sqlite3.secret-key").exists()


def test_a_token_is_signed_with_the_key_of_the_app_only(write_module: WriteModule) -> None:
    create(f"{write_module(WITHOUT_KEY)}:app", "Ada")
    app = f"{write_module(WITHOUT_KEY)}:app"  # as another process imports it

    assert "SECRET_KEY" in error_of(run("token", "create", "Ada", "--app", app))

    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_logins") == [(0,)]


def test_the_key_beside_the_database_of_an_app_is_rotated(write_module: WriteModule) -> None:
    app = f"{write_module(WITHOUT_KEY)}:app"
    path = Path("app.sqlite3.secret-key")
    path.touch(0o600)
    path.write_text("0123456789" * 2 + "abcdefghijklmnop")

    assert run("secret", "rotate", "--app", app).exit_code == 0
    assert len(path.read_text().split()) == 2


def test_a_key_that_the_app_sets_is_not_rotated(write_module: WriteModule) -> None:
    assert "SECRET_KEY_FALLBACKS" in error_of(run("secret", "rotate", "--app", f"{write_module(THREE_LINES)}:app"))
