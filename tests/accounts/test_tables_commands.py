"""`quartlogin accounts init-db` and `quartlogin accounts sql`: the tables, without a start of the app."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app_modules import THREE_LINES, WriteModule, write_module
from commands import error_of
from databases import both_databases, run_sql
from quartlogin.accounts.database.schema import SCHEMA_VERSION, statements, upgrade_script
from quartlogin.accounts.store import store_at
from quartlogin.webapp.cli import main
from schemas import columns, drop_everything, make_version

__all__ = ["write_module"]

WITHOUT_TABLES = THREE_LINES.replace("Accounts(app,", "Accounts(app, create_tables=False,").replace(
    "accounts =", "@app.before_serving\nasync def fail():\n    1 / 0\n\naccounts ="
)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def printed(*options: str) -> str:
    done = run("accounts", "sql", *options)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


def execute(database: str, script: str) -> None:
    """Run a script as the documentation does: cut at each semicolon that ends a line."""
    if not database.startswith("postgresql://"):
        Path(database).touch(0o600)
    for statement in script.split(";\n"):
        if statement.strip():
            run_sql(database, statement)


async def create_tables(database: str) -> None:
    store = store_at(database)
    await store.database.open()
    await store.database.close()


def test_init_db_creates_the_tables_of_an_app_without_starting_it(write_module: WriteModule) -> None:
    app = f"{write_module(WITHOUT_TABLES)}:app"

    done = run("accounts", "init-db", "--app", app)

    assert (done.exit_code, done.stderr) == (0, "")
    assert run_sql("app.sqlite3", "SELECT version, users_table FROM quartlogin_schema") == [
        (SCHEMA_VERSION, "quartlogin_users")
    ]


def test_init_db_beside_the_tables_of_the_app_leaves_these_alone(write_module: WriteModule) -> None:
    Path("app.sqlite3").touch(0o600)
    run_sql("app.sqlite3", "CREATE TABLE orders (id INTEGER)")

    assert run("accounts", "init-db", "--app", f"{write_module(WITHOUT_TABLES)}:app").exit_code == 0

    assert run_sql("app.sqlite3", "SELECT * FROM orders") == []


def test_init_db_refuses_the_accounts_of_another_users_table(write_module: WriteModule) -> None:
    app = f"{write_module(WITHOUT_TABLES)}:app"
    run("accounts", "init-db", "--app", app)
    run_sql("app.sqlite3", "UPDATE quartlogin_schema SET users_table = 'customers'")

    assert "customers" in error_of(run("accounts", "init-db", "--app", app))


@both_databases
async def test_the_printed_statements_create_what_a_start_creates(database: str) -> None:
    await create_tables(database)
    created = columns(database)
    drop_everything(database)

    execute(database, printed())

    assert columns(database) == created
    assert run_sql(database, "SELECT version, users_table FROM quartlogin_schema") == [(SCHEMA_VERSION, None)]


@both_databases
@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_the_printed_statements_upgrade_tables_of_each_version(database: str, version: int) -> None:
    await create_tables(database)
    created = columns(database)
    drop_everything(database)
    make_version(version, database)

    execute(database, printed("--from", str(version)))

    assert columns(database) == created
    assert run_sql(database, "SELECT version FROM quartlogin_schema") == [(SCHEMA_VERSION,)]
    assert run_sql(database, "SELECT username FROM quartlogin_users") == [("Alice",)]


@pytest.mark.parametrize("options", [(), *(("--from", str(version)) for version in range(1, SCHEMA_VERSION))])
def test_what_is_printed_can_be_cut_at_its_semicolons_and_binds_nothing(options: tuple[str, ...]) -> None:
    """SQLAlchemy takes `:name` for a value; drivers take one statement at a time."""
    script = printed(*options)

    assert [cut.strip() for cut in script.split(";\n") if cut.strip()] == [
        statement.strip().removesuffix(";") for statement in statements(script)
    ]
    assert script.count(";") == script.count(";\n")
    assert not {"--", ":", "\n\n"} & {found for found in ("--", ":", "\n\n") if found in script}


def test_the_current_version_needs_no_upgrade() -> None:
    assert run("accounts", "sql", "--from", str(SCHEMA_VERSION)).exit_code == 2
    assert [*statements(upgrade_script(SCHEMA_VERSION))] == [
        f"UPDATE quartlogin_schema SET version = {SCHEMA_VERSION} WHERE version < {SCHEMA_VERSION};\n"
    ]
