"""`user import` into the users of an app, and of hashes that other libraries have made."""

import asyncio
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner, Result
from quart import Quart
from test_old_passwords import HASHES
from test_old_passwords import PASSWORD as OLD_PASSWORD

from app_modules import OWN_USERS, THREE_LINES, WITH_FIELD, WriteModule, write_module
from client import CHEAP, PASSWORD, Visitor, with_cheap_hashes
from commands import error_of, numbers_in
from databases import both_databases, run_sql
from quartlogin.webapp.cli import main

__all__ = ["write_module"]

HASH = CHEAP.hash(PASSWORD)


def import_file(app: str, text: str, *options: str) -> Result:
    Path("people.csv").write_text(text, encoding="utf-8")
    return CliRunner().invoke(main, ["user", "import", "people.csv", "--app", app, *options], env={})


def hashed(*names: str) -> str:
    return "\n".join(["username,password_hash", *(f'{name},"{HASH}"' for name in names), ""])


def people() -> list[str]:
    """Return the users of the app of `OWN_USERS`."""
    return list(json.loads(Path("people.json").read_text())) if Path("people.json").exists() else []


def reported(done: Result) -> list[int]:
    """Return the numbers of the lines that a command reported."""
    return [numbers_in(line)[0] for line in done.stderr.splitlines() if line.startswith("line ")]


def app_of(module: str) -> Quart:
    imported: Any = import_module(module)
    return with_cheap_hashes(imported.create_app() if hasattr(imported, "create_app") else imported.app)


async def can_sign_in(module: str, name: str) -> bool:
    app = app_of(module)
    async with app.test_app():
        return (await Visitor(app.test_client()).sign_in(name)).status == 302


async def sign_in(module: str, *names: str, password: str = PASSWORD) -> list[str | None]:
    """Sign users in to the app of a module; return where the account page sends each of them."""
    app, locations = app_of(module), []
    async with app.test_app():
        for name in names:
            visitor = Visitor(app.test_client())
            assert (await visitor.sign_in(name, password)).status == 302
            locations.append((await visitor.get("/account")).location)
    return locations


@both_databases
def test_users_of_the_app_are_imported_with_their_hashes(write_module: WriteModule, database: str) -> None:
    module = write_module(OWN_USERS.replace("app.sqlite3", database))

    done = import_file(f"{module}:create_app", hashed("Ada@example.org", "bob@example.org"))

    assert (done.exit_code, numbers_in(done.stdout), done.stderr) == (0, [2, 0], "")
    assert people() == ["ada@example.org", "bob@example.org"]
    assert run_sql(database, "SELECT user_id, password_hash FROM quartlogin_passwords ORDER BY user_id") == [
        ("0", HASH),
        ("1", HASH),
    ]
    assert run_sql(database, "SELECT * FROM quartlogin_registrations") == []
    asyncio.run(sign_in(module, "bob@example.org"))


@pytest.mark.slow
@pytest.mark.parametrize("text", [OWN_USERS, THREE_LINES], ids=["app's users", "own users"])
def test_hashes_of_every_known_scheme_are_imported_and_renewed(write_module: WriteModule, text: str) -> None:
    module = write_module(text)
    stored = {**HASHES, "argon2": PasswordHasher(2, 16, 1).hash(OLD_PASSWORD)}
    names = [f"user{number}" for number in range(len(stored))]
    lines = [f'{name},"{hash_}"' for name, hash_ in zip(names, stored.values(), strict=True)]
    app = f"{module}:{'create_app' if text is OWN_USERS else 'app'}"

    done = import_file(app, "\n".join(["username,password_hash", *lines]))

    assert numbers_in(done.stdout) == [len(stored), 0], done.stderr
    kept = "SELECT password_hash FROM quartlogin_passwords"
    assert {hash_ for (hash_,) in run_sql("app.sqlite3", kept)} == {*stored.values()}
    assert asyncio.run(sign_in(module, *names, password=OLD_PASSWORD)) == [None] * len(names)
    assert all(not CHEAP.check_needs_rehash(hash_) for (hash_,) in run_sql("app.sqlite3", kept))


def test_columns_of_the_file_are_fields_of_the_app(write_module: WriteModule) -> None:
    app = f"{write_module(WITH_FIELD)}:create_app"

    done = import_file(app, f'age,username,password_hash\n36,ada@example.org,"{HASH}"\nold,bob@example.org,"{HASH}"\n')

    assert reported(done) == [3]
    assert "'age'" in done.stderr
    assert people() == []
    assert import_file(app, f'age,username,password_hash\n36,ada@example.org,"{HASH}"\n').exit_code == 0
    assert json.loads(Path("fields.json").read_text()) == {"age": 36}


@pytest.mark.parametrize("text", [OWN_USERS, THREE_LINES], ids=["app's users", "own users"])
def test_a_column_that_the_app_does_not_know_is_refused(write_module: WriteModule, text: str) -> None:
    app = f"{write_module(text)}:{'create_app' if text is OWN_USERS else 'app'}"

    done = import_file(app, f'username,password_hash,age\nada,"{HASH}",36\n')

    assert "must_change_password" in error_of(done)
    assert people() == []


@both_databases
@pytest.mark.parametrize("text", [OWN_USERS, THREE_LINES], ids=["app's users", "own users"])
def test_disabled_users_and_those_who_must_change_the_password_are_imported_so(
    write_module: WriteModule, database: str, text: str
) -> None:
    module = write_module(text.replace("app.sqlite3", database))
    lines = [f'ada,"{HASH}",,Yes', f'bob,"{HASH}",TRUE,0', f'eve,"{HASH}",no,false', f'kim,"{HASH}",perhaps,1']
    file = "\n".join(["username,password_hash,disabled,must_change_password", *lines])

    done = import_file(f"{module}:{'create_app' if text is OWN_USERS else 'app'}", file, "--skip-bad")

    assert numbers_in(done.stdout) == [3, 1]
    assert reported(done) == [5]
    flags = "SELECT disabled_at IS NOT NULL, must_change_password FROM quartlogin_accounts"
    rows = run_sql(database, f"{flags} ORDER BY must_change_password, disabled_at IS NULL")
    assert rows == [(True, False), (False, False), (False, True)]
    assert asyncio.run(sign_in(module, "ada")) == ["/account/password"]


def test_a_name_that_the_app_has_is_a_bad_line(write_module: WriteModule) -> None:
    app = f"{write_module(OWN_USERS)}:create_app"
    Path("people.json").write_text('["ada@example.org"]')

    refused = import_file(app, hashed("bob@example.org", "ADA@example.org"))
    assert (refused.exit_code, reported(refused), people()) == (1, [3], ["ada@example.org"])

    done = import_file(app, hashed("bob@example.org", "ADA@example.org"), "--skip-bad")
    assert (done.exit_code, reported(done), numbers_in(done.stdout)) == (0, [3], [1, 1])
    assert people() == ["ada@example.org", "bob@example.org"]
    assert run_sql("app.sqlite3", "SELECT user_id FROM quartlogin_accounts") == [("1",)]


REFUSING = """
            if name.startswith("bob"):
                {refusal}
"""


@pytest.mark.parametrize(
    ("refusal", "skips", "imported"),
    [
        ("raise FieldError('age', 'Enter your age.')", False, ["ada"]),
        ("raise FieldError('age', 'Enter your age.')", True, ["ada", "eve"]),
        ("raise NameTaken", True, ["ada", "eve"]),
        ("1 / 0", True, ["ada"]),
        ("raise Forbidden", True, ["ada"]),
    ],
)
def test_a_user_whom_the_app_refuses_is_reported_and_leaves_nothing(
    write_module: WriteModule, refusal: str, skips: bool, imported: list[str]
) -> None:
    begins = "async def create(self, name, fields):"
    refusing = OWN_USERS.replace(begins, begins + REFUSING.format(refusal=refusal))
    imports = "from werkzeug.exceptions import Forbidden\nfrom quartlogin.accounts import FieldError\n"
    app = f"{write_module(imports + refusing)}:create_app"

    done = import_file(app, hashed("ada", "bob", "eve"), *(["--skip-bad"] if skips else []))

    assert people() == imported
    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_passwords") == [(len(imported),)]
    assert run_sql("app.sqlite3", "SELECT * FROM quartlogin_registrations") == []
    if imported == ["ada"]:
        assert (done.exit_code, numbers_in(done.stderr.splitlines()[-1])[:2]) == (1, [1, 3])
    else:
        assert (done.exit_code, reported(done), numbers_in(done.stdout)) == (0, [3], [2, 1])


@pytest.mark.parametrize(("flags", "is_let_in"), [("", True), (",disabled", False)])
def test_an_import_that_ends_in_the_middle_leaves_each_user_whole(
    write_module: WriteModule, flags: str, is_let_in: bool
) -> None:
    """The process ends after the app has created the second user, and before that user has an account."""
    returns = "            return await self.by_name(name)\n"
    dies = "            if name == 'bob': raise KeyboardInterrupt\n"
    module = write_module(OWN_USERS.replace(returns, dies + returns))

    file = hashed("ada", "bob", "eve").replace("_hash", f"_hash{flags}")
    done = import_file(f"{module}:create_app", file.replace('"\n', '",true\n') if flags else file)

    assert done.exit_code != 0
    assert people() == ["ada", "bob"]
    assert run_sql("app.sqlite3", "SELECT user_id FROM quartlogin_accounts") == [("0",)]
    run_sql("app.sqlite3", "UPDATE quartlogin_registrations SET created_at = created_at - 60")
    assert asyncio.run(can_sign_in(write_module(OWN_USERS), "bob")) is is_let_in
    assert run_sql("app.sqlite3", "SELECT count(*) FROM quartlogin_accounts") == [(1 + is_let_in,)]
