"""The commands that list and end sign-ins."""

import click

from ...command_line.context import (
    AccountsSource,
    CommandContext,
    accounts_command,
    json_option,
    run_with_context,
)
from ...command_line.output import moment, print_rows
from ...pages.user_agents import describe


@click.group()
def logins() -> None:
    """List and end sign-ins."""


@logins.command("list")
@click.argument("name")
@json_option
@accounts_command
def list_logins(name: str, as_json: bool, source: AccountsSource) -> None:
    """List the sign-ins of NAME. `logins revoke` takes a REF from this list.

    \b
    quartlogin logins list alice
    """

    async def work(context: CommandContext) -> None:
        found = await context.find(name)
        rows = [
            {
                "ref": login.public_id,
                "browser": describe(login.browser),
                "address": login.address,
                "signed_in": moment(login.made_at),
                "last_seen": moment(login.seen_at),
                "expires": moment(login.expires_at),
            }
            for login in await context.logins.list_of(found.account.user_id)
            if login.kind == "session"
        ]
        print_rows(rows, as_json=as_json, empty=f"{context.directory.name_of(found.user)!r} is not signed in anywhere.")

    run_with_context(source, work)


@logins.command("revoke")
@click.argument("public_id", metavar="REF", required=False)
@click.option("--user", "name", metavar="NAME", help="End every sign-in of NAME; API tokens stay valid.")
@click.option("--everyone", is_flag=True, help="End every sign-in and API token of every account.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation of --everyone.")
@accounts_command
def revoke(public_id: str | None, name: str | None, everyone: bool, yes: bool, source: AccountsSource) -> None:
    """End the sign-in REF.

    \b
    quartlogin logins revoke 5f1c3a9e0b7d2468
    quartlogin logins revoke --user alice
    """
    if [public_id is not None, name is not None, everyone].count(True) != 1:
        raise click.UsageError("Pass one of REF, --user and --everyone.")
    if everyone and not yes:
        click.confirm("Sign everyone out and revoke every API token?", abort=True, err=True)

    async def work(context: CommandContext) -> str:
        if everyone:
            return f"Ended {await context.logins.revoke_all()} sign-ins and tokens."
        if name is not None:
            found = await context.find(name)
            return f"Ended {await context.logins.revoke_others(found.account.user_id)} sign-ins."
        owner = await context.store.logins.user_of_public_id(public_id or "", "session")
        if owner is None or await context.logins.revoke(owner, public_id or "") is None:
            raise click.ClickException(f"There is no sign-in {public_id!r}, or it has already ended.")
        return f"The sign-in {public_id} of {await context.name_of(owner)!r} has ended."

    click.echo(run_with_context(source, work))
