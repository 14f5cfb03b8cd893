"""The commands for code words."""

import click

from quartlogin.accounts.commands import AccountsSource, CommandContext, accounts_command, run_with_context

from .table import remove_word


@click.group("code-word")
def code_word() -> None:
    """Manage code words."""


@code_word.command("remove")
@click.argument("name")
@accounts_command
def remove(name: str, source: AccountsSource) -> None:
    """Remove the code word of NAME."""

    async def work(context: CommandContext) -> None:
        found = await context.find(name)
        removed = await remove_word(context.store.database, found.account.user_id)
        click.echo("Removed." if removed else "There was none.")

    run_with_context(source, work)
