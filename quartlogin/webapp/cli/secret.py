"""The command that rotates the secret key."""

import json
from typing import Final

import click

from quartlogin.accounts import key_file, new_key
from quartlogin.accounts import rotate as rotate_key
from quartlogin.accounts.commands import accounts_command

from ..settings import PREFIX, SettingsError
from .keys import is_file
from .source import Servable

_MAX_FORMER_KEYS: Final = 2  # keys that are kept; each rotation drops the oldest


@click.group()
def secret() -> None:
    """Manage the secret key that signs the cookies."""


@secret.command("rotate")
@click.option("--forget", is_flag=True, help="Keep no former keys, which signs everyone out. Use it after a leak.")
@accounts_command
def rotate(forget: bool, source: Servable) -> None:
    """Replace the secret key. Cookies signed with the former two keys stay valid, so no one is signed out.

    A key that is stored beside the database is replaced there; restart the service afterwards. If
    QUARTLOGIN_SECRET_KEY is set, the new values of the variables are printed, and nothing is changed. Cookies last 30
    days at most: rotate no more often than that.

    \b
    quartlogin secret rotate
    QUARTLOGIN_SECRET_KEY=... quartlogin secret rotate >> service.env
    """
    former = 0 if forget else _MAX_FORMER_KEYS
    if keys := source.configured_keys():
        fallbacks = keys[:former]
        click.echo(f"{PREFIX}SECRET_KEY='{new_key()}'")
        click.echo(f"{PREFIX}SECRET_KEY_FALLBACKS='{json.dumps(fallbacks)}'")
        return
    path = key_file(source.address)
    if not is_file(source.address) or not path.exists():
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
