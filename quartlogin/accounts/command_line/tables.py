"""The commands that create the tables of the accounts, or print the statements that do."""

import asyncio

import click

from ..database.schema import SCHEMA_VERSION, creation_script, upgrade_script, without_comments
from ..store import POSTGRES_SCHEMES
from .context import AccountsSource, accounts_command


@click.group()
def accounts() -> None:
    """Create the tables of the accounts, or print the statements that do."""


@click.command("init-db")
@accounts_command
def init_db(source: AccountsSource) -> None:
    """Create the tables, or upgrade older ones. `serve` does this too, unless the app has `create_tables=False`.

    \b
    quartlogin init-db --database people.sqlite3
    quartlogin accounts init-db --app mymodule:app
    """
    label = asyncio.run(source.create_tables())
    click.echo(f"The database {label if source.address.startswith(POSTGRES_SCHEMES) else source.address} is ready.")


@accounts.command("sql")
@click.option(
    "--from",
    "version",
    type=click.IntRange(1, SCHEMA_VERSION - 1),
    help="Print the statements that upgrade the tables of this version.",
)
def sql(version: int | None) -> None:
    """Print the statements that create the tables, for a migration. They are the same for SQLite and PostgreSQL.

    They depend neither on the app nor on its features. Each ends with a semicolon at the end of a line.

    \b
    quartlogin accounts sql > migrations/versions/quartlogin.sql
    """
    script = creation_script() if version is None else upgrade_script(version)
    click.echo(without_comments(script), nl=False)


accounts.add_command(init_db)
