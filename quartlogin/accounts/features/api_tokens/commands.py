"""The commands that make, show and revoke API tokens."""

from datetime import timedelta

import click

from quartlogin import LoginRefused, create_bearer_token

from ....webapp.app import create_app
from ....webapp.settings import Settings, SettingsError
from ...accounts import services_of
from ...commands.context import (
    CommandContext,
    database_option,
    json_option,
    one_sentence,
    run_with_context,
    settings_with,
)
from ...commands.output import moment, print_rows
from ...pages.forms import LONGEST_TOKEN_NAME, MOST_TOKEN_DAYS
from ...security import secret_key
from ...store import POSTGRES_SCHEMES
from ..logins.service import MOST_TOKENS, TooManyTokens


@click.group()
def token() -> None:
    """Make and look after API tokens."""


@token.command("create")
@click.argument("name")
@click.option("--name", "label", default="command line", show_default=True, help="What the token is for.")
@click.option(
    "--days", default=90, show_default=True, type=click.IntRange(1, MOST_TOKEN_DAYS), help="How long it is valid."
)
@database_option
@one_sentence
def create(name: str, label: str, days: int, database: str | None) -> None:
    """Make a token with which a program acts as NAME, and print it: this once.

    It is signed with the secret key of the service, from QUARTLOGIN_SECRET_KEY or beside the database.

    \b
    quartlogin token create alice --name backup --days 30
    """
    if not 1 <= len(label) <= LONGEST_TOKEN_NAME or not label.isprintable():
        raise click.ClickException(
            f"The token's name has to be 1 to {LONGEST_TOKEN_NAME} characters that can be shown."
        )
    settings = settings_with(database)
    secret_key = _secret_key(settings)

    async def work(desk: CommandContext) -> str:
        found = await desk.find(name)
        if not found.is_active:
            raise click.ClickException(f"The account {name!r} is disabled.")
        app = create_app(DATABASE=settings.database, SECRET_KEY=secret_key)
        await services_of(app).store.database.open()
        try:
            async with app.app_context():
                return await create_bearer_token(found.user, duration=timedelta(days=days), name=label)
        except LoginRefused:
            raise click.ClickException(f"The account {name!r} has changed a moment ago: try again.") from None
        except TooManyTokens:
            raise click.ClickException(
                f"{found.user.username} has {MOST_TOKENS} tokens: revoke one that is no longer used."
            ) from None
        finally:
            services_of(app).accounts.passwords.close()
            await services_of(app).store.database.close()

    click.echo(run_with_context(settings, work))


@token.command("list")
@click.argument("name")
@json_option
@database_option
@one_sentence
def list_tokens(name: str, as_json: bool, database: str | None) -> None:
    """List the tokens of NAME; REF is what `token revoke` takes.

    \b
    quartlogin token list alice --json
    """

    async def work(desk: CommandContext) -> None:
        found = await desk.find(name)
        rows = [
            {
                "ref": login.public_id,
                "name": login.name,
                "made": moment(login.made_at),
                "last_used": moment(login.seen_at),
                "expires": moment(login.expires_at),
            }
            for login in await desk.logins.list_of(found.user.id)
            if login.kind == "bearer"
        ]
        print_rows(rows, as_json=as_json, empty=f"{found.user.username!r} has no API tokens.")

    run_with_context(settings_with(database), work)


@token.command("revoke")
@click.argument("public_id", metavar="REF")
@database_option
@one_sentence
def revoke(public_id: str, database: str | None) -> None:
    """Revoke the token REF.

    \b
    quartlogin token revoke 5f1c3a9e0b7d2468
    """

    async def work(desk: CommandContext) -> None:
        owner = await desk.store.logins.user_of_public_id(public_id, "bearer")
        if owner is None or await desk.logins.revoke(owner[0], public_id, "bearer") is None:
            raise click.ClickException(f"There is no token {public_id!r}, or it is revoked already.")
        click.echo(f"The token {public_id} of {owner[1]!r} is revoked.")

    run_with_context(settings_with(database), work)


def _secret_key(settings: Settings) -> str:
    """Return the key that the service signs with.

    Raises:
        SettingsError: It is not known here.
    """
    if settings.secret_key is not None:
        return settings.secret_key
    path = secret_key.key_file(settings.database)
    if settings.database.startswith(POSTGRES_SCHEMES) or not path.exists():
        raise SettingsError(secret_key.NO_KEY)
    try:
        return secret_key.read_or_make(path)[0][0]
    except (OSError, ValueError) as error:
        raise SettingsError(f"The secret key in {path} cannot be used: {error}") from error
