"""The commands that create, list and revoke API tokens."""

import asyncio
from datetime import timedelta

import click

from quartlogin import LoginRefused, create_bearer_token

from ...command_line.context import (
    AccountsSource,
    CommandContext,
    accounts_command,
    context_of,
    json_option,
    run_with_context,
)
from ...command_line.output import moment, print_rows
from ...context import get_accounts
from ..logins.service import MAX_TOKENS, TooManyTokens, signing_in
from .forms import MAX_TOKEN_DAYS, MAX_TOKEN_NAME


@click.group()
def token() -> None:
    """Create and manage API tokens."""


@token.command("create")
@click.argument("name")
@click.option("--name", "label", default="command line", show_default=True, help="What the token is for.")
@click.option(
    "--days", default=90, show_default=True, type=click.IntRange(1, MAX_TOKEN_DAYS), help="How long it is valid."
)
@accounts_command
def create(name: str, label: str, days: int, source: AccountsSource) -> None:
    """Create a token with which a program acts as NAME, and print it once.

    It is signed with the secret key of the service, from QUARTLOGIN_SECRET_KEY or beside the database.

    \b
    quartlogin token create alice --name backup --days 30
    """
    if not 1 <= len(label) <= MAX_TOKEN_NAME or not label.isprintable():
        raise click.ClickException(f"The token's name must be 1 to {MAX_TOKEN_NAME} printable characters.")
    click.echo(asyncio.run(_create(source, name, label, timedelta(days=days))))


async def _create(source: AccountsSource, name: str, label: str, duration: timedelta) -> str:
    async with source.run_app() as app:
        context = context_of(get_accounts(app))
        found = await context.find(name)
        if not found.is_active:
            raise click.ClickException(f"The account {name!r} is disabled.")
        try:
            with signing_in(found.account):
                return await create_bearer_token(found.user, duration=duration, name=label)
        except LoginRefused:
            raise click.ClickException(f"The account {name!r} has just been changed. Try again.") from None
        except TooManyTokens:
            shown = context.directory.name_of(found.user)
            raise click.ClickException(
                f"{shown!r} has {MAX_TOKENS} tokens. Revoke one that is no longer used."
            ) from None


@token.command("list")
@click.argument("name")
@json_option
@accounts_command
def list_tokens(name: str, as_json: bool, source: AccountsSource) -> None:
    """List the tokens of NAME. `token revoke` takes a REF from this list.

    \b
    quartlogin token list alice --json
    """

    async def work(context: CommandContext) -> None:
        found = await context.find(name)
        rows = [
            {
                "ref": login.public_id,
                "name": login.name,
                "made": moment(login.made_at),
                "last_used": moment(login.seen_at),
                "expires": moment(login.expires_at),
            }
            for login in await context.logins.list_of(found.account.user_id)
            if login.kind == "bearer"
        ]
        print_rows(rows, as_json=as_json, empty=f"{context.directory.name_of(found.user)!r} has no API tokens.")

    run_with_context(source, work)


@token.command("revoke")
@click.argument("public_id", metavar="REF")
@accounts_command
def revoke(public_id: str, source: AccountsSource) -> None:
    """Revoke the token REF.

    \b
    quartlogin token revoke 5f1c3a9e0b7d2468
    """

    async def work(context: CommandContext) -> None:
        owner = await context.store.logins.user_of_public_id(public_id, "bearer")
        if owner is None or await context.logins.revoke(owner, public_id, "bearer") is None:
            raise click.ClickException(f"There is no token {public_id!r}, or it has already been revoked.")
        click.echo(f"The token {public_id} of {await context.name_of(owner)!r} is revoked.")

    run_with_context(source, work)
