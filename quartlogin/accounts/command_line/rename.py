"""The command that renames an account."""

import click

from ..database.errors import NameTaken
from ..users.protocol import FieldError
from .context import AccountsSource, CommandContext, accounts_command, run_with_context
from .users import check_name


@click.command("rename")
@click.argument("old")
@click.argument("new")
@accounts_command
def rename(old: str, new: str, source: AccountsSource) -> None:
    """Rename OLD to NEW. Sign-ins, API tokens and the password stay. The class of your app's users needs `rename`.

    \b
    quartlogin user rename alice alice.cooper
    """
    if not source.directory.can_rename:
        raise click.ClickException(
            "The users of this app cannot be renamed: add a method `async def rename(self, user, name)` to their class."
        )
    key = check_name(source.directory, new)

    async def work(context: CommandContext) -> None:
        found = await context.find_user(old)
        event = context.audit_log.event("user_renamed", found.account.user_id)
        await context.directory.rename(found, new, key, event)
        context.audit_log.emit(event)

    try:
        run_with_context(source, work)
    except NameTaken:
        raise click.ClickException(f"There is already an account named {new!r}.") from None
    except FieldError as error:
        raise click.ClickException(f"The app refuses the name {new!r}: {error.text}") from None
    click.echo(f"The account {old!r} is now named {new!r}.")
