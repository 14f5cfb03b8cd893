"""The commands that create the tables of the accounts, and print the statements for it."""

import asyncio

import click

from ..store import POSTGRES_SCHEMES
from .context import AccountsSource, accounts_command


@click.group()
def accounts() -> None:
    """Create the tables of the accounts."""


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


accounts.add_command(init_db)
