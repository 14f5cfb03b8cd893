"""The command that rotates the secret key."""

import json
from typing import Final

import click

from quartlogin.accounts import POSTGRES_SCHEMES, key_file, new_key
from quartlogin.accounts import rotate as rotate_key
from quartlogin.accounts.commands import database_option, errors_in_one_sentence

from ..settings import PREFIX, SettingsError
from .source import settings_with

_MAX_FORMER_KEYS: Final = 2  # keys that are kept; each rotation drops the oldest


@click.group()
def secret() -> None:
    """Manage the secret key that signs the cookies."""


@secret.command("rotate")
@click.option("--forget", is_flag=True, help="Keep no former keys, which signs everyone out. Use it after a leak.")
@database_option
@errors_in_one_sentence
def rotate(forget: bool, database: str | None) -> None:
    """Replace the secret key. Cookies signed with the former two keys stay valid, so no one is signed out.

    A key that is stored beside the database is replaced there; restart the service afterwards. If
    QUARTLOGIN_SECRET_KEY is set, the new values of the variables are printed, and nothing is changed. Cookies last 30
    days at most: rotate no more often than that.

    \b
    quartlogin secret rotate
    QUARTLOGIN_SECRET_KEY=... quartlogin secret rotate >> service.env
    """
    settings, former = settings_with(database), 0 if forget else _MAX_FORMER_KEYS
    if settings.secret_key is not None:
        fallbacks = [settings.secret_key, *settings.secret_key_fallbacks][:former]
        click.echo(f"{PREFIX}SECRET_KEY='{new_key()}'")
        click.echo(f"{PREFIX}SECRET_KEY_FALLBACKS='{json.dumps(fallbacks)}'")
        return
    path = key_file(settings.database)
    if settings.database.startswith(POSTGRES_SCHEMES) or not path.exists():
        raise SettingsError(f"There is no secret key to rotate. Set {PREFIX}SECRET_KEY to the current one.")
    try:
        rotated = rotate_key(path, former)
    except FileExistsError:
        raise click.ClickException(f"Another rotation is running. If it is not, delete {path}.new.") from None
    except OSError as error:
        raise click.ClickException(f"Cannot replace the secret key in {path}: {error.strerror}.") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"There is a new secret key in {path}; {_effect(len(rotated) - 1)}. Restart the service to use it.")


def _effect(former: int) -> str:
    """Describe the effect of a rotation that keeps some former keys."""
    if not former:
        return "everyone is signed out"
    return f"cookies signed with the former {'key' if former == 1 else f'{former} keys'} stay valid"
