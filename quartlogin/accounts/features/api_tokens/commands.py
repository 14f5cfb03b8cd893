"""The commands that create, list and revoke API tokens."""

from datetime import timedelta

import click

from quartlogin import LoginRefused, create_bearer_token

from ...command_line.context import (
    CommandContext,
    accounts_source,
    database_option,
    errors_in_one_sentence,
    json_option,
    run_with_context,
)
from ...command_line.output import moment, print_rows
from ...context import get_accounts
from ..logins.service import MAX_TOKENS, TooManyTokens
from ..logins.transactions import signing_in
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
@database_option
@errors_in_one_sentence
def create(name: str, label: str, days: int, database: str | None) -> None:
    """Create a token with which a program acts as NAME, and print it once.

    It is signed with the secret key of the service, from QUARTLOGIN_SECRET_KEY or beside the database.

    \b
    quartlogin token create alice --name backup --days 30
    """
    if not 1 <= len(label) <= MAX_TOKEN_NAME or not label.isprintable():
        raise click.ClickException(f"The token's name must be 1 to {MAX_TOKEN_NAME} printable characters.")
    app = accounts_source().make_app(database)

    async def work(context: CommandContext) -> str:
        found = await context.find(name)
        if not found.is_active:
            raise click.ClickException(f"The account {name!r} is disabled.")
        accounts = get_accounts(app)
        await accounts.store.database.open()
        try:
            async with app.app_context():
                with signing_in(found.account):
                    return await create_bearer_token(found.user, duration=timedelta(days=days), name=label)
        except LoginRefused:
            raise click.ClickException(f"The account {name!r} has just been changed. Try again.") from None
        except TooManyTokens:
            raise click.ClickException(
                f"{found.user.username!r} has {MAX_TOKENS} tokens. Revoke one that is no longer used."
            ) from None
        finally:
            accounts.passwords.hashing.close()
            await accounts.store.database.close()

    click.echo(run_with_context(database, work))


@token.command("list")
@click.argument("name")
@json_option
@database_option
@errors_in_one_sentence
def list_tokens(name: str, as_json: bool, database: str | None) -> None:
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
            for login in await context.logins.list_of(found.user.id)
            if login.kind == "bearer"
        ]
        print_rows(rows, as_json=as_json, empty=f"{found.user.username!r} has no API tokens.")

    run_with_context(database, work)


@token.command("revoke")
@click.argument("public_id", metavar="REF")
@database_option
@errors_in_one_sentence
def revoke(public_id: str, database: str | None) -> None:
    """Revoke the token REF.

    \b
    quartlogin token revoke 5f1c3a9e0b7d2468
    """

    async def work(context: CommandContext) -> None:
        owner = await context.store.logins.user_of_public_id(public_id, "bearer")
        if owner is None or await context.logins.revoke(owner, public_id, "bearer") is None:
            raise click.ClickException(f"There is no token {public_id!r}, or it has already been revoked.")
        click.echo(f"The token {public_id} of {await context.name_of(owner)!r} is revoked.")

    run_with_context(database, work)
